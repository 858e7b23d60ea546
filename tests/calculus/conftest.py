"""Functions whose curvature is known."""

import pytest
import torch


@pytest.fixture
def quadratic():
    """f(x) = xᵀ A x / 2 with a symmetric A that is not definite, in float64."""
    torch.manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(40, 40, dtype=torch.float64))
    eigenvalues = torch.cat([torch.tensor([-3.0, 50.0]), torch.linspace(-1, 9, 38)]).double()
    matrix = basis @ torch.diag(eigenvalues) @ basis.T

    def f(x):
        return x @ matrix @ x / 2

    f.matrix, f.eigenvalues, f.basis = matrix, eigenvalues, basis
    return f
