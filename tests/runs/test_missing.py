"""What is missing of a grid: who trains which run, and what is noted of it."""

import json

from made_up import record_of
from small_runs import GRID, NAMES

from normbench.grid import Run
from normbench.runs.missing import Missing, announce
from normbench.store.records import RecordStore


def test_two_that_share_a_folder_are_given_every_run_once(store):
    runs = GRID.runs(NAMES)
    both = [Missing(runs, RecordStore(store.results), False, lambda *_: None) for _ in range(2)]
    taken = []
    for _ in range(6):
        for missing in both:
            taken.append(missing.take())
            missing.finish(taken[-1], record_of(taken[-1]), "", "")
    assert [run.key for run in taken] == [run.key for run in runs]
    assert both[0].take() is None
    assert list(store.locks.folder.iterdir()) == []


def test_what_has_a_record_is_found_at_the_first_look_and_not_claimed(store):
    runs = GRID.runs(NAMES)
    for run in runs[:11]:
        store.write(record_of(run))
    found = []
    missing = Missing(runs, store, False, lambda run, record: found.append((run, record["key"])))
    assert missing.take() is runs[11]
    assert found == [(run, run.key) for run in runs[:11]]
    missing.close()


def test_a_run_that_another_holds_is_looked_at_again_later_and_later(store, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("normbench.runs.missing.time.monotonic", lambda: now[0])
    run = Run(NAMES, 2, 0.01, 0)
    looks = []
    missing = Missing([run], store, False, lambda *_: None)
    claim = store.claim

    def counted(key):
        looks.append(now[0])
        return claim(key)

    other = RecordStore(store.results)
    monkeypatch.setattr(store, "claim", counted)
    with other.claim(run.key):
        for _ in range(600):
            assert missing.take() is None
            now[0] += 0.125
    waits = [b - a for a, b in zip(looks, looks[1:], strict=False)]
    assert waits[0] == 0.5 and waits == sorted(waits) and waits[-1] == 5.0
    now[0] += 10
    assert missing.take() is run
    missing.close()


def test_a_failure_is_kept_until_the_run_has_a_record(store):
    run = Run(NAMES, 2, 0.01, 0)
    missing = Missing([run], store, False, lambda *_: None)
    missing.finish(missing.take(), None, "ArithmeticError: never works", "Traceback …")
    (path,) = (store.results / "failures").iterdir()
    failure = json.loads(path.read_text())
    assert failure["run"] == "cnn4 none bs=2 lr=0.01 seed=0"
    assert failure["error"] == "ArithmeticError: never works" and "Traceback" in failure["details"]
    missing = Missing([run], store, False, lambda *_: None)
    missing.finish(missing.take(), record_of(run), "", "")
    assert not path.exists()


def test_a_grid_is_announced_once_under_a_name_for_people(store):
    settings = NAMES | {"norm": {"name": "../my norm 🦄" + "x" * 300}}
    for _ in range(2):
        announce(store.results, GRID.runs(settings))
    (path,) = (store.results / "grids").iterdir()
    assert path.name.startswith("synthetic_cnn4_.._my_norm_") and len(path.name) < 120
    assert len(json.loads(path.read_text())["runs"]) == 12
