"""The curvature of the loss: both ends of the Hessian's spectrum and its trace."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, highest, mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, measured_when, page, protocol_line
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import WatchingProbe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

MODES, ENDS = ("train", "eval"), ("smallest", "largest")


@dataclass(kw_only=True)
class Hessian(WatchingProbe):
    """The Hessian of the mean cross-entropy on a fixed batch, with respect to all parameters.

    The batch is of training images that the run's seed draws, not augmented; everything is fp32.
    In training mode norms take the statistics of this batch. Eigenvalues are ARPACK's (Lanczos
    iteration with restarts), on products of the Hessian with vectors; the trace is Hutchinson's
    estimate. Where a norm's statistics are constants to the gradient, as running statistics are,
    they are constants here, too.

    Attributes:
        steps: see WatchingProbe.
        times: how often to measure, spread evenly from before the first step to after the last.
        images: in the batch.
        mode: of the norms: train or eval.
        tolerance: relative, of each eigenvalue.
        restarts: of the iteration, at most.
        trace_samples: random vectors for the trace.

    Measures:
        at: how many steps were done, for T measurements.
        loss: (T,)
        largest, smallest: (T,) eigenvalues λ, None where the iteration did not converge or the
            Hessian is not finite.
        largest_residual, smallest_residual: (T,) ‖H v - λ v‖ for their unit eigenvectors v.
        trace, trace_error: (T,) the estimate and its standard error.
    """

    times: int
    images: int
    mode: str
    tolerance: float
    restarts: int
    trace_samples: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        check_positive("probe.tolerance", [self.tolerance])
        for name, low in (("times", 1), ("images", 1), ("restarts", 1), ("trace_samples", 2)):
            value = getattr(self, name)
            if value < low:
                raise UserError(f"probe.{name}={value} is not valid: give {low} or more")
        if self.mode not in MODES:
            raise UserError(f"probe.mode={self.mode} is not known: choose {' or '.join(MODES)}")

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import measure_at

        labels, seed = run.training.train.labels, run.training.plan.seed
        if self.images > len(labels):
            raise UserError(
                f"probe.images={self.images} is not valid: there are {len(labels)} training images"
            )
        drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        batch = drawn[: self.images].to(labels.device)
        steps = np.linspace(0, run.steps, self.times).round().astype(int).tolist()

        def spectrum() -> dict[str, float]:
            run.model.train(self.mode == "train")
            return self._measure(run, batch)

        return (yield from measure_at(steps, spectrum))

    def _measure(self, run: Watched, batch: torch.Tensor) -> dict[str, float]:
        from normbench.calculus.hessian import extreme_eigenvalues, hessian_product, trace

        loss = run.loss_function(batch)
        product = hessian_product(loss, loss.here)
        values = {"loss": loss(loss.here).item()}
        ends = extreme_eigenvalues(product, loss.here, self.tolerance, self.restarts)
        for name, end in zip(ENDS, ends or (None, None), strict=True):
            values[name] = end.value if end else math.nan
            values[f"{name}_residual"] = end.residual if end else math.nan
        values["trace"], values["trace_error"] = trace(product, loss.here, self.trace_samples)
        return values

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        with style.figure(1, 3, height=3.3) as (fig, axes):
            largest, ratio, trace = axes[0]
            for norm, group in norms.items():
                values = Spectra(group)
                color, marker = looks[norm]
                for ax, runs, average in (
                    (largest, values.largest, geometric_mean),
                    (ratio, values.ratio, geometric_mean),
                    (trace, values.trace, mean),
                ):
                    draw_runs(ax, values.at, runs, average, color, marker=marker, label=norm)
            for ax, title in zip(axes[0], ("λmax", "|λmin / λmax|", "trace"), strict=True):
                ax.set(title=title, xlabel="training step")
            for ax in (largest, ratio):
                style.log_scale(ax)
            trace.axhline(0, color=style.FAINT, lw=0.8)  # estimates can lie below
            style.legend(fig, largest, 6)
            style.caption(
                fig,
                f"{_what(records)}, {measured_when(records)}. {averaged(records)}. Means of λmax "
                f"and |λmin / λmax| are geometric. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        tables = []
        for norm, group in by_norm(records).items():
            values = Spectra(group)
            columns = {
                "loss": mean(values.loss, 0),
                "λmax": geometric_mean(values.largest, 0),
                "λmin": mean(values.smallest, 0),
                "abs(λmin / λmax)": geometric_mean(values.ratio, 0),
                "trace": mean(values.trace, 0),
                "± trace": mean(values.trace_error, 0),
                "residual": highest(values.residual, 0),
            }
            steps = [f"{step:g}" for step in values.at]
            rows = [list(row) for row in zip(steps, *columns.values(), strict=True)]
            table = number_table(["step", *columns], rows)
            tables += [f"**{norm}**", table]
        return page(
            "The Hessian",
            records,
            *tables,
            f"{_what(records)}. Means over seeds, geometric ones of λmax and abs(λmin / λmax). ± "
            "trace: the standard error of one estimate. Residual: the largest ‖H v - λ v‖ / λmax "
            "over both eigenvalues and all seeds; – where an eigenvalue did not converge.",
        )


class Spectra:
    """Numbers of one norm's records, NaN where there is none.

    Attributes:
        at: (T,) how many steps were done.
        loss, largest, smallest, trace, trace_error: (seeds, T) as measured.
        ratio: (seeds, T) |smallest / largest|
        residual: (seeds, T) the larger one, over the largest eigenvalue.
    """

    def __init__(self, group: list[Record]):
        measured = [record["measured"] for record in group]
        self.at = max((m["at"] for m in measured), key=len)

        def stacked(name: str) -> np.ndarray:
            return stack([array(m[name]) for m in measured])

        self.loss = stacked("loss")
        self.largest, self.smallest = stacked("largest"), stacked("smallest")
        self.ratio = np.abs(self.smallest / self.largest)
        residuals = stacked("largest_residual"), stacked("smallest_residual")
        self.residual = np.maximum(*residuals) / self.largest
        self.trace, self.trace_error = stacked("trace"), stacked("trace_error")


def _what(records: list[Record]) -> str:
    probe = records[0]["config"]["probe"]
    return (
        f"Hessian of the loss on {probe['images']} training images, norms in "
        f"{'training' if probe['mode'] == 'train' else 'evaluation'} mode"
    )
