"""What is said of the machine."""

import os

import pytest

from normbench.environment import busy_machine


@pytest.mark.parametrize(("load", "busy"), [(0.0, False), (0.5, False), (0.6, True), (9.0, True)])
def test_a_machine_is_busy_where_others_work_on_over_a_quarter_of_its_cores(
    monkeypatch, load, busy
):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert bool(busy_machine()) is busy
    assert not busy or f"load {load:.1f} on 2 cores" in busy_machine()


def test_a_system_that_does_not_tell_is_not_called_busy(monkeypatch):
    def unknown():
        raise OSError

    monkeypatch.setattr(os, "getloadavg", unknown)
    assert busy_machine() == ""
