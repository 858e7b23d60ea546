"""Random crops and flips: where they take pixels from, and that a seed decides everything."""

import pytest
import torch

from normbench.engine.augmentation import Augmentation

CPU = torch.device("cpu")


def ramp(count, size=16):
    """Images whose first channel is the column's and second the row's place, from -1 to 1."""
    place = (torch.arange(size) * 2 + 1) / size - 1
    columns, rows = place.expand(size, size), place.view(-1, 1).expand(size, size)
    return torch.stack([columns, rows, columns * 0 + 1]).expand(count, 3, size, size).contiguous()


def augmented(choice, count=200, seed=0, epochs=1):
    augmentation = Augmentation(choice, count, seed, CPU)
    for _ in range(epochs):
        augmentation.draw()
    return augmentation(ramp(count), torch.arange(count))


def test_a_flip_mirrors_about_half_of_the_images_and_leaves_the_others_as_they_are():
    x, y = ramp(200), augmented("flip")
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(x, y, strict=True)]
    mirrored = [torch.allclose(a.flip(2), b, atol=1e-6) for a, b in zip(x, y, strict=True)]
    assert all(s != m for s, m in zip(same, mirrored, strict=True))
    assert 70 < sum(mirrored) < 130


def test_a_crop_is_a_part_of_the_image_of_the_promised_area_and_ratio():
    y = augmented("crop", count=2000)
    # the ramp's slopes are the crop's sides, as shares of the image's
    width = (y[:, 0, 8, 9] - y[:, 0, 8, 6]).abs() / 3 * 8
    height = (y[:, 1, 9, 8] - y[:, 1, 6, 8]) / 3 * 8
    area, ratio = width * height, width / height
    assert (0.349 < area).all() and (area < 1.001).all()
    whole = area > 0.999
    assert (0.749 < ratio[~whole]).all() and (ratio[~whole] < 1.334).all()
    assert area.mean() == pytest.approx(0.63, abs=0.04)
    assert y[:, :2].abs().max() <= 1
    assert torch.allclose(y[:, 2], torch.ones(()))


def test_crops_lie_everywhere():
    y = augmented("crop", count=2000)
    centre = y[:, :2, 7:9, 7:9].mean((2, 3))
    assert centre.mean(0).abs().max() < 0.02
    assert centre.abs().amax(0).min() > 0.25


def test_the_seed_decides_and_every_epoch_differs():
    assert torch.equal(augmented("crop"), augmented("crop"))
    assert not torch.equal(augmented("crop"), augmented("crop", seed=1))
    assert not torch.equal(augmented("crop"), augmented("crop", epochs=2))


def test_an_image_keeps_its_transform_wherever_it_stands_in_a_batch():
    augmentation = Augmentation("crop", 10, 0, CPU)
    augmentation.draw()
    x = ramp(3)
    one = augmentation(x, torch.tensor([4, 7, 1]))
    other = augmentation(x, torch.tensor([1, 4, 7]))
    assert torch.equal(one[0], other[1]) and torch.equal(one[2], other[0])
