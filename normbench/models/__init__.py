"""Architectures. Each takes a norm and knows none; one from torchvision needs a config only."""

from normbench.models.build import build_model

__all__ = ["build_model"]
