"""CIFAR-10 and CIFAR-100: the binary version alone, found or fetched, and checked."""

import hashlib
import shutil
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from normbench.data import cifar
from normbench.data.load import load_dataset
from normbench.errors import UserError

LAYOUTS = {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}
IMAGES = 10  # in each file


def write(root, layout):
    """The folder with made-up images; (images (N, 32, 32, 3), labels) of the training files."""
    folder = root / layout.folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    trained = []
    for file in (*layout.train, *layout.val):
        images = random.integers(0, 256, (IMAGES, 32, 32, 3), np.uint8)
        labels = random.permutation(IMAGES).astype(np.uint8)
        content = b""
        for image, label in zip(images, labels, strict=True):
            content += bytes([7] * (layout.labels - 1) + [label])  # a coarse label before
            content += image.transpose(2, 0, 1).tobytes()
        (folder / file).write_bytes(content)
        trained.append((images, labels))
    if layout.labels == 2:
        names = "\n".join(f"thing_{i}" for i in range(100))
        (folder / "fine_label_names.txt").write_text(f"{names}\n")
    images, labels = (np.concatenate(part) for part in zip(*trained[:-1], strict=True))
    return images, labels


@pytest.fixture(params=LAYOUTS)
def name(request):
    return request.param


@pytest.fixture
def layout(name):
    return LAYOUTS[name]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def load(config, root, name):
    def load(**changes):
        return load_dataset(config(name, **{"root": str(root)} | changes))

    return load


def test_images_and_labels_are_those_of_the_files_in_their_order(load, root, layout):
    images, labels = write(root, layout)
    data = load()
    assert torch.equal(data.train.images, torch.from_numpy(images))
    assert torch.equal(data.train.labels, torch.from_numpy(labels).long())
    assert data.val.images.shape == (IMAGES, 32, 32, 3)
    assert len(data.classes) == {"cifar-10-batches-bin": 10}.get(layout.folder, 100)


def test_one_mean_makes_grey_of_colours(load, root, layout):
    write(root, layout)
    grey = load(mean=[0.5], std=[0.2]).train.images
    luma = (load().train.images.double() @ torch.tensor([0.299, 0.587, 0.114]).double())[..., None]
    assert grey.shape[3] == 1 and (grey - luma).abs().max() < 1


def test_a_copy_that_is_not_the_originals_is_told_apart(load, root, name, layout, monkeypatch,
                                                        caplog):  # fmt: skip
    write(root, layout)
    assert len(load().identity) == 16
    assert f"is not the original {layout.what}" in caplog.text
    caplog.clear()
    sums = {f.name: hashlib.md5(f.read_bytes()).hexdigest()
            for f in (root / layout.folder).glob("*.bin")}  # fmt: skip
    val = {file: sums.pop(file) for file in layout.val}
    monkeypatch.setattr(cifar, name.upper(), replace(layout, train=sums, val=val))
    assert load().identity is None and not caplog.text


def test_what_is_missing_is_named(load, root, layout):
    write(root, layout)
    file = list(layout.train)[-1]
    (root / layout.folder / file).unlink()
    with pytest.raises(UserError, match=f"lacks {file}.*NORMBENCH_DATA"):
        load()


@pytest.mark.parametrize("content", [b"", b"x" * 1000, bytes(10 * 3073 + 1)])
def test_a_damaged_file_is_named(load, root, layout, content):
    write(root, layout)
    path = root / layout.folder / next(iter(layout.val))
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} has .* bytes, no whole number of images"):
        load()


def test_a_label_that_is_no_class_is_told(load, root, layout):
    write(root, layout)
    path = root / layout.folder / next(iter(layout.train))
    content = bytearray(path.read_bytes())
    content[layout.labels - 1] = 200
    path.write_bytes(content)
    with pytest.raises(UserError, match="label 200, outside"):
        load()


def test_names_of_classes_must_be_a_hundred(config, root):
    write(root, cifar.CIFAR100)
    (root / "cifar-100-binary" / "fine_label_names.txt").write_text("apple\nbear\n")
    with pytest.raises(UserError, match=r"fine_label_names.txt has 2 names, not 100"):
        load_dataset(config("cifar100", root=str(root)))


def test_pickles_are_never_loaded(load, root, layout):
    (root / "cifar-10-batches-py").mkdir()
    with pytest.raises(UserError, match=f"pickles, which are never loaded: get {layout.archive}"):
        load(download=False)


def test_the_folder_itself_as_root_is_recognised(load, root, layout):
    write(root, layout)
    with pytest.raises(UserError, match=f"did you mean data.root={root}"):
        load(root=str(root / layout.folder))


@pytest.fixture
def server(tmp_path, name, layout, monkeypatch):
    """A server on this machine in place of the dataset's own; returns the archive it serves."""
    write(tmp_path / "server", layout)
    archive = tmp_path / "server" / layout.archive
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "server" / layout.folder, layout.folder)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(cifar, "URL", f"http://127.0.0.1:{http.server_port}/")
        checksum = hashlib.md5(archive.read_bytes()).hexdigest()
        monkeypatch.setattr(cifar, name.upper(), replace(layout, md5=checksum))
        monkeypatch.setenv("no_proxy", "*")
        yield archive
        http.shutdown()


def test_what_is_missing_is_downloaded_to_the_home_once(load, server, home):
    assert len(load(root=None).val.labels) == IMAGES
    assert list(home.rglob("*.tar.gz")) == []
    server.unlink()
    assert len(load(root=None).val.labels) == IMAGES


def test_or_beside_other_datasets(load, server, root, layout):
    (root / "MNIST").mkdir()
    load()
    assert (root / layout.folder).is_dir()
    shutil.rmtree(root / layout.folder)
    (root / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(UserError, match="but other things"):
        load()


def test_a_download_with_a_wrong_checksum_is_not_used(load, server, root, layout):
    server.write_bytes(server.read_bytes()[:-10])
    with pytest.raises(UserError, match=f"cannot download {layout.what}") as error:
        load()
    assert "\n" not in str(error.value)
    assert not (root / layout.folder).exists()
