"""Claims: what the articles say, judged by rules from what was measured.

- claim.py: what a claim is
- tables.py, training.py, landscape.py: the claims
- afterwards.py: those whose rules were written when their numbers were known
- evidence.py: what was measured
- rules.py, probed.py: from numbers to verdicts
"""

from normbench.claims import afterwards, landscape, tables, training

CLAIMS = [*tables.CLAIMS, *training.CLAIMS, *landscape.CLAIMS, *afterwards.CLAIMS]
