"""Locks: one holder at a time, whatever happens to holders and whoever else wants to take over."""

import errno
import json
import multiprocessing
import os
import signal
import threading
import time
from random import Random

import pytest

from normbench.store import locks, processes
from normbench.store.locks import Locks

FORK = multiprocessing.get_context("fork")  # quick; nothing here minds


class Clock:
    """Monotonic time that a test sets."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(locks.time, "monotonic", clock)
    return clock


def from_another_host(folder, name, monkeypatch):
    """A lock that another host holds, and what its file looks like."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(locks, "this_process", lambda: f"{'0' * 16}-12-34")
        there = Locks(folder)
        assert there.acquire(name)
    return there


def watch(mine, clock, seconds, step=1.0):
    """Ask for a lock again and again, for some seconds: whether it was given."""
    for _ in range(round(seconds / step)):
        clock.now += step
        if mine.acquire("a"):
            return True
    return False


def test_a_lock_is_held_once_and_leaves_nothing(tmp_path):
    one, other = Locks(tmp_path / "locks"), Locks(tmp_path / "locks")
    assert one.acquire("a") and one.acquire("b")
    assert not other.acquire("a") and not one.acquire("a")
    assert set(other.holders()) == {"a", "b"}
    assert one.release("a") and other.acquire("a")
    assert other.release("a") and one.release("b")
    assert list((tmp_path / "locks").iterdir()) == []


def hold(folder, name, held):
    assert Locks(folder).acquire(name)
    held.set()
    signal.pause()


def kill_holder(folder, name="a"):
    held = FORK.Event()
    process = FORK.Process(target=hold, args=(folder, name, held))
    process.start()
    assert held.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_a_killed_holder_of_this_host_is_taken_over_at_once(tmp_path):
    kill_holder(tmp_path)
    mine = Locks(tmp_path)
    assert mine.acquire("a") and mine.holders()["a"].process == processes.this_process()
    assert mine.release("a") and list(tmp_path.iterdir()) == []


def test_a_stopped_process_of_this_host_keeps_its_lock(tmp_path, clock):
    held = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path, "a", held))
    process.start()
    try:
        assert held.wait(60)
        os.kill(process.pid, signal.SIGSTOP)
        assert not watch(Locks(tmp_path), clock, 3 * locks.LEASE)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()


def test_what_another_host_holds_is_taken_after_a_lease_without_a_sign(
    tmp_path, clock, monkeypatch
):
    from_another_host(tmp_path, "a", monkeypatch)
    mine = Locks(tmp_path)
    assert not watch(mine, clock, locks.LEASE)
    assert watch(mine, clock, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.lock"]


def test_a_sign_of_life_starts_the_lease_anew(tmp_path, clock, monkeypatch):
    there = from_another_host(tmp_path, "a", monkeypatch)
    mine = Locks(tmp_path)
    for _ in range(5):
        assert not watch(mine, clock, locks.LEASE - 5)
        there.held["a"].beat()
    assert watch(mine, clock, locks.LEASE + 5)


def test_jumps_of_clocks_take_nothing_over(tmp_path, clock, monkeypatch):
    from_another_host(tmp_path, "a", monkeypatch)
    os.utime(tmp_path / "a.lock", (0, 0))  # written in 1970, says the file server
    mine = Locks(tmp_path)
    monkeypatch.setattr(locks.time, "time", lambda: 4e9)
    for days in (1, 30, 365):  # this machine slept
        clock.now += days * 86400
        assert not mine.acquire("a")


def test_a_holder_that_was_taken_for_gone_is_told_and_does_no_harm(tmp_path, clock, monkeypatch):
    there = from_another_host(tmp_path, "a", monkeypatch)
    mine = Locks(tmp_path)
    assert watch(mine, clock, 2 * locks.LEASE)
    before = (tmp_path / "a.lock").read_bytes()
    there.held["a"].beat()
    assert there.release("a") is False
    assert (tmp_path / "a.lock").read_bytes() == before
    assert mine.release("a") is True


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00", b"null", b'{"token": "x"}'])
def test_a_lock_that_cannot_be_read_is_held_for_a_lease(tmp_path, clock, content):
    (tmp_path / "a.lock").write_bytes(content)
    mine = Locks(tmp_path)
    assert not watch(mine, clock, locks.LEASE)
    assert watch(mine, clock, 2)
    assert mine.release("a") and list(tmp_path.iterdir()) == []


def test_a_taker_killed_at_any_point_stands_in_nobodys_way(tmp_path, monkeypatch):
    """Killed between any two of the system calls by which it takes over."""
    for calls in range(1, 30):
        folder = tmp_path / str(calls)
        kill_holder(folder)
        process = FORK.Process(target=die_while_taking_over, args=(folder, calls))
        process.start()
        process.join()
        mine = Locks(folder)
        assert mine.acquire("a")
        mine.tidy()
        assert [p.name for p in folder.iterdir()] == ["a.lock"]
        if process.exitcode == 0:
            break
    assert process.exitcode == 0 and calls > 8


def die_while_taking_over(folder, calls):
    left = [calls]

    def counted(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return call

    for name in ("open", "write", "link", "replace", "close", "unlink"):
        setattr(locks.os, name, counted(getattr(os, name)))
    mine = Locks(folder)
    mine.acquire("a") and mine.release("a")
    os._exit(0)


def test_tidying_removes_what_the_dead_left_and_nothing_else(tmp_path, monkeypatch):
    from_another_host(tmp_path, "far", monkeypatch)
    kill_holder(tmp_path, "dead")
    mine = Locks(tmp_path)
    mine.acquire("mine")
    place = processes.place()
    (tmp_path / f"x.lock.{'0' * 16}.{place}-{os.getpid()}-1.new").touch()
    living = tmp_path / f"x.lock.{'0' * 16}.{processes.this_process()}.new"
    living.touch()
    (tmp_path / "notes.txt").touch()
    Locks(tmp_path).tidy()
    names = {"far.lock", "mine.lock", living.name, "notes.txt"}
    assert {p.name for p in tmp_path.iterdir()} == names


def test_without_hard_links_too(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(locks.os, "link", no_links)
    one, other = Locks(tmp_path), Locks(tmp_path)
    assert one.acquire("a") and not other.acquire("a")
    assert json.loads((tmp_path / "a.lock").read_text())["process"] == processes.this_process()
    assert one.release("a") and other.acquire("a") and other.release("a")
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_the_network_repeats_is_granted_once(tmp_path, monkeypatch):
    link = os.link

    def repeated(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(locks.os, "link", repeated)
    assert Locks(tmp_path).acquire("a")
    assert not Locks(tmp_path).acquire("a")


def test_the_heartbeat_is_a_number_that_grows_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "HEARTBEAT", 0.01)
    mine = Locks(tmp_path)
    mine.acquire("a")
    file = tmp_path / "a.lock"
    inode, size = file.stat().st_ino, file.stat().st_size
    mine.held["a"].since -= 12345.0
    while mine.holders()["a"].seconds < 12345.0:
        time.sleep(0.01)
    assert (file.stat().st_ino, file.stat().st_size) == (inode, size)
    assert mine.release("a") and not file.exists()


def contend(folder, seed, until, trouble, sections):
    """Take locks at random and die at random, holding them or not; look out for company."""
    random = Random(seed)
    here = Locks(folder / "locks")
    while time.monotonic() < until:
        name = random.choice("abc")
        if not here.acquire(name):
            continue
        inside = folder / f"{name}.{processes.this_process()}"
        inside.touch()
        with sections.get_lock():
            sections.value += 1
        if random.random() < 0.1:
            os.kill(os.getpid(), signal.SIGKILL)
        for other in folder.glob(f"{name}.*"):
            if other != inside and processes.alive(other.name[2:]):
                trouble.set()
        inside.unlink()
        if random.random() < 0.1:
            os.kill(os.getpid(), signal.SIGKILL)
        here.release(name)


@pytest.mark.parametrize("seconds", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_many_processes_that_are_killed_all_the_time_never_hold_a_lock_together(tmp_path, seconds):
    trouble, sections = FORK.Event(), FORK.Value("i", 0)
    until = time.monotonic() + seconds
    workers = []
    for seed in range(100_000):
        if time.monotonic() > until:
            break
        workers = [w for w in workers if w.is_alive()]
        if len(workers) < 8:
            arguments = (tmp_path, seed, until, trouble, sections)
            workers.append(FORK.Process(target=contend, args=arguments))
            workers[-1].start()
    for worker in workers:
        worker.join()
    assert sections.value > 20 * seconds and not trouble.is_set()
    here = Locks(tmp_path / "locks")
    assert all(here.acquire(name) and here.release(name) for name in "abc")
    here.tidy()
    assert list((tmp_path / "locks").iterdir()) == []


def test_of_many_that_watch_another_hosts_lock_one_takes_it(tmp_path, clock, monkeypatch):
    from_another_host(tmp_path, "a", monkeypatch)
    watchers = [Locks(tmp_path) for _ in range(8)]
    for _ in range(round(locks.LEASE)):
        clock.now += 1
        assert not any([w.acquire("a") for w in watchers])
    clock.now += 5
    barrier, taken = threading.Barrier(8), []

    def take(watcher):
        barrier.wait()
        taken.append(watcher.acquire("a"))

    threads = [threading.Thread(target=take, args=(w,)) for w in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_who_holds_a_lock_is_waited_for_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    first, second = Locks(tmp_path), Locks(tmp_path)
    assert first.acquire("a")
    said = []

    def notice():
        said.append("waiting")
        first.release("a")

    with second.hold("a", notice):
        assert said == ["waiting"]
        assert not first.acquire("a")
    assert list(tmp_path.iterdir()) == []
