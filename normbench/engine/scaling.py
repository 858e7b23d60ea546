"""Scaling of the loss for fp16, without a word from the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class DeviceScaler(torch.amp.GradScaler):
    """A GradScaler that asks no device whether gradients overflowed.

    torch's reads that on the host, to leave out the step, unless an optimizer can skip by itself.
    Here the others take their step, and what it changed is put back where gradients overflowed.
    """

    @torch.no_grad()
    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        if not self.is_enabled() or getattr(optimizer, "_step_supports_amp_scaling", False):
            super().step(optimizer, *args, **kwargs)
            return
        self.unscale_(optimizer)
        overflowed = torch.stack(list(self._found_inf_per_device(optimizer).values())).sum() != 0
        before = {tensor: tensor.clone() for tensor in _changed_by(optimizer)}
        optimizer.step(*args, **kwargs)
        for tensor in _changed_by(optimizer):
            old = before.get(tensor)  # what was made in this step starts from zeros
            tensor.copy_(torch.where(overflowed, 0 if old is None else old, tensor))


def _changed_by(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters and the optimizer's state."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    states = [v for state in optimizer.state.values() for v in state.values()]
    return [*params, *(value for value in states if isinstance(value, Tensor))]
