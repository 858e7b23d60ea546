"""Hydra's basic sweep, with every job checked before the first is launched, and one sum at the end.

Hydra finds plugins in the namespace package ``hydra_plugins``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf, open_dict, read_write

from normbench.errors import RunFailed
from normbench.explain import first_line
from normbench.grid import is_part, parts_of


def _parts(grid: Any, job: Sequence[str]) -> list[list[str]]:
    """A job, or the smaller ones that ``grid.split`` makes of it."""
    if is_part(grid):
        return [list(job)]
    return [
        [*job, *(f"grid.part.{axis}=[{value}]" for axis, value in part.items())]
        for part in parts_of(grid)
    ]


class NormbenchSweeper(BasicSweeper):
    """The product of all lists of choices, launched by any Hydra launcher."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None):
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> Any:
        command = import_module(f"normbench.commands.{self.config.hydra.job.name}")
        loader = self.hydra_context.config_loader
        here = import_module("normbench.commands.jobs").runs_here(self.config.hydra)
        # what is typed replaces what an experiment sweeps over
        overrides = [f"{key}={value}" for key, value in self.params.items()] + arguments
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
        typed = self.split_arguments(parsed, None)[0]
        configs = [loader.load_sweep_config(self.config, list(job)) for job in typed]
        jobs = []
        for job, config in zip(typed, configs, strict=True):
            with read_write(config), open_dict(config):
                del config["hydra"]
            command.check(config, job, here=here)
            jobs += _parts(config.grid, job)
        try:
            returns = self.launcher.launch(jobs, initial_job_idx=0)
        except Exception as error:
            if here:
                raise
            raise RunFailed(
                f"the launcher lost a job ({type(error).__name__}: {first_line(error)}); what is "
                "recorded is kept, and the same command goes on from there"
            ) from error
        return command.conclude(
            str(OmegaConf.select(self.config, "results.dir")),
            {
                " ".join(job): result._return_value if result.status != JobStatus.UNKNOWN else None
                for job, result in zip(jobs, returns, strict=True)
            },
        )
