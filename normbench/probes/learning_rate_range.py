"""The highest learning rate that still trains: Bjorck et al. 2018,
https://arxiv.org/abs/1806.02375, and Santurkar et al. 2018, https://arxiv.org/abs/1805.11604"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import page, protocol_line
from normbench.drawing.text import number_table
from normbench.probes.probe import WatchingProbe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched


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
        guessing = records[0]["measured"]["guessing"]
        bound = guessing - records[0]["config"]["probe"]["margin"]
        with style.figure(height=3.6) as (fig, axes):
            ax = axes[0, 0]
            top = guessing + 0.3
            for norm, group in by_norm(records).items():
                rates, losses = losses_by_rate(group)
                ax.plot(
                    rates, np.fmin(np.nan_to_num(losses, nan=np.inf), top),
                    color=style.color(norm), marker=style.marker(norm), label=norm,
                    clip_on=False, zorder=3,
                )  # fmt: skip
            for level, text in ((guessing, "guessing"), (bound, "trains below")):
                ax.axhline(level, color=style.FAINT, lw=0.8, ls=":")
                ax.annotate(
                    text, (0.002, level), xycoords=("axes fraction", "data"), va="bottom",
                    fontsize=8, color=style.FAINT,
                )  # fmt: skip
            ax.set(xlabel="learning rate", xscale="log", ylabel="training loss", ylim=(None, top))
            ax.annotate(
                "diverged or worse", (1, 1), (0, 5), xycoords="axes fraction",
                textcoords="offset points", ha="right", va="bottom", fontsize=8, color=style.FAINT,
            )  # fmt: skip
            style.legend(fig, ax, 6)
            style.caption(
                fig,
                f"Mean training loss of the last tenth of {_steps(records)}, mean over seeds; at "
                f"the upper edge where it is higher or a run diverged. {protocol_line(records)}.",
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


def losses_by_rate(group: list[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Learning rates (R,), rising, and the mean loss over seeds (R,), NaN where a run diverged."""
    rates = sorted({record["lr"] for record in group})
    losses = [
        np.mean([_loss(record) for record in group if record["lr"] == rate]) for rate in rates
    ]
    return np.array(rates), np.array(losses)


def highest_that_trains(group: list[Record]) -> float:
    """The largest learning rate at which every seed of one norm's records trains; NaN if none."""
    trains: dict[float, bool] = {}
    for record in group:
        bound = record["measured"]["guessing"] - record["config"]["probe"]["margin"]
        fine = _loss(record) <= bound
        trains[record["lr"]] = trains.get(record["lr"], True) and fine
    return max((rate for rate, fine in trains.items() if fine), default=math.nan)


def _loss(record: Record) -> float:
    loss = record["measured"]["loss"]
    return math.nan if loss is None else loss


def _steps(records: list[Record]) -> str:
    steps = records[0]["config"]["probe"]["steps"]
    return f"{steps} steps" if steps else "all steps"
