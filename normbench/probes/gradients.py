"""The gradient of every convolution's weight, step by step."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, highest, lowest
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import how_many, page, protocol_line
from normbench.drawing.layers import layer_groups, said_of_groups
from normbench.drawing.panels import layer_legend, norm_panels
from normbench.drawing.text import table_by_norm
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from normbench.probes.watching import Watched


@dataclass(kw_only=True)
class Gradients(WatchingProbe):
    """The L2 norm of the gradient of each convolution's trained weight at every step.

    Where a weight is computed from a parameter, as in weight standardization, the gradient is that
    of the parameter.

    Attributes:
        steps: see WatchingProbe.
        layers: names of convolutions, as in ``model.named_modules()``; None: all.

    Measures:
        layers: their names, first to last.
        norms: for each layer, a number a step.
    """

    layers: list[str] | None = None

    def check(self, network: torch.nn.Module, steps: int) -> None:
        from normbench.probes.watching import find_convolutions

        super().check(network, steps)
        find_convolutions(network, self.layers)

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import find_convolutions, numbers, trained_weight

        convolutions = find_convolutions(run.model, self.layers)
        device, scaler = run.training.device, run.training.scaler
        norms = torch.full((len(convolutions), run.steps), torch.nan, device=device)
        one = torch.ones((), device=device)

        def note(layer: int, parameter: torch.nn.Parameter) -> None:
            assert parameter.grad is not None  # it has just been accumulated
            norm = torch.linalg.vector_norm(parameter.grad.detach(), dtype=torch.float32)
            # fp16 gradients are scaled up; everything stays on the device
            norms[layer, run.training.steps_done] = norm / scaler.scale(one)

        hooks = [
            trained_weight(module).register_post_accumulate_grad_hook(
                lambda parameter, layer=layer: note(layer, parameter)
            )
            for layer, module in enumerate(convolutions.values())
        ]
        yield run.steps
        for hook in hooks:
            hook.remove()
        return {"layers": list(convolutions), "norms": numbers(norms)}

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        with norm_panels(norms, "training step", ["gradient norm"]) as (fig, panels):
            for norm, (ax,) in panels.items():
                _draw_lines(ax, norms[norm])
            first, *_ = (ax for (ax,) in panels.values())  # the others share its axes
            style.log_scale(first)
            layer_legend(fig, first)
            every = "shaded: from the lowest to the highest at every step"
            if how_many(records) == "1 seed":
                every = "thin: every step"
            style.caption(
                fig,
                "L2 norm of the gradient of each convolution's weight"
                f"{said_of_groups(records[0])}. Lines: running medians over {SMOOTHING} steps, "
                f"geometric means over {how_many(records)}; {every}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        table = table_by_norm(records, lambda measured: describe(measured["norms"]), np.mean)
        return page("Gradient norms", records, table, LEGEND)


LEGEND = """\
All of these are means over seeds, and over layers geometric means. Smoothed means the running
median over 11 steps.

- start: the gradient norm at the first step
- drop: start over the lowest smoothed value
- rise: the highest smoothed value after the lowest one, over it
- level: the median over the second half of the steps
- peak: the highest value in the first tenth of the steps, over the level
- lead: the highest value in the first tenth of the steps, over the highest after it
- drift: the highest smoothed value after the first tenth of the steps, over the lowest
- spread: the largest layer's level over the smallest layer's
- change: how much larger or smaller a norm is than the one a step before, as a ratio above 1: the
  median over steps and layers
- spikes: the same ratio's 99th percentile"""
SMOOTHING = 11  # steps


def _draw_lines(ax: Axes, group: list[Record]) -> None:
    """A line a layer, or a stage, of all seeds, and what lies around it."""
    groups = layer_groups(group[0])
    runs = np.stack([array(record["measured"]["norms"]) for record in group])
    runs = np.stack([geometric_mean(runs[:, which], axis=1) for which in groups.values()], axis=1)
    smooth = geometric_mean([running_median(run) for run in runs], axis=0)
    steps = np.arange(1, runs.shape[2] + 1)
    low, high = lowest(runs, axis=0), highest(runs, axis=0)
    for i, (label, color) in enumerate(zip(groups, style.shades(len(groups)), strict=True)):
        if len(runs) > 1:
            ax.fill_between(steps, low[i], high[i], color=color, alpha=0.25, lw=0)
        else:
            ax.plot(steps, runs[0, i], color=color, lw=0.7, alpha=0.45)
        ax.plot(steps, smooth[i], color=color, lw=1.6, label=label, zorder=3)


def describe(norms: ArrayLike) -> dict[str, float]:
    """The numbers of ``LEGEND`` for gradient norms (layers, steps) of one run; NaN is left out."""
    norms = array(norms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN
        logs = np.log(norms)
        smooth = np.nanmean(running_median(logs), axis=0)
        low = int(np.nanargmin(smooth)) if np.isfinite(smooth).any() else 0
        levels = np.nanmedian(logs[:, logs.shape[1] // 2 :], axis=1)
        tenth = max(1, logs.shape[1] // 10)
        early = np.nanmax(logs[:, :tenth], axis=1)
        late = smooth[tenth:]
        changes = np.abs(np.diff(logs, axis=1))
        some = changes.size > 0  # more than one step
        values = {
            "start": logs[:, 0].mean(),
            "drop": logs[:, 0].mean() - smooth[low],
            "rise": np.nanmax(smooth[low:]) - smooth[low],
            "level": levels.mean(),
            "peak": np.nanmean(early) - levels.mean(),
            "lead": np.nanmean(early - np.nanmax(logs[:, tenth:], axis=1)) if some else np.nan,
            "drift": np.nanmax(late) - np.nanmin(late) if some else np.nan,
            "spread": levels.max() - levels.min(),
            "change": np.nanmedian(changes) if some else np.nan,
            "spikes": np.nanpercentile(changes, 99) if some else np.nan,
        }
    return {key: float(np.exp(value)) for key, value in values.items()}


def running_median(rows: np.ndarray) -> np.ndarray:
    """(layers, steps) -> the same shape; windows are cut off at the ends."""
    half = SMOOTHING // 2
    padded = np.pad(rows, [(0, 0), (half, half)], constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN
        return np.nanmedian(windows, axis=2)
