"""Which initial scales of the weights a network trains from, and what its first gradients are like:
the sensitivity that Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167, and Bjorck et al. 2018,
https://arxiv.org/abs/1806.02375, section 4, speak of"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import how_many, page, protocol_line
from normbench.drawing.lines import draw_runs
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.probe import Measurement, Probe, check_positive
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import nn

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan


@dataclass(kw_only=True)
class InitialScales(Probe):
    """The run, begun anew with its weights multiplied by one scale after another.

    The weights of all convolutions and linear layers are; biases and norms stay. Each run takes so
    many steps of the planned schedule, or fewer where its loss stops being finite.

    Attributes:
        scales: factors.
        steps: of each.

    Measures:
        scales: as given.
        gradient_ratio: of the first step, the L2 norm of the first layer's weight gradient over
            that of the last but one (the last hidden layer), a number a scale; None where it is
            not a positive number.
        accuracy: on the validation split after the last step, a number a scale; None where the
            loss stopped being finite.
    """

    scales: list[float]
    steps: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        check_positive("probe.scales", self.scales)
        if len(weighted(network)) < 3:
            raise UserError("the model has no two layers below its head whose gradients to compare")
        if not 1 <= self.steps <= steps:
            raise UserError(
                f"probe.steps={self.steps} is not valid: the run has {steps} steps, so give a "
                f"number from 1 to {steps}"
            )

    def length(self, steps: int) -> int:
        return self.steps * len(self.scales)

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        from normbench.engine.training import Training, finish
        from normbench.probes.watching import numbers

        start = time.perf_counter()
        ratios, accuracies = [], []
        for scale in self.scales:
            scaled_plan = replace(plan, model=partial(_scaled_model, plan, scale))
            training = Training(scaled_plan, data, device)
            training.model.train()
            ratios.append(_first_ratio(training))
            alive = True
            while alive and training.steps_done < self.steps:
                training.metrics.reset()
                left = self.steps - training.steps_done
                yield from training.train_on(training.batches()[:left])
                alive = math.isfinite(training.metrics.loss.item())
            accuracies.append(finish(training.evaluate(data.val))[1] if alive else None)
        measured = {
            "scales": list(self.scales),
            "gradient_ratio": [numbers(ratio) if ratio > 0 else None for ratio in ratios],
            "accuracy": accuracies,
        }
        return Measurement(measured, seconds=time.perf_counter() - start)

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(records)
        looks = style.looks(norms)
        with style.figure(1, 2, 3.3) as (fig, axes):
            accuracy, ratio = axes[0]
            for norm, group in norms.items():
                color, marker = looks[norm]
                scales = group[0]["measured"]["scales"]
                look = {"marker": marker, "label": norm}
                reached = np.array([array(r["measured"]["accuracy"]) for r in group])
                draw_runs(accuracy, scales, np.nan_to_num(reached), np.mean, color, **look)
                ratios = np.array([array(r["measured"]["gradient_ratio"]) for r in group])
                draw_runs(ratio, scales, ratios, geometric_mean, color, **look)
            accuracy.set(title="accuracy", xlabel="initial scale", ylim=(0, 1))
            ratio.set(title="gradient, first layer / last hidden", xlabel="initial scale")
            ratio.axhspan(0.1, 10, color=style.GRID, lw=0, zorder=0)
            ratio.set_yscale("log")
            for ax in (accuracy, ratio):
                style.log_scale(ax, "x")
            style.legend(fig, accuracy, 4)
            probe = records[0]["config"]["probe"]
            style.caption(
                fig,
                f"{_network(records[0])}, weights times the scale, after {probe['steps']} steps; a "
                "run whose loss stopped being finite counts as 0. Right: of the first step; shaded "
                f"band: 0.1 to 10. Lines: means over {how_many(records)}; shaded: from the lowest "
                f"to the highest. {protocol_line(records, trained=False)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(records).items():
            reached = np.nan_to_num([array(r["measured"]["accuracy"]) for r in group]).mean(0)
            rows.append([norm, "accuracy", *reached])
            ratios = [array(r["measured"]["gradient_ratio"]) for r in group]
            rows.append([norm, "gradient ratio", *geometric_mean(ratios, axis=0)])
        scales = [f"{scale:g}" for scale in records[0]["measured"]["scales"]]
        table = number_table(["norm", "what", *scales], rows)
        return page("Initial scales", records, f"{_network(records[0])}.", table)


def _scaled_model(plan: Plan, scale: float) -> nn.Module:
    return scaled(plan.model(), scale)


def scaled(network: nn.Module, scale: float) -> nn.Module:
    """The network, its weights times a scale, in place."""
    for layer in weighted(network):
        layer.weight.data.mul_(scale)
    return network


def weighted(network: nn.Module) -> list[Any]:
    """Convolutions and linear layers, first to last."""
    from torch import nn

    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def _first_ratio(training: Any) -> float:
    """Of the gradients of the first batch; NaN where one of them is 0 or not finite."""
    import torch
    import torch.nn.functional as F

    from normbench.engine.excursion import excursion

    first, *_, last, _ = weighted(training.model)
    with excursion(training):
        training.model.train()
        batch = training.batches()[0].to(training.device)
        with training.autocast():
            logits = training.model(training.inputs(training.train.images[batch]))
        F.cross_entropy(logits.float(), training.train.labels[batch]).backward()
        top, bottom = (torch.linalg.vector_norm(m.weight.grad.double()) for m in (first, last))
    ratio = (top / bottom).item()
    return ratio if math.isfinite(ratio) and ratio > 0 else math.nan


def _network(record: Record) -> str:
    model = record["config"]["model"]
    depth = f", {len(model['widths'])} hidden layers" if "widths" in model else ""
    return f"{model['name']}{depth}, {model.get('activation', '')}".rstrip(", ")
