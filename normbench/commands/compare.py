"""``normbench compare``: the records beside the article's numbers."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.commands.article import results_of
from normbench.records import write_atomically
from normbench.report import comparison_figure
from normbench.report.article import article_cells
from normbench.report.comparison import as_csv, compare, markdown


def main(cfg: DictConfig) -> None:
    results = results_of(cfg)
    rows = compare(results, article_cells())
    text = markdown(results, rows)
    folder = Path(cfg.results.dir)
    write_atomically(folder / "comparison.md", text)
    write_atomically(folder / "comparison.csv", as_csv(rows))
    figure = comparison_figure.draw(results, rows, folder / "figures" / "comparison")
    print(text)
    print("Written:", *(folder / "comparison.md", folder / "comparison.csv", *figure))
