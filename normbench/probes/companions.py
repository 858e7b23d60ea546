"""How far what a network says of an image depends on the images beside it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import mean_and_std, page, protocol_line
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

MODES = ("train", "eval")


@dataclass(kw_only=True)
class Companions(WatchingProbe):
    """The class of the same image in different company, once training is over.

    So many validation images, drawn by the run's seed, are shuffled into batches again and again,
    so that each is evaluated once a draw.

    Attributes:
        steps: see WatchingProbe.
        sizes: of the batches.
        images: how many.
        draws: how many; a tenth of them in evaluation mode.

    Measures:
        sizes: of the batches.
        changed: for norms in training mode (``train``) and in evaluation mode (``eval``), a number
            a size: the share of draws in which an image's class is not the one that it gets most
            often, over all images.
        alone: the largest difference of a logit between an image by itself and inside of the
            largest batch, in evaluation mode, relative to the largest logit.
        running, averaged: accuracy on the validation split with running averages, and with means of
            all training batches' statistics over one epoch in their place, weights as they are;
            the same where a network has no running averages.
    """

    sizes: list[int]
    images: int
    draws: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        if not self.sizes or min(self.sizes) < 2:
            raise UserError(f"probe.sizes={self.sizes} is not valid: give numbers from 2")
        for name, value, low in (
            ("images", self.images, max(self.sizes)),
            ("draws", self.draws, 2),
        ):
            if value < low:
                raise UserError(f"probe.{name}={value} is not valid: give {low} or more")

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import numbers

        if not (yield run.steps):
            return {}
        split = run.training.data.val
        if self.images > len(split.labels):
            raise UserError(
                f"probe.images={self.images} is not valid: there are {len(split.labels)} "
                "validation images"
            )
        generator = torch.Generator().manual_seed(run.training.plan.seed)
        order = torch.randperm(len(split.labels), generator=generator)[: self.images]
        inputs = run.training.inputs(split.images[order.to(split.labels.device)])
        running = run.evaluate()["val_accuracy"]
        changed = {
            mode: [self._changed(run, inputs, size, mode, generator) for size in self.sizes]
            for mode in MODES
        }
        alone = self._alone(run, inputs[: max(self.sizes)])
        average_statistics(run)
        return {
            "sizes": list(self.sizes),
            "changed": changed,
            "alone": numbers(alone),
            "running": running,
            "averaged": run.evaluate()["val_accuracy"],
        }

    def _changed(
        self, run: Watched, inputs: Tensor, size: int, mode: str, generator: torch.Generator
    ) -> float:
        import torch

        run.model.train(mode == "train")
        count = len(inputs) // size * size
        draws = self.draws if mode == "train" else max(2, self.draws // 10)
        classes = torch.full((draws, len(inputs)), -1, device=inputs.device)
        with torch.no_grad(), run.training.autocast():
            for draw in classes:
                order = torch.randperm(len(inputs), generator=generator)[:count]
                for some in order.to(inputs.device).split(size):
                    draw[some] = run.model(inputs[some]).argmax(1)
        drawn = classes >= 0  # of some draws, a few images are left over
        votes = torch.stack([(classes == c).sum(0) for c in range(int(classes.max()) + 1)])
        return 1 - (votes.max(0).values.sum() / drawn.sum()).item()

    def _alone(self, run: Watched, inputs: Tensor) -> float:
        import torch

        run.model.eval()
        with torch.no_grad(), run.training.autocast():
            together = run.model(inputs)
            alone = torch.cat([run.model(one[None]) for one in inputs])
        return ((alone - together).abs().max() / together.abs().max()).item()

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = by_norm(finished(records))
        looks = style.looks(norms)
        with style.figure(1, 2, 3.4) as (fig, axes):
            of_sizes, of_averages = axes[0]
            for norm, group in norms.items():
                color, marker = looks[norm]
                sizes = group[0]["measured"]["sizes"]
                changed = np.array([r["measured"]["changed"]["train"] for r in group])
                draw_runs(of_sizes, sizes, changed, np.mean, color, marker=marker, label=norm)
                running, averaged = (
                    [r["measured"][part] for r in group] for part in ("running", "averaged")
                )
                of_averages.plot(running, averaged, marker, color=color, label=norm)
            of_sizes.set(xlabel="images in a batch", title="another class in other company")
            style.log_scale(of_sizes, "x")
            known = [r["measured"]["running"] for group in norms.values() for r in group]
            for one in known[:1]:
                of_averages.axline((one, one), slope=1, color=style.FAINT, lw=0.8, zorder=0)
            of_averages.set(
                xlabel="accuracy with running averages",
                ylabel="with means over an epoch",
            )
            style.legend(fig, of_sizes, 4)
            style.caption(
                fig,
                "Left: share of draws in which an image's class is not its most frequent one, "
                f"norms in training mode: {mean_and_std(records)}; shaded: from the lowest to the "
                "highest. Right: accuracy on the validation split, a point a seed. "
                f"{protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for norm, group in by_norm(finished(records)).items():
            of = [record["measured"] for record in group]
            for i, size in enumerate(of[0]["sizes"]):
                shares = [np.mean([m["changed"][mode][i] for m in of]) for mode in MODES]
                rest = [np.max([m["alone"] for m in of])]
                rest += [np.mean([m[part] for m in of]) for part in ("running", "averaged")]
                rows.append([norm, f"{size}", *shares, *rest])
        headings = ["norm", "batch", "training mode", "evaluation mode", "alone"]
        headings += ["accuracy: running", "averaged"]
        return page(
            "The same image in different company",
            records,
            number_table(headings, rows),
            "Share of draws in which an image's class is not its most frequent one; alone: largest "
            "relative difference of a logit between an image by itself and inside of a batch, in "
            "evaluation mode; accuracy with running averages, and with means of all batches' "
            "statistics over one epoch.",
        )


def average_statistics(run: Watched) -> None:
    """Replace running averages by the means of all training batches' statistics over one epoch.

    As PyTorch's BatchNorm does with momentum None; layers without running averages stay.
    """
    import torch
    from torch.nn.modules.batchnorm import _NormBase

    layers = [m for m in run.model.modules() if isinstance(m, _NormBase)]
    if not layers:
        return
    sums: dict[int, list[Tensor]] = {}
    run.model.train()
    with torch.no_grad(), run.training.autocast():
        for batch in run.training.batches().to(run.training.device):
            before = []
            for layer in layers:  # so that an update of momentum m shows the batch's statistics
                assert layer.running_mean is not None and layer.running_var is not None
                before.append(layer.momentum)
                layer.momentum = 1.0
            run.model(run.training.inputs(run.training.train.images[batch]))
            for i, (layer, momentum) in enumerate(zip(layers, before, strict=True)):
                layer.momentum = momentum
                assert layer.running_mean is not None and layer.running_var is not None
                new = torch.stack([layer.running_mean, layer.running_var]).double()
                total = sums.setdefault(i, [torch.zeros_like(new), torch.zeros(())])
                total[0] += new
                total[1] += 1
    for i, layer in enumerate(layers):
        assert layer.running_mean is not None and layer.running_var is not None
        mean, var = (sums[i][0] / sums[i][1]).to(layer.running_mean.dtype)
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(var)
