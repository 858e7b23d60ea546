"""Records: written whole or not at all, never lost, never trusted when damaged."""

import json
import logging
import multiprocessing
import os
import signal
from contextlib import suppress

import pytest
from made_up import record_of
from small_runs import NAMES

from normbench.errors import UserError
from normbench.grid import Run
from normbench.store import records
from normbench.store.keys import checksum
from normbench.store.processes import this_process
from normbench.store.records import (
    SCHEMA,
    OlderRecord,
    RecordStore,
    UnreadableRecord,
    check_outcome,
    read_record,
)


def record(key="0123456789abcdef", **changes):
    """A record as it is stored, with its checksum."""
    made = record_of(Run(NAMES, 8, 0.01, 0), key=key, **changes)
    return made | {"checksum": checksum(made)}


def put(store, one):
    """Store a record as it is, whatever it is."""
    path = store.path(one["key"])
    path.write_text(json.dumps(one))
    return path


def test_what_is_written_is_read(store):
    store.write(record())
    assert store.read("0123456789abcdef") == record()
    assert store.read("another") is None


def test_what_is_written_has_the_checksum_of_what_it_holds(store):
    store.write(record() | {"checksum": "0" * 16})
    assert store.read("0123456789abcdef") == record()


def test_writing_again_sets_the_older_record_aside(store):
    store.write(record(train_seconds=1.0))
    store.write(record(train_seconds=2.0))
    assert store.read(record()["key"])["train_seconds"] == 2.0
    (aside,) = (store.folder / "set_aside").iterdir()
    assert json.loads(aside.read_text())["train_seconds"] == 1.0


def test_a_record_cut_off_anywhere_is_set_aside_and_named(store, caplog):
    path = store.path(record()["key"])
    whole = json.dumps(record()).encode()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with caplog.at_level(logging.WARNING):
            assert store.read(record()["key"]) is None
        assert path.name in caplog.messages[-1]
        assert not path.exists()
    kept = {p.read_bytes() for p in (store.folder / "set_aside").iterdir()}
    assert kept == {whole[:length] for length in range(0, len(whole), 7)}


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 0},
        {"schema": SCHEMA + 1},
        {"schema": "1"},
        {"status": "measured"},
        {"epochs": []},
        {"epochs": [{"train_loss": 1.0, "val_loss": float("nan"), "val_accuracy": 0.1}]},
        {"train_seconds": float("inf")},
        {"epochs": None},
        {"key": "f" * 16},
        {"config": {}},
        {"lr": "0.01"},
        {"environment": None},
    ],
    ids=str,
)
def test_what_is_no_record_of_this_schema_is_refused(store, damage):
    one = record() | damage
    with suppress(ValueError):  # of what JSON cannot hold
        one["checksum"] = checksum(one)
    path = store.path("0123456789abcdef")
    path.write_text(json.dumps(one))
    with pytest.raises(UnreadableRecord) as refused:
        read_record(path, check_outcome)
    assert not isinstance(refused.value, OlderRecord)


def better(one):
    """What somebody might write who would like it so."""
    one["epochs"][-1]["val_accuracy"] = 0.99


def longer(one):
    one["config"]["train"]["epochs"] = 30


def unsigned(one):
    del one["checksum"]


@pytest.mark.parametrize("edit", [better, longer, unsigned])
def test_a_record_edited_by_hand_is_not_taken_but_set_aside_with_a_line(store, caplog, edit):
    edited = json.loads(json.dumps(record()))
    edit(edited)
    path = put(store, edited)
    assert store.read_all() == []
    (line,) = caplog.messages
    assert path.name in line and "checksum" in line and path.exists()
    caplog.clear()
    assert store.read(record()["key"]) is None
    (line,) = caplog.messages
    assert path.name in line and "checksum" in line
    (aside,) = (store.folder / "set_aside").iterdir()
    assert json.loads(aside.read_text()) == edited and not path.exists()


def test_a_changed_order_or_indent_is_no_change(store):
    one = record()
    put(store, {name: one[name] for name in reversed(one)})
    assert store.read(one["key"]) == one


def test_records_of_an_older_schema_are_named_once_and_never_touched(store, caplog):
    keys = [f"{number:016x}" for number in range(5)]
    for key in keys:
        put(store, record_of(Run(NAMES, 8, 0.01, 0), key=key, schema=SCHEMA - 1))
    store.write(record())
    before = {path: path.read_bytes() for path in store.folder.glob("*.json")}
    assert store.read_all() == [record()]
    (line,) = caplog.messages
    assert "holds 5 records of an older version" in line and "scripts/migrate_records.py" in line
    assert store.read(keys[0]) is None and store.read_many(keys) == {}
    assert {path: path.read_bytes() for path in store.folder.glob("*.json")} == before
    assert not (store.folder / "set_aside").exists()


def test_numbers_that_are_none_cannot_be_written(store):
    with pytest.raises(ValueError):
        store.write(record(train_seconds=float("inf")))
    assert list(store.folder.glob("*")) == []


def hold(folder, held):
    with RecordStore(folder).claim("k") as mine:
        assert mine
        held.set()
        signal.pause()


def test_a_claim_is_exclusive_and_dies_with_its_process(store):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=hold, args=(store.folder.parent, held))
    other.start()
    assert held.wait(60)
    with store.claim("k") as mine:
        assert not mine
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    with store.claim("k") as mine:
        assert mine
        with store.claim("k") as again:
            assert not again
    assert list(store.locks.folder.iterdir()) == []


def test_what_a_killed_process_was_writing_is_removed_and_the_livings_left(store):
    context = multiprocessing.get_context("fork")
    other = context.Process(target=die_while_writing, args=(store,))
    other.start()
    other.join()
    (half,) = store.folder.iterdir()
    assert half.name != "0123456789abcdef.json"
    tables = store.results / "tables"
    tables.mkdir()
    half.rename(tables / half.name)
    living = store.folder / f".k.json.0.{this_process()}.tmp"
    foreign = store.folder / f".k.json.0.{'0' * 16}-1-1.tmp"
    users = store.folder / ".tmp"
    for path in (living, foreign, users):
        path.touch()
    store.tidy()
    assert set(store.folder.iterdir()) == {living, foreign, users}
    assert list(tables.iterdir()) == []


def die_while_writing(store):
    records.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
    store.write(record())


def test_two_that_set_the_same_record_aside_lose_nothing(store):
    store.write(record())
    assert store.set_aside(record()["key"], "unreadable").exists()
    assert store.set_aside(record()["key"], "unreadable") is None
    assert len(list((store.folder / "set_aside").iterdir())) == 1


def test_a_folder_that_cannot_be_used_is_named(store, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(UserError, match=f"results.dir={store.results}.*No space left on device"):
        store.write(record())
    assert list(store.folder.iterdir()) == []
