"""Claims: what the articles say, judged by rules from what was measured.

- claim.py: what a claim is
- article.py, training.py, landscape.py: the claims
- evidence.py: what was measured
- rules.py, probed.py: from numbers to verdicts
"""

from normbench.claims import article, landscape, training

CLAIMS = [*article.CLAIMS, *training.CLAIMS, *landscape.CLAIMS]
