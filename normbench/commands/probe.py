"""Measure why a norm works, and draw the figure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.config import MISSING, GridJobConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from normbench.data.load import Datasets
    from normbench.job import Job
    from normbench.runs.train import Outcome, Report

EXAMPLES = """\
normbench probe probe=gradients                     # for every norm of its figure
normbench probe probe=gradients norm=groupnorm      # for another one
"""


@dataclass
class Config(GridJobConfig):
    probe: dict[str, Any] = MISSING


def prepare(
    cfg: DictConfig, overrides: Sequence[str], datasets: Datasets, here: bool = True
) -> Job:
    from normbench.errors import UserError
    from normbench.job import resolve

    if not re.fullmatch(r"\w[\w.-]*", str(cfg.probe.get("name"))):
        raise UserError(
            f"probe.name={cfg.probe.get('name')} is not valid: use letters, digits, '_', '-' and "
            "'.', as it becomes part of file names"
        )
    return resolve(cfg, overrides, datasets, here)


def execute(job: Job) -> Report:
    """Measure the runs of a job that the probe has no record of."""
    from normbench.runs.train import train_runs

    report = train_runs(job)
    report.probe = job.settings["probe"]["name"], job.settings["probe"]["_target_"]
    return report


def conclude(results: str, outcomes: Mapping[str, Outcome]) -> None:
    """Draw the figures, say what became of a sweep's jobs; raises as ``sum_up`` does."""
    from normbench.probes.known import probe_class
    from normbench.report.figures import draw_figures
    from normbench.runs.train import Report, sum_up, tell_of_files
    from normbench.store.records import RecordStore

    RecordStore(Path(results)).tidy()
    probes = {r.probe for r in outcomes.values() if isinstance(r, Report) and r.probe}
    figures = {}
    for probe, target in sorted(probes):
        for stem, text in draw_figures(Path(results), probe, probe_class(target)).items():
            print(text, flush=True)
            figures[f"figures/{stem.name}"] = stem.with_name(f"{stem.name}.png")
    tell_of_files(outcomes, figures)
    where = f"Records: {results}/probes  figures: {results}/figures  logs: {results}/logs"
    sum_up("measured", where, outcomes)
