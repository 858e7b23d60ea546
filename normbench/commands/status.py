"""``normbench status``: what the grids of a results folder have, lack and wait for."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.errors import UserError
from normbench.report.status import describe


def main(cfg: DictConfig) -> None:
    results = Path(cfg.results.dir)
    if not any((results / folder).is_dir() for folder in ("records", "probes", "grids")):
        raise UserError(
            f"results.dir={results} holds no records: train some with normbench run, "
            "or name another folder with results.dir=DIR"
        )
    print(describe(results))
