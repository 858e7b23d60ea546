"""Settings of Python's as one types them: the same names, in Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from normbench.errors import UserError
from normbench.interactive import MAIN, import_path

WORD = re.compile(r"[A-Za-z_][\w./*+-]*", re.ASCII)  # text that needs no quotes
OTHER_THAN_TEXT = ("null", "true", "false", "inf", "nan", "yes", "no", "on", "off")
PART = {"norm": "norm.layer", "data": "data.source"}  # what a class given for a group stands for
ELSEWHERE = ("hydra", "launcher")  # groups that say where commands run


@dataclass
class Typed:
    """What settings come to.

    Attributes:
        words: one each, such as ``train.epochs=1``.
        parts: name -> class or function that only this process has (``interactive``).
    """

    words: list[str] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)

    def add(self, key: str, value: Any, plus: str = "") -> None:
        """Type a setting: a value, a dict of settings below it, a class or a function.

        Args:
            key: dotted; may begin with Hydra's +, ++ or ~.
            plus: what to put before it.

        Raises:
            UserError: for what cannot be typed.
        """
        if key.lstrip("+~").partition(".")[0] in ELSEWHERE:
            raise UserError(f"{key} is for the command line: from Python, runs train here")
        if callable(value) or isinstance(value, partial):
            self._add_part(key if key.endswith("_target_") else PART.get(key, key), value)
        elif isinstance(value, Mapping) and not key.startswith("~"):
            self._add_below(key, value, plus)
        elif key.startswith("~") and value is None:
            self.words.append(key)
        else:
            self.words.append(f"{plus}{key}={text(value, key)}")

    def _add_below(self, key: str, settings: Mapping[str, Any], plus: str) -> None:
        if "_target_" not in settings:
            for name, value in settings.items():
                self.add(f"{key}.{name}", value, plus)
            return
        self.add(f"{key}._target_", settings["_target_"], plus)
        for name, value in settings.items():  # arguments of the target, whatever was there before
            if name != "_target_":
                self.words.append(f"++{key.lstrip('+')}.{name}={text(value, f'{key}.{name}')}")

    def _add_part(self, key: str, part: Any) -> None:
        node = key.removesuffix("._target_")
        while isinstance(part, partial):
            if part.args:
                raise UserError(f"{node}: give the arguments of {part.func} by their names")
            for name, value in part.keywords.items():
                self.words.append(f"++{node}.{name}={text(value, f'{node}.{name}')}")
            part = part.func
        if not str(getattr(part, "__name__", "")).isidentifier():
            raise UserError(
                f"{node}={part} has no name for records and tables: give a class, or a function "
                "that is defined with def"
            )
        path = import_path(part)
        if path == f"{MAIN}.{part.__name__}":
            if self.parts.setdefault(part.__name__, part) is not part:
                raise UserError(
                    f"{node}: another {part.__name__} is given as well, and records know both by "
                    "this name: rename one"
                )
        self.words.append(f"++{node}._target_={path}")


def choices(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings one job each: a list for a whole group, such as norm, means one after the other."""
    for key, value in settings.items():
        if "." not in key and isinstance(value, list | tuple):
            if not value:
                raise UserError(f"{key} is empty: give at least one")
            for choice in value:
                yield from choices({**settings, key: choice})
            return
    yield dict(settings)


def text(value: Any, key: str = "") -> str:
    """A value in Hydra's grammar.

    Raises:
        UserError: for what is no number, text, list or dict of these.
    """
    if hasattr(value, "tolist"):  # numpy's and torch's
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple | range):
        return f"[{','.join(text(one, key) for one in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{text(str(k))}:{text(v, key)}" for k, v in value.items()) + "}"
    if isinstance(value, str | Path):
        return quoted(str(value))
    raise UserError(f"{key} is a {type(value).__name__}: give a number, a text, a list or a dict")


def quoted(value: str) -> str:
    """Text, in quotes where Hydra's grammar would read it otherwise."""
    if WORD.fullmatch(value) and value.lower() not in OTHER_THAN_TEXT:
        return value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)  # backslashes matter before a quote alone
    escaped += "\\" * (len(escaped) - len(escaped.rstrip("\\")))
    return f'"{escaped}"'
