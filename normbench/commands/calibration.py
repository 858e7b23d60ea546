"""``normbench calibration``: scores candidate protocols against the article's cells."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.config import article_settings
from normbench.errors import UserError
from normbench.records import read_all, write_atomically
from normbench.report.article import CALIBRATED_ON
from normbench.report.calibration import candidates, render


def main(cfg: DictConfig) -> None:
    folder = Path(cfg.results.dir)
    settings = {
        (model, norm): config
        for (model, norm), config in article_settings(cfg).items()
        if norm in CALIBRATED_ON.get(model, ())
    }
    models = {model for model, _ in settings}
    records = [r for r in read_all(folder) if r["config"]["model"]["name"] in models]
    default = {k: v for k, v in next(iter(settings.values())).items() if k != "norm"}
    norms = {norm: config["norm"] for (_, norm), config in settings.items()}
    records = [r for r in records if r["config"]["norm"]["name"] in norms]
    found = candidates(records, default, norms)
    if not found:
        raise UserError(
            f"results.dir={folder} holds no record of the article's cells: train candidates with "
            "normbench run -m experiment=calibrate"
        )
    text = render(found)
    path = folder.with_name(f"{folder.name}.md")
    write_atomically(path, text)
    print(text)
    print(f"Written to {path}")
