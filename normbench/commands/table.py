"""``normbench table``: the markdown tables, from the records alone."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.errors import UserError
from normbench.report.tables import write_tables


def main(cfg: DictConfig) -> None:
    results = Path(cfg.results.dir)
    if not (results / "records").is_dir():
        raise UserError(
            f"results.dir={results} holds no records: train some with normbench run, "
            "or name another folder with results.dir=DIR"
        )
    texts = write_tables(results)
    if not texts:
        raise UserError(f"results.dir={results} holds no record that can be read")
    print("\n\n".join(text.rstrip("\n") for text in texts.values()))
