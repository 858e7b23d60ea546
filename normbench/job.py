"""What a command that trains needs, resolved once: nothing below it reads a config."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from normbench import parts
from normbench.analysis.tuning import Tuning
from normbench.checks import (
    check_batch_sizes,
    check_grid,
    check_overruled,
    check_split,
    check_training,
    check_tuned_grid,
    check_tuning,
)
from normbench.data.dataset import Dataset
from normbench.data.load import Datasets, checked
from normbench.engine.cuda_lanes import MOST_LANES
from normbench.engine.lanes import prepare_processes
from normbench.environment import available_cores
from normbench.errors import UserError
from normbench.grid import Grid, Run
from normbench.interactive import pack
from normbench.outside import code_digest, outside_parts, targets
from normbench.settings import Settings, outcome_settings, plain, settle_replaced_parts
from normbench.store.probe_records import probe_store
from normbench.store.records import RecordStore
from normbench.trackers.tracked import Tracker
from normbench.trial import check_probe, try_parts


@dataclass(frozen=True)
class Recipe:
    """How runs are trained, in whatever process: small, and can be pickled.

    Attributes:
        source: the data config, from which lanes that are processes open the data themselves.
        device: cpu or cuda.
        threads: CPU threads of each run.
        results: the folder that keeps checkpoints; None: none are kept.
        checkpoint_always: after every epoch, not only after long ones.
        weights: the folder whose ``weights/`` takes what runs have trained; None: it is not kept.
        code: a digest of all code that runs depend on; checkpoints of other code are not used.
        limit: how many images of each split to use; None: all. For benchmarks.
        interactive: parts that other processes cannot import (``interactive.pack``).
        graphs: whether steps may be replayed from CUDA graphs, which know no Python.
    """

    source: Mapping[str, Any]
    device: str
    threads: int
    results: Path | None = None
    checkpoint_always: bool = False
    weights: Path | None = None
    code: str = ""
    limit: int | None = None
    interactive: bytes = b""
    graphs: bool = True


@dataclass(frozen=True)
class Tuned:
    """What runs need that choose a job's learning rates.

    Attributes:
        by: how they choose.
        data: with a part of the training images held out, on the device.
        source: its config.
    """

    by: Tuning
    data: Dataset
    source: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One model and norm on a grid, or a part of it.

    Attributes:
        settings: what can change the outcome of its runs.
        grid: what the command covers.
        part: what of it this job is to train.
        data: prepared, on the device.
        recipe: how runs are trained.
        lanes: how many runs train side by side.
        adaptive: whether on CUDA there may be less, as the runs' sizes ask for.
        store: where records are.
        force: train runs that have a record, too.
        outside: import path -> digest of the source, of parts from outside the project.
        norm_layers: how many layers of the norm were found in the network, and how many others.
        tuned: how its learning rates are chosen; None: they are those of the grid.
        tracker: what runs are to be told to, besides their records.
    """

    settings: Settings
    grid: Grid
    part: Grid
    data: Dataset
    recipe: Recipe
    lanes: int
    adaptive: bool
    store: RecordStore
    force: bool
    outside: dict[str, str]
    norm_layers: dict[str, int]
    tuned: Tuned | None = None
    tracker: Tracker | None = None

    @property
    def runs(self) -> list[Run]:
        return self.part.runs(self.settings)

    @property
    def is_part(self) -> bool:
        return self.part != self.grid

    def steps(self, batch_size: int) -> int:
        """Training steps of a run."""
        return len(self.data.train.labels) // batch_size * self.settings["train"]["epochs"]

    def of(self, axes: dict[str, Any]) -> Job:
        """The job of a part: a value for each axis that is cut."""
        return replace(self, part=self.grid.part({axis: [v] for axis, v in axes.items()}))


def resolve(
    cfg: DictConfig, overrides: Sequence[str], datasets: Datasets, here: bool = True
) -> Job:
    """Check a config and find everything that it names.

    Args:
        cfg: of a command that trains, without ``grid`` where it has none of its own (``bench``).
        overrides: what was typed, the choices of a sweep among it.
        datasets: those that are open; the job's is opened, and prepared if need be. With an
            ``Outlook`` nothing is: the job is not to be trained, and nothing is written.
        here: whether this process is to train; if not, its device is another's.

    Raises:
        UserError: for whatever is wrong with the config, the data or the results folder.
    """
    check_training(cfg)
    if "grid" in cfg:
        check_grid(cfg.grid)
        check_split(cfg.grid)
    if cfg.get("tune"):
        check_tuning(cfg)
        check_tuned_grid(cfg, overrides)
    settle_replaced_parts(cfg, overrides)
    check_overruled(cfg, overrides)
    config = plain(cfg)
    device = _device(config["device"]) if here else "cpu"
    if here and datasets.prepares:
        prepare_lanes(device)
    # where another process is to train, as it would find it
    precision = _precision(config["train"]["precision"], device if here else config["device"])
    config["data"] = checked(config["data"])
    grid = Grid.of(config["grid"]) if "grid" in config else Grid((), (), ())
    # before data are opened, as that may take long
    tried = try_parts(outcome_settings(config, precision), min(grid.batch_size, default=2))
    layers = tried.layers
    data = datasets.open(config["data"], device)
    settings = outcome_settings(config, precision, data.identity)
    tuned = None
    if tuning := Tuning.of(config):
        source = config["data"] | {"held_out": tuning.held_out}
        tuned = Tuned(tuning, datasets.open(source, device), source)
    images = len((tuned.data if tuned else data).train.labels)  # of the smaller one
    epochs = config["train"]["epochs"]
    check_batch_sizes(grid.batch_size, images)
    if "probe" in settings:
        steps = (images // batch_size * epochs for batch_size in grid.batch_size)
        check_probe(settings, len(data.classes), steps)
    if layers.replaced or layers.others:
        model, norm = settings["model"]["name"], settings["norm"]["name"]
        print(f"normbench: model={model}: {layers.summary(norm)}", file=sys.stderr)
    if tried.hidden:
        print(
            f"normbench: norm={settings['norm']['name']}: the layer changes "
            f"{', '.join(tried.hidden)} as it is used, which is no buffer (register_buffer): its "
            "runs keep no checkpoints, and on a GPU do without graphs",
            file=sys.stderr,
        )
        config["train"]["checkpoint"] = "never"

    results = Path(config["results"]["dir"])
    store = RecordStore(results)
    if "probe" in settings:
        store = probe_store(results, settings["probe"]["name"])
    if datasets.prepares:
        store.make_writable()
    # a run's last bits may depend on its threads, which must not depend on how the grid is split
    axes = grid._replace(lr=tuning.rates, seeds=tuning.seeds) if tuning else grid
    runs = len(axes.runs(settings)) or sys.maxsize
    lanes, threads = split_cores(config["engine"], runs, device)
    checkpoint = config["train"]["checkpoint"]
    outside = outside_parts(settings)
    return Job(
        settings=settings,
        grid=grid,
        part=grid.part(config["grid"]["part"]) if "grid" in config else grid,
        data=data,
        recipe=Recipe(
            source=config["data"],
            device=device,
            threads=threads,
            results=None if checkpoint == "never" else results,
            checkpoint_always=checkpoint == "always",
            weights=results if config["train"]["save_weights"] else None,
            code=code_digest(outside),
            interactive=pack(targets(settings)),
            graphs=not tried.hidden,
        ),
        lanes=lanes,
        adaptive=config["engine"]["lanes"] == "auto",
        store=store,
        force=config.get("force", False),
        outside=outside,
        norm_layers={"found": len(layers.found), "others": len(layers.others)},
        tuned=tuned,
        tracker=parts.make_tracker(config.get("tracker", {})),
    )


def _device(name: str) -> str:
    """What ``device`` comes to, cpu or cuda.

    Raises:
        UserError: for device=cuda without CUDA.
    """
    # hardware queues for the streams of so many lanes; read when CUDA starts
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: torch sees no CUDA device here; use device=cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return name


def prepare_lanes(device: str) -> None:
    """Start, in the background, what takes a while before lanes can train."""
    if device == "cpu":
        # torch imports the second when the first optimizer is made, which takes a second
        prepare_processes([parts.__name__, "torch._dynamo"])


def _precision(name: str, device: str) -> str:
    """What ``train.precision`` comes to: fp32, bf16 or fp16."""
    if name == "auto":
        return "bf16" if device == "cuda" else "fp32"
    return name


def split_cores(engine: dict[str, Any], runs: int, device: str) -> tuple[int, int]:
    """How many lanes train side by side, and with how many CPU threads each.

    The threads follow from the machine and the whole grid, never from what is still missing: a
    run's last bits may depend on them. One thread a lane is best as long as there are runs for
    every core, since small kernels do not fill more.

    Args:
        engine: lanes, threads and cores, each a number or ``auto``.
        runs: of the whole grid.
    """
    cores = available_cores() if engine["cores"] == "auto" else engine["cores"]
    lanes, threads = engine["lanes"], engine["threads"]
    if device == "cuda":
        lanes = min(runs, MOST_LANES) if lanes == "auto" else lanes
        return lanes, cores if threads == "auto" else threads
    if threads == "auto":
        threads = max(1, cores // (min(runs, cores) if lanes == "auto" else lanes))
    if lanes == "auto":
        lanes = max(1, cores // threads)
    return lanes, threads
