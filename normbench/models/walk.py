"""The norms of a network that was built without ours: found among its modules, and replaced."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

NORM_LAYERS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm)
OF_MAPS = (nn.BatchNorm2d, nn.InstanceNorm2d)  # given (N, C, H, W) and nothing else
# Libraries' norms that do not say their channels, but have a weight for each: torchvision's and
# timm's that are frozen, and timm's that are an activation as well.
BY_WEIGHT = re.compile(r"FrozenBatchNorm|EvoNorm|FilterResponseNorm")
NAMED_NORM = re.compile(r"Norm(?!al|Free)|Normalization")  # but no NormalCell, no NormFreeBlock
SIDES = (1, 2)  # added to the channels, so that a map's three sizes differ


class StandIn(nn.Module):
    """A norm where a layer stood that had its channels last, or did more than to normalize.

    What it is given becomes what norms take, and what comes of it has the shape of x again:

        (N, H, W, C)  a map with its channels last: (N, C, H, W)
        (N, L, C)     tokens, such as a transformer's: (N, C, L)
        (N, C)        features, as they are

    with any further sizes counted as positions, of tokens. So what a norm computes over the
    positions of a map, it computes over an image's tokens, its class token among them; LayerNorm
    alone is of each token by itself, as transformers have it.

    Args:
        norm: what stands there now.
        channels_last: whether x has its channels last, and not after N.
        drop, act: what the layer did besides, after it normalized.
    """

    def __init__(
        self,
        norm: nn.Module,
        channels_last: bool,
        drop: nn.Module | None = None,
        act: nn.Module | None = None,
    ):
        super().__init__()
        self.norm, self.channels_last = norm, channels_last
        self.drop, self.act = drop, act

    def forward(self, x: Tensor) -> Tensor:
        x_NC = x.movedim(-1, 1) if self.channels_last else x
        if x_NC.dim() <= 4:
            y = self.norm(x_NC)
        else:
            y = self.norm(x_NC.flatten(2)).view(x_NC.shape)
        y = y.movedim(1, -1) if self.channels_last else y
        for also in (self.drop, self.act):
            y = y if also is None else also(y)
        return y

    def extra_repr(self) -> str:
        return "channels_last" if self.channels_last else ""


def norms_of(network: nn.Module) -> dict[str, nn.Module]:
    """Path -> module of every norm in a network, whosever class it is.

    A norm is one of torch's, or what is called one and holds none: `ConvNormAct` is a block. One
    that stands in several places is there once for each.
    """
    called = {
        path: module
        for path, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, NORM_LAYERS) or _is_called_norm(module)
        if "parametrizations." not in path  # those of weights
    }
    around = {path[:end] for path in called for end in _ends(path)}
    return {path: module for path, module in called.items() if path not in around}


def replace(network: nn.Module, layer: Callable[[int], nn.Module]) -> list[nn.Module]:
    """Put layers in the place of a network's norms, in place.

    Each has the channels of the norm that stood there and, where both have such, starts with its
    weight and bias, as some networks begin with zeros there. An activation, and a dropout, that
    the norm had in itself stay: see `StandIn`. What follows a norm no longer works in place: ours
    may return what it was given, which may be needed elsewhere, or keep what it returned.

    Args:
        layer: number of channels -> layer.

    Returns:
        The norms that stay, as it cannot be told what they normalize.
    """
    stand_ins: dict[nn.Module, nn.Module | None] = {}
    for path, module in norms_of(network).items():
        if module not in stand_ins:
            stand_ins[module] = _stand_in(module, layer, network)
        if (stand_in := stand_ins[module]) is not None:
            network.set_submodule(path, stand_in)
    for module in network.modules() if stand_ins else ():
        if getattr(module, "inplace", False) is True:
            setattr(module, "inplace", False)  # noqa: B010 (types forbid assigning it)
    return [module for module, stand_in in stand_ins.items() if stand_in is None]


def _stand_in(
    module: nn.Module, layer: Callable[[int], nn.Module], network: nn.Module
) -> nn.Module | None:
    channels = _channels(module)
    channels_last = _has_channels_last(module, channels) if channels else None
    if channels is None or channels_last is None:
        return None
    norm = layer(channels)
    if (like := next(module.parameters(), next(network.parameters(), None))) is not None:
        norm.to(like.device, like.dtype)
    for name in ("weight", "bias"):
        old, new = getattr(module, name, None), getattr(norm, name, None)
        if isinstance(old, nn.Parameter) and isinstance(new, nn.Parameter):
            if old.shape == new.shape:
                new.data.copy_(old.data)
    drop, act = _also(module, "drop"), _also(module, "act")
    if act is None and (name := type(module).__name__).startswith(("EvoNorm", "FilterResponse")):
        act = _own_activation(name, module)
    norm.train(module.training)
    if isinstance(module, OF_MAPS) and drop is None and act is None:
        return norm
    return StandIn(norm, channels_last, drop, act).train(module.training)


def _channels(module: nn.Module) -> int | None:
    for name in ("num_features", "num_channels", "normalized_shape"):
        value = getattr(module, name, None)
        if isinstance(value, tuple | list) and len(value) == 1:
            value = value[0]
        if isinstance(value, int):
            return value or None  # 0 of one that waits for its first input
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.dim() == 1 and BY_WEIGHT.match(type(module).__name__):
        return len(weight)
    return None


def _has_channels_last(module: nn.Module, channels: int) -> bool | None:
    """Whether a norm takes (N, H, W, C) or (N, C, H, W), found by asking it; None for neither."""
    if isinstance(module, _NormBase | nn.GroupNorm):
        return False
    asked = copy.deepcopy(module).to("meta").eval()
    height, width = (channels + more for more in SIDES)
    for shape in ((2, height, width, channels), (2, channels, height, width)):
        try:
            if asked(torch.empty(shape, device="meta")).shape == shape:
                return shape[-1] == channels
        except Exception:  # whatever a layer raises that is given something else than it takes
            continue
    return None


def _also(module: nn.Module, name: str) -> nn.Module | None:
    """What timm's norms with an activation do after they normalized."""
    also = getattr(module, name, None)
    return also if isinstance(also, nn.Module) and not isinstance(also, nn.Identity) else None


def _own_activation(name: str, module: nn.Module) -> nn.Module | None:
    """What is left of timm's layers that are both in one, without what they normalize by:
    x · sigmoid(v x) of EvoNorm, and max(x, tau) of filter response normalization."""
    if not getattr(module, "apply_act", False):
        return None
    return nn.SiLU() if name.startswith("EvoNorm") else nn.ReLU()


def _is_called_norm(module: nn.Module) -> bool:
    holds = any(True for _ in (*module.parameters(False), *module.buffers(False)))
    alone = holds or not any(True for _ in module.children())
    return alone and NAMED_NORM.search(type(module).__name__) is not None


def _ends(path: str) -> list[int]:
    """Where the paths end of all that a module is inside of: 0 for the network itself."""
    return [0, *(i for i, letter in enumerate(path) if letter == ".")] if path else []
