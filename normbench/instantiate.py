"""Calling what a config names, with one line for whatever goes wrong there."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException

from normbench.errors import UserError
from normbench.explain import first_line


def instantiate(what: str, settings: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Call the ``_target_`` of settings with the rest of them, and more arguments.

    Args:
        what: for a message, such as ``optimizer=sgd``.

    Raises:
        UserError: for a target that cannot be found, or refuses its settings.
    """
    try:
        return hydra.utils.instantiate(dict(settings), *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        missing = (
            _missing(str(settings.get("_target_"))) if isinstance(cause, ImportError) else None
        )
        raise UserError(f"{what}: {missing or first_line(cause)}") from error
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UserError(f"{what}: {first_line(error)}") from error
    except SystemExit as error:  # of a module that is a script
        raise UserError(
            f"{what}: importing {settings.get('_target_')} ends the program (exit code "
            f"{error.code}): put what its file does under `if __name__ == '__main__':`"
        ) from error


def _missing(target: str) -> str | None:
    """What lacks of a target that cannot be imported; None if it is something inside of it."""
    names = target.split(".")
    if names[0] == "__main__":
        return f"{target} is in no file: save {names[-1]} in one, and name it as FILE.{names[-1]}"
    for end in range(len(names) - 1, 0, -1):
        module = sys.modules.get(".".join(names[:end]))
        if module is not None and not hasattr(module, names[end]):
            public = [name for name in vars(module) if not name.startswith("_")]
            near = get_close_matches(names[end], public, n=3)
            question = f": did you mean {' or '.join(near)}?" if near else ""
            return f"{module.__name__} has no {names[end]}{question}"
    if names[0] not in sys.modules and find_spec(names[0]) is None:
        return (
            f"{target}: there is no module {names[0]} in the folder where the command is typed, "
            "nor among what is installed"
        )
    return None
