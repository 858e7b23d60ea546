"""What a norm costs at inference, as it is and folded into the convolution before it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import how_many, protocol_line
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import Measurement
from normbench.probes.timing import TimingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import nn

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan


@dataclass(kw_only=True)
class FoldedInference(TimingProbe):
    """Time of a forward pass in evaluation mode: of the run's network, of the same with every
    BatchNorm folded into the convolution before it, and of the same with another norm.

    Folding needs the norm right behind the convolution: model.order=norm_relu.

    Attributes:
        model, reference, rounds, seconds: see TimingProbe.

    Measures:
        norm, folded, reference: seconds, one number a round.
        difference: the largest difference of a logit between the first two, over the largest logit.
    """

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        fold(network)

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        import torch

        from normbench.engine.training import Training

        start = time.perf_counter()
        training = Training(plan, data, device)
        batches = training.batches().to(device)
        for batch in batches[:20]:  # so that there is something to fold
            training.step(batch)
        other = self.reference_plan(plan, data)
        networks = {
            "norm": training.model.eval(),
            "folded": fold(training.model),
            "reference": Training(other, data, device).model.eval(),
        }
        inputs = training.inputs(data.train.images[batches[0]])

        def forward(network: nn.Module) -> Any:
            with torch.no_grad(), training.autocast():
                return network(inputs)

        logits, folded = forward(networks["norm"]), forward(networks["folded"])
        actions = {
            name: lambda network=network: forward(network) for name, network in networks.items()
        }
        measured: dict[str, Any] = yield from self.times(actions, device)
        difference = (logits - folded).abs().max() / logits.abs().max()
        measured["difference"] = float(f"{difference.item():.3g}")
        return Measurement(measured, seconds=time.perf_counter() - start)

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        sizes = sorted({record["batch_size"] for record in records}, reverse=True)
        with style.figure(1, len(sizes), 2.6, sharey=True) as (fig, axes):
            for ax, size in zip(axes[0], sizes, strict=True):
                for norm, group in norms.items():
                    of = [r for r in group if r["batch_size"] == size]
                    for row, part in enumerate(("norm", "folded")):
                        ratios = relative(of, part)
                        low, middle, high = np.percentile(ratios, [25, 50, 75])
                        ax.errorbar(
                            middle, row, xerr=[[middle - low], [high - middle]], fmt="o",
                            color=looks[norm].color, elinewidth=2,
                        )  # fmt: skip
                ax.axvline(1, color=style.FAINT, lw=0.8)
                ax.set(title=f"batch size {size}", ylim=(1.5, -0.5), xlabel="time")
                ax.set_yticks([0, 1], ["as it is", "folded"])
            style.caption(fig, _what(records))
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for size in sorted({record["batch_size"] for record in records}, reverse=True):
            for norm, group in by_norm(r for r in records if r["batch_size"] == size).items():
                medians = [np.median(relative(group, part)) for part in ("norm", "folded")]
                largest = max(r["measured"]["difference"] for r in group)
                rows.append([f"{size}", norm, *medians, largest])
        table = number_table(["batch", "norm", "as it is", "folded", "difference"], rows)
        return f"# A norm at inference\n\n{table}\n\n{_what(records)}\n"


def relative(records: list[Record], part: str) -> np.ndarray:
    """Times over the reference's, of all rounds of some records."""
    return np.hstack(
        [array(r["measured"][part]) / array(r["measured"]["reference"]) for r in records]
    )


def fold(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, with BatchNorm folded into the convolutions.

    Raises:
        UserError: where a BatchNorm does not stand right behind a convolution.
    """
    import copy

    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    folded = copy.deepcopy(network).eval()
    count = sum(isinstance(m, _BatchNorm) for m in folded.modules())
    for block in [m for m in folded.modules() if isinstance(m, nn.Sequential)]:
        names = list(block._modules)
        for before, after in zip(names, names[1:], strict=False):
            conv, norm = block._modules[before], block._modules[after]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm):
                setattr(block, before, fuse_conv_bn_eval(conv, norm))
                setattr(block, after, nn.Identity())
                count -= 1
    if count:
        raise UserError(
            f"{count} BatchNorms do not stand right behind a convolution, and cannot be folded "
            "into one: choose model.order=norm_relu"
        )
    return folded


def _what(records: list[Record]) -> str:
    probe = records[0]["config"]["probe"]
    devices = ", ".join(sorted({record["environment"]["device"] for record in records}))
    return (
        "Time of a forward pass in evaluation mode, the norm as it is and folded into the "
        f"convolution before it, relative to the same network with {probe['reference']}: median "
        f"and quartiles over {probe['rounds']} rounds of {how_many(records)}. "
        f"{protocol_line(records, trained=False)}; on {devices}."
    )
