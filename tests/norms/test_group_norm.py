"""GroupNorm of channels_last maps on the CPU: large ones take another way than small ones."""

import pytest
import torch
from norms.formulas import group_norm
from torch import nn
from torch._subclasses import FakeTensorMode

from normbench.calculus.batch_loss import BatchLoss
from normbench.calculus.hessian import hessian_product
from normbench.norms import GroupNorm, InstanceNorm
from normbench.norms import group as ways

C = 16
LAST = torch.channels_last


@pytest.fixture(params=["function", "kernel"])
def way(request, monkeypatch):
    """Both ways, for maps of any size."""
    monkeypatch.setattr(ways, "LARGE", 0 if request.param == "function" else 10**9)
    return request.param


def layer(num_groups=8, dtype=torch.float32):
    torch.manual_seed(0)
    made = GroupNorm(C, num_groups).to(dtype)
    for p in made.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    return made


def outcome(norm, x, gradient):
    """y, and the gradients of x, weight and bias."""
    x = x.detach().requires_grad_()
    y = norm(x)
    return y, *torch.autograd.grad(y, [x, *norm.parameters()], gradient.to(y.dtype))


def by_formula(norm, x, gradient):
    params = [p.detach().double().requires_grad_() for p in norm.parameters()]
    x = x.detach().double().requires_grad_()
    y = group_norm(x, params, num_groups=norm.num_groups)
    return y, *torch.autograd.grad(y, [x, *params], gradient.double())


def maps(*shape, mean=0.0):
    return (torch.randn(shape) + mean).contiguous(memory_format=LAST)


def test_large_maps_in_narrow_groups_take_the_function():
    large = maps(32, C, 16, 16)
    assert "GroupNormFunction" in layer()(large).grad_fn.name()
    for norm, x in ((layer(num_groups=2), large), (layer(), large[:2].contiguous())):
        x = x.contiguous(memory_format=LAST)
        assert "GroupNormFunction" not in norm(x).grad_fn.name()


@pytest.mark.parametrize("num_groups", [1, 4, 8, C])
@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_it_follows_the_formula_however_far_the_mean_is_from_zero(way, num_groups, mean):
    norm, x, gradient = layer(num_groups), maps(4, C, 9, 7, mean=mean), maps(4, C, 9, 7)
    y, dx, dweight, dbias = outcome(norm, x, gradient)
    expected = by_formula(norm, x, gradient)
    # x itself is rounded to 4e-6 around 100
    tolerance = {"rtol": 0, "atol": 5e-5 if mean else 5e-6, "check_dtype": False}
    torch.testing.assert_close(y, expected[0], **tolerance)
    torch.testing.assert_close(dx, expected[1], **tolerance)
    tolerance["atol"] *= 4 * 9 * 7  # sums over so many values
    torch.testing.assert_close((dweight, dbias), expected[2:], **tolerance)
    assert y.is_contiguous(memory_format=LAST) and dx.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_rounded_once(way, dtype):
    norm, x, gradient = layer(), maps(4, C, 9, 7, mean=100).to(dtype), maps(4, C, 9, 7).to(dtype)
    with torch.autocast("cpu", dtype):
        y, dx, *dparams = outcome(norm, x, gradient)
    expected = by_formula(norm, x, gradient)
    assert y.dtype == dx.dtype == dtype
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(
        (y, dx), expected[:2], rtol=0.6 * unit, atol=unit / 10, check_dtype=False
    )
    assert all(d.dtype == torch.float32 for d in dparams)
    torch.testing.assert_close(
        tuple(dparams), expected[2:], rtol=1e-2, atol=2e-2, check_dtype=False
    )


def test_evaluation_computes_what_training_does(way):
    norm, x = layer(), maps(3, C, 5, 5)
    y = norm(x)
    with torch.no_grad():
        assert torch.equal(norm.eval()(x), y)


def test_a_gradient_lies_in_memory_as_it_likes(way):
    norm, x, gradient = layer(), maps(3, C, 5, 5), torch.randn(3, C, 1, 1)
    expected = outcome(norm, x, gradient.expand_as(x).contiguous(memory_format=LAST))
    for dy in (gradient.expand_as(x), gradient.expand_as(x).contiguous()):
        torch.testing.assert_close(outcome(norm, x, dy), expected)


def test_gradients_can_be_differentiated(way):
    norm = layer(dtype=torch.float64)
    x = torch.randn(2, C, 2, 2, dtype=torch.float64).contiguous(memory_format=LAST).requires_grad_()
    names = [name for name, _ in norm.named_parameters()]

    def forward(x, *params):
        values = dict(zip(names, params, strict=True))
        x = x.contiguous(memory_format=LAST)
        return torch.func.functional_call(norm, values, x)

    inputs = (x, *norm.parameters())
    assert torch.autograd.gradcheck(forward, inputs)
    assert torch.autograd.gradgradcheck(forward, inputs)


def test_a_hessian_is_the_same_however_maps_lie_in_memory(way):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, C, 3), GroupNorm(C), nn.ReLU(), nn.Conv2d(C, C, 3), GroupNorm(C),
        nn.Flatten(), nn.Linear(C * 4, 4),
    ).double()  # fmt: skip
    images, labels = torch.randn(5, 3, 6, 6, dtype=torch.float64), torch.arange(5) % 4
    products = []
    for memory_format in (torch.contiguous_format, LAST):
        model.to(memory_format=memory_format)
        loss = BatchLoss(model, images.contiguous(memory_format=memory_format), labels)
        product = hessian_product(loss, loss.here)
        products.append(product(torch.ones_like(loss.here)))
    torch.testing.assert_close(*products)


def test_transforms_of_functions_go_through_it(way):
    norm, x = layer(dtype=torch.float64), maps(3, C, 4, 4).double()
    params = dict(norm.named_parameters())

    def loss(params, image):
        image = image[None].contiguous(memory_format=LAST)
        return torch.func.functional_call(norm, params, image).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(params, x)
    for i, image in enumerate(x):
        alone = torch.autograd.grad(loss(params, image), list(params.values()))
        torch.testing.assert_close([g[i] for g in each.values()], list(alone))


def test_no_value_is_read_by_the_host(way):
    with FakeTensorMode():
        x = torch.randn(3, C, 4, 4).contiguous(memory_format=LAST).requires_grad_()
        y = GroupNorm(C)(x)
        y.sum().backward()
        assert y.shape == x.grad.shape == x.shape


def test_wrong_channels_are_refused_by_the_same_error(way):
    with pytest.raises(RuntimeError, match="weight"):
        layer()(maps(3, 2 * C, 4, 4))


def test_parameters_may_be_frozen(way):
    norm = layer().requires_grad_(False)
    x = maps(3, C, 4, 4).requires_grad_()
    (dx,) = torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)
    assert dx.grad_fn is not None


def test_maps_of_one_value_each_become_the_shift(way):
    norm = InstanceNorm(C)
    nn.init.uniform_(norm.bias)
    y = norm(maps(8, C, 1, 1, mean=3))
    torch.testing.assert_close(y, norm.bias.view(1, C, 1, 1).expand_as(y), rtol=0, atol=1e-3)
