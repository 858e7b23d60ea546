"""Records as tidy data: a row an observation, a column a variable."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from normbench.analysis.differences import canonical, distinctions, flat
from normbench.analysis.frame import frame_of
from normbench.analysis.groups import groups, norm_groups, protocol_of
from normbench.analysis.welch import Sample
from normbench.store.records import Record

if TYPE_CHECKING:
    import pandas

NESTED = ("config", "epochs")  # columns of load_records that are no single values
RUN = ("key", "data", "model", "norm", "batch_size", "lr", "seed")
EPOCH = ("train_loss", "val_loss", "val_accuracy")
CELL = (
    "data", "model", "norm", "settings", "batch_size", "lr", "runs", "diverged", "accuracy",
    "accuracy_std", "loss", "loss_std",
)  # fmt: skip


def runs(records: Sequence[Record]) -> pandas.DataFrame:
    """A row a run: the columns of ``load_records``, and a column for each setting that a record
    has, such as ``optimizer.weight_decay``; lists and what is of several types as JSON."""
    import pandas

    frame = frame_of(records).drop(columns=list(NESTED))
    settings = [flat({k: v for k, v in r["config"].items() if k != "grid"}) for r in records]
    names = sorted({name for of_run in settings for name in of_run})
    columns = {name: _column([of_run.get(name) for of_run in settings]) for name in names}
    return pandas.concat([frame, pandas.DataFrame(columns, index=frame.index)], axis=1)


def epochs(records: Iterable[Record]) -> pandas.DataFrame:
    """A row an epoch of a run, counted from 1."""
    import pandas

    rows = [
        (*_run(record), epoch, *(measured[name] for name in EPOCH))
        for record in records
        for epoch, measured in enumerate(record["epochs"], start=1)
    ]
    return pandas.DataFrame(rows, columns=[*RUN, "epoch", *EPOCH])


def cells(records: Iterable[Record]) -> pandas.DataFrame:
    """A row a cell: means and sample standard deviations over the runs that finished.

    ``settings`` tells apart what has the same names: how the protocol differs from others.
    """
    import pandas

    rows = []
    for (data, model), of_both in groups(
        records, lambda r: (r["config"]["data"]["name"], r["config"]["model"]["name"])
    ):
        protocols = [of for _, of in groups(of_both, lambda r: canonical(protocol_of(r)))]
        labels = distinctions([protocol_of(of[0]) for of in protocols])
        for of_protocol, label in zip(protocols, labels, strict=True):
            for norm, of_norm in norm_groups(of_protocol):
                for (batch_size, lr), cell in groups(
                    of_norm, lambda r: (-r["batch_size"], -r["lr"])
                ):
                    rows.append((data, model, norm, label, -batch_size, -lr, *_summary(cell)))
    return pandas.DataFrame(rows, columns=list(CELL))


def measured(records: Iterable[Record]) -> pandas.DataFrame:
    """A row a number, or a text, that a probe measured.

    ``quantity`` is its name, with dots between those of dicts; ``place`` where it is in lists, such
    as ``4,0`` for the first of the fifth.
    """
    import pandas

    rows = [
        (record["config"]["probe"]["name"], *_run(record), record["status"], *entry)
        for record in records
        for entry in _entries(record["measured"])
    ]
    columns = ["probe", *RUN, "status", "quantity", "place", "value", "text"]
    return pandas.DataFrame(rows, columns=columns).astype({"value": "float64", "text": "object"})


def _run(record: Record) -> tuple[Any, ...]:
    names = (record["config"][part]["name"] for part in ("data", "model", "norm"))
    return (record["key"], *names, record["batch_size"], record["lr"], record["seed"])


def _summary(cell: Sequence[Record]) -> tuple[Any, ...]:
    last = [record["epochs"][-1] for record in cell if record["status"] == "finished"]
    spreads: list[float] = []
    for measure in ("val_accuracy", "val_loss"):
        sample = Sample.of([epoch[measure] for epoch in last])
        std = sample.std if sample else None
        spreads += [sample.mean if sample else math.nan, math.nan if std is None else std]
    return (len(cell), len(cell) - len(last), *spreads)


def _entries(value: Any, quantity: str = "", place: str = "") -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from _entries(inside, f"{quantity}.{name}" if quantity else name, place)
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _entries(inside, quantity, f"{place},{number}" if place else str(number))
    elif isinstance(value, str):
        yield quantity, place, math.nan, value
    else:
        yield quantity, place, math.nan if value is None else float(value), None


def _column(values: list[Any]) -> list[Any]:
    """Values as they are where they are numbers, or texts, or neither; else as JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= {str, bool}):
        return [float(v) if kinds == {int, float} and v is not None else v for v in values]
    return [None if value is None else json.dumps(value, sort_keys=True) for value in values]
