"""Transparency is dropped, and that is said."""

import logging

import numpy as np
import pytest
from PIL import Image

from normbench.data.prepare import is_transparent, prepare


class Images:
    """A split of images that are given."""

    def __init__(self, *images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], 0

    def describe(self, i):
        return f"image {i}"


def of(mode, color):
    return Image.new(mode, (4, 4), color)


@pytest.mark.parametrize(
    ("image", "transparent"),
    [
        (of("RGB", (1, 2, 3)), False),
        (of("RGBA", (1, 2, 3, 255)), False),
        (of("RGBA", (1, 2, 3, 254)), True),
        (of("LA", (1, 0)), True),
        (np.zeros((4, 4, 3), np.uint8), False),
    ],
)
def test_an_image_is_transparent_where_a_pixel_is_not_opaque(image, transparent):
    assert is_transparent(image) is transparent


def test_it_is_said_once_for_a_split_with_how_many_and_an_example(caplog):
    images = Images(of("RGB", (9, 9, 9)), of("RGBA", (9, 9, 9, 0)), of("RGBA", (9, 9, 9, 8)))
    with caplog.at_level(logging.WARNING):
        split = prepare(images, num_classes=1, image_size=4, fit="crop")
    (line,) = caplog.messages
    assert "transparency is dropped" in line and "2 of 3 images, such as image 1" in line
    assert (split.images == 9).all()
