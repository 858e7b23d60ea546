"""Ranger against its papers' formulas and against torch's rectified Adam."""

import math

import pytest
import torch

from normbench.engine.flat import flatten_parameters
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


@pytest.mark.parametrize(
    "setting", [{"betas": (1.0, 0.9)}, {"eps": -1}, {"lookahead_steps": -1}, {"lookahead_pull": 2}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError):
        Ranger([torch.nn.Parameter(torch.zeros(1))], **setting)


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
    flat = flatten_parameters(networks[1])
    optimizers = [make(networks[0].parameters()), make([flat])]
    for _ in range(5):
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad(set_to_none=network is networks[0])
            torch.nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
    for plain, view in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(plain, view)
        assert plain.stride() == view.stride()
    assert flat.numel() == sum(p.numel() for p in networks[0].parameters())


def test_parameters_that_cannot_share_a_tensor_are_left_alone():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).double())
    assert flatten_parameters(network) is None
    assert flatten_parameters(torch.nn.ReLU()) is None
