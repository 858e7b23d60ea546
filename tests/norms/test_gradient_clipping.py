"""Adaptive gradient clipping, against the paper's formula and timm."""

from dataclasses import replace

import pytest
import torch
from fake_cuda import Watching, fake_cuda, take_a_step, training_of
from small_runs import MODEL, dataset, plan, ranger
from stand_in_cuda import StandInStream
from timm.utils import adaptive_clip_grad
from torch import nn

import normbench
from normbench.engine.captured import CapturedTraining
from normbench.engine.training import Training, finish, run, train
from normbench.errors import UserError
from normbench.norms import AdaptiveGradientClipping
from normbench.parts import make_clip
from normbench.places import read_config

ONE = torch.ones((), dtype=torch.float64)


def network():
    torch.manual_seed(0)
    made = normbench.build_model(MODEL, norm="scaled_ws_agc", num_classes=3).double()
    for p in made.parameters():
        p.grad = torch.randn_like(p) * torch.logspace(-4, 2, p.numel(), dtype=p.dtype).view_as(p)
    return made


def pairs(clip):
    return [(p.data, p.grad) for p in clip.parameters]


@pytest.mark.parametrize(("clip_factor", "eps"), [(0.01, 1e-3), (0.16, 1e-3), (0.01, 10.0)])
def test_it_clips_as_timm_does(clip_factor, eps):
    ours, theirs = network(), network()
    clip = AdaptiveGradientClipping(ours, clip_factor, eps)
    clip(pairs(clip), ONE)
    body = [p for name, p in theirs.named_parameters() if not name.startswith("head")]
    adaptive_clip_grad(body, clip_factor, eps)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=0)


def test_each_unit_is_clipped_by_its_own_lengths():
    linear = nn.Linear(3, 2, dtype=torch.float64)
    model = nn.Sequential(linear, nn.Linear(2, 2, dtype=torch.float64))
    linear.weight.data = torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    linear.weight.grad = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    clip = AdaptiveGradientClipping(model, clip_factor=0.1, eps=0.01)
    clip([(linear.weight.data, linear.weight.grad)], ONE)
    expected = [[0.0, 0.1 * 5, 0.0], [0.0, 0.0, 0.1 * 0.01]]  # λ ‖W[i]‖, and λ eps of zeros
    torch.testing.assert_close(linear.weight.grad, torch.tensor(expected, dtype=torch.float64))


def test_the_last_linear_layer_is_not_clipped():
    made = network()
    assert {*made.head.parameters()}.isdisjoint(AdaptiveGradientClipping(made).parameters)


def test_gradients_that_are_scaled_are_clipped_alike():
    plain, scaled = network(), network()
    for p in scaled.parameters():
        p.grad *= 1024
    for model, scale in ((plain, ONE), (scaled, 1024 * ONE)):
        clip = AdaptiveGradientClipping(model)
        clip(pairs(clip), scale)
    for one, other in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(1024 * one.grad, other.grad)


def test_what_overflowed_is_still_seen():
    made = network()
    for p in made.parameters():
        p.grad.view(-1)[0] = torch.inf
    clip = AdaptiveGradientClipping(made)
    clip(pairs(clip), ONE)
    assert not any(torch.isfinite(p.grad).all() for p in clip.parameters)


class Apart(torch.optim.SGD):
    """One that gets the parameters as they are, not as one flat tensor."""


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, Apart])
def test_a_step_of_training_is_one_with_clipped_gradients(optimizer):
    """However the parameters lie in memory."""

    def training(clip):
        return Training(
            plan(
                model=lambda: normbench.build_model(MODEL, "scaled_ws", num_classes=3),
                optimizer=lambda params, lr: optimizer(params, lr=lr),
                lr=1.0,
                clip=clip,
            ),
            dataset(),
            torch.device("cpu"),
        )

    def clipped(model):
        return AdaptiveGradientClipping(model, clip_factor=1e-3)

    free, ours = training(lambda model: None), training(clipped)
    index = torch.arange(8)
    before = {name: p.detach().clone() for name, p in free.model.named_parameters()}
    for one in (free, ours):
        one.set_rates(0)
        one.step(index)
    rate = free.optimizer.param_groups[0]["lr"]
    expected = dict(normbench.build_model(MODEL, "scaled_ws", num_classes=3).named_parameters())
    for name, p in free.model.named_parameters():
        expected[name].data = before[name].clone()
        expected[name].grad = (before[name] - p.detach()) / rate
    body = [p for name, p in expected.items() if not name.startswith("head")]
    adaptive_clip_grad(body, 1e-3)
    differs = False
    for (name, p), other in zip(
        ours.model.named_parameters(), free.model.parameters(), strict=True
    ):
        wanted = before[name] - rate * expected[name].grad
        torch.testing.assert_close(p.detach(), wanted, rtol=1e-4, atol=1e-6)
        differs = differs or not torch.equal(p, other)
    assert differs


def test_a_run_of_a_norm_with_clipping_trains():
    settings = read_config("norm/scaled_ws_agc")
    settings.clip.clip_factor = 0.1
    training = Training(
        plan(
            model=lambda: normbench.build_model(MODEL, settings, num_classes=3),
            clip=lambda model: make_clip(settings, model),
            optimizer=ranger,
        ),
        dataset(),
        torch.device("cpu"),
    )
    assert training.clip.clip_factor == 0.1
    training.step(torch.arange(8))
    assert all(torch.isfinite(p).all() for p in training.model.parameters())


@pytest.mark.parametrize("setting", ["clip_factor", "eps"])
def test_settings_that_clip_everything_are_refused(setting):
    with pytest.raises(ValueError, match="must be positive"):
        AdaptiveGradientClipping(nn.Linear(2, 2), **{setting: 0})


def test_a_clipping_without_a_class_is_refused():
    config = {"name": "mine", "layer": {"_target_": "torch.nn.Identity"}, "clip": {"eps": 1}}
    with pytest.raises(UserError, match="norm.clip: name its class, with norm.clip._target_"):
        normbench.build_model(MODEL, norm=config)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_graph_can_hold_it(precision):
    """On a device nothing is read from it and nothing is done on the host."""
    with fake_cuda():
        training = training_of(
            plan(
                model=lambda: normbench.build_model(MODEL, "scaled_ws_agc", num_classes=3),
                clip=AdaptiveGradientClipping,
                precision=precision,
            )
        )
        take_a_step(training)  # what happens only once may wait
        with Watching() as watch:
            take_a_step(training)
    assert watch.operators.total() > 20


def test_replayed_steps_clip_as_those_of_a_plain_loop_do():
    chosen = plan(
        model=lambda: normbench.build_model(MODEL, "scaled_ws_agc", num_classes=3),
        clip=AdaptiveGradientClipping,
        optimizer=torch.optim.SGD,
        lr=0.5,
    )
    captured = CapturedTraining(chosen, dataset(), torch.device("cpu"), StandInStream())
    captured.capture()
    ours, plain = finish(run(captured)), train(chosen, dataset(), torch.device("cpu"))
    for one, other in zip(ours.epochs, plain.epochs, strict=True):
        assert one == pytest.approx(other, rel=1e-6)
    free = train(replace(chosen, clip=lambda model: None), dataset(), torch.device("cpu"))
    assert free.epochs[0] != plain.epochs[0]
