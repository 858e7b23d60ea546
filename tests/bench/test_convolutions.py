"""The convolutions of a training step, by themselves."""

import time

import pytest
import torch

from normbench.bench.convolutions import CONVOLUTIONS, convolutions_of, rate
from normbench.bench.measure import Task
from normbench.models.cnn4 import CNN4
from normbench.norms import BatchNorm


class SmallTask(Task):
    def network(self, num_classes):
        return CNN4(BatchNorm, num_classes, widths=(8, 16))


def task(precision):
    settings = {"train": {"precision": precision}, "data": {"image_size": 16, "mean": [0.0] * 3}}
    return SmallTask(settings, {}, "", 4, "cpu", 1.0, None)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_they_are_those_of_a_step_forward_and_backward(precision, dtype):
    forward, backward = CONVOLUTIONS
    calls = convolutions_of(task(precision)).calls
    assert [func for func, _, _ in calls] == [forward, forward, backward, backward]
    inputs = [args[0] if func is forward else args[1] for func, args, _ in calls]
    assert [tuple(x.shape) for x in inputs] == [
        (4, 3, 16, 16), (4, 8, 8, 8), (4, 8, 8, 8), (4, 3, 16, 16),
    ]  # fmt: skip
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in inputs)
    assert all(t.dtype == dtype for _, args, _ in calls for t in args if torch.is_tensor(t))
    # of the images, no gradient
    assert [args[-1][:2] for func, args, _ in calls if func is backward] == [
        [True, True], [False, True],
    ]  # fmt: skip


def test_what_is_repeated_has_no_gradient():
    convolutions = convolutions_of(task("fp32"))
    func, args, kwargs = convolutions.calls[0]
    made = []
    convolutions.calls = [(lambda *args: made.append(func(*args)), args, kwargs)]
    convolutions.repeat()
    assert args[1].requires_grad and not made[0].requires_grad


def test_a_rate_is_an_average():
    assert 0 < rate(lambda: time.sleep(0.01), 0.1) <= 100
    assert rate(lambda: None, 0) > 0  # once at least
