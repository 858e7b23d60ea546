"""All parameters of a model in one tensor, so that an optimizer needs one kernel an operation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Optimizers that treat every number by itself: for them, one flat parameter gives the same bits
# as many small ones. Others (LBFGS, Muon, Adafactor, a user's own) get the parameters as they are.
ELEMENTWISE = {
    "ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop",
    "Ranger", "Rprop", "SGD",
}  # fmt: skip


def flatten_parameters(model: nn.Module) -> nn.Parameter | None:
    """Move the trainable parameters of a model into one, of which they become views.

    Their gradients become views of its gradient, which has to be zeroed, not dropped, between
    steps. Memory formats are kept.

    Returns:
        The flat parameter (numbers,) with its gradient allocated, or None if there is nothing to
        train or the parameters do not share one dtype and device.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    if not params or len({(p.dtype, p.device) for p in params}) > 1:
        return None
    flat = nn.Parameter(params[0].detach().new_empty(sum(p.numel() for p in params)))
    flat.grad = torch.zeros_like(flat)
    start = 0
    with torch.no_grad():
        for p in params:
            end = start + p.numel()
            view = _shaped_like(p, flat.data[start:end])
            view.copy_(p)
            p.data = view
            p.grad = _shaped_like(p, flat.grad[start:end])
            start = end
    return flat


def _shaped_like(p: Tensor, numbers: Tensor) -> Tensor:
    """View numbers (p.numel(),) with p's shape, channels last where p is."""
    if p.dim() == 4 and p.is_contiguous(memory_format=torch.channels_last):
        n, c, h, w = p.shape
        return numbers.view(n, h, w, c).permute(0, 3, 1, 2)
    return numbers.view(p.shape)
