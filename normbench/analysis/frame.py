"""Records as a table of pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.errors import UserError
from normbench.store.records import Record, read_all

if TYPE_CHECKING:
    import pandas

# Every column, and its type: the same whatever a folder holds.
COLUMNS = {
    **dict.fromkeys(("key", "data", "model", "norm"), "object"),
    "batch_size": "int64", "lr": "float64", "seed": "int64", "status": "object",
    **dict.fromkeys(("accuracy", "loss", "train_loss"), "float64"),
    **dict.fromkeys(("train_seconds", "images_per_second"), "float64"),
    **dict.fromkeys(("device", "precision"), "object"),
    **dict.fromkeys(("norm_layers", "other_norm_layers"), "Int64"),
    **dict.fromkeys(("config", "epochs"), "object"),
}  # fmt: skip


def load_records(results: str | Path = "results") -> pandas.DataFrame:
    """Every record of a results folder, one row a run.

    Columns: key, data, model, norm, batch_size, lr, seed, status, accuracy and loss (validation,
    last epoch; missing for diverged runs), train_loss, train_seconds, images_per_second, device,
    precision, norm_layers and other_norm_layers (how many layers of the norm were found in the
    network, and how many norms of its own; missing where the record does not say), and config (the
    settings as a dict) and epochs (a list of dicts). A folder without records has them, too.

    Raises:
        UserError: if there is no such folder.
    """
    if not Path(results).is_dir():
        raise UserError(f"results.dir={results} does not exist: name a folder that holds results")
    return frame_of(read_all(Path(results)))


def frame_of(records: Iterable[Record]) -> pandas.DataFrame:
    """Records as ``load_records`` has them, a row each, in their order."""
    import pandas

    rows = []
    for record in records:
        last = record["epochs"][-1] if record["status"] == "finished" else {}
        layers = record.get("norm_layers") or {}
        rows.append(
            {
                "key": record["key"],
                "data": record["config"]["data"]["name"],
                "model": record["config"]["model"]["name"],
                "norm": record["config"]["norm"]["name"],
                "batch_size": record["batch_size"],
                "lr": record["lr"],
                "seed": record["seed"],
                "status": record["status"],
                "accuracy": last.get("val_accuracy", math.nan),
                "loss": last.get("val_loss", math.nan),
                "train_loss": last.get("train_loss", math.nan),
                "train_seconds": record["train_seconds"],
                "images_per_second": record["images_per_second"],
                "device": record["environment"]["device"],
                "precision": record["config"]["train"]["precision"],
                "norm_layers": layers.get("found"),
                "other_norm_layers": layers.get("others"),
                "config": record["config"],
                "epochs": record["epochs"],
            }
        )
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
