"""From a data config to a prepared dataset."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from normbench.data import cache
from normbench.data.dataset import Dataset
from normbench.data.held_out import hold_out
from normbench.data.limit import limited
from normbench.data.prepare import FITS, prepare
from normbench.data.progress import Progress, preparation_progress
from normbench.data.source import Source
from normbench.errors import UserError
from normbench.instantiate import instantiate
from normbench.interruption import in_order
from normbench.store.keys import stable

SETTINGS = ("name", "source", "root", "cache", "download", "image_size", "fit", "mean", "std")


class Datasets:
    """The datasets that a command has open, each opened once, with a word while one is prepared.

    Attributes:
        prepares: whether they are for training; else (``Outlook``) nothing is to be written.
    """

    prepares = True

    def __init__(self) -> None:
        self.opened: dict[str, Dataset] = {}

    def open(self, settings: Mapping[str, Any], device: str = "cpu") -> Dataset:
        """The dataset of a data config, as plain values, on a device."""
        key = f"{device} {json.dumps(settings, sort_keys=True)}"
        if key not in self.opened:
            with in_order(), preparation_progress() as progress:
                self.opened[key] = load_dataset(settings, progress).to(device)
        return self.opened[key]


def load_dataset(settings: Mapping[str, Any], progress: Progress | None = None) -> Dataset:
    """Open the dataset that a data config describes, preparing it first where that is needed.

    Args:
        settings: what a file in ``configs/data`` holds, as plain values.
        progress: called as ``progress(done, total, what)`` while images are decoded.

    Returns:
        Tensors in memory-mapped files that every process on the machine shares, or, for sources
        that are drawn rather than read, in memory.

    Raises:
        UserError: for settings that are wrong, data that is missing or damaged, or a cache folder
            that cannot be written.
    """
    settings = checked(settings)
    size, fit, channels = settings["image_size"], settings["fit"], len(settings["mean"])
    source = open_source(settings)
    splits, digests = {}, []
    for name in ("train", "val"):
        make = partial(
            prepare,
            source.splits[name],
            len(source.classes),
            size,
            fit,
            channels,
            _named(progress, f"preparing {settings['name']} {name}"),
        )
        if source.fingerprint is None:
            split = make()
            digest = cache.digest(split)
        else:
            about = {
                "data": json.dumps(
                    [stable(settings["source"]), source.fingerprint], sort_keys=True, default=str
                ),
                "image_size": str(size),
                "fit": fit,
                "classes": json.dumps(source.classes),
                "split": name,
                **({} if channels == 3 else {"channels": str(channels)}),
            }
            key = hashlib.sha256(json.dumps([cache.FORMAT, about]).encode()).hexdigest()[:16]
            file = f"{settings['name']}-{size}px-{fit}-{name}-{key}.safetensors"
            split, digest = cache.load(_cache_folder(settings) / file, about, make)
        splits[name] = split
        digests.append(digest)
    data = Dataset(
        name=settings["name"],
        classes=source.classes,
        digest=hashlib.sha256("".join(digests).encode()).hexdigest(),
        identity=source.identity,
        **splits,
    )
    if (limit := settings.get("limit")) is not None:
        data = limited(data, limit)
    share = settings.get("held_out")
    return hold_out(data, share) if share else data


def _named(progress: Progress | None, what: str) -> Callable[[int, int], Any] | None:
    return progress and (lambda done, total: progress(done, total, what))


def _cache_folder(settings: Mapping[str, Any]) -> Path:
    if settings["cache"]:
        return Path(os.path.expanduser(settings["cache"]))
    from platformdirs import user_cache_path

    return user_cache_path("normbench") / "prepared"


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, or a UserError that names the one that is wrong."""
    settings = dict(settings)
    for key in SETTINGS:
        if key not in settings:
            raise UserError(f"data.{key} is missing: the files in configs/data show every setting")
    if not re.fullmatch(r"\w[\w.-]*", str(settings["name"])):
        raise UserError(
            f"data.name={settings['name']} is not valid: use letters, digits, '_', '-' and '.', "
            "as it becomes part of file names"
        )
    size = settings["image_size"]
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise UserError(f"data.image_size={size} is not valid: give a whole number of pixels")
    if settings["fit"] not in FITS:
        raise UserError(f"data.fit={settings['fit']} is not known: choose {' or '.join(FITS)}")
    share = settings.get("held_out", 0)
    if not (isinstance(share, int | float) and 0 <= share < 1):
        raise UserError(
            f"data.held_out={share} is not valid: give the share of the training set to evaluate "
            "on in place of the validation split, from 0 (none) to below 1"
        )
    for key, low in (("mean", -math.inf), ("std", 0.0)):
        values = settings[key]
        if not (
            isinstance(values, list | tuple)
            and len(values) in (1, 3)
            and all(isinstance(v, int | float) and low < v < math.inf for v in values)
        ):
            what = "numbers above 0" if key == "std" else "numbers"
            raise UserError(
                f"data.{key}={values} is not valid: give three {what}, red green blue, or one for "
                "grey images"
            )
    if len(settings["mean"]) != len(settings["std"]):
        raise UserError(
            f"data.mean={settings['mean']} and data.std={settings['std']} do not fit: give as many "
            "of each, one for grey images or three"
        )
    return settings


def open_source(settings: Mapping[str, Any]) -> Source:
    """The raw dataset that a data config describes: calls the function that it names.

    Raises:
        UserError: as load_dataset does.
    """
    settings = checked(settings)
    target = settings["source"]
    if not isinstance(target, Mapping) or "_target_" not in target:
        raise UserError("data.source has no _target_: name the function that opens the dataset")
    common = {
        "root": Path(os.path.expanduser(settings["root"])) if settings["root"] else None,
        "download": bool(settings["download"]),
        "image_size": settings["image_size"],
    }
    function = instantiate("data.source", {**target, "_partial_": True})
    try:
        inspect.signature(function).bind(**common)
    except (TypeError, ValueError) as error:  # ValueError: it is no function
        raise UserError(
            f"data.source does not fit {target['_target_']} ({error}): check its settings"
        ) from error
    source = function(**common)
    if not hasattr(source, "splits"):
        raise UserError(
            f"data.source={target['_target_']} returned a {type(source).__name__}, not a Source: "
            "normbench.data.source says how to write one"
        )
    return source
