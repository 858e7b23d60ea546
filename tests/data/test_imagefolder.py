"""Any folder of images can be a dataset, and what is wrong with one is said in one line."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from normbench.data.load import load_dataset
from normbench.errors import UserError


@pytest.fixture
def load(config, folder):
    def load(**changes):
        settings = {"root": str(folder), "image_size": 8} | changes
        return load_dataset(config("imagefolder", **settings))

    return load


def test_a_folder_of_images_becomes_uint8_tensors(load):
    data = load()
    assert data.classes == ("cat", "dog")
    assert data.train.images.shape == (4, 8, 8, 3)
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.val.images.shape == (2, 8, 8, 3)
    assert data.val.labels.tolist() == [0, 1]
    assert data.val.labels.dtype == torch.int64
    as_network_input = data.train.images.permute(0, 3, 1, 2)
    assert as_network_input.is_contiguous(memory_format=torch.channels_last)


def test_test_stands_in_for_val(load, folder):
    expected = load().val.images.clone()
    (folder / "val").rename(folder / "test")
    assert torch.equal(load().val.images, expected)


def test_identity_says_which_files_wherever_they_are(load, folder, photo, tmp_path):
    here = load().identity
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere, copy_function=shutil.copy)  # with new modification times
    folder.rename(tmp_path / "gone")
    elsewhere.rename(folder)
    assert load().identity == here
    photo(99).save(folder / "train/cat/c.jpg")
    assert load().identity != here


def test_changed_files_are_noticed(load, folder, photo):
    before = load()
    photo(99).save(folder / "train/cat/a.jpg")
    after = load()
    assert not torch.equal(after.train.images, before.train.images)
    assert torch.equal(after.val.images, before.val.images)
    assert after.digest != before.digest


def test_files_that_are_no_images_by_name_are_not_part_of_the_dataset(load, folder):
    (folder / "train/cat/notes.txt").write_text("nice cats")
    assert len(load().train.labels) == 4


def test_root_must_be_given(load):
    with pytest.raises(UserError, match="data.root is not set"):
        load(root=None)


def test_root_must_exist(load, tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        load(root=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_root_must_be_a_folder(load, folder):
    with pytest.raises(UserError, match="a.jpg is not a folder"):
        load(root=str(folder / "val/cat/a.jpg"))


def test_both_splits_must_be_there(load, folder):
    shutil.rmtree(folder / "val")
    with pytest.raises(UserError, match="val does not exist"):
        load()


def test_a_class_must_be_in_both_splits(load, folder):
    (folder / "val/dog").rename(folder / "val/dogs")
    with pytest.raises(UserError, match="dog are in .*train but not in .*val") as error:
        load()
    assert "\n" not in str(error.value)


def test_a_class_must_not_be_empty(load, folder):
    (folder / "val/dog/a.jpg").unlink()
    with pytest.raises(UserError, match="val holds no images in dog"):
        load()


def test_a_split_must_hold_classes(load, folder):
    shutil.rmtree(folder / "val")
    (folder / "val").mkdir()
    with pytest.raises(UserError, match="val holds no class folders"):
        load()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_image_is_named(load, folder, photo, keep, progressive):
    path = folder / "train/dog/b.jpg"
    photo(3, 200, 150).save(path, progressive=progressive)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError, match="train/dog/b.jpg"):
        load()


def test_a_text_file_called_jpeg_is_named(load, folder):
    (folder / "train/cat/readme.JPEG").write_text("This is no image.")
    with pytest.raises(UserError, match="train/cat/readme.JPEG: it is not an image"):
        load()


def test_a_dangling_link_is_named(load, folder):
    (folder / "train/cat/link.jpg").symlink_to(folder / "nowhere.jpg")
    with pytest.raises(UserError, match="train/cat/link.jpg"):
        load()


def test_an_image_too_large_to_be_trusted_is_named(load, folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 12 - 1)
    with pytest.raises(UserError, match="train/cat/a.jpg: .*exceeds limit"):
        load()


def test_16_bit_images_are_named_instead_of_clipped(load, folder):
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(folder / "train/cat/deep.png")
    with pytest.raises(UserError, match="train/cat/deep.png: .*8 bits"):
        load()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_modes_become_rgb(load, folder, photo, mode):
    name = "x.tif" if mode == "CMYK" else "x.png"
    image = photo(7, 8, 8).convert("L" if mode == "LA" else mode if mode != "P" else "RGB")
    if mode == "LA":
        image.putalpha(Image.new("L", image.size, 100))
    if mode == "P":
        image = image.quantize(16)
    if mode == "RGBA":
        image.putalpha(100)
    image.save(folder / "train/cat" / name)
    with Image.open(folder / "train/cat" / name) as stored:
        assert stored.mode == mode
        expected = np.asarray(stored.convert("RGB"))
    assert np.array_equal(load().train.images[2].numpy(), expected)
    if mode in ("1", "L", "LA"):
        assert (expected == expected[:, :, :1]).all()
    else:
        assert (expected != expected[:, :, :1]).any()


def test_transparent_palettes_cause_no_warning(load, folder, photo, recwarn):
    photo(7, 8, 8).quantize(4).save(folder / "train/cat/x.png", transparency=b"\x00\x80\xff\xff")
    assert len(load().train.labels) == 5
    assert [str(w.message) for w in recwarn if "alette" in str(w.message)] == []


def test_orientation_in_exif_is_ignored(load, folder, photo):
    upright = load().train.images[0].clone()
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to display
    photo(0).save(folder / "train/cat/a.jpg", exif=exif)
    assert torch.equal(load().train.images[0], upright)
