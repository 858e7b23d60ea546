"""What claims are judged by: what was measured of one model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from normbench.report.cells import Cell, Results
from normbench.report.welch import Sample

GUESSING = 0.1  # accuracy with ten classes of the same size


@dataclass(frozen=True)
class Evidence:
    """What was measured of one model under one protocol.

    cells: by norm, batch size and learning rate; those of the grid are all there, run or not.
    """

    model: str
    cells: dict[tuple[str, int, float], Cell]

    @classmethod
    def of(cls, results: Results, model: str) -> Evidence:
        return cls(model, {k[1:]: cell for k, cell in results.cells.items() if k[0] == model})

    def accuracy(self, norm: str, batch_size: int, lr: float) -> Sample | None:
        """Over the runs of a cell; one that diverged counts as guessing. None without runs."""
        cell = self.cells.get((norm, batch_size, lr))
        return cell and Sample.of(
            [
                r["epochs"][-1]["val_accuracy"] if r["status"] == "finished" else GUESSING
                for r in cell.records
            ]
        )

    def log_seconds(self, norm: str, batch_size: int, lr: float, device: str) -> Sample | None:
        """Logarithms of the training times of a cell's finished runs on one device."""
        cell = self.cells.get((norm, batch_size, lr))
        return cell and Sample.of(
            [
                math.log(r["train_seconds"])
                for r in cell.finished
                if r["environment"]["device"] == device
            ]
        )

    def caveats(self, *cells: tuple[str, int, float]) -> str:
        """Which runs of these cells lack or diverged, in words; empty where all is well."""
        known = [(key, self.cells.get(key)) for key in cells]
        return "; ".join(
            f"{norm} bs={bs} lr={lr:g}: {cell.caveat if cell else 'not run'}"
            for (norm, bs, lr), cell in known
            if cell is None or cell.caveat
        )
