"""What Hydra and OmegaConf raise for wrong input, as one line that names culprit and remedy."""

from __future__ import annotations

import errno
import io
import re
import sysconfig
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from normbench.errors import UserError
from normbench.zoo import in_libraries

LAUNCHERS = {"submitit_slurm": "slurm", "ray": "ray", "joblib": "joblib"}  # Hydra's name: extra


def nearest(word: str, known: Iterable[str]) -> str:
    """``: did you mean 'x'? Known: x, y, z`` (the question only where something is near)."""
    known = list(known)
    close = get_close_matches(word, known, n=3, cutoff=0.5)
    question = f": did you mean {' or '.join(map(repr, close))}?" if close else ":"
    return f"{question} Known: {', '.join(known)}" if known else ""


def explain(error: BaseException) -> str | None:
    """One line for an error of the user's making, None for one of ours (which has a traceback)."""
    from hydra.errors import (
        ConfigCompositionException,
        HydraException,
        MissingConfigException,
        OverrideParseException,
    )
    from omegaconf.errors import OmegaConfBaseException
    from yaml import MarkedYAMLError

    if isinstance(error, MissingConfigException):
        return _missing_config(error)
    if isinstance(error, OverrideParseException):
        return _unreadable_override(error.override)
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark):
        reason = error.problem or error.context
        return f"{mark.name}, line {mark.line + 1}: {reason}: this is not valid YAML"
    if isinstance(error, UnicodeDecodeError) and (file := _open_file(error)):
        return f"{file} is not text in UTF-8 ({error.reason}): save it as UTF-8"
    if isinstance(error, ConfigCompositionException):
        cause = error.__cause__
        if not isinstance(cause, OmegaConfBaseException):
            return first_line(error)
        line = f"{first_line(error).rstrip('.')}: {first_line(cause)}{_near_keys(error, cause)}"
        if "is not a ListConfig" in line:
            line += " Give a list, such as [0.01,0.001]"
        if "is not in struct" in line:
            line += "; a setting that is not there yet is written with a plus, +key=value"
        return line
    if isinstance(error, HydraException):
        if isinstance(error.__cause__, UserError):  # of a part of ours that Hydra makes
            return str(error.__cause__)
        return f"cannot read the settings: {first_line(error)}"
    if isinstance(error, OmegaConfBaseException):
        key: str | None = getattr(error, "full_key", None)
        return f"{key}: {first_line(error)}" if key else first_line(error)
    if exhausted := _exhausted(error):
        return exhausted
    if isinstance(error, OSError) and error.filename:
        return (
            f"{error.filename} cannot be used ({error.strerror or error}): repair that, or choose "
            "another folder with results.dir=DIR"
        )
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
        frames = traceback.extract_tb(error.__traceback__)
        at = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        return f"{type(error).__name__}{at}"
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def place_of(error: BaseException) -> str:
    """`` (mylayer.py, line 12)``: the last place outside libraries that an error passed through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        library = {"site-packages", "dist-packages"} & set(file.parts)
        folders = Path(sysconfig.get_path("stdlib")), Path(__file__).parent  # Python's, and ours
        if not library and not any(file.is_relative_to(folder) for folder in folders):
            return f" ({_code_file(file)}line {frame.lineno})"
    return ""


def _code_file(path: Path) -> str:
    """A file's name and a comma; nothing for code that was sent here, or a cell of a notebook."""
    of_cell = path.name.startswith("<") or path.parent.name.startswith("ipykernel_")
    return "" if of_cell else f"{path.name}, "


def _passed_through(error: BaseException, folder: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(folder in frame.filename.replace("\\", "/") for frame in frames)


def _unreadable_override(override: str) -> str:
    """What to do about a setting that Hydra's grammar does not know how to read."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"cannot read {override!r}: settings are written key=value"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"cannot read {override}: put the value into quotes, and these into quotes that the shell "
        f"takes away: '{key}=\"{quoted}\"'"
    )


def _open_file(error: BaseException) -> str | None:
    """The name of the file that was being read when an error was raised."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        for value in frame.f_locals.values():
            if isinstance(value, io.TextIOWrapper):
                return str(value.name)
    return None


def _missing_config(error: Any) -> str:
    missing = (error.missing_cfg_file or "").split("/")
    group, option = "/".join(missing[:-1]), missing[-1]
    if not group:
        return first_line(error)
    if group == "hydra/launcher" and (extra := LAUNCHERS.get(option)):
        return f'launcher={extra} is not installed: pip install "normbench[{extra}]"'
    known = [name for name in (error.options or []) if name]
    if group == "model" and (elsewhere := in_libraries(option)):
        return f"model={option} is not known: did you mean {' or '.join(elsewhere)}?"
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
