"""How close channels come to being switched off: Qiao et al. 2019, "Rethinking Normalization and
Elimination Singularity in Neural Networks", https://arxiv.org/abs/1911.09738"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import geometric_mean
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, page, protocol_line
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.curves import finished
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from normbench.probes.watching import Watched


@dataclass(kw_only=True)
class LeastActive(WatchingProbe):
    """The share of a ReLU's inputs that are positive, channel by channel, over the last steps.

    A channel whose inputs are never positive is eliminated: nothing passes it, and no gradient.

    Attributes:
        steps: see WatchingProbe.
        last: over how many of the last steps shares are taken.

    Measures:
        layers: names of the ReLUs, first to last.
        shares: for each its channels' shares, from the smallest to the largest.
        values: of how many inputs each share is taken.
    """

    last: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        _relus(network)
        if not 1 <= self.last <= self.length(steps):
            raise UserError(
                f"probe.last={self.last} is not valid: give a number from 1 to that of the steps "
                f"({self.length(steps)})"
            )

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.probes.watching import numbers

        if not (yield run.steps - self.last):
            return {}
        relus = _relus(run.model)
        positive: dict[str, Tensor] = {}
        values = dict.fromkeys(relus, 0)

        def look(name: str, x: Tensor) -> None:
            dims = [d for d in range(x.dim()) if d != 1]
            counts = (x.detach() > 0).sum(dims)
            positive[name] = positive[name] + counts if name in positive else counts
            values[name] += x.numel() // x.shape[1]

        hooks = [
            relu.register_forward_pre_hook(lambda module, inputs, name=name: look(name, inputs[0]))
            for name, relu in relus.items()
        ]
        yield run.steps
        for hook in hooks:
            hook.remove()
        return {
            "layers": list(relus),
            "shares": [
                numbers((positive[name].double() / values[name]).sort().values) for name in relus
            ],
            "values": list(values.values()),
        }

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(finished(records))
        looks = style.looks(norms)
        layers = records[0]["measured"]["layers"]
        with style.figure(1, len(layers), 3.2, sharey=True) as (fig, axes):
            for i, ax in enumerate(axes[0]):
                for norm, group in norms.items():
                    runs = np.array([r["measured"]["shares"][i] for r in group])
                    rank = np.linspace(0, 1, runs.shape[1])
                    draw_runs(ax, rank, runs, np.mean, looks[norm].color, label=norm)
                ax.set(title=f"layer {i + 1}", xlabel="channels, in order")
            axes[0, 0].set_ylabel("share of positive inputs")
            style.legend(fig, axes[0, 0], 6)
            last = records[0]["config"]["probe"]["last"]
            style.caption(
                fig,
                "Share of each ReLU's inputs that are positive, channel by channel, from the least "
                f"active one on, over the last {last} steps. {averaged(finished(records))}. "
                f"{protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(finished(records)).items():
            least = np.array([[shares[0] for shares in r["measured"]["shares"]] for r in group])
            middle = np.array(
                [[np.median(shares) for shares in r["measured"]["shares"]] for r in group]
            )
            rows.append([norm, *least.mean(0), geometric_mean([least_active(r) for r in group])])
            rows[-1].append(float(middle.mean()))
        headings = ["norm", *(f"layer {i + 1}" for i in range(len(rows[0]) - 3)), "mean", "median"]
        return page(
            "The least active channels",
            records,
            number_table(headings, rows),
            "Share of positive inputs of each ReLU's least active channel; mean: over layers; "
            "median: of all channels. Averages over seeds.",
        )


def least_active(record: Record) -> float:
    """Share of the least active channel, the mean over layers; at least half of one input."""
    measured = record["measured"]
    return float(
        np.mean(
            [
                max(shares[0], 0.5 / count)
                for shares, count in zip(measured["shares"], measured["values"], strict=True)
            ]
        )
    )


def _relus(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    from torch import nn

    found: dict[str, nn.Module] = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.ReLU)
    }
    if not found:
        raise UserError(f"the model {type(model).__name__} has no torch.nn.ReLU to probe")
    return found
