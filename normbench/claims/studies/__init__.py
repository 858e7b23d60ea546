"""Claims that studies decide, a file a study: its name is the study's."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from normbench.claims.studies.claim import StudyClaim, StudyClaims


@cache
def claims_of(study: str) -> StudyClaims:
    """A study's claims."""
    claims: StudyClaims = import_module(f"{__name__}.{study}").CLAIMS
    return claims


__all__ = ["StudyClaim", "StudyClaims", "claims_of"]
