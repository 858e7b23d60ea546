"""Along the gradient of a quadratic, where everything is known."""

import pytest
import torch

from normbench.calculus.line import along_gradient, losses_after_step

STEPS = [0.01, 0.03, 0.1, 0.3]


def test_along_an_eigenvector_smoothness_is_its_eigenvalue(quadratic):
    for i in (0, 1, 5):
        x = 2.0 * quadratic.basis[:, i]
        line = along_gradient(quadratic, x, STEPS)
        moved = torch.tensor(STEPS).double() * line["gradient_norm"]
        torch.testing.assert_close(
            line["gradient_changes"] / moved,
            quadratic.eigenvalues[i].abs().expand(4),
        )


def test_losses_and_gradient_changes_of_a_quadratic(quadratic):
    torch.manual_seed(3)
    x = torch.randn(40, dtype=torch.float64)
    g = quadratic.matrix @ x
    line = along_gradient(quadratic, x, STEPS)
    torch.testing.assert_close(line["loss"], quadratic(x))
    torch.testing.assert_close(line["gradient_norm"], g.norm())
    for eta, value, change in zip(STEPS, line["losses"], line["gradient_changes"], strict=True):
        expected = quadratic(x) - eta * (g @ g) + eta**2 / 2 * (g @ quadratic.matrix @ g)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(change, eta * (quadratic.matrix @ g).norm())
    assert torch.equal(losses_after_step(quadratic, x, STEPS)["losses"], line["losses"])


def test_a_step_makes_a_quadratic_worse_from_two_over_its_curvature(quadratic):
    x, curvature = quadratic.basis[:, 1], quadratic.eigenvalues[1].item()
    below, above = 2 / curvature * 0.999, 2 / curvature * 1.001
    after = losses_after_step(quadratic, x, [below, above])
    assert after["losses"][0] < after["loss"] < after["losses"][1]


def test_a_loss_that_overflows_is_reported_as_such():
    line = along_gradient(lambda x: x.exp().sum(), torch.full((3,), 80.0), [-1e-30, 1.0])
    assert line["losses"].tolist() == pytest.approx([float("inf"), 0.0])
