"""``normbench claims``: the articles' claims, judged from records and probes."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.commands.article import probes_of, results_of
from normbench.records import write_atomically
from normbench.report.claims import markdown


def main(cfg: DictConfig) -> None:
    text = markdown(results_of(cfg), probes_of(cfg))
    path = Path(cfg.results.dir) / "claims.md"
    write_atomically(path, text)
    print(text)
    print("Written:", path)
