"""BatchNorm taken apart: how much of what it brings is due to which part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normbench.probes.curves import Curves, draw_curves, finished, spread
from normbench.probes.probe import Record
from normbench.report import style
from normbench.report.figures import by_norm, markdown_table, protocol_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING, ALL = "none", "batchnorm"  # the norms between which the others are


class Ablation(Curves):
    """Curves of norms that have some of BatchNorm's parts, and their shares of its improvement.

    A share is (nothing - part) / (nothing - all), seed by seed: of the validation loss at the end,
    of the accuracy there, and of the loss averaged over training, which tells how fast it falls.
    """

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        with style.figure(1, 3, 3.9, width_ratios=(1, 1, 0.9)) as (fig, axes):
            for ax, part in zip(axes[0], ("val_loss", "val_accuracy"), strict=False):
                draw_curves(ax, records, part)
            _draw_shares(axes[0, 2], shares(records))
            style.caption(
                fig,
                "Mean ± standard deviation over seeds. Share: (none - norm) / (none - batchnorm) "
                f"of the validation loss at the end. {protocol_line(records)}.",
            )
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        found = shares(records)
        if not found:
            return ""
        kinds = list(next(iter(found.values())))
        rows = [
            [norm, *(_percent(*of_norm[kind]) for kind in kinds)] for norm, of_norm in found.items()
        ]
        return (
            Curves.summarize(records)
            + "\n# Shares of BatchNorm's improvement\n\n"
            + markdown_table(["norm", *kinds], rows)
            + "\n\nA share is (none - norm) / (none - batchnorm), seed by seed, mean ± standard "
            "deviation. It need not lie between 0 and 100%, and shares need not sum up.\n"
        )


def shares(records: list[Record]) -> dict[str, dict[str, tuple[float, float]]]:
    """Norm -> {of what: (mean, standard deviation over seeds)}; empty without the two ends.

    Only seeds count for which the norm and both ends finished.
    """
    norms = {
        norm: {record["seed"]: record["measured"] for record in finished(group)}
        for norm, group in by_norm(records).items()
    }
    if NOTHING not in norms or ALL not in norms:
        return {}
    kinds = {
        "loss at the end": lambda m: m["val_loss"][-1],
        "accuracy at the end": lambda m: m["val_accuracy"][-1],
        "loss over training": lambda m: np.mean(np.array(m["val_loss"], dtype=float)),
    }
    found = {}
    for norm, seeds in norms.items():
        common = sorted(set(seeds) & set(norms[NOTHING]) & set(norms[ALL]))
        if not common or norm == NOTHING:
            continue
        found[norm] = {}
        for kind, measure in kinds.items():
            nothing, all_, part = (
                np.array([measure(group[seed]) for seed in common], dtype=float)
                for group in (norms[NOTHING], norms[ALL], seeds)
            )
            share = (nothing - part) / (nothing - all_)
            found[norm][kind] = float(share.mean()), float(spread(share))
    return found


def _draw_shares(ax, found: dict[str, dict[str, tuple[float, float]]]) -> None:
    for place, (norm, kinds) in enumerate(found.items()):
        mean, std = kinds["loss at the end"]
        ax.barh(-place, 100 * mean, xerr=100 * std, color=style.color(norm), height=0.7)
    ax.set_yticks([-place for place in range(len(found))], list(found))
    ax.axvline(0, color=style.INK, lw=0.8)
    ax.set_title("share of the improvement")
    ax.set_xlabel("%")


def _percent(mean: float, std: float) -> str:
    return f"{100 * mean:.0f} ± {100 * std:.0f}%"
