"""From a config to what the engine takes: a device, a precision, a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from normbench.data import Dataset, load_dataset
from normbench.engine.captured import run_in_stream
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.cuda import Cuda, Stream
from normbench.engine.cuda_lanes import CudaLanes
from normbench.engine.lanes import Lanes, ProcessLanes, prepare_processes
from normbench.engine.memory import keep_freed_memory
from normbench.engine.training import Plan, Result, finish, train
from normbench.environment import available_cores, code_digest
from normbench.errors import UserError
from normbench.explain import first_line
from normbench.grid import Run
from normbench.models import build_model
from normbench.probes import Measurement, Probe
from normbench.records import RecordStore

CUDA_LANES = 8  # as many as auto lets train side by side


def resolve_device(cfg: DictConfig) -> tuple[str, str]:
    """The device (cpu or cuda) and the precision that ``auto`` comes to.

    Raises:
        UserError: for device=cuda without CUDA.
    """
    # hardware queues for the streams of so many lanes; read when CUDA starts
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    name = cfg.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: torch sees no CUDA device here; use device=cpu")
    precision = cfg.train.precision
    if precision == "auto":
        precision = "bf16" if name == "cuda" else "fp32"
    return name, precision


def prepare_lanes(device: str) -> None:
    """Start, in the background, what takes a while before lanes can train."""
    if device == "cpu":
        prepare_processes([__name__])


def check_parts(cfg: DictConfig, num_classes: int) -> None:
    """Build the network, the optimizer and the schedule once, so that what they refuse shows.

    Raises:
        UserError: naming the part.
    """
    network = build_model(*model_and_norm(cfg), num_classes)
    make_optimizer(cfg, list(network.parameters()), lr=0.1)
    _make("schedule", cfg, 10, 0.1)


def check_probe(cfg: DictConfig, num_classes: int, steps: int) -> None:
    """Make the probe and ask it whether it fits the network and runs of so many steps.

    Raises:
        UserError: if it does not.
    """
    make_probe(cfg).check(build_model(*model_and_norm(cfg), num_classes), steps)


def make_probe(cfg: DictConfig) -> Probe:
    return _make("probe", cfg)


def plan_of(cfg: DictConfig, run: Run, num_classes: int) -> Plan:
    """What the engine has to know to train a run of this config's grid."""
    model, norm = model_and_norm(cfg)
    return Plan(
        model=lambda: build_model(model, norm, num_classes),
        optimizer=partial(make_optimizer, cfg),
        schedule=partial(_make, "schedule", cfg),
        batch_size=run.batch_size,
        lr=run.lr,
        seed=run.seed,
        epochs=run.settings["train"]["epochs"],
        precision=run.settings["train"]["precision"],
        mean=tuple(cfg.data.mean),
        std=tuple(cfg.data.std),
        augment=cfg.data.augment,
    )


def checkpoint_of(
    cfg: DictConfig, run: Run, data: Dataset, device: str, threads: int
) -> Checkpoint | None:
    """Where a run's state is kept between epochs, if the config wants that."""
    if cfg.train.checkpoint == "never":
        return None
    about = {
        "run": run.key,
        "code": code_digest(run.settings),
        "torch": str(torch.__version__),  # which is a class of its own
        "data": data.digest,
        "device": device,
        "threads": threads,
    }
    path = RecordStore(Path(cfg.results.dir)).checkpoint(run.key)
    return Checkpoint(path, about, always=cfg.train.checkpoint == "always")


def split_cores(engine: DictConfig, runs: int, device: str) -> tuple[int, int]:
    """How many lanes train side by side, and with how many CPU threads each.

    The threads follow from the machine and the whole grid, never from what is still missing: a
    run's last bits may depend on them. One thread a lane is best as long as there are runs for
    every core, since small kernels do not fill more.
    """
    cores = available_cores() if engine.cores == "auto" else engine.cores
    lanes, threads = engine.lanes, engine.threads
    if device == "cuda":
        lanes = min(runs, CUDA_LANES) if lanes == "auto" else lanes
        return lanes, cores if threads == "auto" else threads
    if threads == "auto":
        threads = max(1, cores // (min(runs, cores) if lanes == "auto" else lanes))
    if lanes == "auto":
        lanes = max(1, cores // threads)
    return lanes, threads


def share_of_device(run: Run) -> float:
    """The share of a GPU that a run keeps busy, roughly: small batches are all launches."""
    return min(1 / 2, max(1 / CUDA_LANES, run.batch_size / 256))


def make_lanes(
    cfg: DictConfig, device: str, lanes: int, threads: int, limit: int | None = None
) -> Lanes:
    """What trains the runs of a config, or measures them if it has a probe.

    Args:
        cfg: a ``run`` or ``probe`` config.
        device: cpu or cuda.
        lanes: how many runs side by side; on CUDA, engine.lanes=auto may mean fewer.
        threads: CPU threads of each.
        limit: how many images of each split to use; None for all. For benchmarks.
    """
    if device == "cpu":
        config = OmegaConf.to_yaml(cfg, resolve=True)
        return ProcessLanes(lanes, partial(make_train, config, threads, limit))
    torch.set_num_threads(threads)
    cuda = _cuda()
    data = _data(OmegaConf.to_yaml(cfg.data, resolve=True), limit, device)
    probe = make_probe(cfg) if "probe" in cfg else None

    def begin(
        run: Run, stream: Stream, note: Callable[[str], None]
    ) -> Generator[int, None, Result | Measurement]:
        plan = plan_of(cfg, run, len(data.classes))
        if probe:
            return (yield from probe.measure(plan, data, torch.device(device)))
        checkpoint = checkpoint_of(cfg, run, data, device, threads)
        target = torch.device(device)
        return (yield from run_in_stream(plan, data, target, stream, note, checkpoint))

    return CudaLanes(begin, cuda, lanes, share_of_device if cfg.engine.lanes == "auto" else None)


def make_train(
    config: str, threads: int, limit: int | None = None
) -> Callable[[Run, Callable[[int], Any]], Result | Measurement]:
    """What a lane on the CPU trains runs with, or measures them if the config has a probe.

    Args:
        config: a ``run`` or ``probe`` config as YAML, so that a lane's process can be given it.
        threads: CPU threads to train with.
        limit: how many images of each split to use; None for all.
    """
    cfg = OmegaConf.create(config)
    keep_freed_memory()
    torch.set_num_threads(threads)
    data, device = _data(OmegaConf.to_yaml(cfg.data), limit, "cpu"), torch.device("cpu")
    probe = make_probe(cfg) if "probe" in cfg else None

    def train_run(run: Run, report: Callable[[int], Any]) -> Result | Measurement:
        plan = plan_of(cfg, run, len(data.classes))
        if probe:
            return finish(probe.measure(plan, data, device), report)
        checkpoint = checkpoint_of(cfg, run, data, "cpu", threads)
        return train(plan, data, device, report, checkpoint)

    return train_run


@cache
def _cuda() -> Cuda:
    return Cuda()


@lru_cache(maxsize=1)  # jobs of one sweep share what is on the device
def _data(settings: str, limit: int | None, device: str) -> Dataset:
    """The dataset of a data config, given as YAML, on a device."""
    data = load_dataset(OmegaConf.create(settings))
    return (data.first(limit) if limit else data).to(device)


def model_and_norm(cfg: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both configs, resolved, as plain values."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    return plain["model"], plain["norm"]


def make_optimizer(
    cfg: DictConfig, params: Iterable[Any], lr: float, **settings: Any
) -> torch.optim.Optimizer:
    """The optimizer of a config, for some parameters, with settings over those of the config."""
    return _make("optimizer", cfg, params, lr=lr, **settings)


def _make(part: str, cfg: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """Instantiate a config group that also has a name."""
    settings = OmegaConf.to_container(cfg[part], resolve=True)
    name = settings.pop("name")
    try:
        return instantiate(settings, *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise UserError(f"{part}={name}: {first_line(cause)}") from error
