"""MLflow: a run a run, in one experiment, those of a cell under a parent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.trackers.tracked import TrackedRun, check_installed

if TYPE_CHECKING:
    from mlflow import MlflowClient

IDENTITY, CELL = "normbench.identity", "normbench.cell"  # tags


@dataclass
class MLflow:
    """Logs to a tracking server, or to a file.

    Attributes:
        uri: of the tracking server or store.
        experiment: its name there.
    """

    uri: str
    experiment: str

    def __post_init__(self) -> None:
        check_installed("mlflow")

    @cached_property
    def client(self) -> MlflowClient:
        # one that is down is soon found out
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        from mlflow import MlflowClient

        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self.uri)

    @cached_property
    def experiment_id(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is not None:
            return found.experiment_id
        where = None
        if self.uri.startswith("sqlite:///"):  # beside the file, not in the working directory
            folder = Path(self.uri.removeprefix("sqlite:///")).with_suffix("")
            where = folder.absolute().as_uri()
        return self.client.create_experiment(self.experiment, artifact_location=where)

    def track(self, run: TrackedRun) -> None:
        from mlflow.entities import Metric, Param

        if found := self._find(IDENTITY, run.identity):
            if found.info.status != "RUNNING":
                return
            self.client.delete_run(found.info.run_id)  # it was cut off while it was told
        parent = self._find(CELL, run.cell) or self._create(run.cell, {CELL: run.cell})
        of_cell = {"mlflow.parentRunId": parent.info.run_id, "normbench.key": run.key}
        run_id = self._create(run.title, of_cell | {IDENTITY: run.identity}).info.run_id
        metrics = [
            Metric(measure, value, 0, number)
            for number, epoch in enumerate(run.epochs, start=1)
            for measure, value in epoch.items()
        ]
        last = len(run.epochs)
        metrics += [
            Metric(measure, value, 0, last)
            for measure, value in run.outcome.items()
            if not run.epochs or measure not in run.epochs[-1]
        ]
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        for start in range(0, len(params), 100):  # as many as one call may have
            self.client.log_batch(run_id, params=params[start : start + 100])
        self.client.log_batch(run_id, metrics=metrics)
        self.client.set_tag(run_id, "normbench.status", run.status)
        self.client.set_terminated(run_id)
        self.client.set_terminated(parent.info.run_id)

    def report(self, files: Mapping[str, Path]) -> None:
        found = self._find(CELL, "report") or self._create("report", {CELL: "report"})
        for path in files.values():
            self.client.log_artifact(found.info.run_id, str(path))
        self.client.set_terminated(found.info.run_id)

    def close(self) -> None:
        pass

    def _find(self, tag: str, value: str) -> Any:
        quoted = value.replace("'", "")
        found = self.client.search_runs(
            [self.experiment_id], f"tags.`{tag}` = '{quoted}'", max_results=1
        )
        return found[0] if found else None

    def _create(self, name: str, tags: dict[str, str]) -> Any:
        tags = {tag: value.replace("'", "") for tag, value in tags.items()}
        return self.client.create_run(self.experiment_id, tags=tags, run_name=name)
