"""Covariate shift of a linear network, with the gradients written out by hand."""

import numpy as np
import pytest
import torch

from normbench.calculus.batch_loss import Layer
from normbench.calculus.covariate_shift import covariate_shift

rng = np.random.default_rng(0)
A, B, C = rng.normal(size=(3, 4)), rng.normal(size=(2, 3)), rng.normal(size=(1, 2))
X, Y = rng.normal(size=(4, 6)), rng.normal(size=(1, 6))
LAYERS = [
    Layer("a", 0, slice(0, 12)),
    Layer("b", 12, slice(12, 18)),
    Layer("c", 18, slice(18, 20)),
]


def flat(*matrices):
    return torch.from_numpy(np.concatenate([m.ravel() for m in matrices]))


def loss(x):
    """½ ‖C B A X - Y‖²"""
    a, b, c = x[:12].view(3, 4), x[12:18].view(2, 3), x[18:].view(1, 2)
    return (c @ b @ a @ torch.from_numpy(X) - torch.from_numpy(Y)).square().sum() / 2


def gradients(a, b, c):
    error = c @ b @ a @ X - Y
    return b.T @ c.T @ error @ X.T, c.T @ error @ (a @ X).T, error @ (b @ a @ X).T


def cosine(g, h):
    return (g * h).sum() / np.linalg.norm(g) / np.linalg.norm(h)


@pytest.fixture
def shift():
    updated = [m - 0.02 * g for m, g in zip((A, B, C), gradients(A, B, C), strict=True)]
    return covariate_shift(loss, flat(A, B, C), flat(*updated), LAYERS), updated


def test_each_layer_is_compared_with_only_the_earlier_ones_updated(shift):
    measured, (a, b, _) = shift
    before = gradients(A, B, C)
    after = before[0], gradients(a, B, C)[1], gradients(a, b, C)[2]
    for i, (g, h) in enumerate(zip(before, after, strict=True)):
        assert measured["norm_before"][i].item() == pytest.approx(np.linalg.norm(g))
        assert measured["norm_after"][i].item() == pytest.approx(np.linalg.norm(h))
        assert measured["difference"][i].item() == pytest.approx(np.linalg.norm(g - h), abs=1e-9)
        assert measured["cosine"][i].item() == pytest.approx(cosine(g, h))


def test_the_first_layer_has_no_shift(shift):
    measured, _ = shift
    assert measured["difference"][0] == 0
    assert measured["cosine"][0].item() == pytest.approx(1)


def test_without_an_update_there_is_no_shift():
    here = flat(A, B, C)
    measured = covariate_shift(loss, here, here, LAYERS)
    assert measured["difference"].tolist() == [0, 0, 0]
    assert measured["cosine"].tolist() == pytest.approx([1, 1, 1])
