"""What Hydra and OmegaConf raise for wrong input, as one line that names culprit and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str:
    """``: did you mean 'x'? Known: x, y, z`` (the question only where something is near)."""
    known = list(known)
    close = get_close_matches(word, known, n=3, cutoff=0.5)
    question = f": did you mean {' or '.join(map(repr, close))}?" if close else ":"
    return f"{question} Known: {', '.join(known)}" if known else ""


def explain(error: BaseException) -> str | None:
    """One line for an error of the user's making, None for one of ours."""
    from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        return _missing_config(error)
    if isinstance(error, ConfigCompositionException):
        cause = error.__cause__
        if isinstance(cause, OmegaConfBaseException):
            return f"{_first_line(error).rstrip('.')}: {_first_line(cause)}{_near_keys(error, cause)}"
        return _first_line(error)
    if isinstance(error, HydraException):
        return " ".join(str(error).split("\n\n")[0].split()).replace(
            "See https://hydra.cc/docs/1.2/advanced/override_grammar/basic for details", ""
        ).strip()
    if isinstance(error, OmegaConfBaseException):
        key = getattr(error, "full_key", None)
        return f"{key}: {_first_line(error)}" if key else _first_line(error)
    return None


def _missing_config(error) -> str:
    missing = (error.missing_cfg_file or "").split("/")
    group, option = "/".join(missing[:-1]), missing[-1]
    if not group:
        return _first_line(error)
    known = [name for name in (error.options or []) if name]
    if not known:
        return f"{group}={option}: there is no choice named {group}"
    return f"{group}={option} is not known{nearest(option, known)}"


def _near_keys(error: BaseException, cause: BaseException) -> str:
    """Settings with a similar name, for an override of one that does not exist."""
    typed = re.match(r"Could not override '([^']+)'", str(error))
    node = getattr(cause, "parent_node", None)
    if typed is None or node is None or not hasattr(node, "keys"):
        return ""
    key = typed.group(1).rsplit(".", 1)[-1]
    return nearest(key, [str(k) for k in node.keys()]).replace(": did", "; did", 1)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip()
