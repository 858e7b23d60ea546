"""Tell what a calibrated protocol predicted of the article's numbers.

It is found among the records by its settings as they were when it was calibrated, whatever the
default protocol is now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normbench.config import StoredConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = """\
normbench predictions
normbench predictions results.dir=results
"""


def main(cfg: DictConfig) -> None:
    from pathlib import Path

    from normbench.analysis.calibrations import calibrations
    from normbench.analysis.comparison import compare
    from normbench.analysis.reference import article_cells
    from normbench.checks import check_folder
    from normbench.errors import UserError
    from normbench.report.predictions import markdown
    from normbench.store.files import write_atomically
    from normbench.store.records import nothing_recorded, read_all

    check_folder("results.dir", cfg.results.dir)
    folder = Path(cfg.results.dir)
    records = read_all(folder)
    if not records:
        raise nothing_recorded(folder)
    found = []
    for calibration in calibrations():
        results = calibration.results(records)
        rows = compare(results, article_cells(), calibration)
        if any(row.accuracy.apart and not row.calibrated for row in rows):
            found.append((calibration, results, rows))
    if not found:
        raise UserError(
            f"results.dir={folder} holds no record of a cell that a calibrated protocol predicted: "
            "look at those that are published with normbench predictions results.dir=results"
        )
    text = markdown(found)
    path = folder / "predictions.md"
    write_atomically(path, text)
    print(text)
    print("Written:", path)
