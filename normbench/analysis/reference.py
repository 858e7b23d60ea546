"""The article's own numbers, as far as they are known: ``reference/article_tables.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from normbench.places import read_config

RUNS = 3  # behind each of the article's cells
DECIMALS = 2  # that its numbers are rounded to
GUESSING = 0.1  # accuracy with its data's ten classes of about the same size

# What it states of its runs; all else of their protocol is inferred.
DATA, EPOCHS, CONVOLUTIONS = "imagenette", 3, {"cnn4": 4}


@dataclass(frozen=True)
class ArticleCell:
    """A row of one of the article's tables: mean and standard deviation over ``RUNS`` runs.

    Attributes:
        model, norm, batch_size, lr: which row it is.
        accuracy_mean, accuracy_std, loss_mean, loss_std: None where they are not known.
    """

    model: str
    norm: str
    batch_size: int
    lr: float
    accuracy_mean: float | None
    accuracy_std: float | None
    loss_mean: float | None
    loss_std: float | None


@cache
def article_norms() -> tuple[str, ...]:
    """The norms of the article's tables and those set beside them, in the tables' order.

    ``configs/article.yaml`` lists them.
    """
    chosen = [entry for entry in read_config("article").defaults if not isinstance(entry, str)]
    return tuple(
        option
        for entry in chosen
        for group, option in entry.items()
        if str(group).startswith("norm@")
    )


def unlike_the_article(settings: Mapping[str, Any]) -> list[str]:
    """In what runs are not what the article states of its own, in words; empty: in nothing.

    Numbers of such runs cannot be set beside the article's.

    Args:
        settings: of the runs, as records hold them.
    """
    data, model = settings["data"], settings["model"]
    epochs = settings["train"]["epochs"]
    convolutions = CONVOLUTIONS.get(model["name"])
    found = []
    source = str(data["source"]["_target_"]).rpartition(".")[2]
    if data["source"]["_target_"] != f"normbench.{DATA}":
        what = data["name"] if data["name"] != DATA else f"{DATA} of {source}"
        found.append(f"their data are {what} and not {DATA}")
    if epochs != EPOCHS:
        found.append(f"they have {epochs} epoch{'s' * (epochs != 1)} and not {EPOCHS}")
    if convolutions and len(model.get("widths", ())) != convolutions:
        found.append(f"their network has not {convolutions} convolutions")
    return found


@cache
def article_cells() -> tuple[ArticleCell, ...]:
    """Every cell whose numbers are known, in the file's order."""
    file = resources.files("normbench") / "reference" / "article_tables.csv"
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return tuple(
        ArticleCell(
            row["model"],
            row["norm"],
            int(row["batch_size"]),
            float(row["lr"]),
            *(
                float(row[name]) if row[name] else None
                for name in ("accuracy_mean", "accuracy_std", "loss_mean", "loss_std")
            ),
        )
        for row in rows
    )
