"""Records of schema 1 become records of today, and none is lost."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from made_up import record_of

from normbench.grid import Run
from normbench.store.keys import run_key
from normbench.store.probe_records import read_probe
from normbench.store.records import SCHEMA, read_all

SCRIPT = Path(__file__).parents[2] / "scripts" / "migrate_records.py"
SETTINGS = {
    "data": {"name": "synthetic", "source": {"_target_": "normbench.data.sources.synthetic"}},
    "model": {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 8]},
    "norm": {
        "name": "mine",
        "layer": {"_target_": "mylayer.Mine", "_partial_": True, "eps": 1e-5},
        "weight": None,
    },
    "train": {"epochs": 3, "precision": "fp32"},
}
PROBE = {"name": "gradients", "_target_": "normbench.probes.gradients.Gradients", "steps": None}


@pytest.fixture
def migrate(monkeypatch):
    """migrate(*arguments): what the script does with them."""
    spec = importlib.util.spec_from_file_location("migrate_records", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        script.main()

    return run


def older(run, **changes):
    """The record of a run as schema 1 had it: settings as they were typed, and a key of those."""
    key = hashlib.sha256(f"{run.settings}{run.batch_size}{run.seed}".encode()).hexdigest()[:16]
    config = run.settings | {"grid": {"batch_size": [8], "lr": [0.01], "seeds": [0, 1]}}
    return record_of(run, schema=1, key=key, config=config, **changes)


def write(folder, records, indent=1):
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        (folder / f"{record['key']}.json").write_text(json.dumps(record, indent=indent))


@pytest.fixture
def results(tmp_path):
    """A folder with six runs, three of them diverged, and two that a probe measured."""
    runs = [Run(SETTINGS, batch_size, 0.01, seed) for batch_size in (8, 2) for seed in range(3)]
    trained = [older(run, train_seconds=float(i)) for i, run in enumerate(runs)]
    for record in trained[3:]:
        record |= {"status": "diverged", "epochs": []}
    write(tmp_path / "records", trained)
    probed = [Run(SETTINGS | {"probe": PROBE}, 8, 0.01, seed) for seed in range(2)]
    measured = [older(run, measured={"norms": [[1.0, run.seed]]}) for run in probed]
    for record in measured:
        del record["epochs"]
    write(tmp_path / "probes" / "gradients", measured, indent=None)
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "noted.json").write_text("{}")
    return tmp_path


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def outcomes(records):
    """What was measured, by what was trained; the key and the settings' words left out."""
    return {
        (record["batch_size"], record["lr"], record["seed"]): {
            name: record.get(name)
            for name in ("status", "epochs", "measured", "train_seconds", "environment")
        }
        for record in records
    }


def test_none_is_lost_and_what_was_measured_stays(results, migrate, capsys, caplog):
    before = [json.loads(path.read_text()) for path in (results / "records").glob("*.json")]
    assert read_all(results) == [] and "6 records of an older version" in caplog.text
    caplog.clear()
    migrate(results)
    assert capsys.readouterr().out.endswith("8 records migrated, none lost\n")
    after = read_all(results)
    assert len(after) == 6 and outcomes(after) == outcomes(before)
    for record in after:
        assert record["schema"] == SCHEMA
        assert record["config"]["model"]["_target_"] == "normbench.CNN4"
        assert record["config"]["norm"]["layer"] == {"_target_": "mylayer.Mine", "eps": 1e-5}
        numbers = (record[name] for name in ("batch_size", "lr", "seed"))
        assert record["key"] == run_key(SETTINGS, *numbers), "the run of today finds it"
        assert record["outside"] == {"mylayer.Mine": None} and record["norm_layers"] is None
    assert [r["measured"]["norms"][0][1] for r in read_probe(results, "gradients")] in (
        [0, 1],
        [1, 0],
    )
    names = {p.stem for p in (results / "records").glob("*.json")}
    assert names == {record["key"] for record in after}
    lines = {p.read_text().count("\n") for p in (results / "probes/gradients").glob("*.json")}
    assert lines == {0} and caplog.messages == []
    assert list((results / "grids").iterdir()) == []


def test_a_second_time_changes_nothing(results, migrate, capsys):
    migrate(results)
    before = content(results)
    migrate(results)
    assert capsys.readouterr().out.endswith("0 records migrated, none lost\n")
    assert content(results) == before


def test_what_would_be_done_can_be_asked_for(results, migrate, capsys):
    before = content(results)
    migrate("--check", results)
    assert capsys.readouterr().out.endswith("8 records to migrate\n")
    assert content(results) == before


def test_two_that_would_share_a_key_are_left_alone(results, migrate):
    moved = json.loads(json.dumps(SETTINGS))
    moved["model"]["_target_"] = "normbench.models.small.CNN4"  # the same class at another time
    write(results / "records", [older(Run(moved, 8, 0.01, 0))])
    before = content(results)
    with pytest.raises(SystemExit, match="7 records would have 6 keys; nothing was changed"):
        migrate(results)
    assert content(results) == before


def test_one_that_is_there_already_is_not_written_over(results, migrate):
    run = Run(SETTINGS, 8, 0.01, 0)
    write(results / "records", [record_of(run)])
    before = content(results)
    with pytest.raises(SystemExit, match=f"{run.key}.json is there already; nothing was changed"):
        migrate(results)
    assert content(results) == before
