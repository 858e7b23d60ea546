"""Internal covariate shift in the optimization sense: Santurkar et al. 2018,
https://arxiv.org/abs/1805.11604, definition 2.1"""

from __future__ import annotations

import textwrap
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean, mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import averaged, measured_when, page, protocol_line
from normbench.drawing.layers import layer_names
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import bullets, table_by_norm
from normbench.errors import UserError
from normbench.probes.probe import WatchingProbe, check_every, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

DRAWN = 4  # layers, spread over the depth of the network
TITLE = 18  # characters that a panel has room for


@dataclass(kw_only=True)
class CovariateShift(WatchingProbe):
    """How much the gradient of each layer's weight changes when the layers before it are updated.

    Both gradients are of the loss on the batch that is trained on next (not augmented), with norms
    in training mode, in fp32. Layers are convolutions and linear layers, each with the norm that
    follows it.

    Attributes:
        steps: see WatchingProbe.
        every: measure before the first step, and then whenever so many more are done.
        step_size: of the gradient step that is the update; None: the update is the one that the
            run's own optimizer makes next, which is the paper's definition.

    Measures:
        layers: names of L layers; the first, with none before it, is left out.
        at: how many steps were done, for T measurements.
        norm_before, norm_after, difference, cosine: (T, L) L2 norms of both gradients and of their
            difference, and the cosine of the angle between them.
    """

    every: int
    step_size: float | None = None

    def check(self, network: torch.nn.Module, steps: int) -> None:
        from normbench.calculus.batch_loss import layers_of

        super().check(network, steps)
        check_every(self.every, self.length(steps))
        if self.step_size is not None:
            check_positive("probe.step_size", [self.step_size])
        if len(layers_of(network)) < 2:
            raise UserError(
                f"the model {type(network).__name__} has no two layers (convolutions or linear "
                "ones) of which one could shift the other's gradient: choose a deeper one"
            )

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        from normbench.calculus.batch_loss import layers_of
        from normbench.calculus.covariate_shift import covariate_shift
        from normbench.calculus.line import gradient
        from normbench.probes.watching import measure_at

        layers = layers_of(run.model)[1:]

        def shift() -> dict[str, torch.Tensor]:
            loss = run.loss_function(run.batch)
            if self.step_size is None:
                updated = run.parameters_after_step()
            else:
                updated = loss.here - self.step_size * gradient(loss, loss.here)[1]
            return covariate_shift(loss, loss.here, updated, layers)

        measured = yield from measure_at(range(0, run.steps, self.every), shift)
        yield run.steps
        return {"layers": [layer.name for layer in layers], **measured}

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        layers = layer_names(records[0], before=1)
        norms = by_norm(records)
        looks = style.looks(norms)
        drawn = np.unique(np.linspace(0, len(layers) - 1, DRAWN).round().astype(int))
        with style.figure(2, len(drawn), height=4.4, sharex=True, sharey="row") as (fig, axes):
            for norm, group in norms.items():
                color, _ = looks[norm]
                at = array(max((r["measured"]["at"] for r in group), key=len))
                difference, cosine = (
                    stack([array(r["measured"][name]) for r in group])
                    for name in ("difference", "cosine")
                )
                for column, layer in enumerate(drawn):
                    top, bottom = axes[:, column]
                    draw_runs(top, at, difference[:, :, layer], geometric_mean, color)
                    draw_runs(bottom, at, cosine[:, :, layer], mean, color, label=norm)
                    top.set_title(textwrap.fill(layers[layer], TITLE))
                    bottom.set_xlabel("training step")
            style.log_scale(axes[0, 0])  # for all, as they share it
            axes[0, 0].set_ylabel("L2 difference")
            axes[1, 0].set_ylabel("cosine")
            style.legend(fig, axes[1, 0], 4)
            style.caption(
                fig,
                "The gradient of a layer's weight before and after all layers before it were "
                "updated, on the same batch: no shift is a difference of 0 and a cosine of 1. "
                f"{_update(records)}. {averaged(records)}. Means of differences are geometric. "
                f"Measured {measured_when(records)}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        return page(
            "Covariate shift in the optimization sense",
            records,
            table_by_norm(records, describe, mean),
            "A layer's gradient before and after the layers before it were updated. "
            f"{_update(records)}. Means over layers, steps and seeds:",
            bullets(LEGEND),
        )


LEGEND = {
    "difference": "L2 distance between the two gradients (geometric mean over layers and steps)",
    "relative difference": "the same in units of the first one's norm",
    "cosine": "of the angle between them; 1 is no shift",
}


def describe(measured: dict[str, Any]) -> dict[str, float]:
    """The numbers of ``LEGEND`` for one run."""
    difference = array(measured["difference"])
    values = (
        geometric_mean(difference),
        geometric_mean(difference / array(measured["norm_before"])),
        mean(measured["cosine"]),
    )
    return dict(zip(LEGEND, values, strict=True))


def _update(records: list[Record]) -> str:
    step_size = records[0]["config"]["probe"]["step_size"]
    if step_size is None:
        return "The update is the optimizer's own next one"
    return f"The update is a gradient step of size {step_size:g}"
