"""Fixup initialization: Zhang, Dauphin & Ma 2019, https://arxiv.org/abs/1901.09321

Residual networks train without any norm if their branches start at zero, their weights are smaller
the more branches there are, and a few scalars are learned. The paper's three rules:

1. The classifier, and the last convolution of each residual branch, start at 0.
2. Other layers start as usual, here as He et al. 2015 (normal, fan out); those of a branch of m
   convolutions, one of L branches, times L^(-1 / (2 m - 2)).
3. Each branch has a multiplier of one number, which starts at 1, and there is a bias of one number,
   which starts at 0, before each convolution, linear layer and activation.

A residual branch is a module with two convolutions or more of its own, and as many norms, that is
no nn.Sequential, as in the ResNets of torchvision, of timm and for CIFAR-10. Of a network without
any, there are left He's initialization, the biases and the classifier of zeros.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn


class FixupScalars(nn.Module):
    """What stands in a norm's place: y = scale · x + bias, of one number each for all channels.

    x and y: of any shape; computed in fp32 when x is bf16 or fp16. `fixup` takes away what the
    paper has not: the scale of all but the last in a branch, and on a shortcut both.

    Args:
        num_channels: of no use here.
    """

    def __init__(self, num_channels: int = 1):
        super().__init__()
        self.scale: nn.Parameter | None = nn.Parameter(torch.ones(1))
        self.bias: nn.Parameter | None = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.scale is None else x * self.scale
        return (y if self.bias is None else y + self.bias).to(x.dtype)

    def extra_repr(self) -> str:
        return ", ".join(name for name, p in self._parameters.items() if p is not None)


def fixup(model: nn.Module) -> None:
    """Give a network whose norms are `FixupScalars` the paper's initialization, in place, and put
    its biases before convolutions and the classifier: each becomes `shift` and `layer`."""
    modules = dict(model.named_modules())
    branches = residual_branches(model)
    for module in modules.values():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            _start_at_zero(module.bias)
    linear = [module for module in modules.values() if type(module) is nn.Linear]
    for classifier in linear[-1:]:
        _start_at_zero(classifier.weight, classifier.bias)
    multiplied = set()
    for path, convolutions in branches.items():
        *others, last = convolutions
        for convolution in others:
            convolution.weight.data *= len(branches) ** (-1 / (2 * len(convolutions) - 2))
        _start_at_zero(last.weight)
        multiplied.add(_scalars_of(modules[path])[-1])
    of_branches = {scalars for path in branches for scalars in _scalars_of(modules[path])}
    for path, module in modules.items():
        if isinstance(module, FixupScalars) and module not in multiplied:
            module.scale = None
            on_a_shortcut = module not in of_branches and _inside(path, branches)
            module.bias = None if on_a_shortcut else module.bias
    for path, module in modules.items():
        if path and (isinstance(module, nn.Conv2d) or module in linear[-1:]):
            shift = FixupScalars().to(module.weight.device, module.weight.dtype)
            shift.scale = None
            model.set_submodule(path, nn.Sequential(OrderedDict(shift=shift, layer=module)))


def residual_branches(model: nn.Module) -> dict[str, list[nn.Conv2d]]:
    """The path of each residual branch, and its convolutions in their order."""
    found = {}
    for path, module in model.named_modules():
        convolutions = [part for part in module.children() if isinstance(part, nn.Conv2d)]
        alone = path and not isinstance(module, nn.Sequential)
        if alone and 2 <= len(convolutions) <= len(_scalars_of(module)):
            found[path] = convolutions
    return found


def _scalars_of(module: nn.Module) -> list[FixupScalars]:
    """Those that are a module's own, or inside what is none of nn.Sequential, as shortcuts are."""
    found = []
    for part in module.children():
        inside = [] if isinstance(part, nn.Sequential) else part.children()
        found += [one for one in (part, *inside) if isinstance(one, FixupScalars)]
    return found


def _inside(path: str, branches: dict[str, Any]) -> bool:
    return any(path.startswith(f"{branch}.") for branch in branches)


def _start_at_zero(*parameters: Tensor | None) -> None:
    for parameter in parameters:
        if parameter is not None:
            nn.init.zeros_(parameter)
