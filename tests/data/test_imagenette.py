"""Imagenette is found where the user has it, fetched whole where not, and checked."""

import hashlib
import shutil
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from PIL import Image
from torchvision.datasets import Imagenette

from normbench.data.imagenette import IMAGENETTE_CLASSES, IMAGENETTE_FOLDERS
from normbench.data.load import load_dataset
from normbench.errors import UserError


def fake_imagenette(folder, photo):
    """Imagenette's folders with one tiny image each."""
    for split in ("train", "val"):
        for i, wnid in enumerate(IMAGENETTE_CLASSES):
            (folder / split / wnid).mkdir(parents=True)
            photo(i).save(folder / split / wnid / f"{wnid}_{split}.JPEG")
    return folder


@pytest.fixture
def root(tmp_path, photo):
    fake_imagenette(tmp_path / "data" / "imagenette2-160", photo)
    return tmp_path / "data"


@pytest.fixture
def load(config, root):
    def load(archive="160px", **changes):
        settings = config("imagenette", **{"root": str(root), "image_size": 8} | changes)
        settings["source"]["archive"] = archive
        return load_dataset(settings)

    return load


@pytest.fixture
def server(tmp_path, photo, monkeypatch):
    """A server on this machine in place of Imagenette's own; returns the archive it serves."""
    fake_imagenette(tmp_path / "server" / "imagenette2-160", photo)
    archive = tmp_path / "server" / "imagenette2-160.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "server" / "imagenette2-160", "imagenette2-160")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{http.server_port}/{archive.name}"
        checksum = hashlib.md5(archive.read_bytes()).hexdigest()
        monkeypatch.setattr(Imagenette, "_ARCHIVES", {"160px": (url, checksum)})
        monkeypatch.setenv("no_proxy", "*")
        yield archive
        http.shutdown()


def test_classes_are_named_in_torchvisions_order(load, root):
    data = load()
    theirs = Imagenette(root, "train", "160px").classes
    assert data.classes == tuple(names[0] for names in theirs)
    assert data.train.labels.tolist() == data.val.labels.tolist() == list(range(10))
    assert data.identity is None


def test_an_unofficial_number_of_images_is_said(load, caplog):
    load()
    assert "train holds 10 images where Imagenette has 9,469" in caplog.text


def test_version_1_evaluates_on_imagenets_own_validation_images(config, root):
    folder = root / "imagenette2-160"
    for split, wnid in (("train", "n01440764"), ("val", "n03888257")):
        image = folder / split / wnid / f"{wnid}_{split}.JPEG"
        image.rename(image.with_name("ILSVRC2012_val_00000001.JPEG"))
    settings = config("imagenette", root=str(root), image_size=8)
    settings["source"]["version"] = 1
    data = load_dataset(settings)
    assert data.val.labels.tolist() == [0, 9]
    assert data.train.labels.tolist() == sorted([0, 9, *range(1, 9), *range(1, 9)])
    settings["source"]["version"] = 3
    with pytest.raises(UserError, match="data.source.version=3"):
        load_dataset(settings)


def test_root_must_exist(load, tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        load(root=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_without_a_copy_or_download_the_user_is_told_where_to_put_one(load, root):
    shutil.rmtree(root / "imagenette2-160")
    with pytest.raises(UserError, match="NORMBENCH_DATA.*data.download=true"):
        load(download=False)
    with pytest.raises(UserError, match="NORMBENCH_DATA.*data.download=true"):
        load(download=False, root=None)


def test_the_folder_itself_as_root_is_recognised(load, root):
    with pytest.raises(UserError, match=f"did you mean data.root={root} "):
        load(root=str(root / "imagenette2-160"))


def test_a_folder_of_other_classes_as_root_is_recognised(load, root, folder):
    with pytest.raises(UserError, match="did you mean .*imagefolder"):
        load(root=str(folder))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_class_is_named(load, root, split):
    shutil.rmtree(root / "imagenette2-160" / split / "n03888257")
    with pytest.raises(UserError, match=f"{split} lacks the class folders n03888257"):
        load()


def test_an_empty_class_is_named(load, root):
    next((root / "imagenette2-160/val/n03000684").iterdir()).unlink()
    with pytest.raises(UserError, match="val holds no images in n03000684"):
        load()


def test_a_missing_split_is_named(load, root):
    shutil.rmtree(root / "imagenette2-160/val")
    with pytest.raises(UserError, match="val does not exist"):
        load()


def test_a_strange_class_is_named(load, root, photo):
    (root / "imagenette2-160/train/zebra").mkdir()
    photo().save(root / "imagenette2-160/train/zebra/z.JPEG")
    with pytest.raises(UserError, match="zebra"):
        load()


def test_an_unknown_archive_is_named(load):
    with pytest.raises(UserError, match="archive=80px .*160px, 320px, full"):
        load(archive="80px")


def test_every_archive_has_the_folder_that_torchvision_gives_it():
    theirs = {archive: url for archive, (url, _) in Imagenette._ARCHIVES.items()}
    assert {a: f"{folder}.tgz" for a, folder in IMAGENETTE_FOLDERS.items()} == {
        archive: url.rsplit("/", 1)[1] for archive, url in theirs.items()
    }


def test_what_is_missing_is_downloaded_to_the_home(load, server, home):
    assert len(load(root=None).train.labels) == 10
    assert len(list(home.rglob("imagenette2-160"))) == 1
    assert list(home.rglob("*.tgz")) == []
    server.unlink()
    assert len(load(root=None).train.labels) == 10


def test_a_download_that_was_killed_is_not_taken_for_whole(load, server, root):
    shutil.rmtree(root / "imagenette2-160")
    halfway = root / ".imagenette2-160.download"  # where unpacking happens
    (halfway / "imagenette2-160" / "train").mkdir(parents=True)
    (halfway / "imagenette2-160.tgz").write_bytes(server.read_bytes()[:1000])
    assert len(load().val.labels) == 10
    assert not halfway.exists()


def test_a_root_that_holds_something_else_is_not_downloaded_to(load, root, server):
    shutil.rmtree(root / "imagenette2-160")
    (root / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(UserError, match="holds no imagenette2-160 but other things"):
        load()
    assert [p.name for p in root.iterdir()] == ["holiday.jpg"]


def test_a_download_that_fails_is_a_clear_error(load, root, server):
    shutil.rmtree(root / "imagenette2-160")
    server.unlink()
    with pytest.raises(UserError, match="cannot download .*NORMBENCH_DATA") as error:
        load()
    assert "\n" not in str(error.value)
    assert not (root / "imagenette2-160").exists()


def test_a_download_with_a_wrong_checksum_is_not_used(load, root, server):
    shutil.rmtree(root / "imagenette2-160")
    server.write_bytes(server.read_bytes()[:-10])
    with pytest.raises(UserError, match="cannot download"):
        load()
    assert not (root / "imagenette2-160").exists()


@pytest.mark.slow
def test_the_real_imagenette(real_imagenette):
    root, data = real_imagenette
    assert data.train.images.shape == (9469, 64, 64, 3)
    assert data.val.images.shape == (3925, 64, 64, 3)
    assert data.train.labels.bincount().tolist() == [
        963, 955, 993, 858, 941, 956, 961, 931, 951, 960
    ]  # fmt: skip
    assert data.val.labels.unique().tolist() == list(range(10))
    assert "parachute" in data.classes


@pytest.mark.slow
def test_greyscale_files_of_the_real_imagenette_become_grey_rgb(real_imagenette):
    root, data = real_imagenette
    files = sorted((root / "imagenette2-160/val").rglob("*.JPEG"))
    grey = []
    for i, path in enumerate(files):
        with Image.open(path) as image:
            if image.mode == "L":
                grey.append(i)
    assert len(grey) > 10
    images = data.val.images[grey]
    assert torch.equal(images, images[..., :1].expand_as(images))
