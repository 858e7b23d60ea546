"""Score candidate protocols against the article's cells.

The candidates are the protocols among the records of results.dir; the report stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normbench.config import ArticleConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = """\
normbench run -m experiment=calibrate     # trains the candidates
normbench calibration                     # writes results/calibration.md
"""


def main(cfg: DictConfig) -> None:
    from normbench.analysis.candidates import candidates
    from normbench.analysis.reference import CALIBRATED_ON
    from normbench.article_grid import resolve
    from normbench.errors import UserError
    from normbench.report.calibration import render
    from normbench.store.files import write_atomically
    from normbench.store.records import read_all

    article = resolve(cfg)
    settings = {
        (model, norm): of
        for (model, norm), of in article.settings.items()
        if norm in CALIBRATED_ON.get(model, ())
    }
    models = {model for model, _ in settings}
    norms = {norm: of["norm"] for (_, norm), of in settings.items()}
    default = {k: v for k, v in next(iter(settings.values())).items() if k != "norm"}
    records = [
        record
        for record in read_all(article.results)
        if record["config"]["model"]["name"] in models and record["config"]["norm"]["name"] in norms
    ]
    found = candidates(records, default, norms)
    if not found:
        raise UserError(
            f"results.dir={article.results} holds no record of the article's cells: train "
            "candidates with normbench run -m experiment=calibrate"
        )
    text = render(found)
    path = article.results.with_name(f"{article.results.name}.md")
    write_atomically(path, text)
    print(text)
    print(f"Written to {path}")
