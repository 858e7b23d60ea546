"""Errors in one line."""

import errno

import numpy as np
import pytest
import torch

from normbench.explain import explain


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
