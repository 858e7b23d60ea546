#!/usr/bin/env python3
"""Which classifiers of torchvision and timm a norm can be put into: all of them are tried.

Each is built, large ones on meta tensors, which have shapes and no numbers, at the smallest of some
image sizes that it takes as it comes from its library. Then its norms are replaced by `groupnorm`,
`none` and `ws_bcn` in turn, and it runs forward and backward.

    scripts/model_zoo_check.py               # what is not in results/zoo.csv yet
    scripts/model_zoo_check.py 'timm/conv*'  # some of it
    scripts/model_zoo_check.py --again       # and what did not work the last time

results/zoo.csv has a line a model, written when it is done, so it goes on where it was stopped;
results/zoo.md sums up.
"""

from __future__ import annotations

import argparse
import copy
import csv
import gc
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from tqdm import tqdm

from normbench.drawing.text import table
from normbench.errors import UserError
from normbench.explain import first_line
from normbench.instantiate import instantiate
from normbench.models import replace_norms
from normbench.models.walk import norms_of
from normbench.places import read_config
from normbench.store.files import write_atomically
from normbench.zoo import LIBRARIES, model_config, model_names

NORMS = ("groupnorm", "none", "ws_bcn")
SIZES = (32, 48, 64, 96, 128, 160, 192, 224, 240, 256, 288, 384)  # pixels
GROUPS = (8, 4, 2, 1)  # the first that divides the channels of every norm
IMAGES, CLASSES = 2, 10
LARGE = 50_000_000  # parameters; below it takes longer to think of tensors than to have them
COLUMNS = ("model", "version", "norms", "kinds", "size", "tensors", "groups", *NORMS)
WORKS = "works"
RESULTS = Path(__file__).parent.parent / "results"

Row = dict[str, str]


def check(name: str) -> Row:
    """A line of the table."""
    row = dict.fromkeys(COLUMNS, "")
    row |= {"model": name, "version": version(name.partition("/")[0])}
    large = is_large(name)
    for tensors in ("meta",) if large else ("real", "meta"):
        row["tensors"] = tensors
        try:
            network, size = build(name, tensors)
        except Exception as error:
            row.update(dict.fromkeys(NORMS, told(error)))
            continue
        kinds = Counter(type(norm).__name__ for norm in norms_of(network).values())
        row |= {"norms": str(kinds.total()), "kinds": " ".join(sorted(kinds)), "size": str(size)}
        for norm in NORMS if kinds else ("none",):
            row[norm] = try_norm(network, norm, size, tensors, row)
        break
    gc.collect()  # rather than now and then among a million small objects
    return row


def is_large(name: str) -> bool:
    try:
        with on("meta"):
            return sum(p.numel() for p in made(name, 224).parameters()) > LARGE
    except Exception:
        return False  # it reads numbers as it is built


def build(name: str, tensors: str) -> tuple[nn.Module, int]:
    """A model as its library has it, and the least size of images that it takes.

    Raises:
        Exception: what the largest of the sizes comes to.
    """
    failure: Exception = AssertionError("no size")
    for size in SIZES:
        try:
            with on(tensors):
                network = made(name, size)
                with torch.no_grad():
                    check_logits(network(images(size)))
            return network, size
        except Exception as error:
            failure = error
    raise failure


def made(name: str, size: int) -> nn.Module:
    whole = OmegaConf.create({"data": {"image_size": size}, "model": model_config(name)})
    config: dict[str, Any] = OmegaConf.to_container(whole.model, resolve=True)  # type: ignore
    del config["name"]
    return instantiate(name, config, num_classes=CLASSES).train()


def try_norm(network: nn.Module, norm: str, size: int, tensors: str, row: Row) -> str:
    """Replace the norms of a copy and run it forward and backward: that it works, or why not."""
    config: dict[str, Any] = OmegaConf.to_container(read_config(f"norm/{norm}"))  # type: ignore
    for groups in GROUPS if "num_groups" in config["layer"] else (0,):
        if groups:
            config["layer"]["num_groups"] = groups
            row["groups"] = str(groups)
        try:
            with on(tensors):
                ours = replace_norms(copy.deepcopy(network), norm=config)
                logits = ours(images(size))
                check_logits(logits)
                logits.square().sum().backward()
            if not any(p.grad is not None for p in ours.parameters()):
                raise RuntimeError("no parameter has a gradient")
            return WORKS
        except Exception as error:
            reason = told(error)
        if "num_groups" not in reason:
            break
    return reason


@contextmanager
def on(tensors: str) -> Iterator[None]:
    """What is made inside is made of such tensors."""
    if tensors == "real":
        yield
        return
    theirs = torch.batch_norm_update_stats
    ours: Any = shapes_of_statistics  # as torch's has no form for meta tensors
    torch.batch_norm_update_stats = ours
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.batch_norm_update_stats = theirs


def shapes_of_statistics(x: Tensor, *running: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    mean = x.float().mean([0, *range(2, x.dim())])
    return mean, mean


def images(size: int) -> Tensor:
    return torch.rand(IMAGES, 3, size, size).to(memory_format=torch.channels_last)


def check_logits(logits: Any) -> None:
    if not isinstance(logits, Tensor) or logits.shape != (IMAGES, CLASSES):
        raise RuntimeError(f"the output is {getattr(logits, 'shape', type(logits).__name__)}")


def told(error: Exception) -> str:
    """A reason that is short, and the same for all models that it is true of."""
    if isinstance(error, UserError):
        _, would_have, some = str(error).partition(" would have ")
        return some.partition(":")[0] if would_have else str(error).partition(": ")[2][:150]
    return f"{type(error).__name__}: {first_line(error)}"[:150]


def in_turn() -> list[str]:
    """Every name: torchvision's, then timm's, one of each of its files before a second of one."""
    import timm

    turn = {
        f"timm/{name}": place
        for file in timm.list_modules()
        for place, name in enumerate(timm.list_models(module=file))
    }
    names = [f"{library}/{name}" for library in LIBRARIES for name in model_names(library)]
    return sorted(names, key=lambda name: turn.get(name, -1))


def read(file: Path) -> dict[str, Row]:
    if not file.exists():
        return {}
    with file.open(newline="") as lines:
        return {row["model"]: row for row in csv.DictReader(lines)}


def write(file: Path, rows: Iterable[Row]) -> None:
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["model"]))


def summary(rows: list[Row]) -> str:
    """results/zoo.md"""
    lines, with_norms = [], [row for row in rows if row["norms"] != "0"]
    for library in LIBRARIES:
        own = [row for row in rows if row["model"].startswith(f"{library}/")]
        for what, some in (
            ("all", own),
            ("with a norm", [row for row in own if row in with_norms]),
            ("with BatchNorm2d", [row for row in own if "BatchNorm" in row["kinds"]]),
        ):
            if some:
                works = [sum(row[norm] == WORKS for row in some) for norm in NORMS]
                shares = [f"{count} ({count / len(some):.0%})" for count in works]
                known = len(model_names(library))
                tried = f"{len(some)} of {known}" if what == "all" else str(len(some))
                lines.append((f"{some[0]['version']}", f"{library}, {what}", tried, *shares))
    reasons: dict[str, list[str]] = {}
    for row in with_norms:
        for norm in NORMS:
            if row[norm] != WORKS:
                reasons.setdefault(row[norm], []).append(row["model"])
    why = [
        (reason.replace("|", "/"), ", ".join(dict.fromkeys(names)))
        for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1]))
    ]
    fewer = sum(row["groups"] not in ("", "8") for row in with_norms)
    none = [row["model"] for row in rows if row["norms"] == "0"]
    sizes = Counter(int(row["size"]) for row in rows if row["size"])
    return f"""# Which models a norm can be put into

Every classifier of torchvision and timm, built without weights; its norms replaced; forward and
backward with {IMAGES} images. `scripts/model_zoo_check.py` makes this page and [zoo.csv](zoo.csv).

{table(lines, ("version", "classifiers", "tried", *NORMS), "llrrrr")}

Of those that work, {fewer} have widths that 8 groups do not divide: there it is
`norm.layer.num_groups=4`, `2` or `1`, as zoo.csv says. {len(none)} have no norm, and can be trained
with norms that are no layer (`norm=none`, `norm=ws`): {", ".join(none)}.

The smallest images that they take, of those sizes that were tried:
{", ".join(f"{size} px {count}" for size, count in sorted(sizes.items()))}.

## What does not work

{table(why, ("why", "models"), "ll")}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--again", action="store_true", help="and what did not work last time")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    torch.set_num_threads(1)
    gc.disable()
    file = arguments.results / "zoo.csv"
    rows = read(file)
    due = [name for name in in_turn() if fnmatchcase(name, arguments.pattern)]
    for name in tqdm(due, smoothing=0.02):
        row = rows.get(name)
        done = row is not None and row["version"] == version(name.partition("/")[0])
        if done and row and arguments.again:
            done = all(row[norm] in (WORKS, "") for norm in NORMS)
        if not done:
            rows[name] = check(name)
            write(file, rows.values())
    write_atomically(
        arguments.results / "zoo.md", summary(sorted(rows.values(), key=lambda row: row["model"]))
    )


if __name__ == "__main__":
    main()
