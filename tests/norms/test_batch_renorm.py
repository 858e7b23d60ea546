"""Batch renormalization: the paper's algorithm, step by step."""

import pytest
import torch

from normbench.norms import BatchNorm, BatchRenorm

EPS = 1e-5


def batches(steps=5, n=3):
    """Batches that drift so far that limits matter."""
    torch.manual_seed(0)
    scale = torch.linspace(0.5, 4, steps).view(-1, 1, 1, 1, 1)
    return (scale * (torch.randn(steps, n, 4, 2, 3) + 2 * scale)).double()


@pytest.mark.parametrize(("max_scale", "max_shift"), [(3.0, 5.0), (1.1, 0.2), (1.0, 0.0)])
@pytest.mark.parametrize("momentum", [0.1, 0.5])
def test_training_follows_the_paper_from_the_second_batch_on(max_scale, max_shift, momentum):
    layer = BatchRenorm(4, max_scale, max_shift, momentum=momentum).double()
    for p in layer.parameters():
        torch.nn.init.uniform_(p, 0.5, 1.5)
    weight, bias = (p.view(4, 1, 1) for p in (layer.weight, layer.bias))
    mean = std = None
    for t, x in enumerate(batches(), start=1):
        ours, x = x.clone().requires_grad_(), x.requires_grad_()
        b_mean = x.mean((0, 2, 3), keepdim=True)
        b_std = ((x - b_mean).square().mean((0, 2, 3), keepdim=True) + EPS).sqrt()
        r, d = 1, 0
        if t > 1:
            debias = 1 - (1 - momentum) ** (t - 1)
            r = (b_std / (std / debias)).detach().clamp(1 / max_scale, max_scale)
            d = ((b_mean - mean / debias) / (std / debias)).detach().clamp(-max_shift, max_shift)
        expected = ((x - b_mean) / b_std * r + d) * weight + bias
        y = layer(ours)
        torch.testing.assert_close(y, expected)
        gradient = torch.randn_like(y)
        torch.testing.assert_close(
            torch.autograd.grad(y, ours, gradient), torch.autograd.grad(expected, x, gradient)
        )
        past = (0, 0) if mean is None else (mean, std)
        new = (b_mean.detach(), b_std.detach())
        mean, std = ((1 - momentum) * p + momentum * b for p, b in zip(past, new, strict=True))
        torch.testing.assert_close(layer.running_mean, (mean / (1 - (1 - momentum) ** t)).flatten())
    torch.testing.assert_close(layer.running_std, (std / (1 - (1 - momentum) ** t)).flatten())
    expected = (x - layer.running_mean.view(4, 1, 1)) / layer.running_std.view(4, 1, 1)
    torch.testing.assert_close(layer.eval()(x), expected * weight + bias)


def test_without_room_for_corrections_it_trains_as_batch_norm_does():
    layer, plain = BatchRenorm(4, max_scale=1.0, max_shift=0.0), BatchNorm(4)
    for x in batches().float():
        torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)


def test_without_limits_a_batch_is_normalized_by_the_batches_before():
    layer = BatchRenorm(4, max_scale=1e9, max_shift=1e9).double()
    for x in batches():
        evaluated = layer.eval()(x)
        y = layer.train()(x)
    torch.testing.assert_close(y, evaluated)


@pytest.mark.parametrize("limits", [{"max_scale": 0.9}, {"max_shift": -0.1}])
def test_limits_that_would_exclude_batch_norm_are_refused(limits):
    with pytest.raises(ValueError, match="max_scale=.* must be at least 1, max_shift=.* 0"):
        BatchRenorm(4, **limits)
