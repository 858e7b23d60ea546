"""Claims: what the articles say, judged by rules from what was measured.

- claim.py: what a claim is
- tables.py, training.py, landscape.py: the claims
- evidence.py: what was measured
- rules.py, probed.py: from numbers to verdicts
"""

from normbench.claims import landscape, tables, training

CLAIMS = [*tables.CLAIMS, *training.CLAIMS, *landscape.CLAIMS]
