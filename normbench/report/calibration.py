"""The report on candidate protocols, as markdown."""

from __future__ import annotations

from collections.abc import Mapping

from normbench.analysis.candidates import (
    ACCURACY_TARGET,
    MEAN_TARGET,
    PATTERNS,
    Candidate,
    Place,
    mean_size,
    targets,
)
from normbench.drawing.text import table


def render(found: list[Candidate]) -> str:
    """The markdown report."""
    return "\n".join([INTRODUCTION, *_scores(found), *_cells(found)])


INTRODUCTION = f"""# Calibration

The article does not state its protocol. Each line below is a candidate for it, told by how it
departs from the default protocol (`normbench/configs/protocol.yaml`), and its score: the mean and
the largest absolute difference in accuracy over the article's twelve cells of the 4-layer network
(no norm, BatchNorm, LayerNorm), then the mean absolute difference in log loss. Wanted are a largest
difference of at most {ACCURACY_TARGET} and a mean of at most {MEAN_TARGET}. Candidates that did not
look promising on some cells were not run on the others; they come last.
"""


def _scores(found: list[Candidate]) -> list[str]:
    rows = []
    for rank, candidate in enumerate(found, 1):
        differences = candidate.accuracy_differences()
        shown = "".join({True: "+", False: "-", None: "."}[p] for p in candidate.patterns())
        rows.append(
            (
                str(rank),
                f"{mean_size(differences):.3f}",
                f"{max(map(abs, differences)):.3f}",
                f"{mean_size(candidate.log_loss_differences()):.3f}",
                f"{len(differences)} of {len(targets())}",
                str(sum(len(candidate.runs[p]) for p in targets() if p in candidate.runs)),
                f"`{shown}`",
                candidate.label or "**the default protocol**",
            )
        )
    headers = ("", "mean", "largest", "log loss", "cells", "runs", "pattern", "protocol")
    legend = [f"{i}. {words}." for i, (words, _) in enumerate(PATTERNS, 1)]
    return [
        "## Scores\n",
        table(rows, headers, "rrrrllll"),
        "\nPattern: `+` shown, `-` not, `.` not known:\n",
        *legend,
        "",
    ]


def _cells(found: list[Candidate]) -> list[str]:
    def row(name: str, accuracy: Mapping[Place, float | None]) -> tuple[str, ...]:
        return (name, *("" if accuracy[p] is None else f"{accuracy[p]:.2f}" for p in targets()))

    rows = [row("article", {p: cell.accuracy_mean for p, cell in targets().items()})]
    for rank, candidate in enumerate(found, 1):
        rows.append(
            row(
                str(rank),
                {p: candidate.accuracy(p) if p in candidate.runs else None for p in targets()},
            )
        )
    headers = ("", *(f"{norm} {size}/{lr:g}" for norm, size, lr in targets()))
    return ["## Accuracies\n", table(rows, headers, "l" * len(headers)), ""]
