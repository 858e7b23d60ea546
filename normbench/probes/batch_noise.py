"""The noise of a batch's statistics, and what becomes of it: small batches, and ghost batches in
large ones, Hoffer, Hubara & Soudry 2017, https://arxiv.org/abs/1705.08741"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from normbench.analysis.groups import groups
from normbench.drawing import style
from normbench.drawing.captions import page, protocol_line
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

PANELS = {
    "val_accuracy": "validation accuracy",
    "smallest": "smallest σ of a batch\nover the running σ",
    "noise": "noise of a logit",
    "gap": "validation loss\nless training loss",
}


@dataclass(kw_only=True)
class BatchNoise(WatchingProbe):
    """What a trained network owes to the batch that an image is in, at the run's own batch size.

    Attributes:
        steps: see WatchingProbe.
        batches: how many of training images are looked at for their statistics.
        images: of the training set, whose logits are compared in different company.
        draws: how often the company is drawn.
        loss_images: how many training images the training loss is of.

    Measures:
        smallest: of each layer that has running variances, the smallest channel's standard
            deviation in a batch over the running one, both with the layer's eps, as the median
            over batches (in ghost batches, of each of these); empty where there is none.
        noise: the standard deviation over draws of a logit of the same image, norms in training
            mode, averaged over images and classes.
        train_loss, val_loss, val_accuracy: after training, in evaluation mode.
    """

    together: ClassVar[tuple[str, ...]] = ("seed", "batch_size")

    batches: int
    images: int
    draws: int
    loss_images: int

    def check(self, network: torch.nn.Module, steps: int) -> None:
        super().check(network, steps)
        for name, low in (("batches", 1), ("images", 1), ("draws", 2), ("loss_images", 1)):
            value = getattr(self, name)
            if value < low:
                raise UserError(f"probe.{name}={value} is not valid: give {low} or more")

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.data.dataset import Split
        from normbench.engine.training import finish
        from normbench.probes.watching import numbers

        if not (yield run.steps):
            return {}
        training = run.training
        split, seed = training.train, training.plan.seed
        order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(seed))
        some = order[: self.loss_images].to(split.labels.device)
        few = Split(split.images[some], split.labels[some])
        train_loss, _ = finish(training.evaluate(few))
        found = {"train_loss": numbers(train_loss), **run.evaluate()}
        return {
            "smallest": [numbers(value) for value in self._smallest(run)],
            "noise": numbers(self._noise(run, order)),
            **found,
        }

    def _smallest(self, run: Watched) -> list[float]:
        import torch

        layers = [m for m in run.model.modules() if getattr(m, "running_var", None) is not None]
        ratios: list[list[float]] = [[] for _ in layers]

        def look(place: int) -> Callable[..., None]:
            def hook(layer: Any, inputs: tuple[Tensor, ...]) -> None:
                running = (layer.running_var + layer.eps).sqrt()
                for part in inputs[0].split(getattr(layer, "size", len(inputs[0]))):
                    dims = [d for d in range(part.dim()) if d != 1]
                    own = (part.float().var(dims, correction=0) + layer.eps).sqrt()
                    ratios[place].append((own / running).min().item())

            return hook

        hooks = [layer.register_forward_pre_hook(look(i)) for i, layer in enumerate(layers)]
        run.model.eval()  # so that running averages stay as they are
        with torch.no_grad(), run.training.autocast():
            for batch in run.training.batches()[: self.batches].to(run.training.device):
                run.model(run.training.inputs(run.training.train.images[batch]))
        for hook in hooks:
            hook.remove()
        return [float(np.median(of_layer)) for of_layer in ratios]

    def _noise(self, run: Watched, order: Tensor) -> float:
        import torch

        training, size = run.training, run.training.plan.batch_size
        generator = torch.Generator().manual_seed(training.plan.seed)
        images, others = order[: self.images], order[self.images :]
        run.model.train()
        logits = []
        with torch.no_grad(), training.autocast():
            for image in images:
                drawn = []
                for _ in range(self.draws):
                    company = torch.randint(len(others), (size - 1,), generator=generator)
                    batch = torch.cat([image[None], others[company]]).to(training.device)
                    x = training.inputs(training.train.images[batch])
                    drawn.append(run.model(x)[0].double())
                logits.append(torch.stack(drawn).std(0))
        return torch.stack(logits).mean().item()

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        records = finished(records)
        by_name = groups(records, lambda r: r["config"]["norm"]["name"])
        looks = style.looks(name for name, _ in by_name)
        with style.figure(1, len(PANELS), 3.2) as (fig, axes):
            for ax, (part, title) in zip(axes[0], PANELS.items(), strict=True):
                for name, of_norm in by_name:
                    sizes, runs = [], []
                    for size, of_size in groups(of_norm, statistics_size):
                        sizes.append(size)
                        runs.append([number(record, part) for record in of_size])
                    width = max(map(len, runs))
                    lines = np.full((width, len(sizes)), np.nan)
                    for column, values in enumerate(runs):
                        lines[: len(values), column] = values
                    if np.isfinite(lines).any():
                        color, marker = looks[name]
                        draw_runs(ax, sizes, lines, np.nanmean, color, marker=marker, label=name)
                ax.set_title(title)
                ax.set_xlabel("images normalized together", fontsize=8)
                style.log_scale(ax, "x")
            style.legend(fig, axes[0, 0], 4)
            style.caption(
                fig,
                "By how many images share their statistics: the batch, or the ghost batch inside "
                "of a batch of 128. Smallest σ: of a layer's channels, median over batches, mean "
                "over layers. Noise: standard deviation of the same image's logit over companies. "
                "Losses in evaluation mode. Lines: means over seeds; shaded: from the lowest to "
                f"the highest. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        rows = []
        for name, of_norm in groups(finished(records), lambda r: r["config"]["norm"]["name"]):
            for size, of_size in groups(of_norm, statistics_size):
                means = [np.mean([number(r, part) for r in of_size]) for part in PANELS]
                rows.append([name, f"{size}", *means])
        headings = ["norm", "images", "accuracy", "smallest σ", "noise of a logit", "loss gap"]
        return page("The noise of a batch's statistics", records, number_table(headings, rows))


def statistics_size(record: Record) -> int:
    """How many images are normalized together: the batch, or a ghost batch."""
    return int(record["config"]["norm"]["layer"].get("size", record["batch_size"]))


def number(record: Record, part: str) -> float:
    """One of ``PANELS``; NaN where a network has none."""
    measured = record["measured"]
    if part == "gap":
        return float(measured["val_loss"] - measured["train_loss"])
    if part == "smallest":
        return float(np.mean(measured[part])) if measured[part] else np.nan
    return float(measured[part])
