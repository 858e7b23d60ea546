"""``normbench probe``: measure what is not measured yet, then draw the probe's figures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normbench import assemble
from normbench.commands.jobs import Report, check_job, job_data, sum_up, train_runs
from normbench.config import outcome_settings
from normbench.errors import UserError
from normbench.probes.known import probe_class
from normbench.probes.stored import probe_store
from normbench.records import RecordStore
from normbench.report.figures import draw_figures


@dataclass
class ProbeReport(Report):
    """probe: its name. target: its class."""

    probe: str = ""
    target: str = ""


def check(cfg: DictConfig, overrides: list[str], here: bool = True) -> None:
    """Raise UserError for whatever is wrong with a job, as ``check_job`` does."""
    if not re.fullmatch(r"\w[\w.-]*", str(cfg.probe.get("name"))):
        raise UserError(
            f"probe.name={cfg.probe.get('name')} is not valid: use letters, digits, '_', '-' and "
            "'.', as it becomes part of file names"
        )
    data = check_job(cfg, overrides, here)
    for batch_size in cfg.grid.batch_size:
        steps = len(data.train.labels) // batch_size * cfg.train.epochs
        assemble.check_probe(cfg, len(data.classes), steps)
    probe_store(Path(cfg.results.dir), cfg.probe.name).make_writable()


def main(cfg: DictConfig) -> ProbeReport:
    """Measure the runs of one job that the probe has no record of."""
    check(cfg, list(HydraConfig.get().overrides.task))
    data, (_, precision) = job_data(cfg), assemble.resolve_device(cfg)
    settings = outcome_settings(cfg, precision, data.identity)
    settings["probe"] = OmegaConf.to_container(cfg.probe, resolve=True)
    store = probe_store(Path(cfg.results.dir), cfg.probe.name)
    steps_of = assemble.make_probe(cfg).length
    report = train_runs(cfg, settings, store, steps_of)
    return ProbeReport(**vars(report), probe=cfg.probe.name, target=cfg.probe._target_)


def conclude(results: str, reports: dict[str, Report | Exception | None]) -> None:
    """Draw the figures, say what became of a sweep's jobs; raises as ``sum_up`` does."""
    RecordStore(Path(results)).tidy()
    probes = {(r.probe, r.target) for r in reports.values() if isinstance(r, ProbeReport)}
    for probe, target in sorted(probes):
        for text in draw_figures(Path(results), probe, probe_class(target)).values():
            print(text, flush=True)
    where = f"Records: {results}/probes  figures: {results}/figures  logs: {results}/logs"
    sum_up("measured", where, reports)
