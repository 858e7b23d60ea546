"""Studies: the list of them, and a page and a figure of each one's verdicts."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.claims.rules import (
    CONTRADICTED,
    NOT_MEASURED,
    SUPPORTED,
    UNDECIDED,
    Judgement,
    Part,
)
from normbench.claims.studies import StudyClaim, claims_of
from normbench.drawing import style
from normbench.drawing.text import filled, table
from normbench.report.parts import measured_number, range_of
from normbench.store.files import write_atomically
from normbench.studies import Study, load_study, study_names
from normbench.studies.found import Found

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Verdict = tuple[StudyClaim, Judgement]
Studied = tuple[Found, list[Verdict]]  # what there is of a study, and what its claims come to

TEXTS = {
    "A": "A, the article on replacing BatchNorm",
    "B": "B, the guide in three levels",
    "C": "C, the report on two papers of 2018",
    "D": "D, the course page with demonstrations",
}

# What the texts speak of and small machines do not have, and what stands in for it here.
NOT_TO_BE_HAD = {
    "Inception on ImageNet at 1, 5 and 30 times the learning rate": "cnn4 on Imagenette at three "
    "rates (fewer_steps); ResNet-110 on CIFAR-10 at three rates (resnet110_learning_rates)",
    "Inception with sigmoids": "cnn4 with sigmoids (fewer_steps), an MLP of them (mnist_mlp)",
    "ResNet-50 on ImageNet with small batches": "cnn4 at batch sizes 2 to 128 (batch_sizes)",
    "EfficientNet": "none; ResNet-18 and ResNet-20 are the nearest",
    "YOLO, Detectron: batches of 2 images a device": "ghost batches of 2 (batch_sizes), a new head "
    "on a frozen body (transfer)",
    "Translation and language models": "a vision transformer and a row-by-row RNN "
    "(recurrent_and_vit)",
    "GANs, style transfer": "none; InstanceNorm as a classifier's norm (replacements)",
}

COLORS = {SUPPORTED: "#009e73", CONTRADICTED: "#d55e00", UNDECIDED: "#999999"}
HEIGHT = 0.42  # of a part's row in a figure, in inches


def verdicts(found: Found) -> list[Verdict]:
    """Every claim of a study, judged by what there is."""
    return [(claim, claim.judge(found)) for claim in claims_of(found.study.name)]


def studied(results: Path) -> list[Studied]:
    """All studies, judged by what there is of them."""
    found = [Found.of(load_study(name), results) for name in study_names()]
    return [(of, verdicts(of)) for of in found]


def verdicts_by_text(studied: Sequence[Studied]) -> dict[str, list[str]]:
    """Source text -> the verdicts of the claims that it makes, study by study."""
    return {
        text: [
            judgement.verdict
            for _, judged in studied
            for claim, judgement in judged
            if text in claim.texts
        ]
        for text in TEXTS
        if studied
    }


def of_studies(studied: Sequence[Studied]) -> Iterable[str]:
    """Markdown: a table of each source text's claims, then the evidence, study by study."""
    if not studied:
        return
    yield "# What the studies decide"
    yield filled(
        "Each study is an experiment of its own (normbench study lists them). A claim stands in "
        "the table of every text that makes it, and once below."
    )
    for text, name in TEXTS.items():
        rows = [
            [claim.title, found.study.name, judgement.verdict]
            for found, judged in studied
            for claim, judgement in judged
            if text in claim.texts
        ]
        yield f"## Text {name}"
        yield table(rows, ["claim", "study", "verdict"], "lll")
    for found, judged in studied:
        study = found.study
        yield f"## Study {study.number}. {study.title}"
        if study.reduced:
            yield filled(f"Smaller than its source: {study.reduced}")
        yield filled(f"{study.runs - found.missing} of {study.runs} runs: {study.source}")
        for claim, judgement in judged:
            yield from of_claim(claim, judgement, "###")


def listed(studies: Sequence[Study], results: Path) -> str:
    """All studies: what each costs, what it decides, and how far it is."""
    rows = []
    for study in studies:
        found = Found.of(study, results)
        rows.append(
            [
                str(study.number),
                study.name,
                "".join(study.texts),
                f"{study.minutes:g}",
                study.decides,
                state(found, verdicts(found)),
            ]
        )
    headings = ["", "study", "texts", "minutes", "what it decides", "state"]
    return table(rows, headings, "rllrll")


def overview(results: Path) -> str:
    """A page of all studies, and of what the texts speak of and is not to be had."""
    studies = [load_study(name) for name in study_names()]
    rows = list(NOT_TO_BE_HAD.items())
    return (
        "\n\n".join(
            [
                "# Studies",
                filled(
                    "The experiments of the source texts, with the letters of those that speak of "
                    "them: "
                    f"{'; '.join(TEXTS.values())}. Minutes are for two CPU cores."
                ),
                listed(studies, results),
                "## Not to be had here",
                table(rows, ["what the texts speak of", "what stands in for it"], "ll"),
            ]
        )
        + "\n"
    )


def state(found: Found, judged: Iterable[Verdict]) -> str:
    """How far a study is, and what came of it."""
    runs, missing = found.study.runs, found.missing
    if missing == runs:
        return "not run"
    counts = Counter(judgement.verdict for _, judgement in judged)
    said = ", ".join(
        f"{counts[verdict]} {verdict}"
        for verdict in (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURED)
        if counts[verdict]
    )
    return said if not missing else f"{runs - missing} of {runs} runs; so far {said}"


def write_pages(study: Study, results: Path) -> str:
    """Write a study's page and figure into its folder, and all figures of its probes.

    Returns:
        What became of its claims, for a terminal.
    """
    from normbench.probes.known import known_probe
    from normbench.report.figures import draw_figures, draw_outcomes

    found, folder = Found.of(study, results), study.folder(results)
    judged = verdicts(found)
    if found.missing == study.runs:
        return f"{study.name}: nothing measured"
    for drawn in (folder / "figures").glob("*"):  # their names depend on what else there is
        drawn.unlink()
    for probe in sorted({part.probe for part in study.parts if part.probe}):
        if (folder / "probes" / probe).is_dir():
            draw_figures(folder, probe, known_probe(probe))
    if (folder / "records").is_dir():
        draw_outcomes(folder)
    fig = draw(found, judged)
    if fig is not None:
        style.save(fig, folder / "figures" / "verdicts")
    write_atomically(folder / "study.md", markdown(found, judged))
    write_atomically(results / "studies.md", overview(results))
    lines = [f"{claim.title}: {judgement.verdict}" for claim, judgement in judged]
    return "\n".join([*lines, f"Written: {folder / 'study.md'}"])


def markdown(found: Found, judged: Sequence[Verdict]) -> str:
    """A study's page: what was run, and each claim with its rule, evidence and verdict."""
    study = found.study
    paragraphs = [f"# {study.title}", filled(f"{study.decides}. {study.source}")]
    if study.reduced:
        paragraphs.append(filled(f"Smaller than its source: {study.reduced}"))
    if found.missing:
        done = study.runs - found.missing
        paragraphs.append(filled(f"Incomplete: {done} of {study.runs} runs are there."))
    commands = "\n".join(f"normbench {' '.join(part.typed())}" for part in study.parts)
    paragraphs.append(f"```\n{commands}\n```")
    for claim, judgement in judged:
        paragraphs += of_claim(claim, judgement, "##")
    return "\n\n".join(paragraphs) + "\n"


def of_claim(claim: StudyClaim, judgement: Judgement, heading: str) -> Iterable[str]:
    """A claim with its rule, its evidence and its verdict."""
    yield f"{heading} {claim.title}"
    yield filled(claim.sentence)
    words = {
        "Source": f"{claim.source} (texts {', '.join(claim.texts)})",
        "Measured": claim.measured,
        "Supported if": claim.rule,
    }
    if claim.theirs:
        words["The source's own"] = claim.theirs
    yield "\n".join(filled(f"- {k}: {v}", "  ") for k, v in words.items())
    yield f"**{judgement.verdict}**"
    rows = [
        [part.what, range_of(part), measured_number(part), part.verdict] for part in judgement.parts
    ]
    yield table(rows, ["what", "holds if", "measured (interval)", "verdict"], "llll")
    caveats = dict.fromkeys(part.caveat for part in judgement.parts if part.caveat)
    if caveats:
        yield filled(f"To be known: {'; '.join(caveats)}.")


def draw(found: Found, judged: Sequence[Verdict]) -> Figure | None:
    """Each claim's numbers with their intervals, and the ranges in which the claim holds."""
    study = found.study
    shown = [
        (claim, [part for part in judgement.parts if part.estimate]) for claim, judgement in judged
    ]
    shown = [(claim, parts) for claim, parts in shown if parts]
    count = sum(len(parts) for _, parts in shown)
    if not count:
        return None
    with style.canvas(0.9 + HEIGHT * count + 0.34 * len(shown)) as fig:
        axes = fig.subplots(count, 1, squeeze=False)[:, 0]
        row = 0
        for claim, parts in shown:
            axes[row].set_title(claim.title)
            for part in parts:
                _draw_part(axes[row], part)
                row += 1
        caption = (
            "Points and lines: what was measured, and its 95% interval; shaded: where it lies if "
            f"the claim holds. Green: supported, red: contradicted, grey: undecided. "
            f"{study.title}, {study.runs - found.missing} runs."
        )
        if study.reduced:
            caption += f" Smaller than its source: {study.reduced}"
        style.caption(fig, caption)
    return fig


def _draw_part(ax: Axes, part: Part) -> None:
    """A number on an axis of its own, with the range in which the claim holds."""
    assert part.estimate is not None
    value, low, high = part.estimate.value, part.estimate.low, part.estimate.high
    ends = [end for end in (part.low, part.high) if math.isfinite(end)]
    left, right = min(low, *ends), max(high, *ends)
    room = 0.12 * (right - left) or max(abs(right), 1e-9)
    left, right = left - room, right + room
    ax.axvspan(
        max(part.low, left), min(part.high, right), color="#009e73", alpha=0.12, lw=0, zorder=0
    )
    ax.errorbar(
        value, 0, xerr=[[value - low], [high - value]], fmt="o", color=COLORS[part.verdict],
        elinewidth=2,
    )  # fmt: skip
    ax.set(xlim=(left, right), ylim=(-1, 1), yticks=[])
    ax.set_ylabel(textwrap.fill(part.what, 46), rotation=0, ha="right", va="center", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines["left"].set_visible(False)
    ax.annotate(
        f"{measured_number(part)}", (1.01, 0.5), xycoords="axes fraction", va="center", fontsize=8,
    )  # fmt: skip
