"""What reaches the last hidden activation while a network trains: Ioffe & Szegedy 2015,
https://arxiv.org/abs/1502.03167, figure 1"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import how_many, page, protocol_line
from normbench.drawing.text import number_table
from normbench.errors import UserError
from normbench.probes.curves import finished
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

PERCENTILES = (15, 50, 85)
SATURATED = 0.05  # a derivative below


@dataclass(kw_only=True)
class HiddenInputs(WatchingProbe):
    """Percentiles of the inputs of the last hidden activation, how many of the hidden units'
    activations are saturated, and how well the network does.

    Inputs are those of validation images, drawn by the run's seed, in evaluation mode. An
    activation is saturated where its derivative is below 0.05: for a sigmoid, beyond ±2.9.

    Attributes:
        steps: see WatchingProbe.
        times: how often to look, at even distances after the look before training.
        images: how many.

    Measures:
        at: how many steps were done, for T looks.
        train_loss, val_loss, val_accuracy: (T,), as the curves probe has them.
        unit: for each of ``PERCENTILES``, (T,): of one unit's inputs, the first of the layer.
        units: the same of all its units' inputs.
        saturated: (T,): the share of all hidden activations' inputs that are in saturation.
    """

    times: int
    images: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        activations(network)
        if not 1 <= self.times <= self.length(steps):
            raise UserError(
                f"probe.times={self.times} is not valid: give a number from 1 to that of the steps "
                f"({self.length(steps)})"
            )
        if self.images < 1:
            raise UserError(f"probe.images={self.images} is not valid: give 1 or more")

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import numbers

        split, seed = run.training.data.val, run.training.plan.seed
        order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(seed))
        images = split.images[order[: self.images].to(split.labels.device)]
        found: dict[str, list[Any]] = {
            key: [] for key in ("at", "train_loss", "val_loss", "val_accuracy", "saturated")
        }
        lines: dict[str, list[torch.Tensor]] = {"unit": [], "units": []}
        for i in range(self.times + 1):
            step = round(i * run.steps / self.times)
            if not (yield step):
                break
            done = {"at": step, "train_loss": run.train_loss if i else None, **run.evaluate()}
            last, saturated = self._look(run, run.training.inputs(images))
            quantiles = torch.tensor(PERCENTILES, device=last.device, dtype=last.dtype) / 100
            lines["unit"].append(torch.quantile(last[:, 0].flatten(), quantiles))
            some = last.flatten()[:: -(-last.numel() // 2**20)]
            lines["units"].append(torch.quantile(some, quantiles))
            for key, value in (done | {"saturated": saturated}).items():
                found[key].append(value if value is None or key == "at" else numbers(value))
        return found | {
            name: numbers(torch.stack(of, dim=1)) if of else [] for name, of in lines.items()
        }

    def _look(self, run: Watched, inputs: torch.Tensor) -> tuple[torch.Tensor, float]:
        """The last activation's inputs, and the share of all that are saturated."""
        import torch

        layers = activations(run.model)
        seen: list[torch.Tensor] = []
        hooks = [
            layer.register_forward_pre_hook(
                lambda module, args: seen.append(args[0].detach().float().clone())
            )
            for layer in layers
        ]
        run.model.eval()
        with torch.no_grad(), run.training.autocast():
            run.model(inputs)
        for hook in hooks:
            hook.remove()
        shares = []
        for layer, values in zip(layers, seen, strict=True):
            x = values.requires_grad_()
            (slope,) = torch.autograd.grad(layer(x * 1).sum(), x)
            shares.append((slope.abs() < SATURATED).float().mean())
        return seen[-1].detach(), torch.stack(shares).mean().item()

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(finished(records))
        looks = style.looks(norms)
        columns = 2 + len(norms)
        with style.figure(1, columns, 3.2) as (fig, axes):
            accuracy, saturated, *panels = axes[0]
            for norm, group in norms.items():
                at = group[0]["measured"]["at"]
                color = looks[norm].color
                for ax, part in ((accuracy, "val_accuracy"), (saturated, "saturated")):
                    runs = np.array([array(r["measured"][part]) for r in group])
                    ax.fill_between(at, runs.min(0), runs.max(0), color=color, alpha=0.18, lw=0)
                    ax.plot(at, runs.mean(0), color=color, lw=1.4, label=norm)
            accuracy.set_title("accuracy")
            saturated.set_title("saturated share")
            for ax, (norm, group) in zip(panels, norms.items(), strict=True):
                at = group[0]["measured"]["at"]
                low, middle, high = array(group[0]["measured"]["unit"])
                color = looks[norm].color
                ax.fill_between(at, low, high, color=color, alpha=0.25, lw=0)
                ax.plot(at, middle, color=color, lw=1.4)
                ax.set_title(f"inputs, {norm}", fontsize=9)
            for ax in panels[1:]:
                ax.sharey(panels[0])
            for ax in axes[0]:
                ax.set_xlabel("step")
                ax.locator_params(axis="x", nbins=2)  # of tens of thousands
            style.legend(fig, accuracy, 4)
            style.caption(
                fig,
                f"Means over {how_many(records)}; shaded: from the lowest to the highest. "
                "Saturated: share of hidden inputs where the activation's derivative is below "
                f"{SATURATED}. Right: 15th, 50th and 85th percentile of the inputs of one unit of "
                f"the last hidden layer, one seed. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(finished(records)).items():
            of = [r["measured"] for r in group]
            ends = [np.mean([array(m[p])[-1] for m in of]) for p in ("val_accuracy", "saturated")]
            rows.append([norm, *ends, np.mean([drift(m) for m in of])])
        headings = ["norm", "accuracy", "saturated", "drift"]
        return page(
            "Inputs of the last hidden activation",
            records,
            number_table(headings, rows),
            "After the last step; drift: how far the 15th, 50th and 85th percentile of one unit's "
            "inputs move from one look to the next, over the distance from the 15th to the 85th, "
            "on average over training. Means over seeds.",
        )


def drift(measured: dict[str, Any]) -> float:
    """How far one unit's percentiles move from one look to the next, over their distance.

    The mean over the three percentiles and all looks after the one before training.
    """
    lines = array(measured["unit"])[:, 1:]
    moved = np.abs(np.diff(lines, axis=1)).mean(0)
    spread = (lines[2] - lines[0])[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = moved / spread
    return float(np.nanmean(np.where(np.isfinite(ratios), ratios, np.nan)))


def activations(model: torch.nn.Module) -> list[Any]:
    """The activations of a network, first to last.

    Raises:
        UserError: for a model without one.
    """
    from normbench.models.parts import ACTIVATIONS

    kinds = tuple(kind for kind in ACTIVATIONS.values() if isinstance(kind, type))
    found = [module for module in model.modules() if isinstance(module, kinds)]
    if not found:
        raise UserError(f"the model {type(model).__name__} has no activation to probe")
    return found
