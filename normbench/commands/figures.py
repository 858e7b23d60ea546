"""Draw every figure anew, from what is stored alone.

What runs came to, the comparison with the article, and what probes measured. Settings but
results.dir are for the comparison, as normbench compare takes them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import ArticleConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = "normbench figures results.dir=results\n"


def main(cfg: DictConfig) -> None:
    from normbench.analysis.comparison import compare
    from normbench.analysis.reference import article_cells
    from normbench.article_grid import resolve
    from normbench.errors import UserError
    from normbench.probes.known import known_probe
    from normbench.report import comparison_figure
    from normbench.report.figures import draw_figures, draw_outcomes
    from normbench.store.probe_records import stored_probes

    article = resolve(cfg)
    folder = article.results
    drawn: list[Path] = []
    for probe in stored_probes(folder):
        try:
            drawn += draw_figures(folder, probe, known_probe(probe))
        except UserError as reason:
            _not_drawn(folder / "probes" / probe, reason)
    drawn += draw_outcomes(folder)
    results = article.find()
    stem = folder / "figures" / "comparison"
    if comparison_figure.draw(results, compare(results, article_cells()), stem):
        drawn.append(stem)
    if not drawn:
        raise UserError(
            f"results.dir={folder} holds nothing to draw: train with normbench run, "
            "measure with normbench probe, or name another folder with results.dir=DIR"
        )
    for stem in drawn:
        print(f"{stem}.png, {stem.name}.svg")


def _not_drawn(what: Path, reason: Exception) -> None:
    print(f"normbench: {what} is not drawn: {reason}", file=sys.stderr)
