"""What ``scripts/fault_campaign.py`` tries: every module registers its faults with ``fault``."""
