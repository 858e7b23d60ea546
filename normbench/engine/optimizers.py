"""Ranger: rectified Adam inside Lookahead, the optimizer of fastai's Imagenette recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from normbench.engine import ranger_update

# Numbers that are updated in one go: what the operators of an update read and write of so many
# stays in a core's cache from one to the next.
BLOCK = 1 << 17


class Ranger(torch.optim.Optimizer):
    """Rectified Adam (Liu et al. 2020, Algorithm 2) inside Lookahead (Zhang et al. 2019).

    With gradient g, step t from 1 and rho_inf = 2 / (1 - b2) - 1::

        m = b1 m + (1 - b1) g                       v = b2 v + (1 - b2) g^2
        rho = rho_inf - 2 t b2^t / (1 - b2^t)
        p = p - lr m / (1 - b1^t)                                   while rho <= 5
        p = p - lr r m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)  after
        r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))

    and after every ``lookahead_steps`` steps the slow weights s, which start at the initial
    parameters, move: s = s + lookahead_pull (p - s), p = s.

    Args:
        params: tensors to update; every one must have a gradient at every step.
        lr: learning rate.
        betas: b1 and b2.
        eps: added to the root of the second moment.
        weight_decay: decoupled (Loshchilov & Hutter 2019): p = p - lr weight_decay p.
        lookahead_steps: steps between two moves of the slow weights; 0 is rectified Adam alone.
        lookahead_pull: how far the slow weights move towards the fast ones.
        steps: how many steps there will be, for a ``step`` that a CUDA graph can hold, where
            nothing depends on the host: the counter of steps and the learning rate are tensors on
            the parameters' device, and what follows from the counter is looked up in a table. The
            learning rate may be written to between steps; so may b1, given in ``betas`` as a
            tensor there.

    Raises:
        ValueError: for a setting out of its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.99),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        lookahead_steps: int = 6,
        lookahead_pull: float = 0.5,
        steps: int | None = None,
    ):
        if not (0 <= betas[0] < 1 and 0 <= betas[1] < 1):
            raise ValueError(f"betas={list(betas)} must lie in [0, 1)")
        if eps < 0 or weight_decay < 0:
            raise ValueError(f"eps={eps} and weight_decay={weight_decay} must not be negative")
        if lookahead_steps < 0 or not 0 <= lookahead_pull <= 1:
            raise ValueError(
                f"lookahead_steps={lookahead_steps} must not be negative and "
                f"lookahead_pull={lookahead_pull} must lie between 0 and 1"
            )
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "lookahead_steps": lookahead_steps,
                "lookahead_pull": lookahead_pull,
            },
        )
        self.on_device = steps is not None
        if steps is not None:
            # GradScaler then leaves it to step() to unscale gradients and to skip updates
            self._step_supports_amp_scaling = True
            for group in self.param_groups:
                self._move_to_device(group, steps)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Update every parameter once from its ``grad``; returns what closure does, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        update = self._update_on_device if self.on_device else self._update
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    update(p, p.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            self._add_moments(state, parameter, group)
        state["step"] += 1
        t, (b1, b2), lr, eps = state["step"], group["betas"], group["lr"], group["eps"]
        bias1, bias2 = 1 - b1**t, 1 - b2**t
        rho_inf = 2 / (1 - b2) - 1
        rho = rho_inf - 2 * t * b2**t / bias2
        rectified = rho > 5
        if rectified:
            r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        lookahead_moves = group["lookahead_steps"] and t % group["lookahead_steps"] == 0

        moments = state["m"], state["v"]
        slow_weights = [state["slow"]] if "slow" in state else []
        for p, g, m, v, *slow in _blocks(parameter, gradient, *moments, *slow_weights):
            if group["weight_decay"]:
                p.mul_(1 - lr * group["weight_decay"])
            m.lerp_(g, 1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
            if rectified:
                # sqrt(v / bias2) + eps, with the factor 1 / sqrt(bias2) moved into the step size
                denominator = v.sqrt().add_(eps * math.sqrt(bias2))
                p.addcdiv_(m, denominator, value=-lr * r * math.sqrt(bias2) / bias1)
            else:
                p.add_(m, alpha=-lr / bias1)
            if lookahead_moves:
                p.copy_(slow[0].lerp_(p, group["lookahead_pull"]))

    def _add_moments(self, state: dict[str, Any], p: Tensor, group: dict[str, Any]) -> None:
        state["m"] = torch.zeros_like(p)
        state["v"] = torch.zeros_like(p)
        if group["lookahead_steps"]:
            state["slow"] = p.detach().clone()

    def _move_to_device(self, group: dict[str, Any], steps: int) -> None:
        """Put where the parameters are all that ``_update_on_device`` reads."""
        device = group["params"][0].device
        group["lr"] = torch.tensor(group["lr"], dtype=torch.float64, device=device)
        group["table"] = ranger_update.coefficients(group, steps).to(device)
        for p in group["params"]:
            state = self.state[p]
            state["step"] = torch.zeros(1, dtype=torch.int64, device=device)
            self._add_moments(state, p, group)

    def _update_on_device(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, b1 = self.state[p], group["betas"][0]
        row = group["table"].index_select(0, state["step"])[0]
        if isinstance(b1, Tensor):
            ranger_update.set_b1(row, b1, state["step"])
        found_inf = getattr(self, "found_inf", None)  # a GradScaler's, as grad_scale
        grad_scale = getattr(self, "grad_scale", None)
        update = ranger_update.for_parameter(p)
        moments = state["m"], state["v"], state.get("slow")
        update(p, gradient, *moments, group["lr"], row, grad_scale, found_inf)
        state["step"].add_(1 if found_inf is None else found_inf == 0)


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of a parameter and of what belongs to it, all of one shape, a block at a time."""
    count = tensors[0].numel()
    if tensors[0].dim() != 1 or count <= BLOCK:
        yield tensors
        return
    for start in range(0, count, BLOCK):
        yield tuple(tensor[start : start + BLOCK] for tensor in tensors)
