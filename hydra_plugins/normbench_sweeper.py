"""Hydra's basic sweep, with every job checked before the first is launched, and one sum at the end.

Hydra finds plugins in the namespace package ``hydra_plugins``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf, open_dict, read_write


class NormbenchSweeper(BasicSweeper):
    """The product of all lists of choices, launched by any Hydra launcher."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None):
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> Any:
        command = import_module(f"normbench.commands.{self.config.hydra.job.name}")
        loader = self.hydra_context.config_loader
        # what is typed replaces what an experiment sweeps over
        overrides = [f"{key}={value}" for key, value in self.params.items()] + arguments
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
        jobs = self.split_arguments(parsed, None)[0]
        configs = [loader.load_sweep_config(self.config, list(job)) for job in jobs]
        for config, job in zip(configs, jobs, strict=True):
            with read_write(config), open_dict(config):
                del config["hydra"]
            command.check(config, job)
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        return command.conclude(
            str(OmegaConf.select(self.config, "results.dir")),
            {
                " ".join(job): result._return_value if result.status != JobStatus.UNKNOWN else None
                for job, result in zip(jobs, returns, strict=True)
            },
        )
