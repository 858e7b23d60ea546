"""``normbench claims``: the articles' claims, judged from records and probes."""

from pathlib import Path

from omegaconf import DictConfig

from normbench.commands.article import find_results, nothing_found, probes_of
from normbench.records import write_atomically
from normbench.report.claims import markdown


def main(cfg: DictConfig) -> None:
    results = find_results(cfg)
    probes = probes_of(cfg)
    if not any(found.records for found in (results, *probes.values())):
        raise nothing_found(cfg)
    text = markdown(results, probes)
    path = Path(cfg.results.dir) / "claims.md"
    write_atomically(path, text)
    print(text)
    print("Written:", path)
