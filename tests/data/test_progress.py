"""Bars are for who watches a terminal."""

import sys

import pytest

from normbench.data.progress import on_terminal


@pytest.mark.parametrize(
    ("terminal", "notebook", "shown"),
    [(True, False, True), (False, False, False), (True, True, False)],
)
def test_bars_are_shown_on_a_terminal_and_not_in_a_notebooks_cell(
    monkeypatch, terminal, notebook, shown
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    if notebook:  # what IPython's kernel tells the commands that a cell starts in a terminal
        monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert on_terminal() is shown
