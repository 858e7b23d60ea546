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
        "evaluation and start-up, from the measured rates. The last two columns are the shares of "
        "the device's own measured matrix multiplication and memory copying speeds that training "
        "reaches; memory traffic is counted as if nothing were cached, so it can exceed 100%.",
        *([f"**Not to be trusted: {busy} when this was measured.**"] if busy else []),
        table(
            [line for row in result["rows"] for line in _lines(row, result["images"])],
            ("bs", "trainer", "images/s", "ratio", "evaluation", "cell, s", "start, s",
             "peak, MB", "matrix", "memory"),
            "rl" + "r" * 8,
        ),
    ]  # fmt: skip
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


def headline(result: dict[str, Any]) -> str:
    """One line: how much faster, at each batch size."""
    ratios = []
    for row in result["rows"]:
        others = _rival_speed(row)
        ours = max(c["images_per_second"] for c in row["contenders"].values() if "lanes" in c)
        ratios.append(f"{ours / others:.1f}× at batch size {row['batch_size']}")
    return f"normbench trains {' and '.join(ratios)} as fast as the better of plain and fastai."


def _lines(row: dict[str, Any], images: dict[str, int]) -> list[tuple[str, ...]]:
    rival, ceilings = _rival_speed(row), row["ceilings"]
    lines = []
    for name, contender in row["contenders"].items():
        if "missing" in contender:
            lines.append((str(row["batch_size"]), f"{name}: {contender['missing']}", *[""] * 8))
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
                f"{speed * ceilings['flops_per_image'] / ceilings['matrix_flops']:.0%}",
                f"{speed * ceilings['bytes_per_image'] / ceilings['memory_bytes']:.0%}",
            )
        )
    return lines


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
