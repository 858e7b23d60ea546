"""Claims: what the articles say, judged by rules from what was measured.

- claim.py: what a claim is
- article.py, training.py: the claims
- evidence.py: what was measured
- rules.py, probed.py: from numbers to verdicts
"""

from normbench.claims import article, training

CLAIMS = [*article.CLAIMS, *training.CLAIMS]
