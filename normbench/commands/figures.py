"""``normbench figures``: every figure anew, from what is stored alone."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.errors import UserError
from normbench.probes.stored import stored_probes
from normbench.report.figures import draw_figures


def main(cfg: DictConfig) -> None:
    results = Path(cfg.results.dir)
    drawn = [stem for probe in stored_probes(results) for stem in draw_figures(results, probe)]
    if not drawn:
        raise UserError(
            f"results.dir={results} holds nothing to draw: measure with normbench probe, "
            "or name another folder with results.dir=DIR"
        )
    for stem in drawn:
        print(f"{stem}.png, {stem.name}.svg")
