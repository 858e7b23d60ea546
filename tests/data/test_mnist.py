"""MNIST and Fashion-MNIST: found in torchvision's layout, packed or not, and checked."""

import gzip
import hashlib

import numpy as np
import pytest
import torch
from torchvision import datasets

from normbench.data import mnist
from normbench.data.load import load_dataset
from normbench.errors import UserError

SIZES = {"train": 40, "t10k": 20}


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


def write(folder, seed=0, side=28):
    """The four files, with made-up digits: file name -> bytes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    contents = {}
    for prefix, count in SIZES.items():
        images = random.integers(0, 256, (count, side, side), np.uint8)
        contents[f"{prefix}-images-idx3-ubyte"] = idx(images)
        labels = random.permutation(np.arange(count, dtype=np.uint8) % 10)
        contents[f"{prefix}-labels-idx1-ubyte"] = idx(labels)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return contents


@pytest.fixture(params=["mnist", "fashion_mnist"])
def name(request):
    return request.param


@pytest.fixture
def raw(tmp_path, name):
    return tmp_path / "data" / {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name] / "raw"


@pytest.fixture
def load(config, tmp_path, name):
    def load(**changes):
        return load_dataset(config(name, **{"root": str(tmp_path / "data")} | changes))

    return load


def test_images_are_grey_of_their_own_size_and_torchvisions(load, raw, name):
    write(raw)
    data = load()
    kind = getattr(datasets, raw.parent.name)
    for split, train in ((data.train, True), (data.val, False)):
        theirs = kind(raw.parents[1], train=train)
        assert split.images.shape == (len(theirs), 28, 28, 1)
        assert torch.equal(split.images[..., 0], theirs.data)
        assert torch.equal(split.labels, theirs.targets)
    assert len(data.classes) == 10


def test_three_means_make_colours_of_grey(load, raw):
    write(raw)
    grey, colours = load(), load(mean=[0.1] * 3, std=[0.3] * 3)
    assert torch.equal(colours.train.images, grey.train.images.expand(-1, -1, -1, 3))


def test_packed_files_are_as_good(load, raw):
    contents = write(raw)
    unpacked = load()
    for file, content in contents.items():
        (raw / file).unlink()
        (raw / f"{file}.gz").write_bytes(gzip.compress(content))
    assert load().digest == unpacked.digest and load().identity == unpacked.identity


def test_a_copy_that_is_not_the_originals_is_told_apart(load, raw, monkeypatch, caplog, name):
    contents = write(raw)
    first = load().identity
    assert len(first) == 16
    assert ("is not the original MNIST" in caplog.text) == (name == "mnist")
    sums = {file: hashlib.md5(content).hexdigest() for file, content in contents.items()}
    caplog.clear()
    monkeypatch.setattr(mnist, "ORIGINALS", sums)
    if name == "mnist":
        assert load().identity is None and not caplog.text
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(20, np.uint8)))
    assert load().identity not in (None, first)


@pytest.mark.parametrize("prefix", ["train-images-idx3", "t10k-labels-idx1"])
def test_what_is_missing_is_named(load, raw, prefix):
    write(raw)
    (raw / f"{prefix}-ubyte").unlink()
    with pytest.raises(UserError, match=f"lacks {prefix}-ubyte.*NORMBENCH_DATA"):
        load()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1], "has .* bytes where its first ones ask for"),
        (lambda content: content[:7], "is no idx file"),
        (lambda content: b"", "is no idx file"),
        (lambda content: b"<html>sorry</html>" * 9, "is no idx file of 3-dimensional bytes"),
    ],
)
def test_a_damaged_file_is_named(load, raw, damage, reason):
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(damage(write(raw)[path.name]))
    with pytest.raises(UserError, match=f"{path} {reason}") as error:
        load()
    assert "\n" not in str(error.value)


def test_a_damaged_archive_is_named(load, raw):
    path = raw / "train-images-idx3-ubyte"
    packed = gzip.compress(write(raw)[path.name])
    path.unlink()
    for content in (packed[:-20], b"no archive", packed[:50] + b"x" * 60 + packed[110:]):
        path.with_suffix(".gz").write_bytes(content)
        with pytest.raises(UserError, match=f"cannot read {path}.gz .*replace or remove it"):
            load()


def test_files_of_two_datasets_are_told(load, raw):
    write(raw)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(39, np.uint8)))
    with pytest.raises(UserError, match="40 images and 39 labels"):
        load()


def test_a_label_that_is_no_class_is_told(load, raw):
    write(raw)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(20, 10, np.uint8)))
    with pytest.raises(UserError, match="label 10, outside 0..9"):
        load()


def test_the_files_own_folder_as_root_is_recognised(load, raw, tmp_path):
    write(raw)
    with pytest.raises(UserError, match=f"did you mean data.root={tmp_path / 'data'}"):
        load(root=str(raw))
    with pytest.raises(UserError, match=f"did you mean data.root={tmp_path / 'data'}"):
        load(root=str(raw.parent))
    raw.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"put them into a folder {raw.parent.name}/raw"):
        load(root=str(tmp_path / "elsewhere"))


def test_what_is_missing_is_fetched_checked_and_fetched_once(load, raw, monkeypatch):
    raw.parents[1].mkdir()
    (raw.parents[1] / "imagenette2-160").mkdir()  # which may lie beside it
    calls = []

    def fetch(folder, download):
        calls.append(folder)
        write(folder / raw.parent.name / "raw")

    monkeypatch.setattr(datasets, raw.parent.name, fetch)
    first, second = load(), load()
    assert first.digest == second.digest and len(calls) == 1
    assert raw.is_dir() and not calls[0].exists()


def test_a_download_that_fails_is_a_clear_error(load, raw, monkeypatch):
    raw.parents[1].mkdir()

    def fail(folder, download):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(datasets, raw.parent.name, fail)
    with pytest.raises(UserError, match="cannot download .*MNIST.*NORMBENCH_DATA"):
        load()
    assert not raw.parent.exists()


def test_without_download_the_user_is_told_where_to_put_a_copy(load, raw):
    raw.parents[1].mkdir()
    with pytest.raises(UserError, match="NORMBENCH_DATA.*data.download=true"):
        load(download=False)


@pytest.mark.slow
def test_the_real_mnist_is_the_original(config, imagenette_root, tmp_path):
    if not (imagenette_root / "MNIST" / "raw").is_dir():
        pytest.skip("needs MNIST beside Imagenette")
    data = load_dataset(config("mnist", root=str(imagenette_root), download=False, limit=100))
    assert data.identity is None
    assert data.train.images.shape == (100, 28, 28, 1)
