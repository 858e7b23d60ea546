"""Optimizers in a form that a CUDA graph can hold: nothing in their step depends on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from normbench.engine.cuda import out_of_memory
from normbench.engine.optimizers import Ranger

# What to make an optimizer with. Their state starts from zeros, which is how a run that was
# warmed up comes back to its start; the state of others, such as Rprop's, does not.
SETTINGS: dict[type, dict[str, Any]] = {
    torch.optim.SGD: {"fused": True},
    torch.optim.Adam: {"fused": True, "capturable": True},
    torch.optim.AdamW: {"fused": True, "capturable": True},
    torch.optim.RAdam: {"capturable": True},
}
# The same if the schedule changes b1, too, which the fused kernels take from the host.
SETTINGS_FOR_MOMENTUM: dict[type, dict[str, Any]] = {
    torch.optim.Adam: {"foreach": False, "capturable": True},
    torch.optim.AdamW: {"foreach": False, "capturable": True},
}


class NotCapturable(Exception):
    """Why a run cannot be replayed from a CUDA graph, in one line."""


def capturable(
    make: Callable[..., torch.optim.Optimizer],
    params: Sequence[Tensor],
    lr: float,
    steps: int,
    momentum_changes: bool,
) -> torch.optim.Optimizer:
    """An optimizer that a CUDA graph can hold.

    Args:
        make: (params, lr=, more settings=) -> optimizer.
        params: what to update.
        lr: learning rate.
        steps: how many steps there will be.
        momentum_changes: whether the momentum, or b1, differs from step to step.

    Returns:
        The optimizer. What changes from step to step is in its groups as tensors of one number on
        the device: lr, and where the momentum changes, momentum or the first of betas.

    Raises:
        NotCapturable: with the reason.
        torch.OutOfMemoryError: and what else says so.
    """
    plain = make(params, lr=lr)
    kind, group = type(plain), plain.param_groups[0]
    changes = momentum_changes and ("betas" in group or "momentum" in group)
    dtype = torch.float64 if kind is Ranger else torch.float32  # as their kernels read numbers

    def number(value: float) -> Tensor:
        return torch.tensor(value, dtype=dtype, device=params[0].device)

    if kind is torch.optim.SGD and group["dampening"]:
        raise NotCapturable("torch.optim.SGD with dampening treats its first step differently")
    if kind is torch.optim.SGD and changes:
        if group["maximize"]:
            raise NotCapturable("torch.optim.SGD with maximize has no schedule for its momentum")
        return DeviceSGD(
            params, number(lr), number(group["momentum"]), group["weight_decay"], group["nesterov"]
        )
    known = SETTINGS_FOR_MOMENTUM if changes else SETTINGS
    settings = {"steps": steps} if kind is Ranger else known.get(kind)
    if settings is None:
        schedule = " with a schedule for its momentum" if changes else ""
        raise NotCapturable(f"{kind.__name__}{schedule} has no form that a graph can hold")
    try:
        optimizer = make(params, lr=lr, **settings)
    except Exception as error:
        if out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        raise NotCapturable(f"{kind.__name__} refuses {settings}: {reason}") from None
    for group in optimizer.param_groups:
        group["lr"] = number(lr)
        if changes:
            group["betas"] = (number(group["betas"][0]), group["betas"][1])
    return optimizer


class DeviceSGD(torch.optim.Optimizer):
    """torch.optim.SGD for a CUDA graph where the momentum changes, too.

    Args:
        params: tensors to update.
        lr, momentum: numbers, on the parameters' device, that may be written to between steps.
        weight_decay, nesterov: as in torch.optim.SGD; there is no dampening.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: Tensor,
        momentum: Tensor,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, settings | {"nesterov": nesterov})
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Update every parameter once from its ``grad``; returns what closure does, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in [p for p in group["params"] if p.grad is not None]:
                buffer, change = self.state[p]["momentum_buffer"], p.grad
                if group["weight_decay"]:
                    change = change.add(p, alpha=group["weight_decay"])
                buffer.mul_(group["momentum"]).add_(change)
                change = change + group["momentum"] * buffer if group["nesterov"] else buffer
                p.addcmul_(change, group["lr"], value=-1)
        return loss
