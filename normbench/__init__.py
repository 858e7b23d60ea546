"""Put a normalization layer to the test.

What is here is imported on first use, so that commands which need no torch stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from normbench.version import __version__

if TYPE_CHECKING:
    from normbench.analysis.curves import load_curves
    from normbench.analysis.frame import load_records
    from normbench.api import probe, rank, run
    from normbench.errors import RunFailed, UserError
    from normbench.models import build_model, load_model, replace_norms

__all__ = ["RunFailed", "UserError", "__version__", "build_model", "load_curves", "load_model",
           "load_records", "probe", "rank", "replace_norms", "run"]  # fmt: skip

_PLACES = {
    "RunFailed": "normbench.errors",
    "UserError": "normbench.errors",
    "build_model": "normbench.models",
    "load_curves": "normbench.analysis.curves",
    "load_model": "normbench.models",
    "load_records": "normbench.analysis.frame",
    "probe": "normbench.api",
    "rank": "normbench.api",
    "replace_norms": "normbench.models",
    "run": "normbench.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'normbench' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
