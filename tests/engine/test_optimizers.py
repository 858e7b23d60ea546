"""Ranger against its papers' formulas and torch's rectified Adam, on the host and on a device."""

import importlib.util
import math
import os
import subprocess
import sys

import pytest
import torch

from normbench.engine.capturable import DeviceSGD, NotCapturable, capturable
from normbench.engine.flat import FlatParameters, SeparateParameters, can_share_a_tensor
from normbench.engine.optimizers import Ranger


def trajectory(make, steps=40, seed=0):
    """Parameters after each step on a fixed sequence of gradients, float64."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.nn.Parameter(torch.randn(7, dtype=torch.float64, generator=generator))
    optimizer = make([p])
    path = []
    for _ in range(steps):
        p.grad = torch.randn(7, dtype=torch.float64, generator=generator)
        optimizer.step()
        path.append(p.detach().clone())
    return torch.stack(path)


def test_without_lookahead_it_is_rectified_adam():
    # torch adds eps before it corrects the second moment's bias, so eps has to be negligible
    settings = {"lr": 0.03, "betas": (0.95, 0.99), "eps": 1e-14}
    ours = trajectory(lambda p: Ranger(p, **settings, lookahead_steps=0))
    torchs = trajectory(lambda p: torch.optim.RAdam(p, **settings))
    torch.testing.assert_close(ours, torchs, rtol=1e-10, atol=1e-12)


def test_follows_the_formulas_of_both_papers():
    lr, b1, b2, eps, decay, k, pull = 0.05, 0.9, 0.98, 1e-4, 0.1, 4, 0.3
    generator = torch.Generator().manual_seed(3)
    p = torch.randn(7, dtype=torch.float64, generator=generator).tolist()
    slow, m, v, expected = list(p), [0.0] * 7, [0.0] * 7, []
    rho_inf = 2 / (1 - b2) - 1
    for t in range(1, 31):
        g = torch.randn(7, dtype=torch.float64, generator=generator).tolist()
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        for i in range(7):
            p[i] -= lr * decay * p[i]
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
            m_hat = m[i] / (1 - b1**t)
            if rho > 5:
                r = math.sqrt(
                    (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
                )
                p[i] -= lr * r * m_hat / (math.sqrt(v[i] / (1 - b2**t)) + eps)
            else:
                p[i] -= lr * m_hat
            if t % k == 0:
                slow[i] += pull * (p[i] - slow[i])
                p[i] = slow[i]
        expected.append(list(p))
    ours = trajectory(
        lambda params: Ranger(params, lr, (b1, b2), eps, decay, k, pull), steps=30, seed=3
    )
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64))


def test_a_large_parameter_is_updated_in_blocks_to_the_same_bits(monkeypatch):
    def after_twenty_steps():
        generator = torch.Generator().manual_seed(0)
        p = torch.nn.Parameter(torch.randn(1003, generator=generator))
        optimizer = Ranger([p], lr=0.01, weight_decay=0.1)
        for _ in range(20):
            p.grad = torch.randn(1003, generator=generator)
            optimizer.step()
        return p.detach()

    whole = after_twenty_steps()
    monkeypatch.setattr("normbench.engine.optimizers.BLOCK", 64)
    assert torch.equal(after_twenty_steps(), whole)


@pytest.mark.parametrize(
    "setting", [{"betas": (1.0, 0.9)}, {"eps": -1}, {"lookahead_steps": -1}, {"lookahead_pull": 2}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError):
        Ranger([torch.nn.Parameter(torch.zeros(1))], **setting)


SETTINGS = [
    {},
    {"weight_decay": 0.1, "eps": 1e-3},
    {"lookahead_steps": 0},
    {"lookahead_steps": 3, "lookahead_pull": 0.2},
    {"betas": (0.9, 0.5)},  # too short a memory to ever be rectified
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_what_a_graph_can_hold_is_the_same_optimizer(settings):
    host = trajectory(lambda p: Ranger(p, lr=0.03, **settings))
    device = trajectory(lambda p: Ranger(p, lr=0.03, **settings, steps=40))
    torch.testing.assert_close(device, host, rtol=1e-10, atol=1e-12)


def test_nothing_in_it_is_a_number_of_the_host():
    """Learning rate, b1 and the step counter are read when a step runs, not when it is written."""
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    twin = torch.nn.Parameter(p.detach().clone())
    optimizer = capturable(Ranger, [p], 0.1, steps=9, momentum_changes=True)
    plain = Ranger([twin], lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for lr, b1 in [(0.1, 0.95), (0.2, 0.9), (0.05, 0.85), (0.0, 0.9), (0.1, 0.95), (0.3, 0.8)]:
        p.grad = torch.randn(3, dtype=torch.float64, generator=generator)
        twin.grad = p.grad.clone()
        group = optimizer.param_groups[0]
        group["lr"].fill_(lr)
        group["betas"][0].fill_(b1)
        plain.param_groups[0].update(lr=lr, betas=(b1, 0.99))
        optimizer.step()
        plain.step()
        torch.testing.assert_close(p, twin, rtol=1e-12, atol=1e-14)
    assert optimizer.state[p]["step"].item() == 6


def test_a_grad_scaler_can_have_updates_skipped_without_the_host():
    def after(scale, found_inf):
        p = torch.nn.Parameter(torch.ones(3))
        optimizer = Ranger([p], lr=0.1, lookahead_steps=1, weight_decay=0.1, steps=4)
        for overflow in found_inf:
            p.grad = torch.tensor([scale, 2 * scale, math.inf if overflow else 0.0])
            optimizer.grad_scale = torch.tensor(scale)
            optimizer.found_inf = torch.tensor(float(overflow))
            optimizer.step()
        return p.detach(), optimizer.state[p]

    expected, state = after(1.0, [False, False])
    ours, ours_state = after(1024.0, [True, False, True, False])
    assert torch.equal(ours, expected)
    assert all(torch.equal(ours_state[name], state[name]) for name in state)


TRITON = """
import torch
from normbench.engine.optimizers import Ranger
from normbench.engine.ranger_kernel import update_by_kernel
from normbench.engine.ranger_update import update_by_operators

generator = torch.Generator().manual_seed(0)
for lookahead in (0, 3):
    for found_inf in (None, 0.0, 1.0):
        ranger = Ranger(
            [torch.nn.Parameter(torch.zeros(1))],
            lr=0.05, weight_decay=0.1, lookahead_steps=lookahead, steps=7,
        )
        group = ranger.param_groups[0]
        p, m, v, slow = (torch.randn(1501, generator=generator) for _ in range(4))
        plain = [p, m, v.abs(), slow if lookahead else None]
        fused = [t if t is None else t.clone() for t in plain]
        for step in range(7):
            g = torch.randn(1501, generator=generator)
            scaler = ()
            if found_inf is not None:
                overflow = found_inf and step % 3 == 1
                scaler = torch.tensor(8.0), torch.tensor(float(overflow))
                g[7] = float("inf") if overflow else 1
            for state, update in ((plain, update_by_operators), (fused, update_by_kernel)):
                p, *moments = state
                update(p, g, *moments, group["lr"], group["table"][step], *scaler)
        for one, other in zip(plain, fused):
            if one is not None:
                assert one.isfinite().all()
                torch.testing.assert_close(one, other, rtol=1e-5, atol=3e-6)
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_the_triton_kernel_is_the_plain_update():
    """In Triton's interpreter; compiled, it is tested in tests/cuda."""
    done = subprocess.run(
        [sys.executable, "-c", TRITON],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1}, {"nesterov": True}])
def test_sgd_for_graphs_is_torchs(settings):
    def ours(params):
        lr, momentum = (torch.tensor(x, dtype=torch.float64) for x in (0.03, 0.9))
        return DeviceSGD(params, lr, momentum, **settings)

    theirs = trajectory(lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9, **settings))
    torch.testing.assert_close(trajectory(ours), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "make, changes, settings",
    [
        (torch.optim.SGD, False, {"fused": True}),
        (torch.optim.AdamW, False, {"fused": True, "capturable": True}),
        (torch.optim.Adam, False, {"fused": True, "capturable": True}),
        (torch.optim.Adam, True, {"foreach": False, "capturable": True}),
        (torch.optim.RAdam, False, {"capturable": True}),
        (Ranger, False, {}),
        (Ranger, True, {}),
        (torch.optim.SGD, True, {}),
    ],
)
def test_what_changes_from_step_to_step_is_a_tensor(make, changes, settings):
    p = torch.nn.Parameter(torch.zeros(3))
    made = capturable(make, [p], 0.25, 10, changes)
    group = made.param_groups[0]
    assert settings.items() <= group.items()
    assert isinstance(group["lr"], torch.Tensor) and group["lr"].item() == 0.25
    momentum = group["betas"][0] if "betas" in group else group["momentum"]
    assert isinstance(momentum, torch.Tensor) == changes


@pytest.mark.parametrize("name", ["Rprop", "NAdam", "Adagrad", "LBFGS"])
def test_optimizers_that_depend_on_the_host_are_refused(name):
    with pytest.raises(NotCapturable, match=name):
        capturable(getattr(torch.optim, name), [torch.nn.Parameter(torch.zeros(3))], 0.1, 10, False)


def small_network():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.Flatten(),
        torch.nn.LazyLinear(5),
    )
    network(torch.randn(2, 3, 6, 6))
    return network.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.AdamW(p, lr=0.01),
        lambda p: Ranger(p, lr=0.01, lookahead_steps=2),
    ],
    ids=["sgd", "adamw", "ranger"],
)
def test_flat_parameters_train_to_the_same_bits(make):
    x, y = torch.randn(8, 3, 6, 6), torch.arange(8) % 5
    networks = [small_network(), small_network()]
    arrangements = [SeparateParameters(networks[0]), FlatParameters(networks[1])]
    optimizers = [make(parameters.tensors) for parameters in arrangements]
    for _ in range(5):
        for network, parameters, optimizer in zip(networks, arrangements, optimizers, strict=True):
            parameters.clear_gradients()
            torch.nn.functional.cross_entropy(network(x), y).backward()
            parameters.collect_gradients()
            optimizer.step()
            parameters.refresh_copies()
    for plain, view in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(plain, view)
        assert plain.stride() == view.stride()
    (flat,) = arrangements[1].tensors
    assert flat.count_nonzero() == sum(p.count_nonzero() for p in networks[1].parameters())


@pytest.mark.parametrize("dtype, numbers", [(torch.float32, 16), (torch.float64, 8)])
def test_flat_parameters_begin_where_libraries_want_them(dtype, numbers):
    network = torch.nn.Sequential(torch.nn.PReLU(), torch.nn.Conv2d(3, 4, 3), torch.nn.PReLU())
    parameters = FlatParameters(network.to(dtype))
    network(torch.randn(2, 3, 4, 4, dtype=dtype)).sum().backward()
    parameters.collect_gradients()
    (flat,) = parameters.tensors
    begins = [p.storage_offset() for p in network.parameters()]
    assert not flat.data_ptr() % 64 and all(begin % numbers == 0 for begin in begins)
    between = torch.ones(flat.numel(), dtype=torch.bool)
    for p, begin in zip(network.parameters(), begins, strict=True):
        between[begin : begin + p.numel()] = False
        piece = flat.grad[begin : begin + p.numel()]
        assert torch.equal(piece.sort().values, p.grad.flatten().sort().values)
    assert between.any() and not flat[between].any() and not flat.grad[between].any()


def test_a_parameter_that_a_step_does_not_use_has_no_gradient_left_from_before():
    network = torch.nn.ModuleList([torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)])
    parameters = FlatParameters(network)
    for used, unused in [(0, 1), (1, 0)]:
        parameters.clear_gradients()
        network[used](torch.ones(1, 2)).sum().backward()
        parameters.collect_gradients()
        ((_, gradients),) = parameters.gradients  # weight and bias of both
        assert all((gradient == 1).all() for gradient in gradients[2 * used : 2 * used + 2])
        assert all((gradient == 0).all() for gradient in gradients[2 * unused : 2 * unused + 2])


def test_parameters_that_cannot_share_a_tensor():
    assert can_share_a_tensor(torch.nn.Linear(2, 2))
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).double())
    assert not can_share_a_tensor(network)
    assert not can_share_a_tensor(torch.nn.ReLU())


def test_only_what_convolutions_and_linear_layers_read_alone_is_kept_in_half_precision():
    class Own(torch.nn.Linear):
        pass

    shared = torch.nn.Linear(2, 2)
    tied = torch.nn.Linear(2, 2, bias=False)
    tied.weight = shared.weight
    standardized = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.LayerNorm(2), Own(2, 2), shared, tied, standardized
    )
    FlatParameters(network, torch.bfloat16)
    halved = [name for name, p in network.named_parameters() if p.dtype == torch.bfloat16]
    assert halved == ["0.weight", "0.bias", "3.bias"]
