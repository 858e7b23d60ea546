"""Random crops and flips, drawn for a whole epoch at once so that a step needs no randomness."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

AREA = (0.35, 1.0)  # of the image, as in fastai's Imagenette recipe
RATIO = (3 / 4, 4 / 3)  # of width to height
TRIES = 10  # at a crop that fits into the image


class Augmentation:
    """Transforms each image of a split in a way of its own, new in every epoch.

    Args:
        choice: ``flip`` mirrors an image left to right half of the time; ``crop`` also takes a
            random part of it, of AREA and RATIO, to the full size (Szegedy et al. 2015, section 6).
        count: how many images there are.
        seed: of everything that is drawn.
        device: where images are.

    Attributes:
        choice, count: as given.
        generator: draws everything.
        theta: (N, 2, 3), float32: where in the image, from -1 to 1, a pixel of the result comes
            from.
    """

    def __init__(self, choice: str, count: int, seed: int, device: torch.device):
        self.choice, self.count = choice, count
        self.generator = torch.Generator().manual_seed(seed)
        self.theta = torch.zeros(count, 2, 3, device=device)

    def draw(self) -> None:
        """Draw the transforms of the next epoch, into the same memory."""
        width, height = self._sizes() if self.choice == "crop" else torch.ones(2, self.count)
        x, y = ((1 - size) * self._uniform(-1, 1) for size in (width, height))
        flip = self._uniform(0, 1) < 0.5
        theta = torch.zeros(self.count, 2, 3)
        theta[:, 0, 0] = torch.where(flip, -width, width)
        theta[:, 0, 2] = x
        theta[:, 1, 1] = height
        theta[:, 1, 2] = y
        self.theta.copy_(theta)

    def __call__(self, x: Tensor, index: Tensor) -> Tensor:
        """Images (B, C, H, W), float, that stand at index (B,) in the split -> the same shape."""
        theta = self.theta.index_select(0, index)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        y = F.grid_sample(x.float(), grid, padding_mode="reflection", align_corners=False)
        return y.to(x.dtype, memory_format=torch.channels_last)

    def _sizes(self) -> tuple[Tensor, Tensor]:
        """Width and height of each crop, as shares of the image's."""
        width, height = torch.ones(2, self.count)
        for _ in range(TRIES):
            area = self._uniform(*AREA)
            ratio = self._uniform(*map(math.log, RATIO)).exp()
            w, h = (area * ratio).sqrt(), (area / ratio).sqrt()
            found = (w <= 1) & (h <= 1)
            # a later try never replaces one that fits
            todo = found & (width == 1) & (height == 1)
            width, height = torch.where(todo, w, width), torch.where(todo, h, height)
        return width, height

    def _uniform(self, low: float, high: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator) * (high - low) + low
