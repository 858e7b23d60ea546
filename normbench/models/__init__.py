"""Architectures. Each takes a norm and knows none; those of libraries have theirs replaced."""

from normbench.models.build import build_model, replace_norms
from normbench.models.trained import load_model

__all__ = ["build_model", "load_model", "replace_norms"]
