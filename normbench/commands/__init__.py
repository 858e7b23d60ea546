"""A command a file: what it is for (the docstring), examples, settings (``Config``) and ``main``.

A command that trains has ``prepare``, ``execute`` and ``conclude`` in place of ``main``
(``runs.sweep.JobCommand``).
"""

from types import ModuleType

COMMANDS = (
    "run", "status", "table", "compare", "predictions", "claims", "calibration", "probe", "figures",
    "bench", "data", "models", "study", "rank", "report", "export", "diff", "merge",
)  # fmt: skip


def load(name: str) -> ModuleType:
    """A command's module. Importing it is quick: whatever takes long is imported by ``main``."""
    from importlib import import_module

    return import_module(f"normbench.commands.{name}")
