"""Set the records beside the article's numbers.

Settings are those of the runs to look at, as normbench run takes them; train.precision=auto
is the precision that most of them have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normbench.config import ArticleConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = """\
normbench compare
normbench compare optimizer=sgd      # records of another protocol
"""


def main(cfg: DictConfig) -> None:
    from normbench.analysis.comparison import compare
    from normbench.analysis.reference import article_cells
    from normbench.article_grid import resolve
    from normbench.report import comparison_figure
    from normbench.report.comparison import as_csv, markdown
    from normbench.store.files import write_atomically

    article = resolve(cfg)
    results = article.records()
    rows = compare(results, article_cells())
    text = markdown(results, rows)
    folder = article.results
    write_atomically(folder / "comparison.md", text)
    write_atomically(folder / "comparison.csv", as_csv(rows))
    figure = comparison_figure.draw(results, rows, folder / "figures" / "comparison")
    print(text)
    print("Written:", *(folder / "comparison.md", folder / "comparison.csv", *figure))
