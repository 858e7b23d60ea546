"""What other trainers read: images as files."""

from PIL import Image
from torchvision.datasets import ImageFolder

from normbench.bench.images import images_as_files


def test_images_that_are_drawn_become_files_and_files_are_linked_to(tmp_path):
    drawn, linked = tmp_path / "drawn", tmp_path / "linked"
    drawn.mkdir(), linked.mkdir()
    settings = {
        "name": "synthetic",
        "source": {
            "_target_": "normbench.data.synthetic.synthetic", "_partial_": True,
            "train_size": 30, "val_size": 20,
        },
        "root": None, "cache": None, "download": False, "image_size": 16, "fit": "crop",
        "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0],
    }  # fmt: skip
    images_as_files(settings, drawn)
    assert len(ImageFolder(drawn / "train")) == 30 and len(ImageFolder(drawn / "val")) == 20
    folder = settings | {
        "root": str(drawn),
        "source": {"_target_": "normbench.data.imagefolder.imagefolder", "_partial_": True},
    }
    images_as_files(folder, linked)
    assert (linked / "train").is_symlink()
    assert ImageFolder(linked / "train")[3][1] == ImageFolder(drawn / "train")[3][1]
    with Image.open(next(linked.glob("val/*/*.jpg"))) as image:
        assert image.size == (16, 16)
