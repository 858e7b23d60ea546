"""GhostBatchNorm is BatchNorm of the batch's parts, one after another."""

import pytest
import torch

from normbench.norms import BatchNorm, GhostBatchNorm


@pytest.mark.parametrize(("n", "parts"), [(4, [4]), (8, [4, 4]), (10, [4, 4, 2]), (3, [3])])
def test_each_part_is_normalized_by_batch_norm(n, parts):
    torch.manual_seed(0)
    x = (torch.randn(n, 3, 2, 2) * torch.arange(1, n + 1).view(-1, 1, 1, 1)).double()
    ghost, plain = GhostBatchNorm(3, size=4).double(), BatchNorm(3).double()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ghost(ours), torch.cat([plain(part) for part in theirs.split(parts)])
    torch.testing.assert_close(y, expected)
    gradient = torch.randn_like(y)
    y.backward(gradient), expected.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(ghost.state_dict(), plain.state_dict())
    assert torch.equal(ghost.eval()(x), plain.eval()(x))


def test_parts_differ_from_the_whole():
    x = torch.randn(8, 3, 2, 2) + torch.arange(8.0).view(-1, 1, 1, 1)
    assert (GhostBatchNorm(3, size=4)(x) - BatchNorm(3)(x)).abs().max() > 0.1


def test_the_running_mean_is_that_of_the_paper():
    """(1-η)^k running + Σᵢ η (1-η)^(k-i) μᵢ over the parts i = 1 … k of a batch."""
    x = torch.randn(6, 3, 2, 2)
    layer = GhostBatchNorm(3, size=2, momentum=0.3)
    layer(x)
    means = [part.mean((0, 2, 3)) for part in x.split(2)]
    expected = sum(0.3 * 0.7 ** (2 - i) * mean for i, mean in enumerate(means))
    torch.testing.assert_close(layer.running_mean, expected)


def test_a_single_value_in_the_last_part_is_no_error():
    y = GhostBatchNorm(3, size=2)(torch.randn(5, 3, 1, 1))
    assert torch.equal(y[4], torch.zeros(3, 1, 1))


@pytest.mark.parametrize("size", [0, -1])
def test_parts_have_samples(size):
    with pytest.raises(ValueError, match=f"size={size} must be at least 1"):
        GhostBatchNorm(3, size=size)
