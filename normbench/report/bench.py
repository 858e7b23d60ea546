"""A benchmark's result as tables."""

from __future__ import annotations

import math
from typing import Any

from normbench.drawing.text import table

SEEDS, EPOCHS = 3, 3  # of the cell whose time is told


def render(result: dict[str, Any]) -> str:
    """Markdown: every contender at every batch size, then how speed grows."""
    config, environment = result["config"], result["environment"]
    busy = result.get("busy")
    parts = [
        f"# {config['model']['name']} with {config['norm']['name']}, "
        f"{config['data']['image_size']} px, {result['precision']}",
        f"Measured on {environment['device']}, {environment['cores']} CPU cores, with normbench "
        f"{environment['normbench']} ({environment['commit'] or 'release'}), torch "
        f"{environment['torch']}: {config['data']['name']}, {config['optimizer']['name']}. "
        "Ratios are to the better of plain and fastai. A cell is 3 seeds × 3 epochs with "
        "evaluation and start-up, from the measured rates. The last three columns are the shares "
        "that training reaches of what the device does at most: of the speed of the network's "
        "convolutions alone, forward and backward, in as many lanes as normbench has, which "
        "nothing that trains it can exceed; of the device's own measured speeds of matrix "
        "multiplication and of copying memory; memory traffic is counted as if nothing were "
        "cached, so it can exceed 100%.",
        table(
            glance(result),
            ("", "bs", "normbench", "of the convolutions alone", "plain loop", "fastai"),
            "lrrrrr",
        ),
        *([f"**Not to be trusted: {busy} when this was measured.**"] if busy else []),
        table(
            [line for row in result["rows"] for line in _lines(row, result["images"])],
            ("bs", "trainer", "images/s", "ratio", "evaluation", "cell, s", "start, s",
             "peak, MB", "convolutions", "matrix", "memory"),
            "rl" + "r" * 9,
        ),
    ]  # fmt: skip
    parts += _grid(result.get("grid") or {}, result)
    for title, rows in (
        ("Growth with lanes", result["by_lanes"]),
        ("Growth with the batch size", result["by_batch_size"]),
    ):
        if rows:
            lines = [
                (r["batch_size"], r["lanes"], f"{r['images_per_second']:,.0f}", _mb(r))
                for r in rows
            ]
            parts += [f"## {title}", table(lines, ("bs", "lanes", "images/s", "peak, MB"), "rrrr")]
    return "\n\n".join(parts) + "\n"


def glance(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """For each batch size: what is measured, batch size, our speed and how many times that of the
    better rival, its share of the convolutions' speed, the plain loop's speed, fastai's.
    """
    measured = f"{result['config']['data']['image_size']} px, {result['precision']}"
    lines = []
    for row in result["rows"]:
        contenders, ours = row["contenders"], _best(row)
        speeds = (contenders[name].get("images_per_second") for name in ("plain", "fastai"))
        lines.append(
            (
                measured,
                str(row["batch_size"]),
                f"{ours:,.0f} ({ours / _rival_speed(row):.1f}×)",
                _share(ours, row) or "–",
                *(f"{speed:,.0f}" if speed else "–" for speed in speeds),
            )
        )
    return lines


def headline(result: dict[str, Any]) -> str:
    """How much faster, at each batch size, and how near to the convolutions alone."""
    ratios, shares = [], []
    for row in result["rows"]:
        ours = _best(row)
        ratios.append(f"{ours / _rival_speed(row):.1f}× at batch size {row['batch_size']}")
        shares.append(_share(ours, row))
    text = f"normbench trains {' and '.join(ratios)} as fast as the better of plain and fastai"
    if all(shares):
        text += f", at {' and '.join(shares)} of the speed of the convolutions alone"
    return f"{text}."


def _grid(grid: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """The section on a whole grid."""
    if not grid:
        return []
    plain = grid["contenders"]["plain"]["seconds"]
    lines = [
        (name, f"{c['seconds']:,.0f}", f"{plain / c['seconds']:.1f}×", _mb(c))
        for name, c in grid["contenders"].items()
    ]
    count, settings = grid["runs"], result["config"]["bench"]["grid"]
    return [
        "## A whole grid",
        f"From start to table, all {count} runs of batch sizes {_listed(settings['batch_size'])} × "
        f"learning rates {_listed(settings['lr'])} × seeds {_listed(settings['seeds'])}, "
        f"{settings['epochs']} epochs with an evaluation after each: one run after another in the "
        f"plain loop, and `normbench {' '.join(grid['command'])}`, which begins by decoding all "
        "images.",
        table(lines, ("trainer", "seconds", "ratio", "peak, MB"), "lrrr"),
    ]


def _listed(values: list[Any]) -> str:
    return ", ".join(map(str, values))


def _share(speed: float, row: dict[str, Any]) -> str:
    """Of the convolutions' speed; empty where that was not measured."""
    limit = row.get("convolutions", {}).get("images_per_second")
    return f"{speed / limit:.0%}" if limit else ""


def _lines(row: dict[str, Any], images: dict[str, int]) -> list[tuple[str, ...]]:
    rival, ceilings = _rival_speed(row), row["ceilings"]
    lines = []
    for name, contender in row["contenders"].items():
        if "missing" in contender:
            lines.append((str(row["batch_size"]), f"{name}: {contender['missing']}", *[""] * 9))
            continue
        speed = contender["images_per_second"]
        lines.append(
            (
                str(row["batch_size"]),
                name,
                f"{speed:,.0f}",
                f"{speed / rival:.2f}×",
                f"{contender['evaluation_images_per_second']:,.0f}",
                f"{_cell_seconds(contender, images):,.0f}",
                f"{contender['startup_seconds']:.1f}",
                _mb(contender),
                _share(speed, row),
                f"{speed * ceilings['flops_per_image'] / ceilings['matrix_flops']:.0%}",
                f"{speed * ceilings['bytes_per_image'] / ceilings['memory_bytes']:.0%}",
            )
        )
    return lines


def _best(row: dict[str, Any]) -> float:
    """Our speed, in as many lanes as are fastest."""
    return max(c["images_per_second"] for c in row["contenders"].values() if "lanes" in c)


def _rival_speed(row: dict[str, Any]) -> float:
    return max(
        c["images_per_second"]
        for c in row["contenders"].values()
        if "lanes" not in c and "missing" not in c
    )


def _cell_seconds(contender: dict[str, Any], images: dict[str, int]) -> float:
    """Three runs one after another, or in as many rounds as there are lanes for."""
    lanes = contender.get("lanes", 1)
    run = EPOCHS * lanes * (
        images["train"] / contender["images_per_second"]
        + images["val"] / contender["evaluation_images_per_second"]
    )  # fmt: skip
    if "lanes" in contender:
        return contender["startup_seconds"] + math.ceil(SEEDS / lanes) * run
    return SEEDS * (contender["startup_seconds"] + run)


def _mb(contender: dict[str, Any]) -> str:
    return f"{contender['peak_memory'] / 2**20:,.0f}"
