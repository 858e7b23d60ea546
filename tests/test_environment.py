"""What is said of the machine."""

import os
from pathlib import Path

import pytest

from normbench import environment
from normbench.environment import busy_machine


@pytest.mark.parametrize(("work", "busy"), [(0.0, False), (0.5, False), (0.6, True), (2.0, True)])
def test_a_machine_is_busy_where_others_work_on_over_a_quarter_of_its_cores(
    monkeypatch, work, busy
):
    ticks = iter(  # user, nice, system, idle, waiting, and three more: of both cores together
        f"cpu  {100 + i * round(50 * work)} 0 0 {900 + i * round(50 * (2 - work))} 0 0 0 0 0 0\n"
        for i in range(2)
    )
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(Path, "read_text", lambda path: next(ticks))
    said = busy_machine(0)
    assert bool(said) is busy
    assert not busy or f"{work:.1f} of 2 cores" in said


def unknown(*arguments):
    raise OSError


@pytest.mark.parametrize(("load", "busy"), [(0.5, False), (0.6, True)])
def test_where_the_system_does_not_tell_the_last_minute_counts(monkeypatch, load, busy):
    monkeypatch.setattr(environment, "_work", unknown)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert bool(busy_machine()) is busy


def test_a_system_that_does_not_tell_at_all_is_not_called_busy(monkeypatch):
    monkeypatch.setattr(environment, "_work", unknown)
    monkeypatch.setattr(os, "getloadavg", unknown)
    assert busy_machine() == ""
