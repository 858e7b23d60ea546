"""How a model's parameters lie in memory while it trains, and where their gradients go.

Every arrangement offers the same three moves around a step: clear the gradients, collect what
backward made of them, refresh the copies that the forward pass reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

# Optimizers that treat every number by itself: for them, one flat parameter gives the same bits
# as many small ones. Others (LBFGS, Muon, Adafactor, a user's own) get the parameters as they are.
ELEMENTWISE = {
    "ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop",
    "Ranger", "Rprop", "SGD",
}  # fmt: skip
ALIGNMENT = 64  # bytes: libraries pass over their fastest kernels for weights that begin elsewhere


class SeparateParameters:
    """Parameters as the model made them; their gradients are dropped between steps.

    Attributes:
        tensors: what an optimizer has to update.
    """

    def __init__(self, model: nn.Module):
        self.tensors = list(model.parameters())

    def clear_gradients(self) -> None:
        for p in self.tensors:
            p.grad = None

    def collect_gradients(self) -> None:
        pass

    def refresh_copies(self) -> None:
        pass

    def with_gradients(self, params: Iterable[nn.Parameter]) -> list[tuple[Tensor, Tensor]]:
        """The numbers of parameters and of their gradients, for those that have one."""
        return [(p.data, p.grad) for p in params if p.grad is not None]


class FlatParameters:
    """The trainable parameters of a model moved into one tensor, of which they become views.

    So an optimizer needs one kernel an operation. Gradients are collected rather than accumulated
    in place: backward leaves each where it was made, and one copy a dtype brings all of them into
    the flat gradient, in place of an addition for each parameter.

    Args:
        model: what to rearrange, in place. Memory formats are kept.
        half: the dtype that autocast runs convolutions and linear layers in, to have their
            parameters become copies of that dtype. Autocast would make these copies anew at every
            step, one by one, and cast every gradient back; the numbers are the same.

    Attributes:
        tensors: what an optimizer has to update: one parameter (numbers,), its gradient allocated.
            The model's begin at multiples of ALIGNMENT; zeros are between, with zero gradients.
        params: the model's that are views of it, or copies of views.
        gradients: for each of their dtypes, the parameters, and where in the flat gradient theirs
            belong.
        numbers_of, gradients_of: for each of the model's, where its numbers and its gradient lie.
        masters, copies: views of the flat parameter, and the parameters in half precision that are
            their copies.
    """

    def __init__(self, model: nn.Module, half: torch.dtype | None = None):
        params = [p for p in model.parameters() if p.requires_grad]
        count = sum(_room(p) for p in params)
        flat = nn.Parameter(params[0].detach().new_zeros(count))
        flat.grad = torch.zeros_like(flat)
        self.params, self.tensors = params, [flat]
        numbers, gradients = (list(_views(params, t)) for t in (flat, flat.grad))
        for p, view in zip(params, numbers, strict=True):
            view.copy_(p.data)
            p.data = view

        self.numbers_of = dict(zip(params, numbers, strict=True))
        self.gradients_of = dict(zip(params, gradients, strict=True))

        halved = _used_in_half(model) if half else set()
        of_full = [i for i, p in enumerate(params) if p not in halved]
        of_half = [i for i, p in enumerate(params) if p in halved]
        # what backward fills and where it goes, apart by dtype: a copy kernel reads one dtype
        self.gradients = [
            ([params[i] for i in some], [gradients[i] for i in some])
            for some in (of_full, of_half)
            if some
        ]
        self.masters = [numbers[i] for i in of_half]
        for i in of_half:
            params[i].data = numbers[i].to(half)
        self.copies = [params[i].data for i in of_half]

    def clear_gradients(self) -> None:
        for p in self.params:
            p.grad = None

    def collect_gradients(self) -> None:
        for params, targets in self.gradients:
            made = [p.grad for p in params if p.grad is not None]
            if len(made) == len(params):
                torch._foreach_copy_(targets, made)
            else:  # there are parameters that this step did not use
                for p, target in zip(params, targets, strict=True):
                    target.zero_() if p.grad is None else target.copy_(p.grad)

    def with_gradients(self, params: Iterable[nn.Parameter]) -> list[tuple[Tensor, Tensor]]:
        """What of the flat parameter and its gradient belongs to some of the model's."""
        return [(self.numbers_of[p], self.gradients_of[p]) for p in params]

    def refresh_copies(self) -> None:
        if self.copies:
            torch._foreach_copy_(self.copies, self.masters)


def can_share_a_tensor(model: nn.Module) -> bool:
    """Whether there is something to train, all of one dtype and on one device."""
    return len({(p.dtype, p.device) for p in model.parameters() if p.requires_grad}) == 1


def _room(p: Tensor) -> int:
    """Numbers that a parameter takes, with what is left free for the next to be aligned."""
    numbers = ALIGNMENT // p.element_size()
    return -(-p.numel() // numbers) * numbers


def _views(params: list[nn.Parameter], numbers: Tensor) -> Iterator[Tensor]:
    """Views of numbers (count,), one after another, aligned, shaped like the parameters."""
    start = 0
    for p in params:
        piece = numbers.data[start : start + p.numel()]
        start += _room(p)
        if p.dim() == 4 and p.is_contiguous(memory_format=torch.channels_last):
            n, c, h, w = p.shape
            yield piece.view(n, h, w, c).permute(0, 3, 1, 2)
        else:
            yield piece.view(p.shape)


def _used_in_half(model: nn.Module) -> set[nn.Parameter]:
    """Parameters that only convolutions and linear layers read, as they are.

    Not those of subclasses, whose forward may do more, among them layers with a parametrization.
    """
    owners = Counter(p for m in model.modules() for p in m._parameters.values() if p is not None)
    return {
        p
        for module in model.modules()
        if type(module) in (nn.Conv2d, nn.Linear)
        for p in module.parameters(recurse=False)
        if p.requires_grad and owners[p] == 1
    }
