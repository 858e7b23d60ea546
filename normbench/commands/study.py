"""List the studies, or run one from data to verdict and figure.

A study is a few commands that could be typed one by one, kept in a results folder of its own,
results.dir/studies/NAME. What has a record there is not trained again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import EngineConfig, ResultsConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

    from normbench.studies import Study

EXAMPLES = """\
normbench study                                     # the list: cost, question, state
normbench study domain_shift                        # run it, or what is missing of it
normbench study all                                 # one after the other
normbench study vgg_landscape study.scale=full      # the size of its source
"""

WORD = "study.name"  # the setting that a word without = is for


@dataclass
class StudyChoice:
    name: str | None = None
    scale: str = "small"


@dataclass
class DataPlace:
    root: str | None = None
    cache: str | None = None
    download: bool = True


@dataclass
class Config:
    study: StudyChoice = field(default_factory=StudyChoice)
    data: DataPlace = field(default_factory=DataPlace)
    engine: EngineConfig = field(default_factory=EngineConfig)
    device: str = "auto"
    results: ResultsConfig = field(default_factory=ResultsConfig)


def main(cfg: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    from normbench.checks import check_data, check_folder
    from normbench.report.studies import listed
    from normbench.studies import load_study, study_names

    check_folder("results.dir", cfg.results.dir)
    check_data(cfg.data)
    results, name, scale = Path(cfg.results.dir), cfg.study.name, cfg.study.scale
    if name is None:
        print(listed([load_study(one, scale) for one in study_names()], results))
        return
    studies = [load_study(one, scale) for one in (study_names() if name == "all" else [name])]
    typed = [
        override
        for override in HydraConfig.get().overrides.task
        if not override.lstrip("+").startswith(("study.", "results.dir="))
    ]
    _run_all(studies, results, typed)


def _run_all(studies: Sequence[Study], results: Path, typed: Sequence[str]) -> None:
    """Run studies one after the other, whatever becomes of each.

    Raises:
        UserError: if nothing failed but studies whose input is wrong or missing.
        RunFailed: if a run of one failed.
    """
    from normbench.errors import RunFailed, UserError
    from normbench.report.studies import write_pages

    codes = {}
    for study in studies:
        print(f"== {study.name}: {study.title} ({study.runs} runs, {study.minutes:g} minutes)")
        codes[study.name] = _run(study, results, typed)
        print(write_pages(study, results), flush=True)
    failed = [name for name, code in codes.items() if code == 1]
    lacking = [name for name, code in codes.items() if code == 2]
    if failed:
        raise RunFailed(f"runs failed of {', '.join(failed)}; the reasons are above")
    if lacking:
        raise UserError(
            f"not run for want of what is named above: {', '.join(lacking)}; the same command goes "
            "on from there"
        )


def _run(study: Study, results: Path, typed: Sequence[str]) -> int:
    """Run a study's commands.

    Returns:
        The first exit code that is not 0, or 0.
    """
    folder = study.folder(results)
    # which the command line sets for itself, and a user for a traceback
    environment = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}
    codes = []
    for part in study.parts:
        command = [*part.typed(), f"results.dir={folder}", *typed]
        print(f"-- normbench {' '.join(command)}", flush=True)
        typed_there = [sys.executable, "-m", "normbench", *command]
        code = subprocess.run(typed_there, check=False, env=environment).returncode
        if code == 130:
            raise KeyboardInterrupt
        codes.append(code)
    return next((code for code in codes if code), 0)
