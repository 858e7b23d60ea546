"""Ours beside the article's, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from normbench.analysis.calibrations import Calibration, was_fitted
from normbench.analysis.cells import Cell, Results
from normbench.analysis.groups import norm_rank
from normbench.analysis.reference import (
    DECIMALS,
    RUNS,
    ArticleCell,
    unlike_the_article,
)
from normbench.analysis.welch import Estimate, Sample, difference, spearman

ENOUGH_TO_RANK = 4  # norms


@dataclass(frozen=True)
class Pair:
    """A measure of a cell; None where it is not known.

    Attributes:
        ours, article: what we measured, what the article says.
        apart: ours minus the article's; for losses, of their logarithms.
    """

    ours: Sample | None
    article: Sample | None
    apart: Estimate | None

    @property
    def agrees(self) -> bool:
        return self.apart is not None and self.apart.could_be_zero


@dataclass(frozen=True)
class Row:
    """A cell, ours and the article's.

    Attributes:
        cell: ours; without records where only the article has it.
        accuracy, loss: of the validation split after the last epoch.
        calibrated: whether the article's cell decided on the protocol, or was predicted by it; None
            for protocols that were not chosen by the article's cells (``calibrations``).
    """

    cell: Cell
    accuracy: Pair
    loss: Pair
    calibrated: bool | None


def compare(
    results: Results, article: Iterable[ArticleCell], calibration: Calibration | None = None
) -> list[Row]:
    """Every cell of the results and of the article, in the tables' order.

    Of models whose runs are of another kind than the article's (``not_comparable``), its cells are
    left out.

    Args:
        results: ours.
        article: its cells.
        calibration: whose results they are; None: to be found by their settings.
    """
    left_out = not_comparable(results)
    theirs = {(c.model, c.norm, c.batch_size, c.lr): c for c in article if c.model not in left_out}
    models = list(dict.fromkeys(model for model, *_ in [*results.cells, *theirs]))
    keys = sorted(
        results.cells.keys() | theirs.keys(),
        key=lambda k: (models.index(k[0]), norm_rank(k[1]), -k[2], -k[3]),
    )
    fitted = {
        place: calibration.fitted(*place) if calibration else was_fitted(settings)
        for place, settings in results.settings.items()
    }
    return [
        _row(results.cells.get(key) or Cell(*key, seeds=()), theirs.get(key), fitted.get(key[:2]))
        for key in keys
    ]


def not_comparable(results: Results) -> dict[str, list[str]]:
    """Models whose runs cannot be set beside the article's, and why, in words."""
    found = {model: unlike_the_article(of) for (model, _), of in results.settings.items()}
    return {model: reasons for model, reasons in found.items() if reasons}


def _row(cell: Cell, article: ArticleCell | None, calibrated: bool | None) -> Row:
    accuracy = loss = None
    if article:
        accuracy = published(article.accuracy_mean, article.accuracy_std)
        loss = published(article.loss_mean, article.loss_std)
    log_ratio = difference(cell.loss and cell.loss.log(), loss and loss.log())
    return Row(
        cell,
        Pair(cell.accuracy, accuracy, difference(cell.accuracy, accuracy)),
        Pair(cell.loss, loss, log_ratio),
        calibrated,
    )


def published(mean: float | None, std: float | None) -> Sample | None:
    """What the article says of runs, rounded as it is; None where it does not."""
    return None if mean is None else Sample(mean, std, RUNS, unit=10**-DECIMALS)


def rank_correlations(
    rows: Iterable[Row],
) -> dict[tuple[str, int, float], tuple[int, float | None]]:
    """How alike norms rank within a cell, by accuracy.

    Returns:
        (model, batch size, learning rate) -> how many norms have both numbers, and Spearman's rank
        correlation, if they are enough.
    """
    means: dict[tuple[str, int, float], list[tuple[float, float]]] = {}
    for row in rows:
        cell, ours, article = row.cell, row.accuracy.ours, row.accuracy.article
        if ours and article:
            key = cell.model, cell.batch_size, cell.lr
            means.setdefault(key, []).append((ours.mean, article.mean))
    found = {}
    for key, pairs in means.items():
        enough = len(pairs) >= ENOUGH_TO_RANK
        found[key] = len(pairs), spearman(*zip(*pairs, strict=True)) if enough else None
    return found
