"""The report on candidate protocols, as markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from normbench.analysis.candidates import (
    ACCURACY_TARGET,
    MEAN_TARGET,
    MODEL,
    PATTERNS,
    Candidate,
    Place,
    Score,
    article_targets,
    leave_one_norm_out,
    places_of,
)
from normbench.drawing.text import filled, table


def render(found: list[Candidate], deciding: Sequence[Place], left_out: int = 0) -> str:
    """The markdown report.

    Args:
        found: the candidates, the best first.
        deciding: the article's cells that they were ranked by.
        left_out: how many runs were not looked at, as they are not like the article's.
    """
    parts = ["# Calibration", *map(filled, _introduction(deciding))]
    if left_out:
        parts.append(
            filled(
                f"Left out: {left_out} runs that are not like the article's, which are of "
                "Imagenette, of 3 epochs and of a network of 4 convolutions."
            )
        )
    parts += ["## Scores", *_scores(found, deciding)]
    parts += ["## Chosen, and predicted", *_chosen(found)]
    parts += ["## Leaving one norm out", *_leave_one_out(found)]
    parts += ["## Accuracies", *_accuracies(found, deciding)]
    return "\n\n".join(parts) + "\n"


def _introduction(deciding: Sequence[Place]) -> Iterable[str]:
    norms = list(dict.fromkeys(norm for norm, *_ in deciding))
    yield (
        "The article does not state its protocol. Each line below is a candidate for it, told by "
        "how it departs from the default protocol (`configs/protocol.yaml`), and its score: the "
        "mean and the largest absolute difference in accuracy, then the mean absolute difference "
        "in log loss, over those of the article's cells of the 4-layer network that the default "
        f"protocol was chosen by: {len(deciding)}, of {', '.join(norms)}. They rank the candidates."
        f" Wanted are a largest difference of at most {ACCURACY_TARGET} and a mean of at most "
        f"{MEAN_TARGET}. Candidates that did not look promising on some cells were not run on the "
        "others; they come last."
    )
    yield (
        f"Beside it, the mean and the largest difference over all {len(article_targets())} of the "
        "article's cells, where all were run. For a candidate that was chosen without some of "
        "them, these are predictions."
    )


def _scores(found: list[Candidate], deciding: Sequence[Place]) -> Iterable[str]:
    everywhere = article_targets()
    rows = []
    for rank, candidate in enumerate(found, 1):
        score, of_all = candidate.score(deciding), candidate.score(everywhere)
        assert score and of_all  # candidates without are not ranked
        rows.append(
            (
                *(str(rank), f"{score.mean:.3f}", f"{score.largest:.3f}", f"{score.log_loss:.3f}"),
                _cells(score, len(deciding)),
                *(("", "") if of_all.lacking else (f"{of_all.mean:.3f}", f"{of_all.largest:.3f}")),
                _cells(of_all, len(everywhere)),
                str(sum(len(candidate.runs[p]) for p in everywhere if p in candidate.runs)),
                f"`{_signs(candidate)}`",
                candidate.label or "**the default protocol**",
            )
        )
    headings = ["", "mean", "largest", "log loss", "cells"]
    headings += ["all: mean", "largest", "cells", "runs", "pattern", "protocol"]
    yield table(rows, headings, "rrrrlrrlrll")
    yield "Pattern: `+` shown, `-` not, `.` not known:"
    yield "\n".join(f"{i}. {words}." for i, (words, _) in enumerate(PATTERNS, 1))


def _cells(score: Score, of: int) -> str:
    return f"{of - score.lacking} of {of}"


def _signs(candidate: Candidate) -> str:
    return "".join({True: "+", False: "-", None: "."}[shown] for shown in candidate.patterns())


def _chosen(found: list[Candidate]) -> Iterable[str]:
    """Of candidates that a calibration chose: by which cells, and how they did on the others."""
    norms = list(dict.fromkeys(norm for norm, *_ in article_targets()))
    rows = []
    for rank, candidate in enumerate(found, 1):
        calibration = candidate.calibration
        if calibration is None:
            continue
        fitted = [norm for norm in norms if calibration.fitted(MODEL, norm)]
        others = [norm for norm in norms if norm not in fitted]
        row = [calibration.name, str(rank)]
        for names in (fitted, others):
            score = candidate.score(places_of(*names)) if names else None
            row += [", ".join(names) or "–", f"{score.mean:.3f}" if score else "–"]
        rows.append(row)
    if not rows:
        yield "No candidate here was chosen."
        return
    yield table(rows, ("protocol", "number", "chosen by", "mean", "predicts", "mean"), "lrlrlr")
    yield filled(
        "Its number above, and the mean absolute difference in accuracy over the cells of these "
        "norms that were run here. Predictions in full: predictions.md."
    )


def _leave_one_out(found: list[Candidate]) -> Iterable[str]:
    results = leave_one_norm_out(found)
    if not results:
        yield filled("It takes two protocols at least that were run on every cell.")
        return
    ranks = {id(candidate): rank for rank, candidate in enumerate(found, 1)}
    rows = [
        (
            *(result.norm, ", ".join(str(ranks[id(chosen)]) for chosen in result.chosen)),
            *(f"{result.fitted:.3f}", f"{result.predicted:.3f}"),
        )
        for result in results
    ]
    fitted, predicted = (
        sum(values) / len(results)
        for values in zip(*((r.fitted, r.predicted) for r in results), strict=True)
    )
    rows.append(("mean", "", f"{fitted:.3f}", f"{predicted:.3f}"))
    yield table(rows, ("left out", "chosen", "fitted", "predicted"), "llrr")
    yield filled(
        "Of the candidates that were run on every cell, the one that comes closest to the cells of "
        "all norms but one: its mean absolute difference in accuracy on those, and on the cells of "
        "the norm that it was chosen without. Where several differ in the left out norm's own "
        "settings alone, nothing chooses among them: their mean."
    )


def _accuracies(found: list[Candidate], deciding: Sequence[Place]) -> Iterable[str]:
    yield _accuracy_table(found, deciding)
    others = [place for place in article_targets() if place not in deciding]
    if others:
        yield filled("On the article's other cells, the candidates that were run there:")
        yield _accuracy_table(found, others)


def _accuracy_table(found: list[Candidate], places: Sequence[Place]) -> str:
    targets = article_targets()
    rows = [("article", *(f"{targets[place].accuracy_mean:.2f}" for place in places))]
    rows += [
        (
            str(rank),
            *(f"{candidate.accuracy(p):.2f}" if p in candidate.runs else "" for p in places),
        )
        for rank, candidate in enumerate(found, 1)
        if any(place in candidate.runs for place in places)
    ]
    headings = ("", *(f"{norm} {size}/{lr:g}" for norm, size, lr in places))
    return table(rows, headings, "l" * len(headings))
