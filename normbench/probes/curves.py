"""How well a network does while it is trained."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import mean_and_std, page, protocol_line
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

LABELS = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}


@dataclass(kw_only=True)
class Curves(WatchingProbe):
    """Training loss, validation loss and validation accuracy over training.

    Attributes:
        steps: see WatchingProbe.
        evaluations: how many, at even distances, after the one before training.

    Measures:
        at: how many steps were done at each evaluation.
        train_loss: mean loss of the batches trained on since the evaluation before; None at first.
        val_loss, val_accuracy: on the validation split.
    """

    evaluations: int = 15

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        if not 1 <= self.evaluations <= self.length(steps):
            raise UserError(
                f"probe.evaluations={self.evaluations} is not valid: give a number from 1 to that "
                f"of the steps ({self.length(steps)})"
            )

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        measured: dict[str, list[Any]] = {"at": [], **{part: [] for part in LABELS}}
        for i in range(self.evaluations + 1):
            step = round(i * run.steps / self.evaluations)
            if not (yield step):
                break
            found = {"at": step, "train_loss": run.train_loss if i else None, **run.evaluate()}
            for part, value in found.items():
                measured[part].append(value)
        return measured

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        with style.figure(1, 3, 3.4) as (fig, axes):
            for ax, part in zip(axes[0], LABELS, strict=True):
                draw_curves(ax, records, part)
            style.legend(fig, axes[0, 0], 4)
            style.caption(fig, f"{what_lines_are(records)} {protocol_line(records)}.")
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(records).items():
            ends = [f"{m:.3f} ± {s:.3f}" for m, s in (at_end(group, part) for part in LABELS)]
            rows.append([norm, *ends, f"{len(finished(group))} of {len(group)}"])
        table = number_table(["norm", *LABELS.values(), "runs that finished"], rows)
        return page("At the end of training", records, table)


def draw_curves(ax: Axes, records: list[Record], part: str) -> None:
    """Mean and standard deviation over seeds of a measure, a line a norm."""
    norms = by_norm(records)
    looks = style.looks(norms)
    for norm, group in norms.items():
        lines = values(group, part)
        if len(lines) == 0:
            continue
        at = finished(group)[0]["measured"]["at"]
        mean, std = lines.mean(axis=0), std_over_runs(lines)
        color, marker = looks[norm]
        ax.fill_between(at, mean - std, mean + std, color=color, alpha=0.18, lw=0)
        ax.plot(at, mean, color=color, marker=marker, markevery=3, ms=4, lw=1.4, label=norm)
    ax.set_xlabel("training step")
    ax.set_title(LABELS[part])


def what_lines_are(records: list[Record]) -> str:
    """Of ``draw_curves``, for a caption."""
    return f"Lines and shades: {mean_and_std(finished(records))}."


def finished(records: list[Record]) -> list[Record]:
    return [record for record in records if record["status"] == "finished"]


def values(records: list[Record], part: str) -> np.ndarray:
    """(finished runs, evaluations); NaN where there is no number."""
    return array([record["measured"][part] for record in finished(records)])


def std_over_runs(lines: np.ndarray) -> np.ndarray:
    """Sample standard deviation over runs (runs, …), 0 for one."""
    return lines.std(axis=0, ddof=1) if len(lines) > 1 else np.zeros(lines.shape[1:])


def at_end(records: list[Record], part: str) -> tuple[float, float]:
    """Mean and standard deviation of a measure at the last evaluation, NaN without a run."""
    lines = values(records, part)
    if len(lines) == 0:
        return np.nan, np.nan
    return float(lines[:, -1].mean()), float(std_over_runs(lines[:, -1]))
