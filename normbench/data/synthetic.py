"""Ten classes drawn by a formula: stripes seen through a soft, tinted spot, over coloured clutter.

A class is the tint of the spot together with the direction of its stripes. Classes whose tints are
neighbours have very different directions and the other way round, so neither is enough: the tint
varies too much within a class, and stripes take a network longer to learn. Brightness and contrast
vary most, and tell nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normbench.data.arrays import ImageArray
from normbench.data.prepare import empty_images
from normbench.data.source import Source
from normbench.errors import UserError

TINTS = 36 * np.arange(10)  # degrees around the colour circle
DIRECTIONS = 18 * (3 * np.arange(10) % 10)  # degrees
CLASSES = tuple(f"{d}° stripes on {t}° tint" for t, d in zip(TINTS, DIRECTIONS, strict=True))

TINT_SPREAD = 30  # standard deviations within a class, in degrees
DIRECTION_SPREAD = 14
# The rest is drawn evenly between two ends. Lengths are shares of the image's side.
OFFSET = (-0.2, 0.2)  # of the spot from the centre
RADIUS = (0.2, 0.35)
STRIPES = (2.5, 4.5)  # a side
BRIGHTNESS = (0.25, 0.75)  # colours are from 0 to 1
CONTRAST = (0.15, 0.6)
STRIPE_SHARE = 0.75  # of the contrast; the tint has the rest
CLUTTER = 0.08  # standard deviations of colours
NOISE = 0.05
CLUTTER_GRID = 5  # points a side, between which clutter is interpolated

CHUNK = 100  # images drawn at a time, to need little memory


def draw(count: int, size: int, seed: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The images that belong to a seed, with equally many of each class (up to one).

    Args:
        count: number of images.
        size: side in pixels.
        seed: any two numbers from 0.

    Returns:
        images uint8 (count, size, size, 3) and labels int64 (count,).
    """
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % len(CLASSES))
    images = empty_images(count, size)
    for start in range(0, count, CHUNK):
        chunk = slice(start, start + CHUNK)
        # In double precision, machines whose sines differ in the last bit draw the same pixels.
        colours = _draw_chunk(random, labels[chunk], size)
        images[chunk] = np.rint(255 * np.clip(colours, 0, 1))
    return images, labels


def _draw_chunk(random: np.random.Generator, labels: np.ndarray, size: int) -> np.ndarray:
    """Colours (len(labels), size, size, 3), a little beyond 0 and 1 here and there."""
    count = len(labels)

    def each(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (count, 1, 1))

    side = (np.arange(size) + 0.5) / size
    y, x = side[:, None] - 0.5 - each(*OFFSET), side[None, :] - 0.5 - each(*OFFSET)
    spot = np.exp(-(x**2 + y**2) / (2 * each(*RADIUS) ** 2))
    direction = np.deg2rad(random.normal(DIRECTIONS[labels], DIRECTION_SPREAD))[:, None, None]
    across = x * np.cos(direction) + y * np.sin(direction)
    stripes = np.sin(2 * np.pi * (each(*STRIPES) * across + each(0, 1)))
    tint = np.deg2rad(random.normal(TINTS[labels], TINT_SPREAD))[:, None]
    tint = np.cos(tint - np.deg2rad([0, 120, 240]))[:, None, None, :]

    colours = STRIPE_SHARE * stripes[..., None] + (1 - STRIPE_SHARE) * tint
    colours *= (each(*CONTRAST) * spot)[..., None]
    colours += each(*BRIGHTNESS)[..., None]
    # weight of each clutter point at each pixel: a tent around it
    position = side[:, None] * (CLUTTER_GRID - 1)
    tents = np.maximum(0, 1 - np.abs(position - np.arange(CLUTTER_GRID)))
    clutter = random.normal(0, CLUTTER, (count, CLUTTER_GRID, CLUTTER_GRID, 3))
    colours += np.einsum("yi,nijc,xj->nyxc", tents, clutter, tents, optimize=True)
    colours += random.normal(0, NOISE, colours.shape)
    return colours


def synthetic(
    *,
    root: Path | None,
    download: bool,
    image_size: int,
    seed: int = 0,
    train_size: int = 2000,
    val_size: int = 1000,
) -> Source:
    """Ten classes drawn from a seed: needs no file, no network and under a second."""

    for name, value, low in (
        ("seed", seed, 0),
        ("train_size", train_size, 1),
        ("val_size", val_size, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise UserError(
                f"data.source.{name}={value} is not valid: give a whole number from {low}"
            )
    return Source(
        classes=CLASSES,
        splits={
            split: ImageArray(*draw(count, image_size, (seed, stream)))
            for stream, (split, count) in enumerate({"train": train_size, "val": val_size}.items())
        },
        fingerprint=None,
    )
