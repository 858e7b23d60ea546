"""The loss on a batch as a function of a network's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


class BatchLoss:
    """The mean cross-entropy on one batch as a function of all trainable parameters, a vector (P,).

    It is computed in the mode that the network is in, and in full precision; in training mode
    BatchNorm takes the statistics of the batch. Wherever it is computed, the network's parameters,
    buffers and gradients stay as they are and no random number is used up: every value starts from
    the buffers and random states of now, so that noisy layers draw the same noise for each.

    Args:
        model: of floating-point parameters, all of one dtype.
        inputs: (B, ...), what the network takes.
        labels: (B,), int64.

    Attributes:
        here: the network's own parameters, a copy (P,), in the order of ``named_parameters()``.
    """

    def __init__(self, model: nn.Module, inputs: Tensor, labels: Tensor):
        self.model, self.inputs, self.labels = model, inputs, labels
        self.params = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.here = torch.cat([p.detach().flatten() for p in self.params.values()])

    def __call__(self, x: Tensor) -> Tensor:
        pieces = x.split([p.numel() for p in self.params.values()])
        params = {
            name: piece.view(p.shape)
            for (name, p), piece in zip(self.params.items(), pieces, strict=True)
        }
        buffers = {name: b.clone() for name, b in self.model.named_buffers()}
        on_gpu = [self.inputs.device] if self.inputs.device.type == "cuda" else []
        with torch.random.fork_rng(on_gpu), torch.autocast(x.device.type, enabled=False):
            logits = functional_call(self.model, {**params, **buffers}, (self.inputs,))
        return F.cross_entropy(logits, self.labels)


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, CUDA's convolutions and products of float32 are not rounded to TF32."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer and where it is among all parameters.

    Attributes:
        name: as in ``model.named_modules()``.
        start: where its parameters begin; it ends where the next layer starts, so that a norm's
            scale and shift belong to the convolution before them.
        weight: where its weight (of a reparametrized one, the parameter behind it) is.
    """

    name: str
    start: int
    weight: slice


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers of a network, in the order in which they were made, as BatchLoss orders them."""
    weighted = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    starts: dict[str, int] = {}
    weights: dict[str, slice] = {}
    position = 0
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        owner = next((w for w in weighted if name.startswith(f"{w}.") or not w), None)
        if owner is not None:
            starts.setdefault(owner, position)
            if p.dim() > 1:
                weights[owner] = slice(position, position + p.numel())
        position += p.numel()
    return [Layer(name, starts[name], weight) for name, weight in weights.items()]
