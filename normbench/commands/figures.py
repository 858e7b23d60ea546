"""``normbench figures``: every figure anew, from what is stored alone."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from normbench.commands.article import results_of
from normbench.errors import UserError
from normbench.probes.known import known_probe
from normbench.probes.stored import stored_probes
from normbench.report import comparison_figure
from normbench.report.article import article_cells
from normbench.report.comparison import compare
from normbench.report.figures import draw_figures


def main(cfg: DictConfig) -> None:
    folder = Path(cfg.results.dir)
    drawn = []
    for probe in stored_probes(folder):
        try:
            drawn += draw_figures(folder, probe, known_probe(probe))
        except UserError as reason:
            _not_drawn(folder / "probes" / probe, reason)
    if (folder / "records").is_dir():
        stem = folder / "figures" / "comparison"
        try:
            results = results_of(cfg)
        except UserError as reason:
            _not_drawn(stem, reason)
        else:
            rows = compare(results, article_cells())
            if comparison_figure.draw(results, rows, stem):
                drawn.append(stem)
    if not drawn:
        raise UserError(
            f"results.dir={folder} holds nothing to draw: measure with normbench probe, "
            "or name another folder with results.dir=DIR"
        )
    for stem in drawn:
        print(f"{stem}.png, {stem.name}.svg")


def _not_drawn(what: Path, reason: UserError) -> None:
    print(f"normbench: {what} is not drawn: {reason}", file=sys.stderr)
