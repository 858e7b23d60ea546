"""Costs: what is measured how often, and memory that can be counted by hand."""

import torch
import torch.nn.functional as F
from torch import nn

from normbench.probes.cost import peak_bytes, saved_bytes, seconds_in_turns

CPU = torch.device("cpu")


def test_every_action_is_measured_in_every_round_in_turn():
    order = []
    actions = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    rounds = list(seconds_in_turns(actions, rounds=4, seconds=0, device=CPU))
    assert [set(measured) for measured in rounds] == [{"a", "b"}] * 4
    assert all(seconds >= 0 for measured in rounds for seconds in measured.values())
    assert "".join(order[-8:]) == "abbaabba"


def test_saved_memory_is_that_of_the_tensors_the_backward_pass_needs():
    x = torch.randn(4, 3, 8, 8)
    conv = nn.Conv2d(3, 16, 3, padding=1)
    one_map = 4 * 16 * 8 * 8 * 4
    # a convolution needs its input and its weight, which are there anyway
    assert saved_bytes(lambda: conv(x), conv, x) == 0
    # a ReLU keeps its output; exp keeps its own, too, but not what it was computed from
    assert saved_bytes(lambda: F.relu(conv(x)), conv, x) == one_map
    assert saved_bytes(lambda: F.relu(conv(x)).exp(), conv, x) == 2 * one_map


def test_batchnorm_keeps_its_input_and_a_number_or_two_a_channel():
    x = torch.randn(4, 3, 8, 8)
    plain = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
    normed = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
    more = saved_bytes(lambda: normed(x), normed, x) - saved_bytes(lambda: plain(x), plain, x)
    assert 4 * 16 * 8 * 8 * 4 <= more <= 4 * 16 * 8 * 8 * 4 + 3 * 16 * 4


def test_the_peak_is_cudas_alone():
    assert peak_bytes(lambda: torch.ones(10), CPU) is None
