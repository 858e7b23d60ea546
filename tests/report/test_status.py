"""What `normbench status` says of a results folder."""

import multiprocessing
import os

import pytest
from made_up import record_of

from normbench.grid import Run
from normbench.report.status import describe
from normbench.runs.missing import announce
from normbench.store import locks
from normbench.store.locks import Locks
from normbench.store.probe_records import probe_store

SETTINGS = {
    "data": {"name": "synthetic"},
    "model": {"name": "cnn4"},
    "norm": {"name": "groupnorm"},
    "train": {"epochs": 3, "precision": "fp32"},
}
RUNS = [Run(SETTINGS, batch_size, 0.01, seed) for batch_size in (128, 2) for seed in range(4)]


def record(run, **changes):
    return record_of(run, **{"train_seconds": 100.0, "evaluation_seconds": 20.0} | changes)


@pytest.fixture
def store(store, tmp_path):
    announce(tmp_path, RUNS)
    return store


def row(text):
    (line,) = [line for line in text.splitlines() if line.startswith("| synthetic")]
    return [cell.strip() for cell in line.strip("|").split("|")][3:]


def test_a_grid_that_nobody_has_begun(store):
    text = describe(store.results)
    assert row(text) == ["", "", "", "", "8", "8"]
    assert "missing:\n  cnn4 groupnorm bs=128 lr=0.01 seed=0\n" in text
    assert "8 to go; none like cnn4 groupnorm bs=128 lr=0.01 seed=0 is measured yet" in text


def test_what_is_recorded_running_failed_and_missing(store):
    for run in (RUNS[0], RUNS[4]):
        store.write(record(run))
    store.write(record(RUNS[5], status="diverged", epochs=[]))
    store.write_failure(RUNS[1].key, str(RUNS[1]), "ArithmeticError: never works", "Traceback …")
    assert store.locks.acquire(RUNS[2].key)
    store.locks.held[RUNS[2].key].since -= 20
    store.locks.held[RUNS[2].key].beat()
    text = describe(store.results)
    assert row(text) == ["2", "1", "1", "1", "3", "8"]
    host = store.locks.holders()[RUNS[2].key].host
    assert f"running:\n  cnn4 groupnorm bs=128 lr=0.01 seed=2  on {host}, for 20 s\n" in text
    assert "failed:\n  cnn4 groupnorm bs=128 lr=0.01 seed=1  ArithmeticError: never works\n" in text
    assert "missing:\n  cnn4 groupnorm bs=128 lr=0.01 seed=3\n" in text
    # 2 runs at batch size 128 and 2 at 2 of 120 s each, and 100 s of the one that runs
    assert "5 to go: about 10 min, 1 at a time" in text
    assert str(store.results) not in text


def test_a_whole_grid(store):
    for run in RUNS:
        store.write(record(run))
    text = describe(store.results)
    assert row(text) == ["8", "", "", "", "", "8"]
    assert len(text.splitlines()) == 3


def test_the_cost_of_a_norm_that_is_not_measured_is_that_of_others(store):
    other = Run(SETTINGS | {"norm": {"name": "none"}}, 128, 0.01, 0)
    two = Run(SETTINGS | {"norm": {"name": "none"}}, 2, 0.01, 0)
    store.write(record(other, train_seconds=40.0))
    store.write(record(two, train_seconds=130.0))
    assert "8 to go: about 14 min, 1 at a time" in describe(store.results)


def die_holding(folder, key):
    assert Locks(folder).acquire(key)
    os._exit(9)


def test_a_dead_process_of_this_host_runs_nothing(store):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=die_holding, args=(store.locks.folder, RUNS[0].key))
    process.start()
    process.join()
    text = describe(store.results)
    assert row(text) == ["", "", "", "", "8", "8"]
    assert "where its process died: the next run takes it over" in text


def test_another_host_that_is_silent(store, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(locks, "this_process", lambda: f"{'0' * 16}-12-34")
        elsewhere.setattr(locks.socket, "gethostname", lambda: "node17")
        there = Locks(store.locks.folder)
        assert there.acquire(RUNS[0].key)
    path = store.locks.folder / f"{RUNS[0].key}.lock"
    assert "seed=0  on node17, for 0 s\n" in describe(store.results)
    past = path.stat().st_mtime - 300
    os.utime(path, (past, past))
    assert "seed=0  on node17, for 0 s, no sign of life for 5 min\n" in describe(store.results)
    path.write_bytes(b"")
    assert "seed=0  on unknown, for 0 s\n" in describe(store.results)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"runs": 3}', b"\xff"])
def test_damaged_notes_are_passed_over(store, content):
    store.write_failure(RUNS[1].key, "", "", "")
    for folder in ("grids", "failures"):
        for path in (store.results / folder).iterdir():
            path.write_bytes(content)
    store.write(record(RUNS[0]))
    assert row(describe(store.results)) == ["1", "", "", "", "", "1"]


def test_long_lists_are_cut(tmp_path):
    announce(tmp_path, [Run(SETTINGS, 2, 0.01, seed) for seed in range(50)])
    assert "\n  and 30 more\n" in describe(tmp_path)


def test_what_a_probe_measures_is_told_apart_from_what_is_trained(store):
    probed = SETTINGS | {"probe": {"name": "gradients", "_target_": "a.Probe"}}
    runs = [Run(probed, 128, 0.01, seed) for seed in range(3)]
    announce(store.results, runs)
    probes = probe_store(store.results, "gradients")
    probes.make_writable()
    probes.write(
        record(runs[0], measured={"a": 1.0}, seconds=60.0)
        | {"config": probed | {"grid": {"seeds": [0, 1, 2]}}}
    )
    store.write(record(RUNS[0]))
    text = describe(store.results)
    rows = [line.split() for line in text.splitlines() if line.startswith("| synthetic")]
    assert [row[1] for row in rows] == ["synthetic"] * 2
    assert "gradients" in rows[1] and rows[1][-4:] == ["2", "|", "3", "|"]
    assert rows[0][-4:] == ["7", "|", "8", "|"]
    assert "gradients cnn4 groupnorm bs=128 lr=0.01 seed=2" in text


def test_a_probe_that_is_measured_now_is_running(store):
    probed = SETTINGS | {"probe": {"name": "gradients", "_target_": "a.Probe"}}
    runs = [Run(probed, 128, 0.01, seed) for seed in range(2)]
    announce(store.results, runs)
    with probe_store(store.results, "gradients").claim(runs[1].key) as mine:
        assert mine
        assert "running:\n  gradients cnn4 groupnorm bs=128 lr=0.01 seed=1" in describe(
            store.results
        )
