"""BatchNorm taken apart: how much of what it brings is due to which part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import array
from normbench.analysis.groups import by_norm
from normbench.drawing import style
from normbench.drawing.captions import protocol_line
from normbench.drawing.lines import label_ends
from normbench.drawing.text import number_table
from normbench.probes.curves import Curves, draw_curves, finished, std_over_runs, what_lines_are
from normbench.store.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING, ALL = "none", "batchnorm"  # the norms between which the others are

KINDS: dict[str, Callable[[dict[str, Any]], float]] = {
    "loss at the end": lambda m: m["val_loss"][-1],
    "accuracy at the end": lambda m: m["val_accuracy"][-1],
    "loss over training": lambda m: float(np.mean(array(m["val_loss"]))),
}

# Norm -> {of what: (mean, standard deviation over seeds)}
Shares = dict[str, dict[str, tuple[float, float]]]


class Ablation(Curves):
    """Curves of norms that have some of BatchNorm's parts, and their shares of its improvement.

    A share is (nothing - part) / (nothing - all), seed by seed: of the validation loss at the end,
    of the accuracy there, and of the loss averaged over training, which tells how fast it falls.
    """

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        found = shares(records)
        rows = [3.0, *([0.7 + 0.23 * (len(found) + 1)] if found else [])]
        with style.canvas(0.9 + sum(rows)) as fig:
            parts = fig.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
            colors = {norm: look.color for norm, look in style.looks(by_norm(records)).items()}
            for ax, part in zip(parts[0].subplots(1, 2), ("val_loss", "val_accuracy"), strict=True):
                draw_curves(ax, records, part)
                label_ends(ax, colors)
            meaning = ""
            if found:
                _draw_shares(parts[1].subplots(1, len(KINDS), sharex=True, sharey=True), found)
                meaning = (
                    " Below, shares of the improvement: (none − norm) / (none − batchnorm), seed "
                    "by seed."
                )
            style.caption(fig, f"{what_lines_are(records)}{meaning} {protocol_line(records)}.")
        return fig

    @staticmethod
    def summarize(records: list[Record]) -> str:
        found = shares(records)
        if not found:
            return ""
        rows = [
            [norm, *(_percent(*of_norm[kind]) for kind in KINDS)] for norm, of_norm in found.items()
        ]
        return (
            Curves.summarize(records)
            + "\n# Shares of BatchNorm's improvement\n\n"
            + number_table(["norm", *KINDS], rows)
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
    found: Shares = {}
    for norm, seeds in norms.items():
        common = sorted(set(seeds) & set(norms[NOTHING]) & set(norms[ALL]))
        if not common or norm == NOTHING:
            continue
        found[norm] = {}
        for kind, measure in KINDS.items():
            nothing, all_, part = (
                array([measure(group[seed]) for seed in common])
                for group in (norms[NOTHING], norms[ALL], seeds)
            )
            share = (nothing - part) / (nothing - all_)
            found[norm][kind] = float(share.mean()), float(std_over_runs(share))
    return found


def _draw_shares(axes: Sequence[Axes], found: Shares) -> None:
    """A panel a kind, a row a norm; the largest share of the loss at the end is on top."""
    nothing = dict.fromkeys(KINDS, (0.0, 0.0))
    of_all = {NOTHING: nothing} | found
    ranked = sorted(of_all, key=lambda norm: of_all[norm]["loss at the end"])
    looks = style.looks(of_all)
    for ax, kind in zip(axes, KINDS, strict=True):
        for place, norm in enumerate(ranked):
            mean, std = (100 * number for number in of_all[norm][kind])
            color, marker = looks[norm]
            ax.errorbar(
                mean, place, xerr=std, elinewidth=1.6, linestyle="none", color=color, marker=marker
            )
        ax.set_title(kind)
        ax.set_xlabel("% of batchnorm's improvement")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(ranked)), ranked)
    axes[0].set_ylim(-0.6, len(ranked) - 0.4)


def _percent(mean: float, std: float) -> str:
    return f"{100 * mean:.0f} ± {100 * std:.0f}%"
