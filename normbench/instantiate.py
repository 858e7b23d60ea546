"""Calling what a config names, with one line for whatever goes wrong there."""

from __future__ import annotations

from collections.abc import Mapping
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
        raise UserError(f"{what}: {first_line(error.__cause__ or error)}") from error
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UserError(f"{what}: {first_line(error)}") from error
    except SystemExit as error:  # of a module that is a script
        raise UserError(
            f"{what}: importing {settings.get('_target_')} ends the program (exit code "
            f"{error.code}): put what its file does under `if __name__ == '__main__':`"
        ) from error
