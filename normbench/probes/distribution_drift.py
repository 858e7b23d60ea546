"""How far the distributions of a network's activations move from one step to the next: Santurkar
et al. 2018, https://arxiv.org/abs/1805.11604, section 2.1 and figure 7"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, page, protocol_line
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import number_table
from normbench.probes.hidden_inputs import activations
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

PARTS = {"mean": "change of the mean", "variance": "change of the variance"}


@dataclass(kw_only=True)
class DistributionDrift(WatchingProbe):
    """The change of each channel's mean and variance from a training step to the next.

    They are of what activations are given in training, each on the batch of its step: with norms
    before activations, of the norms' outputs.

    Attributes:
        steps: see WatchingProbe.

    Measures:
        mean: the absolute change of a channel's mean, averaged over the channels of a layer and
            over layers, a number for each step but the first.
        variance: the same of the variance.
    """

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        activations(network)

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import numbers

        layers = activations(run.model)
        before: dict[int, torch.Tensor] = {}
        changes: list[torch.Tensor] = []

        def look(place: int, x: torch.Tensor) -> None:
            x = x.detach().float()
            dims = [d for d in range(x.dim()) if d != 1]
            var, mean = torch.var_mean(x, dims, correction=0)
            now = torch.stack([mean, var])
            if place in before:
                changes.append((now - before[place]).abs().mean(1))
            before[place] = now

        hooks = [
            layer.register_forward_pre_hook(lambda module, args, i=i: look(i, args[0]))
            for i, layer in enumerate(layers)
        ]
        yield run.steps
        for hook in hooks:
            hook.remove()
        whole = len(changes) // len(layers) * len(layers)
        if not whole:
            return {"mean": [], "variance": []}
        found = torch.stack(changes[:whole]).view(-1, len(layers), 2).mean(1)
        return {part: numbers(found[:, i]) for i, part in enumerate(PARTS)}

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        with style.figure(1, 2, 3.3) as (fig, axes):
            for ax, (part, title) in zip(axes[0], PARTS.items(), strict=True):
                for norm, group in norms.items():
                    runs = stack([array(r["measured"][part]) for r in group])
                    steps = np.arange(1, runs.shape[1] + 1)
                    draw_runs(ax, steps, runs, geometric_mean, looks[norm].color, label=norm)
                ax.set(title=title, xlabel="training step")
                style.log_scale(ax)
            style.legend(fig, axes[0, 0], 6)
            style.caption(
                fig,
                "Absolute change of what activations are given, from a training step to the next: "
                "mean over channels and layers of the change of each channel's mean and variance. "
                f"{averaged(records, 'geometric mean')}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = [
            [norm, *(geometric_mean([drift(r, part) for r in group]) for part in PARTS)]
            for norm, group in by_norm(records).items()
        ]
        table = number_table(["norm", *PARTS.values()], rows)
        said = "From a training step to the next; geometric means over steps and seeds."
        return page("How far distributions move", records, table, said)


def drift(record: Record, part: str) -> float:
    """Of a run: the geometric mean over its steps."""
    return float(geometric_mean(array(record["measured"][part])))
