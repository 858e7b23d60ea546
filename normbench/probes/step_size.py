"""The loss after one step along the gradient, for steps of many sizes: Bjorck et al. 2018,
https://arxiv.org/abs/1806.02375, section 3"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, how_many, page, protocol_line
from normbench.drawing.lines import draw_runs, label_ends
from normbench.drawing.panels import norm_panels_and_one
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import WatchingProbe, check_at
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

HIGHEST = 10  # relative losses are drawn up to here
CURVES = 3  # for each norm


@dataclass(kw_only=True)
class StepSize(WatchingProbe):
    """The loss on a mini-batch after one gradient step on it, relative to before, by step size.

    The mini-batch is the one that the run trains on next (not augmented), norms are in training
    mode, everything is fp32. Step sizes are spread evenly on a log scale.

    Attributes:
        steps: see WatchingProbe.
        at: before which mini-batches to measure: how many steps are done.
        smallest, largest: step sizes.
        per_decade: how many step sizes from one to ten times it.

    Measures:
        at: how many steps were done, for T measurements.
        step_sizes: S of them.
        loss: (T,) before the step.
        losses: (T, S) after it.
    """

    at: list[int]
    smallest: float
    largest: float
    per_decade: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_at(self.at, self.length(steps) - 1)
        if not 0 < self.smallest < self.largest < np.inf:
            raise UserError(
                f"probe.smallest={self.smallest:g} and probe.largest={self.largest:g} are not "
                "valid: give two positive step sizes, the smaller first"
            )
        if self.per_decade < 1:
            raise UserError(f"probe.per_decade={self.per_decade} is not valid: give 1 or more")

    def step_sizes(self) -> list[float]:
        count = round(np.log10(self.largest / self.smallest) * self.per_decade) + 1
        return [float(f"{eta:.6g}") for eta in np.geomspace(self.smallest, self.largest, count)]

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.calculus.line import losses_after_step
        from normbench.probes.watching import measure_at

        step_sizes = self.step_sizes()

        def after() -> dict[str, torch.Tensor]:
            loss = run.loss_function(run.batch)
            return losses_after_step(loss, loss.here, step_sizes)

        measured = yield from measure_at(self.at, after)
        return {"step_sizes": step_sizes, **measured}

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        label = "loss after / before"
        with norm_panels_and_one(norms, "step size", [label], 2.3) as (fig, panels, below):
            for norm, (ax,) in panels.items():
                _draw_curves(ax, norms[norm])
                at, worse = first_worse_of_seeds(norms[norm])
                color, marker = looks[norm]
                draw_runs(below, at + 1, worse, geometric_mean, color, marker=marker, label=norm)
            first, *_ = (ax for (ax,) in panels.values())  # the others share its axes
            first.set_ylim(0.95 * min(ax.dataLim.minposy for (ax,) in panels.values()), HIGHEST)
            for ax in (first, below):
                style.log_scale(ax, "x")
                style.log_scale(ax)
            below.set(xlabel="training step", ylabel="step size")
            below.set_title("smallest step size that makes the loss larger")
            label_ends(below, {norm: look.color for norm, look in looks.items()})
            style.legend(fig, first, CURVES)
            style.caption(
                fig,
                "Loss on a mini-batch after one gradient step on it, over the loss before, as the "
                "training step begins that takes this mini-batch; geometric means over "
                f"{how_many(records)}, drawn up to {HIGHEST:g}. Below are all "
                f"{max(len(r['measured']['at']) for r in records)} training steps that were looked "
                "at; seeds that no step size tried makes worse are left out. "
                f"{averaged(records, 'geometric mean')}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        headings = max((r["measured"]["at"] for r in records), key=len)
        for norm, group in by_norm(records).items():
            _, worse = first_worse_of_seeds(group)
            means = geometric_mean(worse, axis=0)
            lacking = [np.nan] * (len(headings) - len(means))
            rows.append([norm, *means, *lacking, geometric_mean(means)])
        columns = ["norm", *(f"step {step + 1:g}" for step in headings), "mean"]
        sizes = records[0]["measured"]["step_sizes"]
        return page(
            "Where steps begin to diverge",
            records,
            number_table(columns, rows),
            "The smallest step size of those tried after which the loss on the mini-batch is "
            "larger than before, or not finite; – where there is none. Tried: "
            f"{len(sizes)} step sizes from {sizes[0]:g} to {sizes[-1]:g}, as each of these "
            f"training steps begins. Geometric means over {how_many(records)}.",
        )


def _draw_curves(ax: Axes, group: list[Record]) -> None:
    """A norm's relative losses, for the first, the last and the middle one of the steps."""
    at, sizes, ratios = relative_losses(group)
    drawn = np.unique(np.linspace(0, len(at) - 1, CURVES).round().astype(int))
    looks = zip(style.shades(CURVES + 1), ("-", "--", ":"), strict=False)
    for i, (color, dashes) in zip(drawn, looks, strict=False):
        ax.plot(sizes, ratios[i], color=color, ls=dashes, label=f"training step {at[i] + 1:g}")
    ax.axhline(1, color=style.INK, lw=0.8, ls=":")


def relative_losses(group: list[Record]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one norm's records: at (T,), step_sizes (S,) and loss after over before (T, S), its
    geometric mean over seeds, infinite where one of them is not finite."""
    full = [r["measured"] for r in group]
    length = min(len(m["at"]) for m in full)
    ratios = [
        np.nan_to_num(array(m["losses"]), nan=np.inf)[:length] / array(m["loss"])[:length, None]
        for m in full
    ]
    return array(full[0]["at"])[:length], array(full[0]["step_sizes"]), geometric_mean(ratios, 0)


def first_worse_of_seeds(group: list[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Of one norm's records: at (T,), and for each seed ``first_worse`` (seeds, T)."""
    of_seeds = [relative_losses([record]) for record in group]
    at = max((at for at, _, _ in of_seeds), key=len)
    return at, stack([first_worse(sizes, ratios) for _, sizes, ratios in of_seeds])


def first_worse(step_sizes: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """(S,), (T, S) -> (T,): the smallest step size whose ratio is above 1, NaN if there is none."""
    worse = ratios > 1
    return np.where(worse.any(axis=1), step_sizes[worse.argmax(axis=1)], np.nan)
