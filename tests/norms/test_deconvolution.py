"""Network deconvolution, against the eigenvalues of a covariance that is counted patch by patch."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode

from normbench.norms import Deconvolution
from normbench.norms.deconvolution import inverse_root

EXACT = {"iterations": 40, "sampling_stride": 1}
CONVOLUTIONS = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "stride": {"kernel_size": 3, "padding": 1, "stride": 2},
    "1x1": {"kernel_size": 1, "bias": False},
    "groups": {"kernel_size": 3, "padding": 1, "groups": 2},
    "dilation": {"kernel_size": (3, 1), "padding": (2, 0), "dilation": 2},
}
every_convolution = pytest.mark.parametrize("kind", CONVOLUTIONS)


def convolution(kind, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Conv2d(8, 6, **CONVOLUTIONS[kind]).to(dtype)


def images(n=3, dtype=torch.float64):
    """Neighbouring pixels and channels that have much in common."""
    x = torch.randn(n, 8, 9, 7, dtype=dtype)
    return F.avg_pool2d(x, 3, 1, 1) + x.mean(1, keepdim=True) + 2


def patches(x, conv, block, every=1):
    """(values, B kh kw), one after another."""
    padded = F.pad(x, (conv.padding[1],) * 2 + (conv.padding[0],) * 2)
    height, width = (d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    found = []
    for image in padded:
        for i, j in product(
            range(0, image.shape[1] - height + 1, conv.stride[0] * every),
            range(0, image.shape[2] - width + 1, conv.stride[1] * every),
        ):
            patch = image[:, i : i + height : conv.dilation[0], j : j + width : conv.dilation[1]]
            found += [part.flatten() for part in patch.split(block)]
    return torch.stack(found)


def statistics(x, conv, block, every=1, eps=1e-5):
    """μ, and D by eigenvalues."""
    values = patches(x, conv, block, every)
    mean = values.mean(0)
    covariance = (values - mean).T @ (values - mean) / len(values)
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    return mean, vectors @ torch.diag((eigenvalues + eps) ** -0.5) @ vectors.T


def whitened(x, conv, mean, whitening):
    """The convolution of whitened patches, which are put side by side for one of their own size."""
    columns = F.unfold(x, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
    columns = columns.view(len(x), -1, len(mean), columns.shape[2])
    columns = whitening @ (columns - mean[:, None])
    per_group = columns.shape[1] // conv.groups
    weight = conv.weight.view(conv.groups, -1, per_group, len(mean))
    columns = columns.view(len(x), conv.groups, per_group, len(mean), -1)
    y = torch.einsum("gobf,ngbfl->ngol", weight, columns).flatten(1, 2)
    return y.view(conv(x).shape) + (0 if conv.bias is None else conv.bias.view(1, -1, 1, 1))


@every_convolution
@pytest.mark.parametrize("block", [64, 2])
def test_training_is_the_convolution_of_whitened_patches(kind, block):
    conv = convolution(kind)
    layer = Deconvolution(conv, block, **EXACT)
    assert layer.block == min(block, 8 // conv.groups)
    x = images().requires_grad_()
    theirs = x.detach().clone().requires_grad_()
    y = layer(x)
    mean, whitening = statistics(theirs, conv, layer.block)
    expected = whitened(theirs, conv, mean, whitening)
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
    gradient = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, layer.weight), gradient)
    reference = torch.autograd.grad(expected, (theirs, conv.weight), gradient)
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


@every_convolution
def test_what_a_kernel_sees_is_white(kind):
    layer = Deconvolution(convolution(kind), **EXACT, eps=1e-9)
    x = images(20)
    layer(x)
    values = patches(x, layer, layer.block)
    mean, whitening = layer.running_mean / 0.1, (layer.running_whitening - 0.9 * eye(layer)) / 0.1
    white = (values - mean) @ whitening
    torch.testing.assert_close(white.T @ white / len(white), eye(layer), rtol=0, atol=1e-4)


def eye(layer):
    return torch.eye(len(layer.running_mean), dtype=torch.float64)


def test_patches_are_sampled_on_a_grid():
    conv = convolution("3x3")
    layer, x = Deconvolution(conv, iterations=40, sampling_stride=3, block=2), images()
    mean, whitening = statistics(x, conv, 2, every=3)
    torch.testing.assert_close(layer(x), whitened(x, conv, mean, whitening), rtol=1e-5, atol=1e-5)


def test_evaluation_uses_running_averages_and_changes_nothing():
    conv = convolution("3x3")
    layer = Deconvolution(conv, block=2, momentum=0.3, **EXACT)
    mean, whitening = 0, eye(layer)
    for scale in (1, 2, 3):
        x = scale * images()
        new = statistics(x, conv, 2)
        layer(x)
        mean, whitening = 0.7 * mean + 0.3 * new[0], 0.7 * whitening + 0.3 * new[1]
    before = {name: b.clone() for name, b in layer.named_buffers()}
    x = images(1)
    torch.testing.assert_close(
        layer.eval()(x), whitened(x, conv, mean, whitening), rtol=1e-5, atol=1e-5
    )
    assert all(torch.equal(b, before[name]) for name, b in layer.named_buffers())


@pytest.mark.parametrize("iterations", [1, 5, 30])
def test_iterations_work_on_each_eigenvalue_by_itself(iterations):
    torch.manual_seed(0)
    vectors, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))
    eigenvalues = torch.tensor([5.0, 2.0, 1.0, 0.5, 0.1, 0.02], dtype=torch.float64)
    z, size = torch.ones(6, dtype=torch.float64), eigenvalues.square().sum().sqrt()
    for _ in range(iterations):
        z = z * (3 - z * z * eigenvalues / size) / 2  # Newton's, for 1 / √(λ / ‖A‖)
    expected = vectors @ torch.diag(z / size.sqrt()) @ vectors.T
    found = inverse_root(vectors @ torch.diag(eigenvalues) @ vectors.T, iterations)
    torch.testing.assert_close(found, expected)
    if iterations == 30:
        torch.testing.assert_close(z / size.sqrt(), eigenvalues**-0.5)


def test_gradcheck():
    layer = Deconvolution(nn.Conv2d(2, 3, 2, dtype=torch.float64), eps=1e-2)
    x = torch.randn(3, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)


def test_no_value_is_read_by_the_host():
    with FakeTensorMode():  # fake tensors have no values
        layer = Deconvolution(nn.Conv2d(8, 6, 3))
        for training in (True, False):
            x = torch.randn(2, 8, 5, 5, requires_grad=True)
            layer.train(training)(x).sum().backward()
            assert x.grad.shape == x.shape


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("size", [1, 5])
def test_few_and_small_images_are_no_error(n, size):
    layer = Deconvolution(convolution("3x3", torch.float32))
    x = torch.randn(n, 8, size, size).requires_grad_()
    layer(x).sum().backward()
    assert x.grad.isfinite().all() and layer.weight.grad.isfinite().all()


def test_statistics_are_fp32_under_autocast_and_the_memory_format_stays():
    layer, plain = (Deconvolution(convolution("3x3", torch.float32)) for _ in "ab")
    x = (images(dtype=torch.float32) + 100).bfloat16()
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    plain(x.float())
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer.state_dict(), plain.state_dict())


def test_a_convolution_without_bias_gets_one_and_no_random_number_is_drawn():
    conv = convolution("1x1")
    state = torch.get_rng_state()
    layer = Deconvolution(conv)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.weight is conv.weight and torch.equal(layer.bias, torch.zeros(6).double())


@pytest.mark.parametrize("how", [{"padding": "same"}, {"padding_mode": "reflect", "padding": 1}])
def test_other_paddings_are_refused(how):
    with pytest.raises(ValueError, match="padding by a number of zeros"):
        Deconvolution(nn.Conv2d(2, 3, 3, **how))
