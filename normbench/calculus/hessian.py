"""The Hessian through its products with vectors: the ends of its spectrum, its trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from normbench.calculus.line import Loss

Product = Callable[[Tensor], Tensor]  # (P,) -> (P,)


def hessian_product(loss: Loss, x: Tensor) -> Product:
    """v -> H v, with H the Hessian of the loss at x; the graph of the gradient is built once.

    Of what the loss detaches (a norm's running statistics) H is no derivative, as the gradient is
    not.
    """
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(x), x, create_graph=True)

    def product(v: Tensor) -> Tensor:
        return torch.autograd.grad(g, x, v, retain_graph=True)[0]

    return product


@dataclass(frozen=True)
class Eigenvalue:
    """An eigenvalue, as far as it is known.

    Attributes:
        value: λ.
        residual: ‖H v - λ v‖ for its unit eigenvector v; some eigenvalue of H is no further than
            that from λ.
    """

    value: float
    residual: float


def extreme_eigenvalues(
    product: Product, like: Tensor, tolerance: float, max_restarts: int, seed: int = 0
) -> tuple[Eigenvalue, Eigenvalue] | None:
    """The smallest and the largest eigenvalue, by ARPACK's restarted Lanczos iteration.

    Args:
        product: v -> H v.
        like: (P,) a tensor of v's size, dtype and device.
        tolerance: relative, of each eigenvalue.
        max_restarts: of the iteration, each of some 20 products.
        seed: of the start vector.

    Returns:
        None if they did not converge in time, or H is not finite.
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    size = like.numel()
    start = np.random.default_rng(seed).standard_normal(size)

    def multiply(v: np.ndarray) -> np.ndarray:
        there = torch.from_numpy(v.ravel()).to(like)
        return product(there).double().cpu().numpy()

    if not np.isfinite(multiply(start)).all():
        return None
    operator = LinearOperator((size, size), matvec=multiply, dtype=np.float64)
    try:
        values, vectors = eigsh(
            operator, k=2, which="BE", tol=tolerance, v0=start, maxiter=max_restarts
        )
    except ArpackError:  # ArpackNoConvergence is one
        return None
    smallest, largest = (
        Eigenvalue(float(value), float(np.linalg.norm(multiply(v) - value * v)))
        for value, v in zip(values, vectors.T, strict=True)
    )
    return smallest, largest


def trace(product: Product, like: Tensor, samples: int, seed: int = 0) -> tuple[float, float]:
    """Hutchinson's estimate of the trace and its standard error.

    The mean of vᵀ H v over vectors of random signs.

    Args:
        product, like, seed: as for extreme_eigenvalues.
        samples: how many vectors, at least 2.
    """
    generator = torch.Generator().manual_seed(seed)
    quadratic = []
    for _ in range(samples):
        signs = torch.randint(0, 2, (like.numel(),), generator=generator).mul_(2).sub_(1)
        v = signs.to(like)
        quadratic.append(v.double() @ product(v).double())
    values = torch.stack(quadratic)
    return values.mean().item(), (values.std() / samples**0.5).item()
