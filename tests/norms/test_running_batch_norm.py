"""What sets RunningBatchNorm apart: the statistics it normalizes by, which are constants."""

import pytest
import torch

from normbench.norms import BatchNorm, RunningBatchNorm

EPS = 1e-5


def batches(steps=6, n=2):
    """Batches that differ in mean and spread, so that no two averages of them are alike."""
    torch.manual_seed(0)
    scale = torch.linspace(0.5, 3, steps).view(-1, 1, 1, 1, 1)
    return (scale * (torch.randn(steps, n, 3, 4, 4) + scale)).double()


@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2])
def test_every_training_step_uses_the_debiased_average_so_far(momentum, n):
    layer = RunningBatchNorm(3, momentum=momentum).double()
    mean, var = torch.zeros(3), torch.zeros(3)
    for t, x in enumerate(batches(n=n), start=1):
        values = x.transpose(0, 1).flatten(1)
        mean = (1 - momentum) * mean + momentum * values.mean(1)
        var = (1 - momentum) * var + momentum * values.var(1, correction=0)
        debias = 1 - (1 - momentum) ** t
        mu, sigma2 = (s.view(3, 1, 1) / debias for s in (mean, var))
        torch.testing.assert_close(layer(x), (x - mu) / (sigma2 + EPS).sqrt())
        torch.testing.assert_close(layer.running_mean, mu.flatten())
        torch.testing.assert_close(layer.running_var, sigma2.flatten())


def test_the_first_step_uses_the_batchs_own_statistics():
    x = batches()[0].float()
    torch.testing.assert_close(RunningBatchNorm(3)(x), BatchNorm(3)(x))


def test_evaluation_is_the_formula_of_training():
    layer = RunningBatchNorm(3)
    for x in batches().float():
        y = layer(x)
    assert torch.equal(layer.eval()(x), y)


def test_before_any_training_step_evaluation_has_mean_0_and_variance_1():
    x = batches()[0]
    layer = RunningBatchNorm(3, eps=0.5).double().eval()
    torch.testing.assert_close(layer(x), x / 1.5**0.5)


@pytest.mark.parametrize("training", [True, False])
def test_no_gradient_flows_through_the_statistics(training):
    layer = RunningBatchNorm(3).double()
    torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    first, x = batches()[:2]
    layer(first)
    x.requires_grad_()
    gradient = torch.randn_like(x)
    layer.train(training)(x).backward(gradient)
    scale = (layer.weight / (layer.running_var + EPS).sqrt()).view(3, 1, 1)
    torch.testing.assert_close(x.grad, gradient * scale)


def test_several_forwards_may_precede_the_backward():
    layer, apart = RunningBatchNorm(3).double(), RunningBatchNorm(3).double()
    together = sum(layer(x).square().sum() for x in batches())
    together.backward()
    for x in batches():
        apart(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, apart.weight.grad)


def test_a_bfloat16_batch_leaves_fp32_statistics():
    x = (torch.randn(2, 3, 16, 16) + 100.2).bfloat16()
    layer = RunningBatchNorm(3)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    mean = x.double().mean((0, 2, 3))
    torch.testing.assert_close(layer.running_mean.double(), mean, rtol=1e-5, atol=0)
    assert (mean.bfloat16() - mean).abs().max() > 0.1  # what bf16 statistics would have been off
