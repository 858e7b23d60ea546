"""Imagewoof, which is harder than Imagenette: https://github.com/fastai/imagenette#imagewoof"""

from __future__ import annotations

from pathlib import Path

from normbench.data.imagenette import Kind, as_source, find_splits
from normbench.data.source import Source

URL = "https://s3.amazonaws.com/fast-ai-imageclas/"
CHECKSUMS = {  # md5
    "160px": "3d200a7be99704a0d7509be2a9fbfe15",
    "320px": "0f46d997ec2264e97609196c95897a44",
}
FOLDERS = {"160px": "imagewoof2-160", "320px": "imagewoof2-320"}
# WordNet's identifiers, which name the folders, in the order of the labels.
CLASSES = {
    "n02086240": "Shih-Tzu",
    "n02087394": "Rhodesian ridgeback",
    "n02088364": "beagle",
    "n02089973": "English foxhound",
    "n02093754": "Border terrier",
    "n02096294": "Australian terrier",
    "n02099601": "golden retriever",
    "n02105641": "Old English sheepdog",
    "n02111889": "Samoyed",
    "n02115641": "dingo",
}


def fetch(archive: str, folder: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    url = f"{URL}{FOLDERS[archive]}.tgz"
    download_and_extract_archive(url, str(folder), md5=CHECKSUMS[archive])


IMAGEWOOF = Kind("Imagewoof", CLASSES, {"train": 9025, "val": 3929}, FOLDERS, fetch)


def imagewoof(
    *, root: Path | None, download: bool, image_size: int, archive: str = "160px"
) -> Source:
    """Ten breeds of dogs, of ImageNet: 9,025 images to train on, 3,929 to evaluate.

    Args:
        root: the folder that holds (or, downloaded, will hold) ``imagewoof2-160`` or its like.
        archive: ``160px`` or ``320px`` (the shorter side).
    """
    return as_source(IMAGEWOOF, *find_splits(IMAGEWOOF, root, download, archive))
