"""Architectures. Each takes a norm and knows none; those of libraries have theirs replaced."""

from normbench.models.build import build_model, replace_norms

__all__ = ["build_model", "replace_norms"]
