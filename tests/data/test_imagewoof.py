"""Imagewoof: as Imagenette, with breeds of dogs."""

import tarfile

import pytest
from torchvision.datasets import utils

from normbench.data.imagewoof import CHECKSUMS, CLASSES, FOLDERS
from normbench.data.load import load_dataset
from normbench.errors import UserError


def write(folder, photo):
    for split in ("train", "val"):
        for i, wnid in enumerate(CLASSES):
            (folder / split / wnid).mkdir(parents=True)
            photo(i).save(folder / split / wnid / f"{i}.JPEG")


def test_ten_breeds_are_found_in_the_order_of_their_folders(config, tmp_path, photo):
    write(tmp_path / "imagewoof2-160", photo)
    data = load_dataset(config("imagewoof", root=str(tmp_path), image_size=8))
    assert data.classes == tuple(CLASSES.values()) and list(CLASSES) == sorted(CLASSES)
    assert data.val.labels.tolist() == list(range(10))


def test_imagenettes_folders_are_not_taken_for_it(config, tmp_path, photo):
    write(tmp_path / "imagewoof2-160", photo)
    strange = tmp_path / "imagewoof2-160" / "train" / "n01440764"
    (tmp_path / "imagewoof2-160" / "train" / "n02086240").rename(strange)
    with pytest.raises(UserError, match="lacks the class folders n02086240: the copy of Imagewoof"):
        load_dataset(config("imagewoof", root=str(tmp_path), image_size=8))


@pytest.mark.parametrize("archive", FOLDERS)
def test_it_is_fetched_with_its_checksum_beside_other_datasets(
    config, tmp_path, photo, monkeypatch, archive
):
    (tmp_path / "data" / "MNIST").mkdir(parents=True)
    write(tmp_path / "made" / FOLDERS[archive], photo)
    asked = []

    def download(url, folder, md5):
        asked.append((url.rsplit("/", 1)[1], md5))
        with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
            tar.add(tmp_path / "made" / FOLDERS[archive], FOLDERS[archive])
        utils.extract_archive(str(tmp_path / "x.tgz"), folder)

    monkeypatch.setattr(utils, "download_and_extract_archive", download)
    settings = config("imagewoof", root=str(tmp_path / "data"), image_size=8)
    settings["source"]["archive"] = archive
    assert len(load_dataset(settings).train.labels) == 10
    assert asked == [(f"{FOLDERS[archive]}.tgz", CHECKSUMS[archive])]
