"""BatchChannelNorm of channels_last maps on the CPU: large ones take another way than small."""

import copy

import pytest
import torch
from norms.formulas import batch_channel_norm
from torch import nn
from torch._subclasses import FakeTensorMode

from normbench.norms import BatchChannelNorm
from normbench.norms import group as ways

C = 16
LAST = torch.channels_last


@pytest.fixture(params=["function", "parts"])
def way(request, monkeypatch):
    """Both ways, for maps of any size."""
    monkeypatch.setattr(ways, "LARGE", 0 if request.param == "function" else 10**9)
    return request.param


def layer(dtype=torch.float32, **settings):
    torch.manual_seed(0)
    made = BatchChannelNorm(C, **settings).to(dtype)
    for p in made.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    return made


def maps(*shape, mean=0.0):
    return (torch.randn(shape) + mean).contiguous(memory_format=LAST)


def outcome(norm, x, gradient, **settings):
    """y, and the gradients of x and of the parameters."""
    x = x.detach().requires_grad_()
    y = norm(x)
    return y, *torch.autograd.grad(y, [x, *norm.parameters()], gradient.to(y.dtype), **settings)


def by_formula(norm, x, gradient):
    params = [p.detach().double().requires_grad_() for p in norm.parameters()]
    x = x.detach().double().requires_grad_()
    y = batch_channel_norm(x, params)
    return y, *torch.autograd.grad(y, [x, *params], gradient.double())


def assert_close(actual, expected, **tolerance):
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, check_dtype=False, **tolerance)


def test_large_maps_in_narrow_groups_take_the_function():
    large = maps(32, C, 16, 16)
    assert "BatchChannelNormFunction" in layer()(large).grad_fn.name()
    for norm, x in ((layer(num_groups=2), large), (layer(gradient=True), large)):
        assert "BatchChannelNormFunction" not in norm(x).grad_fn.name()
    assert "BatchChannelNormFunction" not in layer()(large.contiguous()).grad_fn.name()


@pytest.mark.parametrize(("mean", "tolerance"), [(0.0, 1e-5), (100.0, 5e-4)])
def test_it_follows_the_formula_however_far_the_mean_is_from_zero(way, mean, tolerance):
    norm, x, gradient = layer(), maps(4, C, 9, 7, mean=mean), maps(4, C, 9, 7)
    actual, expected = outcome(norm, x, gradient), by_formula(norm, x, gradient)
    assert_close(actual[:2], expected[:2], rtol=0, atol=tolerance)
    assert_close(actual[2:], expected[2:], rtol=0, atol=10 * tolerance)  # sums of 252 products
    assert all(t.is_contiguous(memory_format=LAST) for t in actual[:2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_has_fp32_statistics(way, dtype):
    norm, x, gradient = layer(), maps(4, C, 9, 7, mean=100).to(dtype), maps(4, C, 9, 7).to(dtype)
    with torch.autocast("cpu", dtype):
        y, dx, *dparams = outcome(norm, x, gradient)
    expected = by_formula(norm, x, gradient)
    assert y.dtype == dx.dtype == dtype and all(d.dtype == torch.float32 for d in dparams)
    assert_close([y, dx], expected[:2], rtol=0.01, atol=0.03)
    assert_close(dparams, expected[2:], rtol=0.01, atol=0.3)


@pytest.mark.parametrize("training", [True, False])
def test_both_ways_keep_the_same_averages_and_use_them_alike(monkeypatch, training):
    batches = [maps(4, C, 9, 7, mean=mean) for mean in (1.0, 2.0, 3.0)]
    outcomes = []
    for large in (0, 10**9):
        monkeypatch.setattr(ways, "LARGE", large)
        norm = layer()
        for batch in batches[:2]:
            norm(batch)
        norm.train(training)
        before = copy.deepcopy(norm.state_dict())
        outcomes.append([*outcome(norm, batches[2], batches[0]), *norm.buffers()])
        changed = [not torch.equal(before[name], b) for name, b in norm.named_buffers()]
        assert changed == [training] * 3
    assert_close(*outcomes, rtol=1e-4, atol=1e-4)


def test_gradients_can_be_differentiated(way):
    norm = layer(torch.float64).eval()  # in training, statistics are constants to the gradient only
    x = torch.randn(2, C, 2, 2, dtype=torch.float64).contiguous(memory_format=LAST).requires_grad_()
    names = [name for name, _ in norm.named_parameters()]

    def forward(x, *params):
        values = dict(zip(names, params, strict=True))
        x = x.contiguous(memory_format=LAST)
        return torch.func.functional_call(norm, values, x)

    inputs = (x, *norm.parameters())
    assert torch.autograd.gradcheck(forward, inputs)
    assert torch.autograd.gradgradcheck(forward, inputs)


def test_gradients_with_a_graph_are_those_without(way):
    x, gradient = maps(4, C, 5, 5).double(), maps(4, C, 5, 5).double()
    without = outcome(layer(torch.float64), x, gradient)
    with_graph = outcome(layer(torch.float64), x, gradient, create_graph=True)
    assert with_graph[1].grad_fn is not None
    assert_close(with_graph, without)


def test_a_transform_of_functions_goes_through_it(way):
    norm, x = layer(torch.float64).eval(), maps(3, C, 4, 4).double()
    state = {**dict(norm.named_parameters()), **dict(norm.named_buffers())}

    def loss(x):
        return torch.func.functional_call(norm, state, x).pow(3).sum()

    (expected,) = torch.autograd.grad(loss(x.requires_grad_()), x)
    torch.testing.assert_close(torch.func.grad(loss)(x.detach()), expected)


def test_no_value_is_read_by_the_host(way):
    with FakeTensorMode():
        x = torch.randn(3, C, 4, 4).contiguous(memory_format=LAST).requires_grad_()
        norm = BatchChannelNorm(C)
        for training in (True, False):
            norm.train(training)(x).sum().backward()
        assert x.grad.shape == x.shape
