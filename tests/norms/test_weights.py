"""Reparametrizations of convolution weights that keep something of each weight's shape."""

from functools import partial

import pytest
import timm.layers
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import is_parametrized

from normbench.norms import (
    GroupNorm,
    Norm,
    ScaledWeightStandardization,
    WeightNorm,
    scaled_weight_standardization,
    spectral_norm,
    weight_norm,
)

FUNCTIONS = [scaled_weight_standardization, weight_norm, spectral_norm]
every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
every_format = pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"]
)


def convolution(function=None, dtype=torch.float64):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, dtype=dtype)
    return conv if function is None else function(conv)


def scaled(w, gain, gamma=(2 / (1 - 1 / torch.pi)) ** 0.5):
    filters = w.flatten(1)
    centered = filters - filters.mean(1, keepdim=True)
    z = centered / (centered.square().mean(1, keepdim=True) + 1e-6).sqrt()
    return (z * gamma / w[0].numel() ** 0.5).view_as(w) * gain


def lengthened(w, g):
    return g * w / w.square().sum((1, 2, 3), keepdim=True).sqrt()


@every_format
@pytest.mark.parametrize(
    ("Parametrization", "name", "formula"),
    [(ScaledWeightStandardization, "gain", scaled), (WeightNorm, "g", lengthened)],
)
@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (8, 16, 1, 1), (8, 1, 3, 3)], ids=str)
def test_value_and_gradients_follow_the_formula(
    shape, Parametrization, name, formula, memory_format
):
    torch.manual_seed(0)
    w, gradient = (0.3 * torch.randn(2, *shape, dtype=torch.float64)).unbind()
    w = w.contiguous(memory_format=memory_format).requires_grad_()
    module = Parametrization(w).double()
    factor = module.get_parameter(name)
    nn.init.uniform_(factor, 0.5, 1.5)
    y, expected = module(w), formula(w, factor)
    assert y.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(
        torch.autograd.grad(y, (w, factor), gradient),
        torch.autograd.grad(expected, (w, factor), gradient),
    )


@pytest.mark.parametrize("Parametrization", [ScaledWeightStandardization, WeightNorm])
def test_gradcheck(Parametrization):
    w = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    module = Parametrization(w).double()
    ((name, factor),) = module.named_parameters()

    def forward(w, factor):
        return torch.func.functional_call(module, {name: factor}, w)

    assert torch.autograd.gradcheck(forward, (w, factor))
    assert torch.autograd.gradgradcheck(forward, (w, factor))  # the Hessian's probe needs it


def test_scaled_weight_standardization_is_a_drop_in_for_timms():
    theirs = timm.layers.ScaledStdConv2d(4, 8, 3, padding=0, gamma=1.5, eps=1e-6)
    nn.init.uniform_(theirs.gain, 0.5, 1.5)
    ours = scaled_weight_standardization(nn.Conv2d(4, 8, 3), gamma=1.5)
    ours.load_state_dict(
        {
            "bias": theirs.bias,
            "parametrizations.weight.original": theirs.weight,
            "parametrizations.weight.0.gain": theirs.gain,
        }
    )
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_scaled_weights_keep_the_variance_of_what_passes_a_relu():
    torch.manual_seed(0)
    conv = scaled_weight_standardization(nn.Conv2d(256, 512, 1, bias=False))
    out = conv(torch.randn(64, 256, 4, 4).relu())
    assert out.var().item() == pytest.approx(1, rel=0.05)


def test_weight_norm_is_torchs():
    theirs, ours = convolution(parametrizations.weight_norm), convolution(weight_norm)
    torch.testing.assert_close(ours.weight, convolution().weight)  # it starts as it was
    original = theirs.parametrizations.weight
    state = {
        "bias": theirs.bias,
        "parametrizations.weight.original": 2 * original.original1,
        "parametrizations.weight.0.g": 3 * original.original0,
    }
    ours.load_state_dict(state)
    torch.testing.assert_close(ours.weight, 3 * theirs.weight)


def test_weight_norm_leaves_a_filter_of_zeros():
    conv = nn.Conv2d(4, 8, 3)
    nn.init.zeros_(conv.weight)
    weight_norm(conv)(torch.randn(2, 4, 5, 5)).sum().backward()
    assert torch.equal(conv.weight, torch.zeros(8, 4, 3, 3))
    assert all(p.grad.isfinite().all() for p in conv.parameters())


def test_spectral_norm_divides_by_the_largest_singular_value():
    conv = convolution(spectral_norm)
    for _ in range(300):
        weight = conv.weight
    original = conv.parametrizations.weight.original
    expected = original / torch.linalg.svdvals(original.flatten(1))[0]
    torch.testing.assert_close(weight, expected)


def test_spectral_norm_is_torchs():
    theirs, ours = convolution(parametrizations.spectral_norm), convolution(spectral_norm)
    for training in (True, True, False, False):
        ours.train(training), theirs.train(training)
        gradient = torch.randn(8, 4, 3, 3, dtype=torch.float64)
        grads = [
            torch.autograd.grad(conv.weight, conv.parametrizations.weight.original, gradient)
            for conv in (ours, theirs)
        ]
        torch.testing.assert_close(*grads)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_spectral_norms_vectors_move_in_training_only():
    conv = convolution(spectral_norm).eval()
    before = [b.clone() for b in conv.buffers()]
    assert len(before) == 2 and torch.equal(conv.weight, conv.weight)
    assert all(map(torch.equal, before, conv.buffers()))
    conv.train()(torch.randn(1, 4, 5, 5, dtype=torch.float64))
    assert not any(map(torch.equal, before, conv.buffers()))
    with pytest.raises(ValueError, match="n_power_iterations"):
        spectral_norm(nn.Conv2d(4, 8, 3), n_power_iterations=0)


@every_function
def test_autocast_leaves_weights_in_fp32(function):
    plain, halved = convolution(function, torch.float32), convolution(function, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        weight = halved.weight
        assert halved(torch.randn(1, 4, 5, 5)).dtype == torch.bfloat16
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, plain.weight, rtol=1e-6, atol=1e-6)


@every_function
@every_format
def test_a_model_with_it_learns_and_can_be_restored(function, memory_format):
    def model():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), GroupNorm(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
        Norm(GroupNorm, weight=function).reparametrize(net)
        return net.to(memory_format=memory_format)

    net, restored = model(), model()
    before = [p.detach().clone() for p in net.parameters()]
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=memory_format)
    net(x).square().mul(torch.arange(4)).sum().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    assert not any(map(torch.equal, before, net.parameters()))
    assert net[0].weight.is_contiguous(memory_format=memory_format)
    restored.load_state_dict(net.state_dict())
    assert torch.equal(restored.eval()(x), net.eval()(x))


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_torchs_own_functions_can_be_a_norms_weight(name):
    function = getattr(parametrizations, name)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Linear(8, 8))
    Norm(GroupNorm, weight=partial(function, dim=1)).reparametrize(net)
    assert [is_parametrized(module) for module in net] == [True, False, True, False]
    assert net[0].parametrizations.weight[0].dim == 1


def test_a_function_that_reparametrizes_nothing_is_refused():
    with pytest.raises(TypeError, match="has not reparametrized the layer"):
        Norm(GroupNorm, weight=lambda module: module).reparametrize(nn.Conv2d(3, 8, 3))
