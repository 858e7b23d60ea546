"""BatchNorm taken apart: how much of what it brings is due to which part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import protocol_line
from normbench.drawing.text import number_table
from normbench.probes.curves import Curves, draw_curves, finished, std_over_runs
from normbench.store.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING, ALL = "none", "batchnorm"  # the norms between which the others are

# Norm -> {of what: (mean, standard deviation over seeds)}
Shares = dict[str, dict[str, tuple[float, float]]]


class Ablation(Curves):
    """Curves of norms that have some of BatchNorm's parts, and their shares of its improvement.

    A share is (nothing - part) / (nothing - all), seed by seed: of the validation loss at the end,
    of the accuracy there, and of the loss averaged over training, which tells how fast it falls.
    """

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        with style.figure(1, 3, 3.6) as (fig, axes):
            for ax, part in zip(axes[0], ("val_loss", "val_accuracy"), strict=False):
                draw_curves(ax, records, part)
            if found := shares(records):
                _draw_shares(axes[0, 2], found)
            else:
                axes[0, 2].set_axis_off()
                axes[0, 2].legend(*axes[0, 0].get_legend_handles_labels(), loc="center left")
            style.caption(
                fig,
                "Mean ± standard deviation over seeds; norms have the same color and marker on all "
                "sides. Share of the improvement: (none − norm) / (none − batchnorm), of the "
                f"validation loss at the end. {protocol_line(records)}.",
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
            + number_table(["norm", *kinds], rows)
            + "\n\nA share is (none − norm) / (none − batchnorm), seed by seed, mean ± standard "
            "deviation. It need not lie between 0 and 100%, and shares need not sum up.\n"
        )


def shares(records: list[Record]) -> Shares:
    """The share of each norm; none without the two ends.

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
        "loss over training": lambda m: np.mean(array(m["val_loss"])),
    }
    found: Shares = {}
    for norm, seeds in norms.items():
        common = sorted(set(seeds) & set(norms[NOTHING]) & set(norms[ALL]))
        if not common or norm == NOTHING:
            continue
        found[norm] = {}
        for kind, measure in kinds.items():
            nothing, all_, part = (
                array([measure(group[seed]) for seed in common])
                for group in (norms[NOTHING], norms[ALL], seeds)
            )
            share = (nothing - part) / (nothing - all_)
            found[norm][kind] = float(share.mean()), float(std_over_runs(share))
    return found


def _draw_shares(ax: Axes, found: Shares) -> None:
    """Those of the loss at the end, the largest on top."""
    ends = {norm: kinds["loss at the end"] for norm, kinds in found.items()} | {NOTHING: (0, 0)}
    ranked = sorted(ends, key=lambda norm: ends[norm])
    for place, norm in enumerate(ranked):
        mean, std = (100 * number for number in ends[norm])
        ax.errorbar(
            mean, place, xerr=std, elinewidth=1.6, linestyle="none",
            color=style.color(norm), marker=style.marker(norm),
        )  # fmt: skip
    ax.set_yticks(range(len(ranked)), ranked)
    ax.set_ylim(-0.6, len(ranked) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.set_title("improvement")
    ax.set_xlabel("share of batchnorm's, %")


def _percent(mean: float, std: float) -> str:
    return f"{100 * mean:.0f} ± {100 * std:.0f}%"
