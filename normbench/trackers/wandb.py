"""Weights & Biases: a run a run, grouped by cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from normbench.trackers.tracked import TrackedRun, check_installed

if TYPE_CHECKING:
    from wandb import Run


@dataclass
class WandB:
    """Logs to a project of Weights & Biases, or offline, to be sent by ``wandb sync``.

    Attributes:
        folder: keeps its files, and a mark of every run that was told.
        project: its name there.
        entity: whose; None: the user's own.
        mode: online, offline, or None for what ``$WANDB_MODE`` says.
    """

    folder: str
    project: str
    entity: str | None = None
    mode: Literal["online", "offline", "disabled"] | None = None

    def __post_init__(self) -> None:
        check_installed("wandb")

    def track(self, run: TrackedRun) -> None:
        mark = Path(self.folder) / "told" / run.identity
        if mark.exists():
            return
        with self._run(run.identity, run.title, run.cell, run.settings) as there:
            for number, epoch in enumerate(run.epochs, start=1):
                there.log({"epoch": number, **epoch})
            there.summary.update(run.outcome | {"status": run.status, "key": run.key})
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def report(self, files: Mapping[str, Path]) -> None:
        import wandb

        with self._run("report", "report", "report", {}) as there:
            for name, path in files.items():
                if path.suffix == ".png":
                    there.log({name: wandb.Image(str(path))})
                else:
                    text = path.read_text(encoding="utf-8")
                    there.log({name: wandb.Table(columns=["markdown"], data=[[text]])})

    def close(self) -> None:
        pass

    def _run(self, identity: str, title: str, cell: str, settings: Mapping[str, object]) -> Run:
        import wandb

        Path(self.folder).mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.project,
            entity=self.entity,
            dir=self.folder,
            mode=self.mode,
            id=identity,
            name=title,
            group=cell,
            config=dict(settings),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
