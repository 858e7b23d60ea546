"""One training, step by step: what comes out of every layer, and the loss along the gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, mean, stack
from normbench.analysis.differences import canonical
from normbench.analysis.groups import by_norm, protocol_of
from normbench.drawing.captions import protocol_line
from normbench.drawing.layers import layer_groups
from normbench.probes.landscape import Lines
from normbench.report.page.charts import Data, rounded
from normbench.report.page.measured import Measured
from normbench.store.records import Record

GRADIENTS, ACTIVATIONS, LANDSCAPE = "gradients", "activations", "landscape"


def explorers(found: Iterable[Measured]) -> list[Data]:
    """For every protocol that any of the three probes watched, what they saw at each step."""
    by_protocol: dict[str, dict[str, Measured]] = {}
    for one in found:
        if one.probe in (GRADIENTS, ACTIVATIONS, LANDSCAPE) and not one.problem:
            by_protocol.setdefault(_protocol(one.records[0]), {})[one.probe] = one
    return [_explorer(of) for of in by_protocol.values()]


def _protocol(record: Record) -> str:
    """What records of several probes have in common that watched the same training."""
    shared = {k: v for k, v in protocol_of(record).items() if k != "probe"}
    return canonical([shared, record["batch_size"], record["lr"]])


def _explorer(of: dict[str, Measured]) -> Data:
    first = next(iter(of.values()))
    activations = _of_norms(of.get(ACTIVATIONS), _activations)
    landscape = _of_norms(of.get(LANDSCAPE), _landscape)
    gradients = of.get(GRADIENTS)
    steps = [at for part in (activations, landscape) for one in part.values() for at in one["at"]]
    if gradients:
        steps += [len(r["measured"]["norms"][0]) for r in gradients.records]
    return {
        "label": protocol_line(first.records),
        "gradients": gradients.charts[0].id if gradients and gradients.charts else None,
        "activations": activations,
        "landscape": landscape,
        "missing": [name for name in (GRADIENTS, ACTIVATIONS, LANDSCAPE) if name not in of],
        "last": int(max(steps, default=0)),
    }


def _of_norms(found: Measured | None, describe: Any) -> Data:
    if found is None:
        return {}
    return {norm: describe(group) for norm, group in by_norm(found.records).items()}


def _activations(group: Sequence[Record]) -> Data:
    """Percentiles of every layer's output at each look, (layers, percentiles, looks)."""
    runs = stack([np.moveaxis(array(r["measured"]["percentiles"]), -1, 0) for r in group])
    middle = mean(runs, axis=0)  # (looks, layers, percentiles)
    groups = layer_groups(group[0])
    return {
        "layers": list(groups),
        "at": _longest(group),
        "percentiles": [
            [rounded(line) for line in mean(middle[:, which], axis=1).T]
            for which in groups.values()
        ],
    }


def _landscape(group: Sequence[Record]) -> Data:
    """The loss here and after steps along the gradient, (looks, 1 + step sizes)."""
    runs = [Lines(r["measured"]) for r in group]
    here = stack([array(r["measured"]["loss"])[:, None] for r in group])
    losses = geometric_mean(np.concatenate([here, stack([run.losses for run in runs])], 2), axis=0)
    return {
        "at": _longest(group),
        "sizes": [0, *rounded(runs[0].step_sizes)],
        "losses": [rounded(line) for line in losses],
    }


def _longest(group: Sequence[Record]) -> list[int]:
    return max((r["measured"]["at"] for r in group), key=len)
