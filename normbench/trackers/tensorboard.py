"""TensorBoard: a folder of event files a run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normbench.trackers.tracked import TrackedRun, check_installed


@dataclass
class TensorBoard:
    """Writes ``FOLDER/cell/seed-identity``; a folder that is there is complete.

    Attributes:
        folder: to be given to ``tensorboard --logdir``.
    """

    folder: str

    def __post_init__(self) -> None:
        check_installed("tensorboard")

    def track(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        done = Path(self.folder) / _file_name(run.cell) / f"seed{run.seed}-{run.identity}"
        if done.exists():
            return
        unfinished = _begin(Path(self.folder), done.name)
        with SummaryWriter(str(unfinished)) as writer:
            for number, epoch in enumerate(run.epochs, start=1):
                for measure, value in epoch.items():
                    writer.add_scalar(measure, value, number)
            settings = {k: "null" if v is None else v for k, v in run.settings.items()}
            writer.add_hparams(
                settings | {"status": run.status},
                {f"outcome/{measure}": value for measure, value in run.outcome.items()},
                run_name=".",
            )
        done.parent.mkdir(exist_ok=True)
        unfinished.rename(done)

    def report(self, files: Mapping[str, Path]) -> None:
        from PIL import Image
        from torch.utils.tensorboard import SummaryWriter

        unfinished = _begin(Path(self.folder), "report")
        with SummaryWriter(str(unfinished)) as writer:
            for name, path in files.items():
                if path.suffix == ".png":
                    with Image.open(path) as image:
                        pixels = np.asarray(image.convert("RGB"))
                    writer.add_image(name, pixels, dataformats="HWC")
                else:
                    writer.add_text(name, path.read_text(encoding="utf-8"))
        done = Path(self.folder) / "report"
        shutil.rmtree(done, ignore_errors=True)
        unfinished.rename(done)

    def close(self) -> None:
        unfinished = _unfinished(Path(self.folder))
        if unfinished.is_dir() and not any(unfinished.iterdir()):
            unfinished.rmdir()


def _begin(folder: Path, name: str) -> Path:
    """An empty folder that TensorBoard does not look into until it is renamed."""
    unfinished = _unfinished(folder) / name
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    return unfinished


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.unfinished")


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", text)
