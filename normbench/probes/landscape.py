"""The loss and its gradient along the gradient, while a network trains: Santurkar et al. 2018,
https://arxiv.org/abs/1805.11604, section 3.1"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, highest, lowest, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, how_many, measured_when, page, protocol_line
from normbench.drawing.lines import draw_runs, label_ends
from normbench.drawing.panels import norm_panels_and_one
from normbench.drawing.text import bullets, table_by_norm
from normbench.probes.probe import WatchingProbe, check_every, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched


@dataclass(kw_only=True)
class Landscape(WatchingProbe):
    """How the loss on a batch and its gradient g change from x to x - η g, for several η.

    x is where the run is, the batch the one that it trains on next (not augmented), norms are in
    training mode, everything is fp32. As in the paper, whose η end at 0.4, the distance moved
    depends on the network's own gradient.

    Attributes:
        steps: see WatchingProbe.
        every: measure before the first step, and then whenever so many more are done.
        step_sizes: the η.

    Measures:
        step_sizes: the η.
        at: how many steps were done, for T measurements.
        loss, gradient_norm: (T,) at x.
        losses, gradient_changes: (T, η) at x - η g, the loss and the L2 distance of the gradient
            there from g.
    """

    every: int
    step_sizes: list[float]

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_every(self.every, self.length(steps))
        check_positive("probe.step_sizes", self.step_sizes)

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.calculus.line import along_gradient
        from normbench.probes.watching import measure_at

        def line() -> dict[str, torch.Tensor]:
            loss = run.loss_function(run.batch)
            return along_gradient(loss, loss.here, self.step_sizes)

        measured = yield from measure_at(range(0, run.steps, self.every), line)
        yield run.steps
        return {"step_sizes": self.step_sizes, **measured}

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        titles = ["loss along\nthe gradient", "change of\nthe gradient"]
        with norm_panels_and_one(norms, "training step", titles, 2.2) as (fig, panels, below):
            for norm, axes in panels.items():
                color, _ = looks[norm]
                lines = [Lines(record["measured"]) for record in norms[norm]]
                at = max((line.at for line in lines), key=len)
                for ax, of_runs in zip(
                    axes,
                    ([line.losses for line in lines], [line.gradient_changes for line in lines]),
                    strict=True,
                ):
                    low, high = (
                        geometric_mean(end(stack(of_runs), axis=2), axis=0)
                        for end in (lowest, highest)
                    )
                    ax.fill_between(at, low, high, color=color, alpha=0.3, lw=0)
                    ax.plot(at, low, at, high, color=color, lw=1.2)
                smoothness = stack([line.smoothness for line in lines])
                draw_runs(below, at, smoothness, geometric_mean, color, label=norm)
            below.set(xlabel="training step", ylabel="β-smoothness")
            below.set_title("effective β-smoothness")
            first = next(iter(panels.values()))  # the others share its axes
            for ax in (*first, below):
                style.log_scale(ax)
            label_ends(below, {norm: look.color for norm, look in looks.items()})
            sizes = records[0]["measured"]["step_sizes"]
            style.caption(
                fig,
                f"A step of η times the gradient, η from {min(sizes):g} to {max(sizes):g}, on the "
                "batch trained on next: the lowest and the highest loss after it, and L2 distance "
                "of the gradient there from the one here; geometric means over "
                f"{how_many(records)}. β-smoothness: the largest distance between gradients over "
                f"the distance moved. {averaged(records, 'geometric mean')}. Measured "
                f"{measured_when(records)}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        return page(
            "The landscape along the gradient",
            records,
            table_by_norm(records, describe, geometric_mean),
            "Geometric means over steps and seeds:",
            bullets(LEGEND),
        )


LEGEND = {
    "loss range": "highest minus lowest loss over the step sizes η",
    "gradient change": "largest L2 distance, over η, of the gradient there from the one here",
    "relative change": "the same in units of the gradient's norm here",
    "β-smoothness": "largest distance between gradients over the distance moved, over η",
}


class Lines:
    """What was measured in one run; NaN where a number is not finite.

    Attributes:
        step_sizes: (η,)
        at, gradient_norm: (T,)
        losses, gradient_changes: (T, η)
    """

    def __init__(self, measured: dict[str, Any]):
        self.step_sizes, self.at = array(measured["step_sizes"]), array(measured["at"])
        self.gradient_norm = array(measured["gradient_norm"])
        self.losses, self.gradient_changes = (
            array(measured[name]) for name in ("losses", "gradient_changes")
        )

    @property
    def smoothness(self) -> np.ndarray:
        """The effective β-smoothness (T,): max over η of ‖∇f(x - η g) - g‖ / ‖η g‖."""
        moved = self.step_sizes * self.gradient_norm[:, None]
        return highest(self.gradient_changes / moved, axis=1)


def describe(measured: dict[str, Any]) -> dict[str, float]:
    """The numbers of ``LEGEND`` for one run."""
    lines = Lines(measured)
    change = highest(lines.gradient_changes, axis=1)
    values = (
        highest(lines.losses, axis=1) - lowest(lines.losses, axis=1),
        change,
        change / lines.gradient_norm,
        lines.smoothness,
    )
    return {name: geometric_mean(v) for name, v in zip(LEGEND, values, strict=True)}
