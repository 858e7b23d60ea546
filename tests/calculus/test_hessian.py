"""Eigenvalues and trace against quadratics and against a small network's whole Hessian."""

import numpy as np
import pytest
import torch

from normbench.calculus.batch_loss import BatchLoss
from normbench.calculus.hessian import extreme_eigenvalues, hessian_product, trace
from normbench.calculus.line import gradient
from normbench.models.cnn4 import CNN4
from normbench.norms import BatchNorm, GroupNorm

settings = {"tolerance": 1e-8, "max_restarts": 300}


def small_network(layer, dtype=torch.float64):
    """The loss of a network of some 200 parameters."""
    torch.manual_seed(0)
    model = CNN4(layer, 3, widths=(4, 2)).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn_like(p)
    return BatchLoss(model, torch.randn(6, 3, 8, 8, dtype=dtype), torch.arange(6) % 3)


def dense_hessian(loss, step=1e-6):
    """From central differences of gradients in float64.

    torch.func.hessian is no reference: of BatchNorm in training mode it is wrong
    (https://github.com/pytorch/pytorch/issues/196699).
    """
    moves = step * torch.eye(len(loss.here), dtype=torch.float64)
    rows = [gradient(loss, loss.here + v)[1] - gradient(loss, loss.here - v)[1] for v in moves]
    return torch.stack(rows) / (2 * step)


@pytest.mark.parametrize(
    "layer",
    [torch.nn.Identity, BatchNorm, lambda channels: GroupNorm(channels, 2)],
    ids=["none", "batchnorm", "groupnorm"],
)
def test_products_eigenvalues_and_trace_are_those_of_the_dense_hessian(layer):
    loss = small_network(layer)
    dense = dense_hessian(loss)
    product = hessian_product(loss, loss.here)
    for v in torch.randn(3, len(loss.here), dtype=torch.float64):
        torch.testing.assert_close(product(v), dense @ v, rtol=1e-6, atol=1e-7)

    expected = np.linalg.eigvalsh(dense.numpy())
    smallest, largest = extreme_eigenvalues(product, loss.here, **settings)
    assert largest.value == pytest.approx(expected[-1], rel=1e-6)
    assert smallest.value == pytest.approx(expected[0], rel=1e-6)
    assert max(largest.residual, smallest.residual) < 1e-6 * expected[-1]

    estimate, error = trace(product, loss.here, samples=400)
    assert 0 < error < 0.5 * dense.trace()
    assert abs(estimate - dense.trace().item()) < 4 * error


def test_eigenvalues_in_single_precision():
    loss = small_network(BatchNorm, torch.float32)
    product = hessian_product(loss, loss.here)
    smallest, largest = extreme_eigenvalues(product, loss.here, 1e-3, 300)
    loss.model.double()
    loss = BatchLoss(loss.model, loss.inputs.double(), loss.labels)
    expected = np.linalg.eigvalsh(dense_hessian(loss).numpy())
    assert largest.value == pytest.approx(expected[-1], rel=5e-3)
    assert smallest.value == pytest.approx(expected[0], rel=5e-3)


def test_a_quadratic_has_the_same_hessian_everywhere(quadratic):
    for x in (torch.zeros(40).double(), torch.randn(40).double()):
        product = hessian_product(quadratic, x)
        smallest, largest = extreme_eigenvalues(product, x, **settings)
        assert (smallest.value, largest.value) == pytest.approx((-3, 50))
        estimate, error = trace(product, x, samples=200)
        assert abs(estimate - quadratic.eigenvalues.sum().item()) < 4 * error


def test_the_trace_of_a_diagonal_hessian_has_no_error():
    diagonal = torch.tensor([1.0, -2.0, 4.0])
    estimate, error = trace(lambda v: diagonal * v, diagonal, samples=5)
    assert (estimate, error) == (3.0, 0.0)


def test_the_residual_bounds_how_far_an_eigenvalue_is(quadratic):
    x = torch.zeros(40).double()
    product = hessian_product(quadratic, x)
    for found, true in zip(
        extreme_eigenvalues(product, x, tolerance=0.1, max_restarts=300), (-3, 50), strict=True
    ):
        assert abs(found.value - true) <= found.residual + 1e-9


def test_no_answer_where_the_iteration_does_not_converge_or_there_is_none(quadratic):
    x = torch.zeros(400).double()
    crowded = torch.linspace(0, 1, 400).double() ** 0.2
    assert extreme_eigenvalues(lambda v: crowded * v, x, 1e-12, max_restarts=1) is None
    assert extreme_eigenvalues(lambda v: v * torch.inf, x, 1e-3, max_restarts=10) is None


def test_the_same_seed_gives_the_same_numbers(quadratic):
    x = torch.zeros(40).double()
    product = hessian_product(quadratic, x)
    assert trace(product, x, 3, seed=1) == trace(product, x, 3, seed=1)
    assert trace(product, x, 3, seed=1) != trace(product, x, 3, seed=2)
    assert extreme_eigenvalues(product, x, **settings) == extreme_eigenvalues(
        product, x, **settings
    )
