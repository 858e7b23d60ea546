"""A process is known by a name that no other process ever has."""

import os
import signal
import subprocess
import sys

from normbench.store import processes


def name_of(child):
    return f"{processes.place()}-{child.pid}-{processes._started(child.pid)}"


def test_a_process_lives_until_it_is_killed_even_if_nobody_waits_for_it():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = name_of(child)
    assert processes.alive(name) is True
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but still listed
    assert processes.alive(name) is False
    child.communicate()
    assert processes.alive(name) is False


def test_an_id_that_was_taken_again_is_another_process():
    where, pid, started = processes.this_process().rsplit("-", 2)
    assert processes.alive(f"{where}-{pid}-{started}") is True
    assert processes.alive(f"{where}-{pid}-{int(started) - 1}") is False


def test_a_forked_process_has_a_name_of_its_own():
    mine = processes.this_process()
    code = (
        "import os\nfrom normbench.store.processes import this_process\nthis_process()\n"
        "pid = os.fork()\nos.write(1, this_process().encode() + b'\\n')\nif pid: os.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert len({*done.stdout.split(), mine}) == 3


def test_nothing_is_said_about_processes_of_other_hosts_or_what_names_none():
    place, rest = processes.this_process().split("-", 1)
    for name in (f"{'0' * 16}-{rest}", f"{processes.NOWHERE}-1-1", "", "x", f"{place}-x-1", place):
        assert processes.alive(name) is None
    assert processes.alive(f"{place}-{10**30}-1") is None
