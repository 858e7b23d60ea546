"""Errors in one line."""

import errno

import numpy as np
import pytest
import torch

from normbench import explain as explain_module
from normbench.explain import explain, place_of


def raised(function):
    with pytest.raises(Exception) as caught:
        function()
    return caught.value


def test_a_machine_without_memory():
    too_much = 2**55
    for error in (
        raised(lambda: np.empty(too_much, np.uint8)),
        raised(lambda: torch.empty(too_much, dtype=torch.uint8)),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        assert explain(error).startswith("not enough memory"), error


def test_a_machine_without_room_for_processes():
    for error in (
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        RuntimeError("can't start new thread"),
    ):
        assert explain(error).startswith("no room for another process"), error


@pytest.mark.parametrize(
    "file, place",
    [
        ("/home/me/normbench/mylayer.py", " (mylayer.py, line 2)"),  # a clone is called so, too
        ("/usr/lib/python3/dist-packages/theirs.py", ""),
        (explain_module.__file__, ""),
    ],
)
def test_an_error_has_a_place_where_it_is_in_a_users_file(file, place):
    code = compile("\nraise ArithmeticError", file, "exec")
    error = raised(lambda: exec(code, {}))
    while error.__traceback__.tb_frame.f_code is not code:  # this file is a user's as well
        error.__traceback__ = error.__traceback__.tb_next
    assert place_of(error) == place
