"""The loss after one step along the gradient, for steps of many sizes: Bjorck et al. 2018,
https://arxiv.org/abs/1806.02375, section 3"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import page, protocol_line
from normbench.drawing.panels import norm_panels
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import WatchingProbe, check_at
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

HIGHEST = 10  # relative losses are drawn up to here


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
        with norm_panels(norms, "step size", "loss after / before") as (fig, axes):
            for norm, ax in axes.items():
                at, sizes, ratios = relative_losses(norms[norm])
                for step, line, color in zip(at, ratios, style.shades(len(at)), strict=True):
                    ax.plot(sizes, line, color=color, label=f"batch {step + 1:g}")
                ax.axhline(1, color=style.INK, lw=0.8, ls=":")
                diverges = geometric_mean(first_worse(sizes, ratios))
                if np.isfinite(diverges):
                    ax.axvline(diverges, color=style.FAINT, lw=0.8)
                    ax.annotate(
                        f"{diverges:.2g} ", (diverges, 0.98), xycoords=("data", "axes fraction"),
                        ha="right", va="top", fontsize=8, color=style.FAINT,
                    )  # fmt: skip
                ax.set_xscale("log")
            ax.set_ylim(0.95 * min(ax.dataLim.ymin for ax in axes.values()), HIGHEST)
            style.log_scale(ax)  # for all, as they share it
            style.legend(fig, next(iter(axes.values())), 7, columnspacing=1.2)
            style.caption(
                fig,
                "Loss on a mini-batch after one gradient step on it, over the loss before, for the "
                "mini-batch that is trained on next (batch 1: before the first training step), "
                f"drawn up to {HIGHEST:g}; geometric means over seeds. Vertical line: the smallest "
                "step size that makes the loss larger (geometric mean over mini-batches and "
                f"seeds). {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows, columns = [], []
        for norm, group in by_norm(records).items():
            at, sizes, ratios = relative_losses(group)
            worse = first_worse(sizes, ratios)
            columns = [*(f"batch {step + 1:g}" for step in at), "mean"]
            rows.append([norm, *worse, geometric_mean(worse)])
        sizes = records[0]["measured"]["step_sizes"]
        return page(
            "Where steps begin to diverge",
            records,
            number_table(["norm", *columns], rows),
            "The smallest step size of those tried after which the loss on the mini-batch is "
            "larger than before, or not finite; – where there is none. Tried: "
            f"{len(sizes)} step sizes from {sizes[0]:g} to {sizes[-1]:g}. Geometric means over "
            "seeds.",
        )


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


def first_worse(step_sizes: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """(S,), (T, S) -> (T,): the smallest step size whose ratio is above 1, NaN if there is none."""
    worse = ratios > 1
    return np.where(worse.any(axis=1), step_sizes[worse.argmax(axis=1)], np.nan)
