"""What BatchNorm's statistics lose in half precision, by how far a channel's mean is from zero."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import geometric_mean, highest
from normbench.drawing import style
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import Measurement, Probe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan

PRECISIONS = ("fp16", "bf16", "fp32")
PARTS = ("mean", "variance", "output")
COLORS = {"fp16": "#d55e00", "bf16": "#e69f00", "fp32": "#0072b2"}


@dataclass(kw_only=True)
class HalfPrecision(Probe):
    """Relative errors of a mean, a variance and BatchNorm's output, against float64.

    Numbers are normal with standard deviation 1 around a mean μ; nothing is trained. Each precision
    is used throughout: for the numbers as a network would hand them on, for mean, deviations,
    their squares and the variance, and for the output. Every operation's result is rounded to it;
    sums are accumulated in float32, as hardware does. The reference is float64 of the very numbers,
    rounded, that the precision was given: so it is the arithmetic that errs, not the input.

    Attributes:
        means: the μ, which are |μ|/σ.
        samples: how many numbers a channel has.
        channels: how many are averaged over.
        eps: BatchNorm's.

    Measures:
        means: the μ.
        fp16, bf16, fp32: for mean, variance and output, a number for each μ, the root mean square
            over channels of the relative error; of the output it is that of all numbers together.
            None where it is not finite.
    """

    means: list[float]
    samples: int
    channels: int
    eps: float

    def check(self, network: torch.nn.Module, steps: int) -> None:
        check_positive("probe.means", self.means)
        check_positive("probe.eps", [self.eps])
        for name, value in (("samples", self.samples), ("channels", self.channels)):
            if value < 2:
                raise UserError(f"probe.{name}={value} is not valid: give 2 or more")

    def length(self, steps: int) -> int:
        return 1

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        import torch

        from normbench.probes.watching import numbers

        start = time.perf_counter()
        generator = torch.Generator().manual_seed(plan.seed)
        shape = self.channels, self.samples
        z = torch.randn(shape, generator=generator, dtype=torch.float64).to(device)
        dtypes = dict(zip(PRECISIONS, (torch.float16, torch.bfloat16, torch.float32), strict=True))
        measured: dict[str, Any] = {"means": list(self.means)}
        for name, dtype in dtypes.items():
            found = [errors((z + mean).to(dtype), self.eps) for mean in self.means]
            measured[name] = numbers(torch.tensor(found).T)
        yield 1
        return Measurement(measured, seconds=time.perf_counter() - start)

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        with style.figure(1, 3, 3.3, sharey=True) as (fig, axes):
            for place, (ax, part) in enumerate(zip(axes[0], PARTS, strict=True)):
                for precision in PRECISIONS:
                    means = records[0]["measured"]["means"]
                    runs = np.array([r["measured"][precision][place] for r in records], float)
                    runs[runs == 0] = math.nan  # nothing that a logarithm could show
                    color = COLORS[precision]
                    draw_runs(ax, means, runs, geometric_mean, color, label=precision, marker="o")
                ax.set(title=part, xlabel="|μ| / σ")
            for ax in axes[0]:
                style.log_scale(ax, "x")
            axes[0, 0].set_yscale("log")
            axes[0, 0].set_ylabel("relative error")
            style.legend(fig, axes[0, 0], 3)
            style.caption(fig, _what(records))
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for precision in PRECISIONS:
            runs = np.array([r["measured"][precision] for r in records], float)
            for place, part in enumerate(PARTS):
                rows.append([precision, part, *highest(runs[:, place], axis=0)])
        headings = ["precision", "what", *(f"{m:g}" for m in records[0]["measured"]["means"])]
        table = number_table(headings, rows)
        said = f"The largest of all seeds, by |μ| / σ. {_what(records)}"
        return f"# BatchNorm in half precision\n\n{table}\n\n{said}\n"


def errors(x: Tensor, eps: float) -> tuple[float, float, float]:
    """Of channels (C, N) in some precision: relative errors of mean, variance and output."""
    import torch

    mean = x.mean(1, keepdim=True)
    deviations = x - mean
    variance = (deviations * deviations).mean(1, keepdim=True)
    output = deviations / (variance + eps).sqrt()
    exact = x.double()
    true_mean = exact.mean(1, keepdim=True)
    true_variance = exact.var(1, keepdim=True, correction=0)
    true_output = (exact - true_mean) / (true_variance + eps).sqrt()

    def rms(value: Tensor) -> float:
        return value.square().mean().sqrt().item()

    return (
        rms((mean.double() - true_mean) / true_mean),
        rms((variance.double() - true_variance) / true_variance),
        rms(output.double() - true_output) / rms(true_output)
        if torch.isfinite(output).all()
        else math.nan,
    )


def _what(records: list[Record]) -> str:
    probe = records[0]["config"]["probe"]
    return (
        f"Relative error against float64 of the same rounded numbers: {probe['channels']} channels "
        f"of {probe['samples']:,} normal numbers with standard deviation 1 around μ, every "
        "operation's result in the precision, sums in float32. Nothing is trained. "
        f"Seeds: {len(records)}; shaded: from the lowest to the highest of them."
    )
