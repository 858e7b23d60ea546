"""How runs did while they trained, as a table of pandas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from normbench.analysis.frame import load_records

if TYPE_CHECKING:
    import pandas

RUN = ["key", "data", "model", "norm", "batch_size", "lr", "seed"]
MEASURES = ["train_loss", "val_loss", "val_accuracy"]


def load_curves(results: str | Path = "results") -> pandas.DataFrame:
    """Every epoch of every run of a results folder, one row an epoch.

    Columns: key, data, model, norm, batch_size, lr and seed, as ``load_records`` has them; epoch,
    from 1; train_loss, its mean over the epoch; val_loss and val_accuracy, on the validation split
    after it. A diverged run has the epochs that it finished.

    Raises:
        UserError: if there is no such folder.
    """
    import pandas

    runs = load_records(results)
    rows = [
        [*(run[name] for name in RUN), number, *(epoch[measure] for measure in MEASURES)]
        for _, run in runs.iterrows()
        for number, epoch in enumerate(run["epochs"], start=1)
    ]
    frame = pandas.DataFrame(rows, columns=[*RUN, "epoch", *MEASURES])
    types = {name: runs[name].dtype for name in RUN}
    return frame.astype(types | {"epoch": "int64"} | dict.fromkeys(MEASURES, "float64"))
