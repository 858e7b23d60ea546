"""What readers call the layers of a network, whose modules have names such as ``features.3``."""

from __future__ import annotations

import re
from itertools import pairwise

from normbench.store.records import Record

LINEAR = r"(head|fc|classifier)(\.\d+)?"  # at the end of a network
IN_SEQUENCE = r"(?:(\w+)\.)?\d+"  # of one nn.Sequential
# torchvision's ResNets, whose names other libraries took over; blocks are counted from 0 there
IN_RESNET = r"layer(\d+)\.(\d+)\.(?:conv(\d+)|downsample\.\d+)"
FEW_LAYERS = 6  # whose lines can be told apart
PARTS = 5  # that a deep network is shown in, where it has no stages


def layer_names(record: Record, before: int = 0) -> list[str]:
    """Names for the layers that a probe's record is of, first to last.

    A plain sequence has convolution 1, convolution 2, …, and linear layers after it; ResNets have
    stages, blocks in them and convolutions in these, each counted from 1. What is built otherwise,
    or was picked by the user (``probe.layers``), is called as its module is.

    Args:
        record: of a probe that measured ``layers``: all convolutions, or, but for the first, all
            convolutions and linear layers.
        before: how many layers of the network come before them.
    """
    names: list[str] = record["measured"]["layers"]
    if any(re.fullmatch(IN_RESNET, name) for name in names):
        return [_in_resnet(name) for name in names]
    picked = record["config"]["probe"].get("layers") is not None
    return names if picked else _in_sequence(names, before)


def layer_groups(record: Record) -> dict[str, list[int]]:
    """What a figure has a line each for: layers, or of a deep network its stages.

    Args:
        record: of a probe that measured ``layers``, all convolutions.

    Returns:
        Label -> which layers, by their place among those measured, first to last: each by itself
        where they are few; a ResNet's stem and stages; else about as many in a row.
    """
    names = layer_names(record)
    if len(names) <= FEW_LAYERS:
        return {name: [i] for i, name in enumerate(names)}
    groups: dict[str, list[int]] = {}
    if any(re.fullmatch(IN_RESNET, name) for name in record["measured"]["layers"]):
        for i, name in enumerate(names):
            groups.setdefault(name.partition(",")[0], []).append(i)
        return groups
    ends = [round(len(names) * part / PARTS) for part in range(PARTS + 1)]
    return {
        f"convolutions {low + 1} to {high}": list(range(low, high)) for low, high in pairwise(ends)
    }


def said_of_groups(record: Record) -> str:
    """What a caption has to say of them: empty where each layer is shown by itself."""
    groups = layer_groups(record)
    if len(groups) == len(record["measured"]["layers"]):
        return ""
    parts = "each stage" if any("stage" in label for label in groups) else "several in a row"
    return f", means over the convolutions of {parts}"


def _in_resnet(name: str) -> str:
    if found := re.fullmatch(IN_RESNET, name):
        stage, block, convolution = found.groups()
        part = f"conv {convolution}" if convolution else "shortcut"
        return f"stage {stage}, block {int(block) + 1}, {part}"
    return {"conv1": "stem", "fc": "linear"}.get(name, name)


def _in_sequence(names: list[str], before: int) -> list[str]:
    """Numbered, if all but linear layers at the end are of one sequence."""
    linear = [name for name in names if re.fullmatch(LINEAR, name)]
    others = names[: len(names) - len(linear)]
    found = [re.fullmatch(IN_SEQUENCE, name) for name in others]
    if [*others, *linear] != names or None in found:
        return names
    sequences = {match[1] for match in found if match}
    # where linear layers are measured, too, convolutions alone are in what is called features
    if len(sequences) > 1 or (before and not sequences <= {"features"}):
        return names
    convolutions = [f"convolution {before + i + 1}" for i in range(len(others))]
    if len(linear) == 1:
        return [*convolutions, "linear"]
    return convolutions + [f"linear {i + 1}" for i in range(len(linear))]
