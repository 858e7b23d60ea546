"""BatchNorm taken apart: each part does what BatchNorm's does, and nothing else."""

from functools import partial

import pytest
import torch

from normbench.models import build_model
from normbench.norms import BatchNorm, PartialBatchNorm

C = 6


def filled(layer):
    torch.manual_seed(1)
    for p in layer.parameters():
        torch.nn.init.uniform_(p, 0.5, 1.5)
    return layer


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(4, C, 5, 3) * torch.arange(1, C + 1).view(-1, 1, 1) + 2


@pytest.mark.parametrize("settings", [{}, {"statistics_gradient": False}], ids=["all", "detached"])
def test_with_all_its_parts_it_is_batch_norm(x, settings):
    ours, theirs = filled(PartialBatchNorm(C, **settings)), filled(BatchNorm(C))
    for batch in (x, x + 1, 2 * x):
        torch.testing.assert_close(ours(batch), theirs(batch))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, theirs.get_buffer(name))


def test_the_detached_gradient_is_that_of_the_function_with_its_statistics_frozen(x):
    layer = filled(PartialBatchNorm(C, statistics_gradient=False)).double()
    x = x.double().requires_grad_()
    direction, weights = torch.randn(2, *x.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((layer(x) * weights).sum(), x)
    mean, std = x.detach().mean((0, 2, 3)), x.detach().var((0, 2, 3), correction=0).add(1e-5).sqrt()

    def frozen(x):
        z = (x.detach() - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
        y = z * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
        return (y * weights).sum()

    h = 1e-6
    by_differences = (frozen(x + h * direction) - frozen(x - h * direction)) / (2 * h)
    torch.testing.assert_close((gradient * direction).sum(), by_differences, rtol=1e-6, atol=1e-6)

    # and it is another one than BatchNorm's, which knows no direction that its output does not
    whole = filled(BatchNorm(C)).double()
    (other,) = torch.autograd.grad((whole(x) * weights).sum(), x)
    torch.testing.assert_close(other.mean((0, 2, 3)), torch.zeros(C).double(), atol=1e-9, rtol=0)
    assert gradient.mean((0, 2, 3)).abs().min() > 1e-4


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [({"scale": False}, 0, None), ({"center": False}, None, 1), ({}, 0, 1)],
    ids=["center", "scale", "both"],
)
def test_what_it_leaves_of_mean_and_deviation(x, settings, mean, std):
    y = PartialBatchNorm(C, affine=False, **settings)(x)
    before, after = (torch.std_mean(t, (0, 2, 3), correction=0) for t in (x, y))
    expected_mean = torch.full((C,), 0.0) if mean == 0 else before[1] / before[0]
    expected_std = torch.ones(C) if std == 1 else before[0]
    torch.testing.assert_close(after[1], expected_mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after[0], expected_std, atol=1e-5, rtol=1e-4)


def test_only_what_is_needed_is_kept():
    def kept(**settings):
        return set(PartialBatchNorm(C, **settings).state_dict())

    assert kept(scale=False, affine=False) == {"running_mean"}
    assert kept(center=False, affine=False) == {"running_var"}
    assert kept(center=False, scale=False) == {"weight", "bias"}


def test_another_number_of_channels_is_refused(x):
    with pytest.raises(RuntimeError, match="6 channels, the layer 4"):
        PartialBatchNorm(4)(x)


@pytest.mark.parametrize(
    ("norm", "parts"),
    {
        "batchnorm_detached": "center scale affine",
        "batchnorm_no_affine": "center scale statistics_gradient",
        "batchnorm_center": "center statistics_gradient",
        "batchnorm_scale": "scale statistics_gradient",
        "affine": "statistics_gradient affine",
    }.items(),
)
def test_norms_are_named_for_what_they_keep(norm, parts):
    model = build_model("cnn4", norm)
    layers = [m for m in model.modules() if isinstance(m, PartialBatchNorm)]
    assert len(layers) == 4 and all(f", {parts}, eps" in layer.extra_repr() for layer in layers)
    biased = model.features[0].bias is not None
    assert biased == ("affine" not in parts)
    assert partial(build_model, "resnet18", norm)()(torch.rand(2, 3, 32, 32)).shape == (2, 10)
