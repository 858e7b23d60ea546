"""Weight standardization, and the norm that puts it on a model's convolutions."""

import subprocess
import sys
from functools import partial

import pytest
import timm.layers
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torchvision.models import resnet18

from normbench.norms import BatchNorm, GroupNorm, Norm, WeightStandardization

every_format = pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"]
)
every_shape = pytest.mark.parametrize("shape", [(8, 4, 3, 3), (8, 16, 1, 1), (8, 1, 3, 3)], ids=str)
WS = Norm(GroupNorm, weight=WeightStandardization)


def formula(w, eps=1e-5):
    filters = w.reshape(len(w), -1)
    centered = filters - filters.mean(1, keepdim=True)
    return (centered / (centered.square().mean(1, keepdim=True) + eps).sqrt()).reshape(w.shape)


def small_net(norm):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), norm.layer(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4), norm.layer(8)
    )
    norm.reparametrize(model)
    return model


@every_shape
@every_format
def test_every_filter_has_mean_0_and_variance_1(shape, memory_format):
    torch.manual_seed(0)
    w = (3 + 0.2 * torch.randn(shape)).contiguous(memory_format=memory_format)
    filters = WeightStandardization(eps=1e-12)(w).flatten(1)
    torch.testing.assert_close(filters.mean(1), torch.zeros(8), rtol=0, atol=1e-5)
    torch.testing.assert_close(filters.var(1, correction=0), torch.ones(8))


@every_shape
@every_format
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_follow_the_formula(shape, memory_format, dtype):
    torch.manual_seed(0)
    w, gradient = (0.05 * torch.randn(2, *shape, dtype=dtype)).unbind()
    w = w.contiguous(memory_format=memory_format).requires_grad_()
    w64 = w.detach().double().requires_grad_()
    y, y64 = WeightStandardization()(w), formula(w64)
    y.backward(gradient)
    y64.backward(gradient.double())
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(y, y64, rtol=1e-4, atol=1e-5, check_dtype=False)
    torch.testing.assert_close(w.grad, w64.grad, rtol=1e-4, atol=1e-5, check_dtype=False)


def test_gradcheck():
    w = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(WeightStandardization(), w)


def test_it_is_a_drop_in_for_timms():
    theirs = timm.layers.StdConv2d(4, 8, 3, padding=1, eps=1e-5)
    ours = nn.Conv2d(4, 8, 3, padding=1, bias=False)
    ours.load_state_dict(theirs.state_dict())
    WS.reparametrize(ours)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_norm_reparametrizes_every_convolution_and_nothing_else():
    model = resnet18(norm_layer=WS.layer)
    WS.reparametrize(model)
    for module in model.modules():
        assert is_parametrized(module) == isinstance(module, nn.Conv2d)


def test_a_norm_without_weight_leaves_the_model_alone():
    model = small_net(Norm(partial(BatchNorm, eps=0.1)))
    assert not any(is_parametrized(module) for module in model.modules())
    assert model[1].eps == 0.1


@every_format
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_model_with_it_computes_and_learns_by_the_formula(memory_format, precision):
    model = small_net(WS).to(memory_format=memory_format)
    original = model[0].parametrizations.weight.original
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=memory_format)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        y = model[0](x)
        loss = model(x).square().mul(torch.arange(4)).sum()
    expected = nn.functional.conv2d(x, formula(original.double()).float(), model[0].bias)
    tolerance = {"rtol": 1e-5, "atol": 1e-4} if precision == "fp32" else {"rtol": 2e-2, "atol": 0.1}
    torch.testing.assert_close(y, expected, check_dtype=False, **tolerance)
    before = original.detach().clone()
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert original.dtype == torch.float32 and original.isfinite().all()
    assert not torch.equal(original, before)
    filters = model[0].weight.flatten(1)  # the learned weights are standardized again
    torch.testing.assert_close(filters.mean(1), torch.zeros(8), rtol=0, atol=1e-5)


def test_state_dict_restores_the_model():
    model, restored = small_net(WS), small_net(WS)
    x = torch.randn(2, 3, 8, 8)
    model(x).square().mul(torch.arange(4)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not torch.equal(restored(x), model(x))
    restored.load_state_dict(model.state_dict())
    assert torch.equal(restored(x), model(x))


def test_the_layers_can_be_used_without_hydra_and_pandas():
    code = "import sys, normbench.norms; print(sorted({'hydra', 'pandas'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
