"""What commands about the article share: finding the records of its cells."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normbench.config import article_settings, check_grid, check_train, drop_replaced_settings
from normbench.errors import UserError
from normbench.records import read_all
from normbench.report.cells import Results, select


def results_of(cfg: DictConfig) -> Results:
    """The cells of the config's protocol and their records.

    Raises:
        UserError: if there is no such record.
    """
    drop_replaced_settings(cfg, list(HydraConfig.get().overrides.task))
    check_grid(cfg.grid)
    check_train(cfg.train)
    folder = Path(cfg.results.dir)
    if not (folder / "records").is_dir():
        raise UserError(
            f"results.dir={folder} holds no records: train some with normbench run, "
            "or name another folder with results.dir=DIR"
        )
    grid = cfg.grid.batch_size, cfg.grid.lr, cfg.grid.seeds
    records = read_all(folder)
    results = select(records, article_settings(cfg), tuple(list(axis) for axis in grid))
    if not results.records:
        raise UserError(
            f"results.dir={folder} holds no record of this protocol ({len(records)} of others): "
            "train the article's cells with normbench run -m experiment=article, or give the "
            "settings of those to look at, such as optimizer=sgd"
        )
    return results
