"""A tracker is told beside training, and one that is down never stops or loses a run."""

import threading

from made_up import record

from normbench.trackers.tracking import Tracking


class Listener:
    """Notes what it is told."""

    def __init__(self):
        self.runs, self.files, self.closed = [], {}, False

    def track(self, run):
        self.runs.append((run.seed, threading.current_thread() is threading.main_thread()))

    def report(self, files):
        self.files |= files

    def close(self):
        self.closed = True


class Down(Listener):
    def track(self, run):
        super().track(run)
        raise ConnectionError("no answer\nand more")


class Stuck(Listener):
    def __init__(self):
        super().__init__()
        self.free = threading.Event()

    def track(self, run):
        self.free.wait(30)


def tell(tracker, count=3, **settings):
    tracking = Tracking(tracker, **settings)
    for seed in range(count):
        tracking.told(record(seed=seed))
    tracking.close()


def test_runs_are_told_in_their_order_and_not_by_the_thread_that_trains(capfd):
    listener = Listener()
    tell(listener)
    assert listener.runs == [(0, False), (1, False), (2, False)] and listener.closed
    assert capfd.readouterr().err == ""


def test_one_that_is_down_is_asked_once_and_told_of_in_a_line(capfd):
    down = Down()
    tell(down)
    assert len(down.runs) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "tracker=Down: ConnectionError: no answer" in line and "3 not told of" in line


def test_one_that_does_not_answer_is_not_waited_for_longer_than_said(capfd):
    stuck = Stuck()
    tell(stuck, count=2, wait=0.05)
    stuck.free.set()
    assert "it took more than 0.05 s; 2 not told of" in capfd.readouterr().err


def test_without_a_tracker_nothing_happens(capfd):
    tell(None)
    assert threading.active_count() >= 1 and capfd.readouterr().err == ""
