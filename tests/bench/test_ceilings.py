"""What a device can do at most."""

import time

import torch

from normbench.bench.ceilings import CountBytes, best_seconds


def test_bytes_are_those_of_operands_and_views_are_free():
    a, b = torch.zeros(10, 10), torch.zeros(10, 10)
    with CountBytes() as count:
        (a + b).view(100).t()
    assert count.bytes == 3 * 400
    assert 0.01 <= best_seconds(lambda: time.sleep(0.01), 0.05, torch.device("cpu")) < 0.05
