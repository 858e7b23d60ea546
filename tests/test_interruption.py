"""Ctrl-C: in order where there is something to leave in order, at once elsewhere."""

import subprocess
import sys

PROGRAM = """
import os, signal, time
from normbench import interruption

interruption.install()

def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)

{body}
"""


def run(body):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_where_there_is_nothing_to_leave_it_ends_at_once_even_if_errors_are_swallowed():
    code, out, err = run("try:\n    press()\nexcept BaseException:\n    pass\nprint('went on')")
    assert (code, out) == (130, "")
    assert err.strip() == "interrupted: finished runs are kept; the same command goes on from there"


IN_ORDER = """
try:
    with interruption.in_order():
        try:
            press()
        finally:
            for _ in range({more}):
                press()
            print('in order', flush=True)
except KeyboardInterrupt:
    interruption.leave()
"""


def test_in_order_it_ends_after_what_has_to_be_done_and_a_second_one_changes_nothing():
    for more in (0, 1):
        code, out, err = run(IN_ORDER.format(more=more))
        assert (code, out) == (130, "in order\n") and "interrupted" in err


def test_the_third_ends_it_at_once():
    code, out, err = run(IN_ORDER.format(more=2))
    assert (code, out) == (130, "") and err.count("interrupted") == 1


def test_whoever_reads_the_help_may_stop_before_its_end():
    for typed in ("--help", "run --help"):
        done = subprocess.run(
            f"{sys.executable} -m normbench {typed} | head -n 1",
            shell=True, capture_output=True, text=True,
        )  # fmt: skip
        assert "normbench" in done.stdout and done.stderr == ""
