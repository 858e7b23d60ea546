"""How well a gradient foretells what a step does to the loss: wrongly where layers depend on each
other, as all of them move at the same time. Goodfellow, Bengio & Courville 2016, section 8.7.1"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, measured_when, page, protocol_line
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import number_table
from normbench.probes.probe import WatchingProbe, check_every
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched


@dataclass(kw_only=True)
class FirstOrder(WatchingProbe):
    """The change of the loss under the run's next step, and the one that its gradient foretells.

    Both are of the batch that the step is taken on, norms in training mode: with x before the step
    and x' after it, L(x') - L(x), and ∇L(x) · (x' - x).

    Attributes:
        steps: see WatchingProbe.
        every: measure before the first step, and then whenever so many more are done.

    Measures:
        at: how many steps were done, for T measurements.
        loss, change, foretold: (T,)
    """

    every: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_every(self.every, self.length(steps))

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.calculus.line import gradient
        from normbench.probes.watching import measure_at

        def step() -> dict[str, torch.Tensor]:
            loss = run.loss_function(run.batch)
            here, slope = gradient(loss, loss.here)
            there = run.parameters_after_step()
            foretold = (slope.double() @ (there - loss.here).double()).float()
            return {"loss": here, "change": loss(there).detach() - here, "foretold": foretold}

        measured = yield from measure_at(range(0, run.steps, self.every), step)
        yield run.steps
        return measured

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        with style.figure(1, 2, 3.3) as (fig, axes):
            losses, wrong = axes[0]
            for norm, group in norms.items():
                at = max((record["measured"]["at"] for record in group), key=len)
                color, marker = looks[norm]
                for ax, of_runs in (
                    (losses, [array(r["measured"]["loss"]) for r in group]),
                    (wrong, [relative_errors(r["measured"]) for r in group]),
                ):
                    runs = stack(of_runs)
                    draw_runs(ax, at, runs, geometric_mean, color, label=norm)
            losses.set(xlabel="training step", title="loss on the batch")
            wrong.set(xlabel="training step", title="relative error of the foretold change")
            for ax in (losses, wrong):
                style.log_scale(ax)
            style.legend(fig, losses, 6)
            style.caption(
                fig,
                "Error of the first-order prediction of the loss's change under the run's next "
                f"step, over the prediction. {averaged(records, 'geometric mean')}. Measured "
                f"{measured_when(records)}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = [
            [norm, geometric_mean([error(record) for record in group])]
            for norm, group in by_norm(records).items()
        ]
        return page(
            "What the gradient foretells",
            records,
            number_table(["norm", "relative error"], rows),
            "Of the foretold change of the loss under a step: geometric means over steps and "
            "seeds.",
        )


def relative_errors(measured: dict[str, Any]) -> np.ndarray:
    """(T,) abs(change - foretold) / abs(foretold)."""
    change, foretold = array(measured["change"]), array(measured["foretold"])
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.abs(change - foretold) / np.abs(foretold)
    return np.where(np.isfinite(errors), errors, np.nan)


def error(record: Record) -> float:
    """Of a run: the geometric mean over its steps."""
    return float(geometric_mean(relative_errors(record["measured"])))
