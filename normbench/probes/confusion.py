"""Which classes are taken for which, once a network is trained."""

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
from normbench.probes.curves import finished
from normbench.probes.probe import WatchingProbe
from normbench.store.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from normbench.probes.watching import Watched

TOP = 5  # classes, one of which has to be the right one
COLUMNS = 3  # of panels
MANY = 20  # classes, whose names have no place on an axis


@dataclass(kw_only=True)
class Confusion(WatchingProbe):
    """The classes of the validation split's images, and those that they are taken for.

    Attributes:
        steps: see WatchingProbe.

    Measures:
        classes: their names.
        confusion: for each class, how many of its images were taken for each class.
        top5: the share of images whose class is among the five with the largest logits; of fewer
            classes, among all of them.
        Nothing of a run that diverged.
    """

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        import torch

        from normbench.probes.watching import numbers

        training, data = run.training, run.training.data
        count = len(data.classes)
        if not (yield run.steps):
            return {"classes": list(data.classes)}
        run.model.eval()
        confusion = torch.zeros(count, count, dtype=torch.int64, device=training.device)
        among = torch.zeros((), dtype=torch.int64, device=training.device)
        with torch.no_grad():
            for images, labels in zip(
                data.val.images.split(256), data.val.labels.split(256), strict=True
            ):
                with training.autocast():
                    logits = run.model(training.inputs(images)).float()
                pairs = labels * count + logits.argmax(1)
                confusion += torch.bincount(pairs, minlength=count**2).view(count, count)
                best = logits.topk(min(TOP, count), 1).indices
                among += (best == labels[:, None]).sum()
        return {
            "classes": list(data.classes),
            "confusion": confusion.tolist(),
            "top5": numbers(among / len(data.val.labels)),
        }

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        norms = {norm: finished(group) for norm, group in by_norm(records).items()}
        names = records[0]["measured"]["classes"]
        rows = -(-len(norms) // COLUMNS)
        columns = min(COLUMNS, len(norms))
        with style.figure(rows, columns, 0.9 + 2.9 * rows) as (fig, axes):
            for ax in axes.flat[len(norms) :]:
                ax.set_axis_off()
            for place, (norm, group) in enumerate(norms.items()):
                ax = axes.flat[place]
                ax.set_title(norm)
                ax.grid(False)
                if group:
                    image = ax.imshow(shares(group), vmin=0, vmax=1, cmap="cividis")
                if len(names) <= MANY:
                    shown = [_short(name) for name in names]
                    ax.set_xticks(range(len(names)), shown, rotation=90, fontsize=7)
                    ax.set_yticks(range(len(names)), shown, fontsize=7)
                    if place % columns:
                        ax.set_yticklabels([])
                if place % columns == 0:
                    ax.set_ylabel("class")
            if any(norms.values()):
                bar = fig.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
                bar.set_label("share of the class")
            style.caption(
                fig,
                "Rows: classes of the validation images; columns: what they are taken for. Means "
                f"over {how_many(records)}. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        names = records[0]["measured"]["classes"]
        rows = []
        for norm, group in by_norm(records).items():
            done = finished(group)
            by_class = np.diag(shares(done)) if done else np.full(len(names), np.nan)
            ends = [accuracies(done), [r["measured"]["top5"] for r in done]]
            rows.append([norm, *(float(np.mean(e)) if done else np.nan for e in ends), *by_class])
        headings = ["norm", "accuracy", "top 5", *map(_short, names)]
        return page(
            "Accuracy by class",
            records,
            number_table(headings, rows),
            f"Means over {how_many(records)}.",
        )


def shares(records: list[Record]) -> np.ndarray:
    """(classes, classes): the share of each class's images taken for each, mean over runs."""
    counts = np.stack([array(record["measured"]["confusion"]) for record in records])
    return (counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)).mean(axis=0)


def accuracies(records: list[Record]) -> list[float]:
    """Of each run, over all images."""
    found = [array(record["measured"]["confusion"]) for record in records]
    return [float(np.trace(counts) / counts.sum()) for counts in found]


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"
