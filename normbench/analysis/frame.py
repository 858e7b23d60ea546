"""Records as a table of pandas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.errors import UserError
from normbench.store.records import read_all

if TYPE_CHECKING:
    import pandas


def load_records(results: str | Path = "results") -> pandas.DataFrame:
    """Every record of a results folder, one row a run.

    Columns: key, data, model, norm, batch_size, lr, seed, status, accuracy and loss (validation,
    last epoch; missing for diverged runs), train_loss, train_seconds, images_per_second, device,
    precision, and config (the settings as a dict) and epochs (a list of dicts).

    Raises:
        UserError: if there is no such folder.
    """
    import pandas

    if not Path(results).is_dir():
        raise UserError(f"results.dir={results} does not exist: name a folder that holds results")
    rows = []
    for record in read_all(Path(results)):
        last = record["epochs"][-1] if record["status"] == "finished" else {}
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
                "config": record["config"],
                "epochs": record["epochs"],
            }
        )
    columns = list(rows[0]) if rows else ["key", "data", "model", "norm", "batch_size", "lr"]
    return pandas.DataFrame(rows, columns=columns)
