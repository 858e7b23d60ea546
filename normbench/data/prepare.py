"""Images of any size and mode -> one uint8 tensor a split."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from normbench.data.dataset import Split
from normbench.environment import available_cores
from normbench.errors import UserError

if TYPE_CHECKING:
    from normbench.data.source import Images

log = logging.getLogger(__name__)

FITS = ("crop", "squish")

# Pillow turns other modes, such as 16-bit greyscale, into RGB by clipping them to 0..255.
EIGHT_BIT_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}


def prepare(
    images: Images,
    num_classes: int,
    image_size: int,
    fit: str,
    channels: int = 3,
    progress: Callable[[int, int], object] | None = None,
) -> Split:
    """Decode every image of a split, on all cores, and fit it to a square.

    Args:
        images: one split of a Source.
        num_classes: how many labels there are.
        image_size: side of the square, in pixels.
        fit: ``crop`` or ``squish``; see fit_image.
        channels: 3 for red, green and blue, 1 for grey.
        progress: called as ``progress(done, total)`` after each image.

    Raises:
        UserError: naming the first image that cannot be used. None is ever left out.
    """
    total = len(images)
    if total == 0:
        raise UserError("a split of the dataset holds no images: check data.root and data.source")
    pixels = empty_images(total, image_size, channels)
    labels = np.empty(total, np.int64)
    transparent: list[str] = []

    def decode(i: int) -> None:
        try:
            image, label = images[i]
            if is_transparent(image):
                transparent.append(images.describe(i))
            pixels[i] = fit_image(to_channels(image, channels), image_size, fit)
        except Exception as error:  # damaged bytes make decoders raise nearly anything
            raise UserError(
                f"cannot use {images.describe(i)}: {_reason(error)}; replace or remove it"
            ) from error
        if not 0 <= label < num_classes:
            raise UserError(f"{images.describe(i)} has label {label}, outside 0..{num_classes - 1}")
        labels[i] = label

    # Threads suffice: Pillow decodes and resizes without holding the interpreter's lock.
    pool = ThreadPoolExecutor(available_cores())
    with warnings.catch_warnings():
        # What Pillow finds odd in metadata does not matter here, but an image so large that it
        # may be an attack does.
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            for done, _ in enumerate(pool.map(decode, range(total)), 1):
                if progress:
                    progress(done, total)
        finally:
            pool.shutdown(cancel_futures=True)
    if transparent:
        log.warning(
            "transparency is dropped, and the colours below it show: %s of %s images, such as %s",
            f"{len(transparent):,}", f"{total:,}", min(transparent),
        )  # fmt: skip
    return Split(torch.from_numpy(pixels), torch.from_numpy(labels))


def empty_images(count: int, size: int, channels: int = 3) -> np.ndarray:
    """Room for uint8 (count, size, size, channels), or a UserError where there is not enough."""
    try:
        return np.empty((count, size, size, channels), np.uint8)
    except (MemoryError, ValueError) as error:  # ValueError: more bytes than an address can count
        raise UserError(
            f"{count:,} images of {size} x {size} pixels do not fit into memory: "
            "choose a smaller data.image_size"
        ) from error


def is_transparent(image: Image.Image | np.ndarray) -> bool:
    """Whether any pixel of an image is not opaque."""
    if isinstance(image, np.ndarray) or not image.has_transparency_data:
        return False
    return bool((np.asarray(image.convert("RGBA"))[..., 3] < 255).any())


def to_channels(image: Image.Image | np.ndarray, channels: int) -> Image.Image:
    """Any 8-bit image as RGB, or as grey where 1 channel is asked for.

    Grey is repeated for RGB, and colours become their luma (ITU-R 601) for grey; palettes are
    looked up, CMYK is converted, and transparency is dropped. The orientation that a camera noted
    in EXIF is ignored, as in torchvision.

    Raises:
        ValueError: for pixels of more than 8 bits, whose range is not known.
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if image.mode not in EIGHT_BIT_MODES:
        raise ValueError(f"its pixels have more than 8 bits a channel (Pillow mode {image.mode})")
    return image.convert("L" if channels == 1 else "RGB")


def fit_image(image: Image.Image, size: int, fit: str) -> np.ndarray:
    """RGB or grey image -> uint8 (size, size, 3 or 1), bilinear with antialiasing.

    ``crop`` resizes the shorter side to size and keeps the centre; ``squish`` keeps the whole
    image and gives up its proportions. Rounding follows torchvision's Resize and CenterCrop.
    """
    if fit == "squish":
        width = height = size
    else:
        short = min(image.size)
        width, height = (int(size * side / short) for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    pixels = np.asarray(image)[top : top + size, left : left + size]
    return pixels.reshape(size, size, -1)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is not an image"
    return " ".join(str(error).split()) or type(error).__name__
