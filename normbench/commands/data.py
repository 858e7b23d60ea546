"""``normbench data``: fetch, check and prepare a dataset, and say what is there."""

from omegaconf import DictConfig

from normbench.progress import preparation_progress


def main(cfg: DictConfig) -> None:
    from normbench.data import load_dataset

    with preparation_progress() as progress:
        data = load_dataset(cfg.data, progress)
    print(f"{data.name}: {len(data.classes)} classes, {tuple(data.train.images.shape[1:3])} pixels")
    for name, split in (("train", data.train), ("val", data.val)):
        counts = split.labels.bincount(minlength=len(data.classes)).tolist()
        each = ", ".join(f"{c} {n}" for c, n in zip(data.classes, counts, strict=True))
        print(f"  {name}: {len(split.labels):,} images ({each})")
    print(f"  digest of the prepared pixels: {data.digest[:16]}")
