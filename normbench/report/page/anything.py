"""Charts of whatever numbers the records of a probe hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from normbench.analysis.averages import array, stack
from normbench.analysis.groups import by_norm, groups
from normbench.analysis.welch import Sample
from normbench.probes.curves import finished
from normbench.report.page.charts import Axis, Chart, Dot, Line, Panel
from normbench.store.records import Record

FIELDS = {"lr": "learning rate", "batch_size": "batch size"}  # that a probe may draw together
ROWS = 6  # of a list of lists that are drawn, spread over all of them

Norms = Mapping[str, list[Record]]


def of_any(records: list[Record]) -> Iterator[Chart]:
    """Charts of records of one figure.

    Lists as long as ``at``, or as another list of numbers that say where something was measured,
    are lines over these; lists of such lists have a panel for each; those as long as a list of
    names have a panel a name; single numbers have a row a norm. Where records differ by learning
    rate or batch size, single numbers are lines over it.
    """
    alive = finished(records)
    varying = [field for field in FIELDS if len({record[field] for record in alive}) > 1]
    if not varying:
        yield from _alike(alive)
        return
    over, *others = varying
    for values, some in groups(alive, lambda record: tuple(record[f] for f in others)):
        words = [f"{FIELDS[f]} {value:g}" for f, value in zip(others, values, strict=True)]
        yield from _over(over, some, ", ".join(words))


def _over(field: str, records: list[Record], words: str) -> Iterator[Chart]:
    """Single numbers as lines over what records differ by."""
    norms = by_norm(records)
    panels = [
        Panel(_title(key), lines, y=Axis(_title(key), log=False))
        for key, value in _flat(_fullest(records))
        if _is_number(value) and (lines := [_line(n, of, field, key) for n, of in norms.items()])
    ]
    title = f"Numbers of every norm{f', {words}' if words else ''}"
    yield Chart("", title, Axis(FIELDS[field], log=True), Axis(""), panels, free=True)


def _line(norm: str, group: list[Record], field: str, key: str) -> Line:
    places, seeds = (sorted({r[f] for r in group}) for f in (field, "seed"))
    known = {(r["seed"], r[field]): _get(r, key) for r in group}
    return Line(norm, places, array([[known.get((s, p)) for p in places] for s in seeds]), norm)


def _alike(records: list[Record]) -> Iterator[Chart]:
    """Of records that differ by norm and seed alone."""
    if not records:
        return
    norms, flat = by_norm(records), dict(_flat(_fullest(records)))
    names = {key: value for key, value in flat.items() if _is_list(value, str)}
    axes = {key: value for key, value in flat.items() if _is_axis(key, value, records)}
    axes = dict(sorted(axes.items(), key=lambda item: item[0] != "at"))
    lines: dict[str, list[Panel]] = {}
    single: list[Panel] = []
    for key, value in flat.items():
        if key in axes or key in names:
            continue
        title, shape = _title(key), _shape(value)
        axis = next((k for k, v in axes.items() if shape and len(v) in shape), None)
        named = next((v for v in names.values() if shape and len(v) == shape[0]), None)
        if shape == ():
            single.append(Panel(title, _dots(norms, key)))
        elif axis and len(shape or ()) < 3:
            lines.setdefault(axis, []).extend(
                Panel(of, marks, y=Axis(of, log=False))
                for of, marks in _lines(norms, key, axis, title, names)
            )
        elif named and len(shape or ()) == 1:
            single += [
                Panel(f"{title}, {name}", _dots(norms, key, i)) for i, name in enumerate(named)
            ]
    for axis, panels in lines.items():
        label = "training step" if axis == "at" else _title(axis)
        yield Chart("", "As measured", Axis(label, log=False), Axis(""), panels, free=True)
    if single:
        title = "Numbers of every norm"
        yield Chart("", title, Axis("", log=False), Axis(""), single, dots=True, free=True)


def _lines(
    norms: Norms, key: str, axis: str, title: str, names: Mapping[str, list[str]]
) -> Iterator[tuple[str, list[Line]]]:
    """Panels of a list, or of a list of lists, over an axis."""
    at = {norm: max((_get(r, axis) or [] for r in group), key=len) for norm, group in norms.items()}
    runs = {norm: _runs(group, key, len(at[norm])) for norm, group in norms.items()}
    count = max(of.shape[2] for of in runs.values())
    words = next((v for v in names.values() if len(v) == count), [str(i + 1) for i in range(count)])
    for place in np.unique(np.linspace(0, count - 1, min(count, ROWS)).round().astype(int)):
        marks = [
            Line(norm, at[norm], of[:, :, place], norm)
            for norm, of in runs.items()
            if of.shape[2] > place
        ]
        yield (title if count == 1 else f"{title}, {words[place]}"), marks


def _runs(group: Sequence[Record], key: str, length: int) -> np.ndarray:
    """(seeds, T, rows) of what is a list (T,), or of lists (T, rows) or (rows, T)."""
    found = [array(_get(record, key)) for record in group if _get(record, key) is not None]
    tables = [of[:, None] if of.ndim == 1 else of for of in found]
    turned = max(tables, key=np.size).shape[0] != length
    return stack([table.T if turned else table for table in tables])


def _dots(norms: Norms, key: str, place: int | None = None) -> list[Dot]:
    found = []
    for norm, group in norms.items():
        values = [_get(record, key) for record in group]
        if place is not None:
            values = [None if of is None else of[place] for of in values]
        known = tuple(float(v) for v in values if v is not None)
        dot = Dot.of(norm, Sample.of(known), runs=known)
        found += [dot] if dot else []
    return found


def _fullest(records: Sequence[Record]) -> dict[str, Any]:
    """What the run measured that holds most."""
    found: dict[str, Any] = max((r["measured"] for r in records), key=lambda m: len(str(m)))
    return found


def _flat(measured: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in measured.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}: ")
        else:
            yield f"{prefix}{key}", value


def _get(record: Record, key: str) -> Any:
    return dict(_flat(record["measured"])).get(key)


def _title(key: str) -> str:
    return key.replace("_", " ")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(v, kind) for v in value)


def _shape(value: Any) -> tuple[int, ...] | None:
    """Of numbers in lists, some of which may lack; None of anything else."""
    if not _is_number(value) and not isinstance(value, list):
        return None
    try:
        return array(value).shape
    except (TypeError, ValueError):  # of text, or of lists of several lengths
        return None


def _is_axis(key: str, value: Any, records: Sequence[Record]) -> bool:
    """Whether numbers that rise say where something was measured: when (``at``), as the probe's
    settings have it, or as in every run alike."""
    if not isinstance(value, list) or len(value) < 2 or not all(map(_is_number, value)):
        return False
    if not (np.diff(array(value)) > 0).all():
        return False
    if key == "at" or any(value in r["config"]["probe"].values() for r in records):
        return True
    others = [_get(record, key) for record in records]
    return len(others) > 1 and all(other == value for other in others)
