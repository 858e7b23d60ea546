"""Put a normalization layer to the test.

``build_model`` and ``load_records`` are imported on first use, so that commands which need no
torch stay quick.
"""

from typing import Any

from normbench.version import __version__

__all__ = ["__version__", "build_model", "load_records"]


def __getattr__(name: str) -> Any:
    if name == "build_model":
        from normbench.models import build_model

        return build_model
    if name == "load_records":
        from normbench.analysis.frame import load_records

        return load_records
    raise AttributeError(f"module 'normbench' has no attribute {name!r}")
