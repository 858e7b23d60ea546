"""Lanes that are processes, and what becomes of them when others are killed."""

import os
import signal
import threading
from multiprocessing import forkserver

from normbench.engine.lanes import ProcessLanes


def make_double():
    return lambda task, report: 2 * task


def test_a_fork_server_that_is_killed_is_replaced():
    lanes = ProcessLanes(1, make_double)
    forkserver.ensure_running()
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGSTOP)  # so that it dies with a request that it has not answered
    threading.Timer(0.5, os.kill, (server, signal.SIGKILL)).start()
    lanes.start(21)
    events = []
    while not events:
        events = lanes.wait()
    lanes.close()
    assert [event.result for event in events] == [42]
    assert forkserver._forkserver._forkserver_pid != server
