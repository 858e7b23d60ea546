"""What probes measured, as charts: of most as in their figures, of any other what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normbench.analysis.averages import array, geometric_mean, highest, lowest, mean, stack
from normbench.analysis.groups import by_norm
from normbench.drawing.captions import protocol_line
from normbench.drawing.layers import layer_groups, layer_names
from normbench.errors import UserError
from normbench.probes import Probe
from normbench.probes.ablation import KINDS, Ablation, shares
from normbench.probes.activations import Activations
from normbench.probes.covariate_shift import CovariateShift
from normbench.probes.curves import LABELS, Curves, finished
from normbench.probes.gradients import SMOOTHING, Gradients, running_median
from normbench.probes.hessian import Hessian, Spectra
from normbench.probes.known import known_probe
from normbench.probes.landscape import Landscape, Lines
from normbench.probes.learning_rate_range import ABOVE, LearningRateRange
from normbench.probes.overhead import TITLES, Overhead, overhead
from normbench.probes.step_size import HIGHEST, StepSize, first_worse_of_seeds, relative_losses
from normbench.report.figures import probe_figures
from normbench.report.page.anything import of_any
from normbench.report.page.charts import Axis, Chart, Dot, Line, Panel, Range
from normbench.store.probe_records import stored_probes
from normbench.store.records import Record

STEP = Axis("training step")
GEOMETRIC = "geometric mean, and one geometric standard deviation over seeds to either side"


@dataclass(frozen=True)
class Measured:
    """What a probe measured under one protocol.

    Attributes:
        id: no other has it.
        probe: its name.
        title: what the probe's class says of itself, in a line.
        about: what the records have in common.
        charts: of the numbers.
        summary: the numbers in short, as markdown; empty where the probe has none.
        figure: the same as a picture, in the results folder.
        norms: that were measured.
        records: all of them.
        problem: why it cannot be drawn, where it cannot.
    """

    id: str
    probe: str
    title: str
    about: str
    charts: list[Chart]
    summary: str
    figure: str
    norms: list[str]
    records: list[Record]
    problem: str = ""


def measured(results: Path, below: str = "") -> list[Measured]:
    """Everything that probes measured in a results folder.

    Args:
        results: the folder.
        below: the folder in relation to the page; for ids and links.
    """
    found = []
    for name in stored_probes(results):
        try:
            kind: type[Probe] = known_probe(name)
        except (UserError, ImportError):  # a probe of the user's, whose config or code is elsewhere
            kind = Probe
        for stem, records, label in probe_figures(results, name, kind):
            id_ = f"probe-{below}{stem.name}".replace("/", "-").replace(".", "_")
            charts, summary, problem = [], "", ""
            try:
                charts, summary = list(_charts(kind, records, id_)), kind.summarize(records)
            except Exception as reason:  # of damaged records: the rest is drawn
                problem = f"{type(reason).__name__}: {reason}"
            found.append(
                Measured(
                    id=id_,
                    probe=name,
                    title=_title(kind, name),
                    about=f"{protocol_line(records)}{f'; {label}' if label else ''}",
                    charts=charts,
                    summary=summary,
                    figure=f"{below}figures/{stem.name}.png",
                    norms=list(by_norm(records)),
                    records=records,
                    problem=problem,
                )
            )
    return found


def _title(kind: type[Probe], name: str) -> str:
    first = " ".join((kind.__doc__ or "").strip().partition("\n\n")[0].split())
    return name.replace("_", " ") if kind is Probe else first.removesuffix(".")


def _charts(kind: type[Probe], records: list[Record], name: str) -> Iterator[Chart]:
    """The charts of the nearest class that has some, without empty ones."""
    draw = next((CHARTS[base] for base in kind.__mro__ if base in CHARTS), of_any)
    for place, chart in enumerate(draw(records)):
        panels = [panel for panel in chart.panels if panel.marks]
        if panels:
            parts = {k: v for k, v in vars(chart).items() if k not in ("id", "panels", "norms")}
            yield Chart(id=f"{name}-{place}", panels=panels, **parts)


# Each gives the charts of one figure's records; ids are added.


def of_curves(records: list[Record]) -> Iterator[Chart]:
    norms = by_norm(finished(records))
    panels = []
    for part, title in LABELS.items():
        lines = [
            Line(norm, _longest(group), _stacked(group, part), norm)
            for norm, group in norms.items()
        ]
        panels.append(Panel(title, lines, y=Axis(title, log=True if "loss" in part else None)))
    yield Chart("", "How training goes", STEP, Axis(""), panels, free=True)


def of_ablation(records: list[Record]) -> Iterator[Chart]:
    yield from of_curves(records)
    found = shares(records)
    panels = [
        Panel(
            kind,
            [
                Dot(norm, 100 * middle, 100 * (middle - std), 100 * (middle + std))
                for norm, kinds in found.items()
                for middle, std in [kinds[kind]]
            ],
        )
        for kind in KINDS
    ]
    yield Chart(
        "",
        "Shares of BatchNorm's improvement",
        Axis("% of BatchNorm's improvement over no norm"),
        Axis(""),
        panels,
        about="(none − norm) / (none − batchnorm), seed by seed: 0% is no norm, 100% all of "
        "BatchNorm. Shares need not sum up.",
        dots=True,
    )


def of_gradients(records: list[Record]) -> Iterator[Chart]:
    panels = []
    for norm, group in by_norm(records).items():
        runs = stack([array(r["measured"]["norms"]).T for r in group])  # (seeds, steps, layers)
        lines = []
        for place, (label, which) in enumerate(layer_groups(group[0]).items()):
            of_layer = geometric_mean(runs[:, :, which], axis=2)
            lines.append(
                Line(
                    label,
                    np.arange(1, runs.shape[1] + 1),
                    of_layer,
                    norm,
                    (place, len(layer_groups(group[0]))),
                    geometric=True,
                    shown=np.exp(running_median(np.log(of_layer))),
                )
            )
        panels.append(Panel(norm, lines, norm))
    yield Chart(
        "",
        "Gradient norm of each layer's weight",
        STEP,
        Axis("gradient norm", log=True),
        panels,
        about=f"Means are of running medians over {SMOOTHING} steps; seeds are drawn as measured, "
        "every step.",
        spread=GEOMETRIC,
    )


def of_activations(records: list[Record]) -> Iterator[Chart]:
    parts = (
        ("std", "Standard deviation of each layer's output", Axis("standard deviation", log=True)),
        ("mean", "Mean of each layer's output", Axis("mean")),
    )
    for part, title, axis in parts:
        panels = []
        for norm, group in by_norm(records).items():
            runs = stack([array(r["measured"][part]).T for r in group])  # (seeds, looks, layers)
            groups = layer_groups(group[0])
            lines = [
                Line(
                    label, _longest(group), mean(runs[:, :, which], axis=2), norm, (i, len(groups))
                )
                for i, (label, which) in enumerate(groups.items())
            ]
            panels.append(Panel(norm, lines, norm))
        yield Chart("", title, STEP, axis, panels, about="Before its norm, on the first batch.")


def of_covariate_shift(records: list[Record]) -> Iterator[Chart]:
    names = layer_names(records[0], before=1)
    drawn = np.unique(np.linspace(0, len(names) - 1, 4).round().astype(int))
    for part, title, axis, geometric in (
        ("difference", "How far a layer's gradient moves", Axis("L2 difference", log=True), True),
        ("cosine", "How far it turns", Axis("cosine"), False),
    ):
        panels = []
        for layer in drawn:
            lines = [
                Line(
                    norm, _longest(group), _stacked(group, part)[:, :, layer], norm,
                    geometric=geometric,
                )
                for norm, group in by_norm(records).items()
            ]  # fmt: skip
            panels.append(Panel(names[layer], lines))
        yield Chart(
            "",
            f"{title} when the layers before it are updated",
            STEP,
            axis,
            panels,
            about="No shift is a difference of 0 and a cosine of 1.",
            spread=GEOMETRIC if geometric else "mean ± standard deviation over seeds",
        )


def of_hessian(records: list[Record]) -> Iterator[Chart]:
    spectra = {norm: Spectra(group) for norm, group in by_norm(records).items()}
    panels = []
    for part, title, log in (
        ("largest", "largest eigenvalue λmax", True),
        ("ratio", "|λmin / λmax|", True),
        ("trace", "trace", None),
    ):
        lines = [
            Line(norm, of.at, getattr(of, part), norm, geometric=bool(log))
            for norm, of in spectra.items()
        ]
        panels.append(Panel(title, lines, y=Axis(title, log=log)))
    yield Chart("", "Curvature of the loss", STEP, Axis(""), panels, free=True)


def of_landscape(records: list[Record]) -> Iterator[Chart]:
    norms = {
        norm: [Lines(r["measured"]) for r in group] for norm, group in by_norm(records).items()
    }
    sizes = records[0]["measured"]["step_sizes"]
    for part, title, label in (
        ("losses", "Loss along the gradient", "loss"),
        ("gradient_changes", "Change of the gradient along it", "L2 distance"),
    ):
        panels = []
        for norm, runs in norms.items():
            found = stack([getattr(run, part) for run in runs])
            low, high = (geometric_mean(end(found, axis=2), axis=0) for end in (lowest, highest))
            at = max((run.at for run in runs), key=len)
            panels.append(Panel(norm, [Range(norm, at, low, high, norm)], norm))
        yield Chart(
            "",
            title,
            STEP,
            Axis(label, log=True),
            panels,
            about=f"From the lowest to the highest, after a step of {min(sizes):g} to "
            f"{max(sizes):g} times the gradient; geometric means over seeds.",
            spread="",
        )
    lines = [
        Line(
            norm, max((run.at for run in runs), key=len), stack([run.smoothness for run in runs]),
            norm, geometric=True,
        )
        for norm, runs in norms.items()
    ]  # fmt: skip
    yield Chart(
        "",
        "Effective β-smoothness",
        STEP,
        Axis("β", log=True),
        [Panel("", lines)],
        about="The largest distance between gradients over the distance moved: lower is smoother.",
        spread=GEOMETRIC,
    )


def of_learning_rates(records: list[Record]) -> Iterator[Chart]:
    probe, first = records[0]["config"]["probe"], records[0]["measured"]
    lines = []
    for norm, group in by_norm(records).items():
        rates, seeds = (sorted({r[field] for r in group}) for field in ("lr", "seed"))
        loss = {(r["seed"], r["lr"]): r["measured"]["loss"] for r in group}
        runs = array([[loss.get((seed, rate)) for rate in rates] for seed in seeds])
        # a mean over seeds is one where all of them are on the page, as the figure has it
        whole = (runs <= first["guessing"] + ABOVE).all(axis=0)
        lines.append(Line(norm, rates, np.where(whole, runs, np.nan), norm))
    yield Chart(
        "",
        "Training loss by learning rate",
        Axis("learning rate", log=True),
        Axis("training loss", log=False),
        [Panel("", lines)],
        about="Of the last tenth of the steps. A run trains if it ends below the lower level. "
        f"Lines end where a seed is {ABOVE:g} or more above guessing, or diverges.",
        levels=(
            (first["guessing"], "guessing"),
            (first["guessing"] - probe["margin"], "trains below"),
        ),
    )


def of_step_sizes(records: list[Record]) -> Iterator[Chart]:
    norms = by_norm(records)
    at = relative_losses(next(iter(norms.values())))[0]
    panels = []
    for place in np.unique(np.linspace(0, len(at) - 1, 3).round().astype(int)):
        lines = []
        for norm, group in norms.items():
            of_seeds = [relative_losses([record]) for record in group]
            if all(len(steps) > place for steps, _, _ in of_seeds):
                runs = np.stack([ratios[place] for _, _, ratios in of_seeds])
                runs = np.where(runs <= HIGHEST, runs, np.nan)
                lines.append(Line(norm, of_seeds[0][1], runs, norm, geometric=True))
        panels.append(Panel(f"training step {at[place] + 1:g}", lines))
    yield Chart(
        "",
        "Loss after one step along the gradient, over the loss before",
        Axis("step size", log=True),
        Axis("loss after / before", log=True),
        panels,
        about=f"Drawn up to {HIGHEST:g}.",
        spread=GEOMETRIC,
        levels=((1, "as before"),),
    )
    lines = [
        Line(norm, steps + 1, worse, norm, geometric=True)
        for norm, (steps, worse) in ((n, first_worse_of_seeds(g)) for n, g in norms.items())
    ]
    yield Chart(
        "",
        "Smallest step size that makes the loss larger",
        Axis("training step", log=True),
        Axis("step size", log=True),
        [Panel("", lines)],
        spread=GEOMETRIC,
    )


def of_overhead(records: list[Record]) -> Iterator[Chart]:
    sizes = sorted({r["batch_size"] for r in records}, reverse=True)
    reference = records[0]["config"]["probe"]["reference"]
    panels = []
    for part, title in TITLES.items():
        for size in sizes:
            dots = []
            for norm, group in by_norm(records).items():
                low, middle, high = overhead(group, size, part)
                dots.append(Dot(norm, middle, low, high))
            panels.append(Panel(f"{title}, batch size {size}", dots))
    yield Chart(
        "",
        f"Cost of a norm, as a multiple of {reference}",
        Axis(f"relative to {reference}", log=False),
        Axis(""),
        panels,
        about="Measured in turns with the same network with "
        f"{reference}: medians, and quartiles over rounds.",
        spread="median and quartiles",
        dots=True,
        free=True,
    )


CHARTS: dict[type[Probe], Callable[[list[Record]], Iterator[Chart]]] = {
    Ablation: of_ablation,
    Curves: of_curves,
    Gradients: of_gradients,
    Activations: of_activations,
    CovariateShift: of_covariate_shift,
    Hessian: of_hessian,
    Landscape: of_landscape,
    LearningRateRange: of_learning_rates,
    StepSize: of_step_sizes,
    Overhead: of_overhead,
}


def _longest(group: Sequence[Record]) -> list[float]:
    """Where most was measured."""
    return max((r["measured"]["at"] for r in group), key=len)


def _stacked(group: Sequence[Record], part: str) -> np.ndarray:
    """(seeds, T, …)"""
    return stack([array(r["measured"][part]) for r in group])
