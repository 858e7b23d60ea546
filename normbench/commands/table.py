"""Write the markdown tables anew, from the records alone, and print them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import StoredConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = "normbench table results.dir=results\n"


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_folder
    from normbench.errors import UserError
    from normbench.report.tables import write_tables
    from normbench.store.records import nothing_recorded

    check_folder("results.dir", cfg.results.dir)
    results = Path(cfg.results.dir)
    if not (results / "records").is_dir():
        raise nothing_recorded(results)
    texts = write_tables(results)
    if not texts:
        raise UserError(f"results.dir={results} holds no record that can be read")
    print("\n\n".join(text.rstrip("\n") for text in texts.values()))
