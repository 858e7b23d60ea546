"""What commands about the article share: finding the records of its cells."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normbench.config import (
    article_settings,
    check_grid,
    check_train,
    default_probes,
    drop_replaced_settings,
)
from normbench.errors import UserError
from normbench.probes.stored import read_probe
from normbench.records import read_all
from normbench.report.cells import Results, select, select_probes


def results_of(cfg: DictConfig) -> Results:
    """The cells of the config's protocol and their records.

    Raises:
        UserError: if there is no such record.
    """
    results = find_results(cfg)
    if not results.records:
        raise nothing_found(cfg)
    return results


def find_results(cfg: DictConfig) -> Results:
    """The cells of the config's protocol and their records, if there are any."""
    drop_replaced_settings(cfg, list(HydraConfig.get().overrides.task))
    check_grid(cfg.grid)
    check_train(cfg.train)
    return select(read_all(Path(cfg.results.dir)), article_settings(cfg), _grid(cfg))


def nothing_found(cfg: DictConfig) -> UserError:
    """What to tell a user whose results folder has no record of the config's protocol."""
    folder = Path(cfg.results.dir)
    others = len(list((folder / "records").glob("*.json")))
    if not others:
        return UserError(
            f"results.dir={folder} holds no records: train some with normbench run, "
            "or name another folder with results.dir=DIR"
        )
    return UserError(
        f"results.dir={folder} holds no record of this protocol ({others} of others): "
        "train the article's cells with normbench run -m experiment=article, or give the "
        "settings of those to look at, such as optimizer=sgd"
    )


def probes_of(cfg: DictConfig) -> dict[str, Results]:
    """What normbench's probes measured under the config's protocol, with their default settings."""
    records = {name: read_probe(Path(cfg.results.dir), name) for name in default_probes()}
    return select_probes(records, article_settings(cfg), _grid(cfg))


def _grid(cfg: DictConfig) -> tuple[list[int], list[float], list[int]]:
    return tuple(list(axis) for axis in (cfg.grid.batch_size, cfg.grid.lr, cfg.grid.seeds))
