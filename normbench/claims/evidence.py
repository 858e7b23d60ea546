"""What claims are judged by: what was measured of one model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from normbench.analysis.cells import Cell, Results
from normbench.analysis.comparison import published
from normbench.analysis.groups import norm_rank
from normbench.analysis.reference import GUESSING, ArticleCell, article_norms
from normbench.analysis.welch import Sample

Cells = Mapping[tuple[str, int, float], Cell]  # by norm, batch size and learning rate


@dataclass(frozen=True)
class Quantity:
    """A number that a probe's record holds.

    Attributes:
        name: in words.
        probe: whose records.
        number: takes it from a record's ``measured``.
        diverged: what a run that diverged counts as; None: such runs are left out.
    """

    name: str
    probe: str
    number: Callable[[dict[str, Any]], float]
    diverged: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What was measured of one model under one protocol.

    Attributes:
        model: its name.
        cells: those of the grid are all there, run or not.
        probes: what each probe measured, with its default settings.
        norms: that a claim about all norms is about.
    """

    model: str
    cells: Cells
    probes: Mapping[str, Cells] = field(default_factory=dict)
    norms: tuple[str, ...] = field(default_factory=article_norms)

    @classmethod
    def of(
        cls, results: Results, model: str, probes: Mapping[str, Results] | None = None
    ) -> Evidence:
        def cells(found: Results) -> Cells:
            return {key[1:]: cell for key, cell in found.cells.items() if key[0] == model}

        return cls(model, cells(results), {k: cells(found) for k, found in (probes or {}).items()})

    def accuracy(self, norm: str, batch_size: int, lr: float) -> Sample | None:
        """Over the runs of a cell; one that diverged counts as guessing. None without runs."""
        cell = self.cells.get((norm, batch_size, lr))
        if cell is None:
            return None
        return Sample.of(
            [
                r["epochs"][-1]["val_accuracy"] if r["status"] == "finished" else GUESSING
                for r in cell.records
            ]
        )

    def log_seconds(self, norm: str, batch_size: int, lr: float, device: str) -> Sample | None:
        """Logarithms of the training times of a cell's finished runs on one device."""
        cell = self.cells.get((norm, batch_size, lr))
        if cell is None:
            return None
        return Sample.of(
            [
                math.log(r["train_seconds"])
                for r in cell.finished
                if r["environment"]["device"] == device
            ]
        )

    def probed(self, quantity: Quantity, norm: str, batch_size: int, lr: float) -> Sample | None:
        """A probe's number over the runs of a cell; None without runs."""
        cell = self.probes.get(quantity.probe, {}).get((norm, batch_size, lr))
        if cell is None:
            return None
        numbers = [
            quantity.number(r["measured"]) if r["status"] == "finished" else quantity.diverged
            for r in cell.records
        ]
        return Sample.of([number for number in numbers if number is not None])

    def caveats(self, *cells: tuple[str, int, float], probe: str | None = None) -> str:
        """Which runs of these cells lack or diverged, in words; empty where all is well.

        They are the grid's runs, or those that a probe measured.
        """
        among = self.cells if probe is None else self.probes.get(probe, {})
        known = [(key, among.get(key)) for key in dict.fromkeys(cells)]
        of = "" if probe is None else f"{probe}, "
        return "; ".join(
            f"{of}{norm} bs={bs} lr={lr:g}: {cell.caveat if cell else 'not run'}"
            for (norm, bs, lr), cell in known
            if cell is None or cell.caveat
        )


@dataclass(frozen=True)
class ArticleEvidence(Evidence):
    """What the article's tables say of one model: claims are judged by it as by our own runs.

    Attributes:
        accuracies: by norm, batch size and learning rate.
    """

    accuracies: Mapping[tuple[str, int, float], Sample] = field(default_factory=dict)

    @classmethod
    def of_tables(cls, model: str, article: Iterable[ArticleCell]) -> ArticleEvidence:
        found = {
            (cell.norm, cell.batch_size, cell.lr): sample
            for cell in article
            if cell.model == model
            and (sample := published(cell.accuracy_mean, cell.accuracy_std)) is not None
        }
        norms = tuple(sorted({norm for norm, *_ in found}, key=norm_rank))
        return cls(model, {}, {}, norms, found)

    def accuracy(self, norm: str, batch_size: int, lr: float) -> Sample | None:
        return self.accuracies.get((norm, batch_size, lr))

    def caveats(self, *cells: tuple[str, int, float], probe: str | None = None) -> str:
        return ""
