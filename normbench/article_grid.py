"""The article's cells under one protocol, resolved once from a config.

What compare, claims, figures and calibration look for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normbench.analysis.cells import Results, default_probes, select, select_probes
from normbench.checks import check_folder, check_grid, check_train
from normbench.errors import UserError
from normbench.grid import Grid
from normbench.settings import Settings, outcome_settings, plain, settle_replaced_parts
from normbench.store.keys import stable
from normbench.store.probe_records import read_probe
from normbench.store.records import nothing_recorded, read_all


@dataclass(frozen=True)
class ArticleGrid:
    """What to look for in a results folder.

    Attributes:
        results: the folder.
        settings: (model, norm) -> what a run's record holds of its settings.
        grid: of a complete table.
    """

    results: Path
    settings: Mapping[tuple[str, str], Settings]
    grid: Grid

    def find(self) -> Results:
        """The cells and their records, if there are any."""
        return select(read_all(self.results), self.settings, self.grid)

    def records(self) -> Results:
        """The cells and their records.

        Raises:
            UserError: if there is no such record.
        """
        results = self.find()
        if not results.records:
            raise self.nothing_found()
        return results

    def probes(self) -> dict[str, Results]:
        """What normbench's probes measured under this protocol, with their default settings."""
        records = {name: read_probe(self.results, name) for name in default_probes()}
        return select_probes(records, self.settings, self.grid)

    def nothing_found(self) -> UserError:
        """What to tell a user whose results folder has no record of this protocol."""
        others = len(list((self.results / "records").glob("*.json")))
        if not others:
            return nothing_recorded(self.results)
        return UserError(
            f"results.dir={self.results} holds no record of this protocol ({others} of others): "
            "train the article's cells with normbench run -m experiment=article, or give the "
            "settings of those to look at, such as optimizer=sgd or data=synthetic"
        )


def resolve(cfg: DictConfig) -> ArticleGrid:
    """Check a config (an ``ArticleConfig``) of the command that runs, and find what it means.

    Raises:
        UserError: for a grid or training settings that make no sense.
    """
    settle_replaced_parts(cfg, list(HydraConfig.get().overrides.task))
    check_folder("results.dir", cfg.results.dir)
    check_grid(cfg.grid)
    check_train(cfg.train)
    return ArticleGrid(Path(cfg.results.dir), article_settings(cfg), Grid.of(cfg.grid))


def article_settings(cfg: DictConfig) -> dict[tuple[str, str], Settings]:
    """(model, norm) -> what a run's record holds of its settings, for all of the article's."""
    config = plain(cfg)
    return {
        (model["name"], norm["name"]): stable(
            outcome_settings(config | {"model": model, "norm": norm}, config["train"]["precision"])
        )
        for model in config["models"].values()
        for norm in config["norms"].values()
    }
