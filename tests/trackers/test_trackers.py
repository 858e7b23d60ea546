"""What TensorBoard, MLflow and Weights & Biases are told, read back by their own readers."""

import json
import struct
from dataclasses import asdict

import pytest
from made_up import record

from normbench.trackers.mlflow import CELL, IDENTITY, MLflow
from normbench.trackers.tensorboard import TensorBoard
from normbench.trackers.tracked import TrackedRun
from normbench.trackers.wandb import WandB

SEEDS = [TrackedRun.of(record(norm="groupnorm", seed=seed, accuracy=0.6)) for seed in (0, 1)]
DIVERGED = TrackedRun.of(record(norm="none", status="diverged"))
SETTINGS = {
    "tensorboard": {"_target_": "normbench.trackers.tensorboard.TensorBoard", "folder": "tb"},
    "mlflow": {"_target_": "normbench.trackers.mlflow.MLflow", "uri": "file", "experiment": "x"},
    "wandb": {"_target_": "normbench.trackers.wandb.WandB", "folder": "wb", "project": "x"},
}
OF_CELL = "cnn4 groupnorm bs=128 lr=0.01"


@pytest.fixture
def files(tmp_path):
    from matplotlib.figure import Figure

    Figure(figsize=(1, 1)).savefig(tmp_path / "drawn.png")
    (tmp_path / "cnn4.md").write_text("| bs | lr |\n")
    return {"tables/cnn4": tmp_path / "cnn4.md", "figures/drawn": tmp_path / "drawn.png"}


def test_a_record_tells_settings_curves_and_outcome():
    run = SEEDS[1]
    assert run.title == f"{OF_CELL} seed=1" and run.cell == OF_CELL == SEEDS[0].cell
    assert run.settings["norm.layer.num_groups"] == 8 and run.settings["seed"] == 1
    assert run.settings["environment.commit"] == "abc" and "grid.seeds" not in run.settings
    assert [epoch["val_accuracy"] for epoch in run.epochs] == [0.0, 0.6]
    assert run.outcome["val_accuracy"] == 0.6 and run.outcome["train_seconds"] == 10.0
    assert "val_accuracy" not in DIVERGED.outcome and DIVERGED.status == "diverged"


def test_a_run_that_was_trained_anew_is_told_as_another():
    again = TrackedRun.of(record(norm="groupnorm", seed=0, accuracy=0.7))
    assert again.key == SEEDS[0].key and again.identity != SEEDS[0].identity


def test_tensorboard(tmp_path, files):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoard(folder=str(tmp_path / "tb"))
    for _ in range(2):  # the second time tells nothing twice
        for run in [*SEEDS, DIVERGED]:
            tracker.track(run)
        tracker.report(files)
    tracker.close()
    assert len({path.parent for path in (tmp_path / "tb").rglob("*tfevents*")}) == 4
    assert not (tmp_path / ".tb.unfinished").exists()
    (folder,) = (tmp_path / "tb").glob(f"*groupnorm*/seed1-{SEEDS[1].identity}")
    told = EventAccumulator(str(folder)).Reload()
    curve = [(point.step, point.value) for point in told.Scalars("val_accuracy")]
    assert curve == [(1, 0.0), (2, pytest.approx(0.6))]
    (final,) = told.Scalars("outcome/val_accuracy")
    assert final.value == pytest.approx(0.6)
    report = EventAccumulator(str(tmp_path / "tb" / "report")).Reload().Tags()
    assert report["images"] == ["figures/drawn"] and "tables/cnn4/text_summary" in report["tensors"]


@pytest.mark.slow
def test_mlflow(tmp_path, files):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(2):
        tracker = MLflow(uri=uri, experiment="norms")
        for run in [*SEEDS, DIVERGED]:
            tracker.track(run)
        tracker.report(files)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("norms").experiment_id
    runs = client.search_runs([experiment])
    told = {r.data.tags[IDENTITY]: r for r in runs if IDENTITY in r.data.tags}
    cells = {r.data.tags[CELL]: r for r in runs if CELL in r.data.tags}
    assert told.keys() == {run.identity for run in [*SEEDS, DIVERGED]} and len(runs) == 6
    assert cells.keys() == {OF_CELL, DIVERGED.cell, "report"}
    one = told[SEEDS[0].identity]
    assert one.data.tags["mlflow.parentRunId"] == cells[OF_CELL].info.run_id
    assert one.data.params["norm.layer.num_groups"] == "8" and one.info.status == "FINISHED"
    history = client.get_metric_history(one.info.run_id, "val_accuracy")
    assert [(point.step, point.value) for point in history] == [(1, 0.0), (2, 0.6)]
    assert told[DIVERGED.identity].data.tags["normbench.status"] == "diverged"
    artifacts = client.list_artifacts(cells["report"].info.run_id)
    assert {artifact.path for artifact in artifacts} == {"cnn4.md", "drawn.png"}


@pytest.mark.slow
def test_what_mlflow_was_told_by_half_is_told_anew(tmp_path):
    tracker = MLflow(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="norms")
    left = tracker.client.create_run(tracker.experiment_id, tags={IDENTITY: SEEDS[0].identity})
    tracker.track(SEEDS[0])
    found = tracker.client.search_runs(
        [tracker.experiment_id], f"tags.`{IDENTITY}` = '{SEEDS[0].identity}'"
    )
    assert [run.info.status for run in found] == ["FINISHED"]
    assert found[0].info.run_id != left.info.run_id


def logged(data):
    """What a file of W&B holds: LevelDB's log format, after a header of 7 bytes."""
    block, whole, place = 32768, b"", 7
    while place + 7 <= len(data):
        if block - place % block < 7:  # too little for a record: filled up
            place += block - place % block
        length, kind = struct.unpack_from("<HB", data, place + 4)
        whole += data[place + 7 : place + 7 + length]
        if kind in (1, 4):  # all of it, or its last part
            yield whole
            whole = b""
        place += 7 + length


@pytest.mark.slow
def test_wandb_offline(tmp_path, files):
    from wandb.proto import wandb_internal_pb2

    tracker = WandB(folder=str(tmp_path / "wb"), project="norms", mode="offline")
    for _ in range(2):
        for run in SEEDS:
            tracker.track(run)
    tracker.report(files)
    written = list((tmp_path / "wb").rglob("*.wandb"))
    assert len(written) == 3
    (path,) = [p for p in written if SEEDS[1].identity in p.name]
    records = [wandb_internal_pb2.Record.FromString(data) for data in logged(path.read_bytes())]
    (begun,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    config = {update.key: json.loads(update.value_json) for update in begun.config.update}
    assert (begun.run_group, begun.display_name) == (OF_CELL, SEEDS[1].title)
    assert config["norm.layer.num_groups"] == 8 and asdict(SEEDS[1])["seed"] == config["seed"]
    curve = [
        float(item.value_json)
        for r in records
        if r.WhichOneof("record_type") == "history"
        for item in r.history.item
        if "val_accuracy" in (item.key, *item.nested_key)
    ]
    assert curve == [0.0, 0.6]


@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow", "wandb"])
def test_a_library_that_is_missing_is_named_with_the_remedy(tracker, monkeypatch):
    from normbench.errors import UserError
    from normbench.parts import make_tracker

    monkeypatch.setattr("normbench.trackers.tracked.find_spec", lambda library: None)
    with pytest.raises(UserError, match=rf"tracker={tracker}.*normbench\[{tracker}\]"):
        make_tracker({"name": tracker} | SETTINGS[tracker])
