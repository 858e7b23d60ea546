"""Initializations that a norm brings along."""

from torch import nn


def lecun_normal(model: nn.Module) -> None:
    """Draw weights of convolutions and linear layers from N(0, 1 / fan in), in place; biases are 0.

    So a unit's sum has the variance of its inputs, which SELU keeps: Klambauer et al. 2017,
    https://arxiv.org/abs/1706.02515
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
