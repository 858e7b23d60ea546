"""What Hydra and OmegaConf raise for wrong input, as one line that names culprit and remedy."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterable
from difflib import get_close_matches

from normbench.errors import UserError

LAUNCHERS = {"submitit_slurm": "slurm", "ray": "ray", "joblib": "joblib"}  # Hydra's name: extra


def nearest(word: str, known: Iterable[str]) -> str:
    """``: did you mean 'x'? Known: x, y, z`` (the question only where something is near)."""
    known = list(known)
    close = get_close_matches(word, known, n=3, cutoff=0.5)
    question = f": did you mean {' or '.join(map(repr, close))}?" if close else ":"
    return f"{question} Known: {', '.join(known)}" if known else ""


def explain(error: BaseException) -> str | None:
    """One line for an error of the user's making, None for one of ours (which has a traceback)."""
    from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        return _missing_config(error)
    if isinstance(error, ConfigCompositionException):
        cause = error.__cause__
        if not isinstance(cause, OmegaConfBaseException):
            return first_line(error)
        line = f"{first_line(error).rstrip('.')}: {first_line(cause)}{_near_keys(error, cause)}"
        if "is not a ListConfig" in line:
            line += " Give a list, such as [0.01,0.001]"
        return line
    if isinstance(error, HydraException):
        if isinstance(error.__cause__, UserError):  # of a part of ours that Hydra makes
            return str(error.__cause__)
        return f"cannot read the settings: {first_line(error)}"
    if isinstance(error, OmegaConfBaseException):
        key = getattr(error, "full_key", None)
        return f"{key}: {first_line(error)}" if key else first_line(error)
    if line := _exhausted(error):
        return line
    if not _passed_through(error, "normbench/commands/"):
        # before any command ran, so it is the settings that Hydra stumbled over
        return f"cannot read the settings ({type(error).__name__}: {first_line(error)})"
    return None


def _exhausted(error: BaseException) -> str | None:
    """What the machine has run out of, if that is what happened."""
    number, text = getattr(error, "errno", None), first_line(error)
    if isinstance(error, MemoryError) or number == errno.ENOMEM or "allocate memory" in text:
        return f"not enough memory ({text}): choose smaller images or batches, or engine.lanes=1"
    if number == errno.EAGAIN or "can't start new thread" in text:
        return f"no room for another process or thread ({text}): end some, or raise the limit"
    return None


def first_line(error: BaseException) -> str:
    """What an error says, on one line; a first line that ends in a colon takes the next along."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def _passed_through(error: BaseException, folder: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(folder in frame.filename.replace("\\", "/") for frame in frames)


def _missing_config(error) -> str:
    missing = (error.missing_cfg_file or "").split("/")
    group, option = "/".join(missing[:-1]), missing[-1]
    if not group:
        return first_line(error)
    if group == "hydra/launcher" and (extra := LAUNCHERS.get(option)):
        return f'launcher={extra} is not installed: pip install "normbench[{extra}]"'
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
