"""How badly conditioned a first layer's inputs are: LeCun, Bottou, Orr & Müller 1998, "Efficient
BackProp", section 5.1"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from normbench.analysis.averages import geometric_mean
from normbench.analysis.groups import groups
from normbench.drawing import style
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import Measurement, Probe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan


@dataclass(kw_only=True)
class Inputs(Probe):
    """The second moments E[x xᵀ] of what the first layer's weights and bias are multiplied with.

    For a linear layer, x is an image and a 1; for a convolution, a patch of its kernel's size and a
    1. They are what the Hessian of the first layer's loss is made of. Nothing is trained.

    Attributes:
        images: of the training set, drawn by the run's seed.
        floor: eigenvalues below this, relative to the largest, are taken for none.

    Measures:
        eigenvalues: those that are not, from the largest, at most 200 at even distances.
        condition: the largest over the smallest of them.
        over_mean: the largest over the mean of all.
    """

    together: ClassVar[tuple[str, ...]] = ("seed", "batch_size", "lr")

    images: int
    floor: float

    def check(self, network: torch.nn.Module, steps: int) -> None:
        _first(network)
        if self.images < 1:
            raise UserError(f"probe.images={self.images} is not valid: give 1 or more")

    def length(self, steps: int) -> int:
        return 1

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        import torch

        from normbench.engine.training import Training
        from normbench.probes.watching import numbers

        start = time.perf_counter()
        training = Training(plan, data, device)
        generator = torch.Generator().manual_seed(plan.seed)
        index = torch.randperm(len(data.train.labels), generator=generator)[: self.images]
        inputs = training.inputs(data.train.images[index.to(device)])
        yield 1
        values = torch.linalg.eigvalsh(second_moments(training.model, inputs)).flip(0)
        kept = values[values > self.floor * values[0]]
        few = kept[:: -(-len(kept) // 200)]
        return Measurement(
            {
                "eigenvalues": numbers(few),
                "condition": numbers(kept[0] / kept[-1]),
                "over_mean": numbers(values[0] / values.mean()),
            },
            seconds=time.perf_counter() - start,
        )

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        with style.figure(1, 1, 3.2, width=5.5) as (fig, axes):
            ax = axes[0, 0]
            for record in records:
                values = record["measured"]["eigenvalues"]
                ax.plot(np.linspace(0, 1, len(values)), values, color=style.INK, lw=1, alpha=0.5)
            ax.set(yscale="log", xlabel="eigenvalues, in order", ylabel="E[x xᵀ]")
            data = records[0]["config"]["data"]
            style.caption(
                fig,
                f"Eigenvalues of the second moments of the first layer's inputs, {data['name']}, "
                f"mean {data['mean']}, std {data['std']}: a line a seed.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for name, group in groups(records, lambda r: r["config"]["data"]["name"]):
            of = [r["measured"] for r in group]
            rows.append(
                [name, *(geometric_mean([m[k] for m in of]) for k in ("condition", "over_mean"))]
            )
        table = number_table(["data", "largest / smallest", "largest / mean"], rows)
        return f"# Eigenvalues of the inputs' second moments\n\n{table}\n"


def second_moments(model: torch.nn.Module, inputs: Tensor) -> Tensor:
    """E[x xᵀ] in float64 of the first layer's inputs (N, C, H, W), patches and images alike."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    first = _first(model)
    inputs = inputs.double()
    if isinstance(first, nn.Conv2d):
        sides: dict[str, Any] = {"padding": first.padding, "stride": first.stride}
        columns = F.unfold(inputs, first.kernel_size, **sides).transpose(1, 2).flatten(0, 1)
    else:
        columns = inputs.flatten(1)
    x = torch.cat([columns, torch.ones_like(columns[:, :1])], 1)
    return x.T @ x / len(x)


def _first(model: torch.nn.Module) -> torch.nn.Module:
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            return module
    raise UserError(f"the model {type(model).__name__} has no convolution and no linear layer")
