"""What sets RunningBatchNorm apart: the statistics it normalizes by, and their gradient."""

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


def weighted_average(past, momentum):
    """Σᵢ wᵢ bᵢ / Σᵢ wᵢ with wᵢ = (1 - m)^(t - i), written out; of the past, the last is b_t."""
    weights = [(1 - momentum) ** age for age in reversed(range(len(past)))]
    return sum(w * b for w, b in zip(weights, past, strict=True)) / sum(weights)


def reference(past, momentum, pooled):
    """Mean and variance that the last of the batches is normalized by, all earlier constants."""
    past = [*(x.detach() for x in past[:-1]), past[-1]]
    mean = weighted_average([x.mean((0, 2, 3)) for x in past], momentum)
    if pooled:
        return mean, weighted_average([(x * x).mean((0, 2, 3)) for x in past], momentum) - mean**2
    return mean, weighted_average([x.var((0, 2, 3), correction=0) for x in past], momentum)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0])
def test_gradient_flows_through_the_newest_batchs_share_alone(momentum, pooled):
    layer = RunningBatchNorm(3, momentum=momentum, gradient=True, pooled=pooled).double()
    torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    torch.nn.init.normal_(layer.bias)
    past, inputs = [], [x.requires_grad_() for x in batches().unbind()]
    for x in inputs:
        past.append(x)
        mean, var = (s.view(3, 1, 1) for s in reference(past, momentum, pooled))
        weight, bias = layer.weight.view(3, 1, 1), layer.bias.view(3, 1, 1)
        expected = (x - mean) / (var + EPS).sqrt() * weight + bias
        y = layer(x)
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(layer.running_mean, mean.detach().flatten())
        torch.testing.assert_close(layer.running_var, var.detach().flatten())
        tensors, gradient = (x, layer.weight, layer.bias), torch.randn_like(y)
        torch.testing.assert_close(
            torch.autograd.grad(y, tensors, gradient),
            torch.autograd.grad(expected, tensors, gradient),
        )


def test_with_gradient_and_the_newest_batch_alone_it_trains_as_batchnorm_does():
    layer, batch_norm = RunningBatchNorm(3, momentum=1.0, gradient=True), BatchNorm(3)
    for x in batches().float():
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        gradient = torch.randn_like(x)
        layer(ours).backward(gradient)
        batch_norm(theirs).backward(gradient)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gradient", [False, True])
def test_pooled_variance_is_that_of_all_values(gradient):
    layer = RunningBatchNorm(3, momentum=0.3, gradient=gradient, pooled=True).double()
    past = batches()
    for x in past:
        y = layer(x)
    mean, var = (s.view(3, 1, 1) for s in reference(past, 0.3, pooled=True))
    torch.testing.assert_close(y, (past[-1] - mean) / (var + EPS).sqrt())


@pytest.mark.parametrize(("n", "step"), [(1, 0.1), (2, 0.1), (5, 0.55)])
def test_by_size_large_batches_move_the_averages_more(n, step):
    layer, plain = RunningBatchNorm(3, by_size=True), RunningBatchNorm(3, momentum=step)
    for x in batches(n=n).float():
        torch.testing.assert_close(layer(x), plain(x))


def test_without_further_settings_the_numbers_are_those_of_the_plain_update():
    layer = RunningBatchNorm(3)
    mean, var, weight = torch.zeros(3), torch.ones(3), torch.zeros(())
    for x in batches().float():
        step = weight.mul_(0.9).add_(1).reciprocal()
        new = torch.batch_norm_update_stats(x, torch.zeros(3), torch.ones(3), 0.0)
        mean.lerp_(new[0], step)
        var.lerp_(new[1], step)
        y = torch.nn.functional.batch_norm(x, mean, var, layer.weight, layer.bias, eps=EPS)
        assert torch.equal(layer(x), y)


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


@pytest.mark.parametrize("gradient", [False, True])
def test_several_forwards_may_precede_the_backward(gradient):
    layer, apart = (RunningBatchNorm(3, gradient=gradient, pooled=True).double() for _ in "ab")
    together = sum(layer(x).square().sum() for x in batches())
    together.backward()
    for x in batches():
        apart(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, apart.weight.grad)


@pytest.mark.parametrize("gradient", [False, True])
def test_a_bfloat16_batch_leaves_fp32_statistics(gradient):
    x = (torch.randn(2, 3, 16, 16) + 100.2).bfloat16()
    layer = RunningBatchNorm(3, gradient=gradient)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    mean = x.double().mean((0, 2, 3))
    torch.testing.assert_close(layer.running_mean.double(), mean, rtol=1e-5, atol=0)
    assert (mean.bfloat16() - mean).abs().max() > 0.1  # what bf16 statistics would have been off
