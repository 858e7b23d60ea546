"""Layers on features (N, C) and sequences (N, C, L), against torch's own and against maps."""

import pytest
import torch
from norms.formulas import CASES
from torch import nn

from normbench.norms import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm

C = 16
SHAPES = [(6, C), (4, C, 5), (2, C, 1)]
BY_POSITION = ("LayerNorm", "RMSNorm")

every_layer = pytest.mark.parametrize("name", CASES)


def make(name, dtype=torch.float64):
    torch.manual_seed(0)
    layer = CASES[name].make(C).to(dtype)
    for p in layer.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    return layer


def refused(layer, x):
    return isinstance(layer, InstanceNorm) and x.dim() == 2


def step(layer, x, gradient):
    x = x.detach().requires_grad_()
    y = layer(x)
    return y, *torch.autograd.grad(y, [x, *layer.parameters()], gradient)


class OverPositions(nn.Module):
    """torch's layer over the last dimension, of sequences (N, C, L) and features (N, C)."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x) if x.dim() == 2 else self.layer(x.transpose(1, 2)).transpose(1, 2)


TORCHS = {
    "BatchNorm1d": (BatchNorm(C), nn.BatchNorm1d(C), SHAPES),
    "GroupNorm": (GroupNorm(C, 4), nn.GroupNorm(4, C), SHAPES),
    "InstanceNorm1d": (InstanceNorm(C), nn.InstanceNorm1d(C, affine=True), [(4, C, 5)]),
    "LayerNorm": (LayerNorm(C), OverPositions(nn.LayerNorm(C)), SHAPES),
    "RMSNorm": (RMSNorm(C), OverPositions(nn.RMSNorm(C, eps=1e-5)), SHAPES),
}


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, case in TORCHS.items() for shape in case[2]]
)
def test_it_computes_what_torchs_own_layer_does(name, shape):
    ours, theirs, _ = (part.double() if isinstance(part, nn.Module) else part
                       for part in TORCHS[name])  # fmt: skip
    torch.manual_seed(0)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        nn.init.uniform_(mine, 0.5, 1.5)
        other.data.copy_(mine)
    for _ in range(2):
        x, gradient = torch.randn(2, *shape, dtype=torch.float64)
        torch.testing.assert_close(step(ours, x, gradient), step(theirs, x, gradient))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    ours.train()
    theirs.train()


@every_layer
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_computes_what_it_does_on_maps_of_the_same_values(name, shape):
    if name in BY_POSITION and shape[2:] > (1,):
        pytest.skip("each position by itself: compared with torch's")
    layer, on_maps = make(name), make(name)
    x, gradient = torch.randn(2, *shape, dtype=torch.float64)
    if refused(layer, x):
        pytest.skip("refused, as another test says")
    whole = (*shape, 1, 1)[:4]
    torch.manual_seed(1)  # of noise
    y, dx, *others = step(layer, x, gradient)
    torch.manual_seed(1)
    outcome = step(on_maps, x.view(whole), gradient.view(whole))
    expected = (outcome[0].view(shape), outcome[1].view(shape), *outcome[2:])
    torch.testing.assert_close((y, dx, *others), expected)
    torch.testing.assert_close(layer.state_dict(), on_maps.state_dict())
    torch.testing.assert_close(layer.eval()(x), on_maps.eval()(x.view(whole)).view(shape))


@every_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_shape_and_dtype_stay_as_they_are(name, dtype):
    layer = make(name, torch.float32)
    for shape in SHAPES:
        x = torch.randn(shape, dtype=dtype)
        if refused(layer, x):
            continue
        with torch.autocast("cpu", dtype):
            for training in (True, False):
                y = layer.train(training)(x)
                assert (y.shape, y.dtype) == (x.shape, dtype)


@every_layer
def test_a_single_sample_can_train(name):
    layer = make(name, torch.float32)
    for shape in [(1, C), (1, C, 1), (1, C, 3)]:
        x = torch.randn(shape, requires_grad=True)
        if not refused(layer, x):
            layer(x).sum().backward()
            assert x.grad.isfinite().all()


def test_layer_norm_treats_each_position_of_a_sequence_by_itself():
    x = torch.randn(2, C, 5)
    changed = x.clone()
    changed[:, :, 3] = 7 * torch.randn(2, C)
    same = [0, 1, 2, 4]
    for layer in (LayerNorm(C), RMSNorm(C)):
        torch.testing.assert_close(layer(changed)[:, :, same], layer(x)[:, :, same])


def test_instance_norm_of_features_would_leave_nothing_and_is_refused():
    with pytest.raises(ValueError, match="nothing to normalize"):
        InstanceNorm(C)(torch.randn(4, C))


@pytest.mark.parametrize("shape", [(1, C, 1, 1, 1), (2, C, 3, 3, 3)])
def test_batch_norm_says_which_shapes_it_takes(shape):
    with pytest.raises(ValueError, match=r"\(N, C\), \(N, C, L\) or \(N, C, H, W\)"):
        BatchNorm(C)(torch.randn(shape))
