"""What every normalization layer promises, against the papers' formulas in float64."""

import pytest
import timm.layers
import torch
from hydra.utils import get_class
from norms.formulas import CASES, MOMENTUM, affine, moments, standardize
from torch import nn
from torch._subclasses import FakeTensorMode
from torchvision.models import resnet18

from normbench.norms import (
    BatchChannelNorm,
    BatchNorm,
    EvoNormB0,
    EvoNormS0,
    FilterResponseNorm,
    FixupScalars,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    PartialBatchNorm,
)
from normbench.norms.channelwise import ChannelwiseLayer
from normbench.places import config_names, read_config

C = 16

every_layer = pytest.mark.parametrize("name", CASES)
every_format = pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"]
)


def make(name, dtype=torch.float32, device="cpu"):
    """A layer with scales and shifts that cannot be mistaken for 1 and 0."""
    torch.manual_seed(0)
    layer = CASES[name].make(C)
    for p in layer.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    return layer.to(device, dtype)


def step(forward, params, x, gradient):
    """The output, and the gradients of the input and of the parameters."""
    x = x.detach().requires_grad_()
    y = forward(x)
    return y, *torch.autograd.grad(y, [x, *params], gradient.to(y.dtype))


def reference_step(name, layer, x, gradient, statistics=None):
    params = [p.detach().double().requires_grad_() for p in layer.parameters()]
    x, gradient = x.double().contiguous(), gradient.double().contiguous()
    return step(lambda x: CASES[name].formula(x, params, statistics), params, x, gradient)


def assert_close(actual, expected, **tolerance):
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, check_dtype=False, **tolerance)


def test_every_layer_that_a_config_names_has_a_formula():
    named = {get_class(read_config(f"norm/{name}").layer._target_) for name in config_names("norm")}
    ours = {layer for layer in named if layer.__module__.startswith("normbench.")}
    assert len(ours) > 5 and ours <= {type(case.make(C)) for case in CASES.values()}


@every_layer
@every_format
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(2, C, 5, 7), (1, C, 5, 7), (2, C, 1, 1), (1, C, 1, 1)], ids=str)
def test_training_follows_the_formula(name, shape, dtype, memory_format):
    layer = make(name, dtype)
    x, gradient = torch.randn(2, *shape, dtype=dtype).unbind()
    x = x.contiguous(memory_format=memory_format)
    if isinstance(
        layer, (PartialBatchNorm, ChannelwiseLayer, FixupScalars)
    ):  # x's gradient lies as y's does, which is as the next layer likes
        gradient = gradient.contiguous(memory_format=memory_format)
    outcome = step(layer, list(layer.parameters()), x, gradient)
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {}
    if dtype == torch.float32:  # of a single value, y is the shift, up to rounding errors / √eps
        tolerance = {"rtol": 1e-4, "atol": 1e-3 if x.numel() == C else 1e-4}
    assert_close(outcome, reference_step(name, layer, x, gradient), **tolerance)
    assert all(t.dtype == dtype for t in outcome)
    assert outcome[0].is_contiguous(memory_format=memory_format)
    assert outcome[1].is_contiguous(memory_format=memory_format)


@every_layer
@every_format
@pytest.mark.parametrize("n", [1, 2])
def test_evaluation_follows_the_formula_and_changes_nothing(name, n, memory_format):
    layer = make(name, torch.float64)
    batches = torch.randn(3, n, C, 4, 4, dtype=torch.float64) + torch.arange(C).view(-1, 1, 1)
    for batch in batches:
        layer(batch.contiguous(memory_format=memory_format))

    statistics = CASES[name].statistics(batches)
    layer.eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    x, gradient = torch.randn(2, n, C, 3, 5, dtype=torch.float64)
    outcome = step(
        layer, list(layer.parameters()), x.contiguous(memory_format=memory_format), gradient
    )
    assert_close(outcome, reference_step(name, layer, x, gradient, statistics))
    assert outcome[0].is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)


# Not of training where statistics are constants to the gradient only.
@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_gradcheck(name, training):
    if training and CASES[name].constant:
        pytest.skip("a gradient that finite differences cannot tell")
    layer = make(name, torch.float64).train(training)
    x = torch.randn(2, C, 2, 1, dtype=torch.float64, requires_grad=True)
    names, params = dict(layer.named_parameters()).keys(), list(layer.parameters())

    def forward(x, *params):
        return torch.func.functional_call(layer, dict(zip(names, params, strict=True)), x)

    assert torch.autograd.gradcheck(forward, (x, *params))


@every_layer
@every_format
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_low_precision_inputs_have_fp32_statistics(name, dtype, memory_format):
    layer = make(name)
    x, gradient = torch.randn(2, 2, C, 16, 16).unbind()
    # Around 100, bf16 is a multiple of 0.5: means that are themselves bf16 are 0.2 too small.
    x, gradient = (x + 100.2).to(dtype).contiguous(memory_format=memory_format), gradient.to(dtype)
    with torch.autocast("cpu", dtype):
        y, dx, *dparams = step(layer, list(layer.parameters()), x, gradient)
    expected = reference_step(name, layer, x, gradient)
    assert y.dtype == dx.dtype == dtype
    assert all(d.dtype == torch.float32 for d in dparams)
    assert y.is_contiguous(memory_format=memory_format)
    assert_close([y, dx], expected[:2], rtol=0.01, atol=0.03)
    assert_close(dparams, expected[2:], rtol=0.01, atol=0.3)  # sums of 512 products
    if dtype == torch.bfloat16 and name == "BatchNorm":  # and the test can tell
        naive = affine(standardize(x, *moments(x, (0, 2, 3))), *list(layer.parameters())[-2:])
        assert (naive - expected[0]).abs().max() > 0.1
    for name, buffer in layer.named_buffers():
        assert buffer.dtype == (torch.int64 if name == "num_batches_tracked" else torch.float32)


@every_layer
@every_format
def test_a_mean_far_from_zero_costs_little_accuracy(name, memory_format):
    layer = make(name)
    x, gradient = torch.randn(2, 2, C, 32, 32).unbind()
    x = (x + 100).contiguous(memory_format=memory_format)
    outcome = step(layer, list(layer.parameters()), x, gradient)
    expected = reference_step(name, layer, x, gradient)
    assert_close(outcome[:2], expected[:2], rtol=1e-3, atol=1e-3)


@every_layer
def test_state_dict_restores_training_and_evaluation(name):
    layer, restored = make(name), CASES[name].make(C)
    x, *batches = torch.randn(4, 2, C, 3, 3)
    for batch in batches:
        layer(batch)
    restored.load_state_dict(layer.state_dict())
    assert torch.equal(restored.eval()(x), layer.eval()(x))
    assert torch.equal(restored.train()(x), layer.train()(x))
    assert torch.equal(restored.eval()(x), layer.eval()(x))


@every_layer
@pytest.mark.parametrize("shape", [(2, C, 4, 4), (1, C, 1, 1)], ids=str)
def test_no_value_is_read_by_the_host(name, shape):
    # Fake tensors have no values: reading one, as .item() or `if tensor` do, raises.
    with FakeTensorMode():
        layer = CASES[name].make(C)
        x = torch.randn(shape, requires_grad=True)
        for training in (True, False):
            y = layer.train(training)(x)
            y.sum().backward()
            assert y.shape == shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@every_layer
@every_format
def test_cuda_autocast_keeps_the_promises_without_synchronizing(name, memory_format):
    layer = make(name, device="cuda")
    x, gradient = torch.randn(2, 2, C, 16, 16, device="cuda").unbind()
    x = (x + 100.2).bfloat16().contiguous(memory_format=memory_format)
    try:
        with torch.autocast("cuda", torch.bfloat16):
            layer(x)  # the first call may set up libraries, which synchronizes
            layer.load_state_dict(make(name).state_dict())
            torch.cuda.set_sync_debug_mode("error")
            y, dx, *_ = step(layer, list(layer.parameters()), x, gradient)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert y.dtype == dx.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=memory_format)
    expected = reference_step(name, layer, x, gradient)
    assert_close([y, dx], expected[:2], rtol=0.01, atol=0.03)


@every_layer
@pytest.mark.parametrize(("n", "pixels"), [(2, 32), (1, 64), (1, 32)])
def test_resnet18_trains_with_it(name, n, pixels):
    torch.manual_seed(0)
    model = resnet18(norm_layer=CASES[name].make, num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = [p.detach().clone() for p in model.parameters()]
    loss = nn.functional.cross_entropy(model(torch.randn(n, 3, pixels, pixels)), torch.arange(n))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(p.isfinite().all() for p in model.parameters())
    assert not torch.equal(before[-1], model.fc.bias)
    # 32 pixels end in maps of a single value. What centers these makes constants of them, as
    # BatchNorm does if there is one image, and the layers below learn nothing from them.
    learns = {"one": True, "some": (n, pixels) != (1, 32), "none": pixels > 32}
    if CASES[name].single in learns:
        assert torch.equal(before[0], model.conv1.weight) != learns[CASES[name].single]


DROP_INS = {
    "torch's BatchNorm2d": (BatchNorm, nn.BatchNorm2d, {}),
    "timm's GroupNorm": (GroupNorm, lambda c: timm.layers.GroupNorm(c, num_groups=8), {}),
    "timm's GroupNorm1": (LayerNorm, timm.layers.GroupNorm1, {}),
    "torch's InstanceNorm2d": (InstanceNorm, lambda c: nn.InstanceNorm2d(c, affine=True), {}),
    "timm's EvoNorm2dB0": (EvoNormB0, lambda c: timm.layers.EvoNorm2dB0(c, eps=1e-5), {}),
    "timm's EvoNorm2dS0": (EvoNormS0, lambda c: timm.layers.EvoNorm2dS0(c, groups=8), {}),
    "timm's FilterResponseNormTlu2d": (
        FilterResponseNorm,
        lambda c: timm.layers.FilterResponseNormTlu2d(c, eps=1e-6),
        {"threshold": "tau"},
    ),
}


@pytest.mark.parametrize(("Layer", "other", "names"), DROP_INS.values(), ids=DROP_INS)
def test_it_is_a_drop_in_for_the_established_layer(Layer, other, names):
    layer, other = Layer(C), other(C)
    for p in layer.parameters():
        nn.init.uniform_(p, 0.5, 1.5)

    def state():
        return {names.get(name, name): value for name, value in layer.state_dict().items()}

    other.load_state_dict(state())
    for x in torch.randn(3, 2, C, 4, 4):
        torch.testing.assert_close(layer(x), other(x))
    torch.testing.assert_close(state(), dict(other.state_dict()))
    torch.testing.assert_close(layer.eval()(x), other.eval()(x))


@pytest.mark.parametrize("Layer", [GroupNorm, BatchChannelNorm, EvoNormS0])
@pytest.mark.parametrize("num_groups", [5, 32, 0, -1])
def test_groups_must_divide_the_channels(Layer, num_groups):
    with pytest.raises(ValueError, match=f"^num_groups={num_groups} .*num_channels=16$"):
        Layer(16, num_groups=num_groups)


def test_a_single_value_enters_batch_norms_running_statistics():
    layer = BatchNorm(3)
    x = torch.tensor([1.0, -2.0, 300.0]).view(1, 3, 1, 1)
    assert torch.equal(layer(x), torch.zeros_like(x))
    torch.testing.assert_close(layer.running_mean, MOMENTUM * x.flatten())
    torch.testing.assert_close(layer.running_var, torch.full((3,), 1 - MOMENTUM))
    assert layer.num_batches_tracked == 1
