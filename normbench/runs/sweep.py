"""Hydra's basic sweep, with every job checked before the first is launched, and one summary."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from normbench.config import SPLITS
from normbench.errors import RunFailed, UserError
from normbench.explain import first_line

# Looking for plugins loads Hydra's own anew: a class that was imported before is another one.
Plugins.instance()
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402

# Hydra looks a sweeper up by name, and takes none for one whose name does not begin like this.
# `Plugins.register` would take the class's own name.
NAME = "hydra_plugins.normbench.Sweeper"

if TYPE_CHECKING:
    from normbench.data.load import Datasets
    from normbench.job import Job
    from normbench.runs.train import Outcome


Describe = Callable[["list[Job]", "Datasets"], str]


class JobCommand(Protocol):
    """What a command does with the jobs of a sweep."""

    def prepare(
        self, cfg: DictConfig, overrides: Sequence[str], datasets: Datasets, here: bool
    ) -> Job:
        """Check a job and find all that it needs; raises UserError."""
        ...

    def execute(self, job: Job) -> Outcome: ...

    def conclude(self, results: str, outcomes: Mapping[str, Outcome]) -> None:
        """Say what became of all jobs, each known by its overrides."""
        ...


class Sweeper(BasicSweeper):
    """The product of all lists of choices, launched by any Hydra launcher.

    Where jobs run in this process, those that were checked are executed; another process has to
    prepare its own.

    Attributes:
        command: whose jobs they are.
        plan: for a dry run: describes the jobs, none of which is launched.
    """

    command: ClassVar[JobCommand]
    plan: ClassVar[Describe | None] = None

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None):
        if max_batch_size is not None:
            raise UserError(
                "hydra.sweeper.max_batch_size has no effect here: grid.split says into how many "
                "jobs a sweep is cut, and the launcher how many run at a time"
            )
        super().__init__(None, params)

    def sweep(self, arguments: list[str]) -> Any:
        from normbench.data.load import Datasets
        from normbench.data.outlook import Outlook

        assert self.config and self.hydra_context and self.launcher  # Hydra has set it up
        command = self.command
        loader = self.hydra_context.config_loader
        here = runs_here(self.config.hydra)
        configs = composed(loader, self.config, self.params, arguments)
        if describe := type(self).plan:
            outlook = Outlook()
            planned = [command.prepare(config, job, outlook, here) for job, config in configs]
            return print(describe(planned, outlook))
        datasets = Datasets()
        jobs, prepared = [], []
        for job, config in configs:
            ready = command.prepare(config, job, datasets, here=here)
            if ready.is_part:
                jobs.append(list(job))
                prepared.append(ready)
                continue
            for part in parts_of(config.grid):
                jobs.append([*job, *(f"grid.part.{axis}=[{v}]" for axis, v in part.items())])
                prepared.append(ready.of(part))
        if here:
            launcher: Any = self.launcher  # Hydra's basic one, which has this attribute
            launcher.task_function = execute_prepared(command.execute, prepared)
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


def composed(
    loader: Any, master: DictConfig, params: Mapping[str, str], arguments: Sequence[str]
) -> list[tuple[list[str], DictConfig]]:
    """The jobs of a sweep: what each has been typed, and its config.

    Args:
        loader: Hydra's, of configs.
        master: the command's config, with Hydra's own node.
        params: what an experiment sweeps over. What is typed replaces it, and so does a layer of
            one's own the norms of an experiment.
        arguments: what was typed.
    """
    own_layer = any(re.match(r"\+*norm\.layer\._target_=", word) for word in arguments)
    swept = [f"{k}={v}" for k, v in params.items() if not (own_layer and k == "norm")]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*swept, *arguments])
    jobs = []
    for job in BasicSweeper.split_arguments(parsed, None)[0]:
        config = loader.load_sweep_config(master, list(job))
        with read_write(config), open_dict(config):
            del config["hydra"]
        jobs.append((list(job), config))
    return jobs


def register(command: JobCommand, plan: Describe | None = None) -> None:
    """Make the sweeper known to Hydra, for a command; to launch its jobs, or to describe them."""
    Sweeper.command, Sweeper.plan = command, staticmethod(plan) if plan else None
    Plugins.instance().class_name_to_class[NAME] = Sweeper


def execute_alone(command: JobCommand, cfg: DictConfig) -> Outcome:
    """Prepare and execute one job, in a process that Hydra's launcher chose for it."""
    from normbench.data.load import Datasets

    typed = list(HydraConfig.get().overrides.task)
    return command.execute(command.prepare(cfg, typed, Datasets(), here=True))


def runs_here(hydra: Any) -> bool:
    """Whether a sweep's jobs run in the process that it was typed to."""
    return hydra.launcher._target_.endswith(".BasicLauncher")


def parts_of(grid: DictConfig) -> list[dict[str, Any]]:
    """What ``grid.split`` cuts a grid into: for each part its value of every axis that is cut."""
    cut = SPLITS[grid.split]
    values = product(*(grid[axis] for axis in cut))
    return [dict(zip(cut, part, strict=True)) for part in values]


def execute_prepared(execute: Callable[[Any], Any], prepared: Sequence[Any]) -> Callable[..., Any]:
    """What Hydra is to call for each job, in their order, in place of preparing it again."""

    def task(cfg: DictConfig) -> Any:
        try:
            return execute(prepared[HydraConfig.get().job.num])
        except Exception as error:  # Hydra would print lines of its own
            return error

    return task
