"""The highest learning rate that still trains: Bjorck et al. 2018,
https://arxiv.org/abs/1806.02375, and Santurkar et al. 2018, https://arxiv.org/abs/1805.11604"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import how_many, page, protocol_line
from normbench.drawing.text import number_table
from normbench.probes.probe import WatchingProbe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

ABOVE = 0.3  # guessing: how far losses are drawn
FILLS: dict[str, Literal["full", "left", "none"]] = {
    "every seed trains": "full",
    "some do": "left",
    "none does": "none",
}


@dataclass(kw_only=True)
class LearningRateRange(WatchingProbe):
    """Whether runs train, over learning rates (grid.lr).

    A run trains if its loss stays finite and, averaged over the last tenth of the watched steps,
    is below that of guessing, the logarithm of the number of classes, by a margin.

    Attributes:
        steps: see WatchingProbe.
        margin: in nats.

    Measures:
        loss: mean training loss of the last tenth of the steps; None for a run that diverged.
        guessing: ln(classes).
        val_loss, val_accuracy: after the last step; None for a run that diverged.
    """

    together: ClassVar[tuple[str, ...]] = ("seed", "lr")

    margin: float

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_positive("probe.margin", [self.margin])

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.probes.watching import numbers

        last = math.ceil(run.steps / 10)
        losses = []
        for step in range(run.steps - last, run.steps):
            if not (yield step):
                break
            losses.append(run.loss(run.batch).item())
        finite = (yield run.steps) and all(map(math.isfinite, losses))
        ends = run.evaluate() if finite else {"val_loss": None, "val_accuracy": None}
        return {
            "loss": numbers(math.fsum(losses) / last) if finite else None,
            "guessing": numbers(math.log(len(run.training.data.classes))),
            **{name: value and numbers(value) for name, value in ends.items()},
        }

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        heights = [0.15 + 0.2 * len(norms), 2.9]  # of the panels, in inches
        shared: dict[str, Any] = {"sharex": True, "height_ratios": heights}
        with style.figure(2, 1, 1 + sum(heights), **shared) as (fig, axes):
            trained, losses = axes[:, 0]
            for row, (norm, group) in enumerate(norms.items()):
                _draw_trained(trained, row, group, looks[norm])
                _draw_losses(losses, norm, group, looks[norm])
            trained.set_yticks(range(len(norms)), norms)
            trained.set_ylim(len(norms) - 0.5, -0.5)
            trained.tick_params(axis="y", length=0)
            trained.set_title("which train")
            losses.set(xlabel="learning rate", ylabel="training loss")
            style.log_scale(losses, "x")
            _draw_levels(losses, records[0])
            fig.legend(handles=_legend(), loc="outside upper left", ncols=3, handletextpad=0.3)
            style.caption(
                fig,
                f"Mean training loss of the last tenth of {_steps(records)}: small points are "
                "seeds, lines their means where every seed is below the upper edge. A run trains "
                f"if it ends below the lower dotted line; {how_many(records)} for each learning "
                f"rate. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        probe = records[0]["config"]["probe"]
        rows = []
        for norm, group in by_norm(records).items():
            rates, losses = losses_by_rate(group)
            best = np.nanargmin(losses) if np.isfinite(losses).any() else 0
            rows.append([norm, highest_that_trains(group), rates[best], losses[best]])
        columns = ["norm", "highest that trains", "best", "loss there"]
        return page(
            "The range of learning rates",
            records,
            number_table(columns, rows),
            f"A run trains if its loss stays finite and, averaged over the last tenth of "
            f"{_steps(records)}, is {probe['margin']:g} or more below that of guessing, "
            f"{records[0]['measured']['guessing']:.3g}. Highest that trains: the largest learning "
            "rate tried at which every seed does.",
        )


def _draw_trained(ax: Axes, row: int, group: list[Record], look: style.Look) -> None:
    """A row of markers: full where every seed trains, half where some do, empty where none does."""
    for rate, trains in sorted(trains_by_rate(group).items()):
        fill = list(FILLS.values())[0 if all(trains) else 1 if any(trains) else 2]
        ax.plot(
            rate, row, look.marker, color=look.color, fillstyle=fill, markerfacecoloralt="white",
            ms=7, clip_on=False,
        )  # fmt: skip


def _draw_losses(ax: Axes, norm: str, group: list[Record], look: style.Look) -> None:
    """Every seed's loss, and the mean where all are on the page."""
    guessing = group[0]["measured"]["guessing"]
    shown = [record for record in group if _loss(record) < guessing + ABOVE]
    ax.plot(
        [record["lr"] for record in shown], [_loss(record) for record in shown],
        look.marker, color=look.color, ms=3, alpha=0.6, zorder=3,
    )  # fmt: skip
    rates, means = losses_by_rate(group)
    seeds = [[r for r in group if r["lr"] == rate] for rate in rates]
    whole = [all(record in shown for record in of_rate) for of_rate in seeds]
    means = np.where(whole, means, np.nan)
    ax.plot(rates, means, color=look.color, marker=look.marker, label=norm, zorder=4)


def _draw_levels(ax: Axes, record: Record) -> None:
    """Where guessing is and below what a run trains, with the axis from below that to above."""
    guessing = record["measured"]["guessing"]
    bound = guessing - record["config"]["probe"]["margin"]
    ax.set_ylim(min(ax.get_ylim()[0], bound - ABOVE / 3), guessing + ABOVE)
    for level, text in ((guessing, "guessing"), (bound, "trains below")):
        ax.axhline(level, color=style.FAINT, lw=0.8, ls=":")
        ax.annotate(
            text, (0.998, level), xycoords=("axes fraction", "data"), ha="right", va="bottom",
            fontsize=8, color=style.FAINT,
        )  # fmt: skip


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {
        "linestyle": "none", "marker": "o", "color": style.INK, "markerfacecoloralt": "white",
    }  # fmt: skip
    return [Line2D([], [], label=text, fillstyle=fill, **look) for text, fill in FILLS.items()]


def losses_by_rate(group: list[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Learning rates (R,), rising, and the mean loss over seeds (R,), NaN where a run diverged."""
    rates = sorted({record["lr"] for record in group})
    losses = [
        np.mean([_loss(record) for record in group if record["lr"] == rate]) for rate in rates
    ]
    return np.array(rates), np.array(losses)


def highest_that_trains(group: list[Record]) -> float:
    """The largest learning rate at which every seed of one norm's records trains; NaN if none."""
    rates = trains_by_rate(group)
    return max((rate for rate, trains in rates.items() if all(trains)), default=math.nan)


def trains_by_rate(group: list[Record]) -> dict[float, list[bool]]:
    """Learning rate -> whether each seed of one norm's records trains."""
    found: dict[float, list[bool]] = {}
    for record in group:
        bound = record["measured"]["guessing"] - record["config"]["probe"]["margin"]
        found.setdefault(record["lr"], []).append(_loss(record) <= bound)
    return found


def _loss(record: Record) -> float:
    loss = record["measured"]["loss"]
    return math.nan if loss is None else loss


def _steps(records: list[Record]) -> str:
    steps = records[0]["config"]["probe"]["steps"]
    return f"{steps} steps" if steps else "all steps"
