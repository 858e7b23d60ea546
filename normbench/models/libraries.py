"""Classifiers of torchvision and timm, built as their libraries do, without pretrained weights.

`normbench.models.build` puts a norm in the place of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

Settings = Mapping[str, Any]

# A single output where there may be more, and the initialization that is not warned of.
TORCHVISION: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def torchvision_model(
    arch: str, num_classes: int, image_size: int = 224, settings: Settings | None = None
) -> nn.Module:
    """A classifier of torchvision's: images (N, 3, H, W) -> logits (N, num_classes).

    Args:
        arch: its name there.
        num_classes: width of the output.
        image_size: H and W, for those that take one size only.
        settings: more arguments of its builder.
    """
    from torchvision import models

    fixed: dict[str, Any] = {}
    if arch.startswith("vit_"):
        fixed = {"image_size": image_size}
    elif arch.startswith("maxvit_"):
        fixed = {"input_size": (image_size, image_size)}
    own = fixed | TORCHVISION.get(arch, {}) | dict(settings or {})
    return models.get_model(arch, weights=None, num_classes=num_classes, **own)


def timm_model(
    arch: str, num_classes: int, image_size: int = 224, settings: Settings | None = None
) -> nn.Module:
    """A classifier of timm's: images (N, 3, H, W) -> logits (N, num_classes).

    Args:
        arch, num_classes, image_size, settings: as for `torchvision_model`.
    """
    import timm

    known = timm.get_pretrained_cfg(arch)
    fixed = {"img_size": image_size} if known is not None and known.fixed_input_size else {}
    return timm.create_model(arch, num_classes=num_classes, **fixed | dict(settings or {}))
