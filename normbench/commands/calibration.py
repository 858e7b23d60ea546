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
    from normbench.analysis.calibrations import was_fitted
    from normbench.analysis.candidates import MODEL, article_targets, candidates, places_of
    from normbench.analysis.reference import unlike_the_article
    from normbench.article_grid import resolve
    from normbench.errors import UserError
    from normbench.report.calibration import render
    from normbench.store.files import write_atomically
    from normbench.store.records import read_all

    article = resolve(cfg)
    known = {norm for norm, *_ in article_targets()}
    settings = {
        norm: of
        for (model, norm), of in article.settings.items()
        if model == MODEL and norm in known
    }
    norms = {norm: of["norm"] for norm, of in settings.items()}
    default = {k: v for k, v in next(iter(settings.values())).items() if k != "norm"}
    # a protocol that was never calibrated is looked at on all cells
    fitted = [norm for norm, of in settings.items() if was_fitted(of)]
    deciding = places_of(*(fitted or norms))
    records = [
        record
        for record in read_all(article.results)
        if record["config"]["model"]["name"] == MODEL and record["config"]["norm"]["name"] in norms
    ]
    alike = [record for record in records if not unlike_the_article(record["config"])]
    found = candidates(alike, default, norms, deciding)
    if not found:
        raise UserError(
            f"results.dir={article.results} holds no record of the article's cells: train "
            "candidates with normbench run -m experiment=calibrate"
        )
    text = render(found, deciding, len(records) - len(alike))
    path = article.results.with_name(f"{article.results.name}.md")
    write_atomically(path, text)
    print(text)
    print(f"Written to {path}")
