"""What comes out of every convolution while a network is trained."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, how_many, page, protocol_line
from normbench.drawing.layers import layer_groups, layer_names, said_of_groups
from normbench.drawing.lines import draw_runs
from normbench.drawing.panels import layer_legend, norm_panels
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

PERCENTILES = (1, 25, 50, 75, 99)
SAMPLE = 2**20  # values at most that percentiles are taken of


@dataclass(kw_only=True)
class Activations(WatchingProbe):
    """Mean, standard deviation and percentiles of each convolution's output, before its norm.

    They are those on one batch, the first that the run trains on, in training mode: norms take
    the statistics that they would take in training, and their running averages stay as they are.

    Attributes:
        steps: see WatchingProbe.
        every: steps between two looks; the first is before training, the last at the end.
        layers: names of convolutions, as in ``model.named_modules()``; None: all.

    Measures:
        layers: their names, first to last.
        at: how many steps were done at each look.
        mean, std: for each layer, a number a look, over images, channels and positions.
        percentiles: for each layer and each of ``PERCENTILES``, a number a look; of large outputs,
            they are those of values taken at even distances.
    """

    every: int = 5
    layers: list[str] | None = None

    def check(self, network: torch.nn.Module, steps: int) -> None:
        from normbench.probes.watching import find_convolutions

        super().check(network, steps)
        find_convolutions(network, self.layers)
        if self.every < 1:
            raise UserError(f"probe.every={self.every} is not valid: give a number from 1")

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import find_convolutions, numbers

        convolutions = find_convolutions(run.model, self.layers)
        batch, at, looks = run.batch, [], []
        seen: dict[str, torch.Tensor] = {}
        for step in [*range(0, run.steps, self.every), run.steps]:
            if not (yield step):
                break
            hooks = [
                module.register_forward_hook(
                    lambda module, inputs, output, name=name: seen.update({name: _look(output)})
                )
                for name, module in convolutions.items()
            ]
            with torch.no_grad():
                run.loss(batch)
            for hook in hooks:
                hook.remove()
            at.append(step)
            looks.append(torch.stack([seen[name] for name in convolutions]))
        mean, std, *percentiles = torch.stack(looks, dim=-1).unbind(1)  # each (layers, looks)
        return {
            "layers": list(convolutions),
            "at": at,
            "mean": numbers(mean),
            "std": numbers(std),
            "percentiles": numbers(torch.stack(percentiles, dim=1)),
        }

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        last = layer_names(records[0])[-1]
        titles = ["mean", "standard deviation", f"percentiles of\n{last}"]
        with norm_panels(norms, "training step", titles) as (fig, panels):
            for norm, axes in panels.items():
                _draw_norm(axes, norms[norm])
            first = next(iter(panels.values()))  # the others share its axes
            style.log_scale(first[1])
            layer_legend(fig, first[0])
            style.caption(
                fig,
                "Outputs of the convolutions, before their norms, on the run's first batch in "
                f"training mode{said_of_groups(records[0])}. {averaged(records)}. Bottom: median, "
                "25 to 75% and 1 to 99% of the last one's, means over "
                f"{how_many(records)}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(records).items():
            ends = np.mean(
                [
                    [array(r["measured"][part])[:, [0, -1]] for part in ("mean", "std")]
                    for r in group
                ],
                axis=0,
            )
            for layer, means, stds in zip(layer_names(group[0]), *ends, strict=True):
                rows.append([norm, layer, *means, *stds, stds[1] / stds[0]])
        headings = ["norm", "layer", "mean: first", "last", "std: first", "last", "growth"]
        return page(
            "Outputs of convolutions",
            records,
            number_table(headings, rows),
            "Before training and at the last look, on the run's first batch in training mode; "
            f"means over {how_many(records)}. Growth: the last standard deviation over the first.",
        )


def _look(output: torch.Tensor) -> torch.Tensor:
    """Mean, standard deviation and percentiles (7,) of a convolution's output."""
    import torch

    values = output.detach().flatten().to(torch.promote_types(output.dtype, torch.float32))
    std, mean = torch.std_mean(values, correction=0)
    some = values[:: -(-len(values) // SAMPLE)]
    quantiles = torch.tensor(PERCENTILES, device=values.device, dtype=values.dtype) / 100
    return torch.cat([mean[None], std[None], torch.quantile(some, quantiles)])


def _draw_norm(axes: list[Axes], group: list[Record]) -> None:
    """Mean, standard deviation and the last layer's percentiles, from top to bottom."""
    at = max((record["measured"]["at"] for record in group), key=len)
    groups = layer_groups(group[0])
    colors = style.shades(len(groups))

    def of_runs(part: str) -> np.ndarray:  # (runs, layers, …, looks)
        looks = [np.moveaxis(array(record["measured"][part]), -1, 0) for record in group]
        return np.moveaxis(stack(looks), 1, -1)

    for ax, part in zip(axes, ("mean", "std"), strict=False):
        runs = of_runs(part)
        for (label, which), color in zip(groups.items(), colors, strict=True):
            draw_runs(ax, at, mean(runs[:, which], axis=1), mean, color, lw=1.2, label=label)
    low, lower, median, higher, high = mean(of_runs("percentiles")[:, -1], axis=0)
    color = colors[-1] if len(groups) > 1 else style.INK
    axes[2].fill_between(at, low, high, color=color, alpha=0.2, lw=0)
    axes[2].fill_between(at, lower, higher, color=color, alpha=0.4, lw=0)
    axes[2].plot(at, median, color=style.INK, lw=1.2)
