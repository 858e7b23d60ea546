"""What runs came to: a tab for each model, data and protocol, ours beside the article's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normbench.analysis.averages import array, stack
from normbench.analysis.cells import Cell, Results
from normbench.analysis.comparison import Pair, Row, compare, not_comparable
from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.groups import groups, norm_rank, protocol_of, provenance
from normbench.analysis.reference import article_cells
from normbench.analysis.welch import Sample
from normbench.report.outcomes_figure import cells as cells_of
from normbench.report.page.charts import Axis, Chart, Dot, Line, Panel
from normbench.store.records import Record

Place = tuple[int, float]  # batch size, learning rate

SMALL_BATCH = 8  # images and fewer: statistics of so few are what the articles call small
ACCURACY, LOSS = Axis("validation accuracy"), Axis("validation loss", log=True)


@dataclass(frozen=True)
class Tab:
    """All runs of one model under one protocol.

    Attributes:
        id: no other tab has it.
        label: for the reader to choose it by.
        about: what the runs have in common, and where they were measured.
        rows: of its cells, in the tables' order.
        reasons: why the article's numbers do not stand beside them, in words.
        command: that makes what is missing.
    """

    id: str
    label: str
    about: str
    rows: tuple[Row, ...]
    reasons: tuple[str, ...]
    command: str

    @property
    def places(self) -> list[Place]:
        """Columns: batch sizes and learning rates, the largest first."""
        return sorted({_place(row) for row in self.rows}, reverse=True)

    @property
    def norms(self) -> dict[str, dict[Place, Row]]:
        """Norm -> its rows, of norms that either side has numbers of."""
        found: dict[str, dict[Place, Row]] = {}
        for row in self.rows:
            found.setdefault(row.cell.norm, {})[_place(row)] = row
        return {norm: of for norm, of in found.items() if any(map(_known, of.values()))}

    @property
    def measured(self) -> bool:
        return any(row.cell.records for row in self.rows)

    @property
    def article(self) -> bool:
        """Whether the article has numbers of the same."""
        return any(row.accuracy.article for row in self.rows)

    @property
    def missing(self) -> list[Cell]:
        """Cells that are not run, or not with every seed."""
        return [row.cell for row in self.rows if row.cell.caveat]

    def best(self, rows: Iterable[Row]) -> float:
        """The best of our mean accuracies in some rows; NaN of none."""
        means = [row.accuracy.ours.mean for row in rows if row.accuracy.ours]
        return max(means, default=math.nan)

    def is_best(self, row: Row, rows: Iterable[Row]) -> bool:
        """Whether our accuracy is the best of these rows, as far as two decimals tell."""
        ours = row.accuracy.ours
        return ours is not None and f"{ours.mean:.2f}" == f"{self.best(rows):.2f}"

    def column(self, place: Place) -> list[Row]:
        return [row for row in self.rows if _place(row) == place]


def tabs(results: Results, records: Sequence[Record]) -> list[Tab]:
    """A tab for each of the article's models, and for whatever else there are records of.

    Args:
        results: the article's cells.
        records: all of the folder.
    """
    rows = compare(results, article_cells())
    left_out = not_comparable(results)
    found: list[Tab] = []
    for model in dict.fromkeys(row.cell.model for row in rows):
        of_model = results.records.get(model, [])
        found.append(
            Tab(
                id=f"runs-{len(found)}",
                label=model,
                about=provenance(of_model) if of_model else "",
                rows=tuple(row for row in rows if row.cell.model == model),
                reasons=tuple(left_out.get(model, ())),
                command=f"normbench run -m experiment=article model={model}",
            )
        )
    known = {record["key"] for of in results.records.values() for record in of}
    others = [record for record in records if record["key"] not in known]
    for label, of in _protocols(others):
        found.append(
            Tab(
                id=f"runs-{len(found)}",
                label=label,
                about=provenance(of),
                rows=tuple(_alone(of)),
                reasons=(),
                command="",
            )
        )
    return found


def study_tabs(name: str, records: Sequence[Record]) -> list[Tab]:
    """A tab for each model, data and protocol of a study's runs."""
    return [
        Tab(f"study-{name}-{place}", label, provenance(of), tuple(_alone(of)), (), "")
        for place, (label, of) in enumerate(_protocols(records))
    ]


def _protocols(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Records of one protocol each, and what sets it apart from others of the same model."""
    by_name = groups(records, lambda r: (r["config"]["model"]["name"], r["config"]["data"]["name"]))
    for (model, data), of_name in by_name:
        protocols = [of for _, of in groups(of_name, lambda r: canonical(protocol_of(r)))]
        labels = distinctions([protocol_of(of[0]) for of in protocols])
        for label, of in zip(labels, protocols, strict=True):
            yield f"{model} on {data}{f', {label}' if label else ''}", of


def _alone(records: list[Record]) -> Iterator[Row]:
    """Rows of records that the article has nothing of."""
    found = [cell for of in cells_of(records).values() for cell in of.values()]
    for cell in sorted(found, key=lambda c: (norm_rank(c.norm), -c.batch_size, -c.lr)):
        yield Row(cell, Pair(cell.accuracy, None, None), Pair(cell.loss, None, None), None)


def accuracy_chart(tab: Tab) -> Chart | None:
    """Accuracies of every cell, ours and the article's."""
    panels = []
    for place in tab.places:
        dots = []
        for row in tab.column(place):
            runs = tuple(_last(row.cell, "val_accuracy"))
            note = row.cell.caveat if row.cell.records else ""
            dots += [
                Dot.of(row.cell.norm, row.accuracy.ours, runs=runs, note=note),
                Dot.of(row.cell.norm, row.accuracy.article, kind="article"),
            ]
        panels.append(Panel(place_name(place), [dot for dot in dots if dot]))
    return _chart(
        Chart(
            id=f"{tab.id}-cells",
            title=f"Accuracy of every cell, {tab.label}",
            x=ACCURACY,
            y=Axis(""),
            panels=panels,
            about="Filled: ours, the mean over seeds after the last epoch. "
            + ("Hollow: what the article says. " if tab.article else "")
            + "Bars: one standard deviation to either side.",
            dots=True,
        )
    )


def batch_size_chart(tab: Tab) -> Chart | None:
    """Accuracy by batch size, a panel for each learning rate; None of one batch size."""
    if len({size for size, _ in tab.places}) < 2:
        return None
    panels = []
    for lr in sorted({lr for _, lr in tab.places}, reverse=True):
        lines = []
        for norm, of in tab.norms.items():
            rows = sorted((row for (_, rate), row in of.items() if rate == lr), key=_place)
            rows = [row for row in rows if row.cell.finished]
            if len(rows) > 1:
                runs = stack([np.array(_last(row.cell, "val_accuracy")) for row in rows])
                sizes = [row.cell.batch_size for row in rows]
                lines.append(Line(norm, sizes, np.transpose(runs), norm))
        panels.append(Panel(f"learning rate {lr:g}", lines))
    return _chart(
        Chart(
            id=f"{tab.id}-sizes",
            title=f"Accuracy by batch size, {tab.label}",
            x=Axis("batch size", log=True),
            y=ACCURACY,
            panels=panels,
            about="Every run counts once, after the last epoch. Lines only join what was measured: "
            "nothing was trained between two batch sizes that have no mark.",
        )
    )


def curve_charts(tab: Tab) -> list[Chart]:
    """Accuracy and loss after every epoch."""
    charts = (
        ("accuracy", "val_accuracy", ACCURACY, "Validation accuracy"),
        ("loss", "val_loss", LOSS, "Validation loss"),
    )
    found = [
        Chart(
            id=f"{tab.id}-epochs-{name}",
            title=f"{title} after every epoch, {tab.label}",
            x=Axis("epoch"),
            y=axis,
            panels=[
                Panel(
                    place_name(place),
                    [line for row in tab.column(place) if (line := _curve(row.cell, key))],
                )
                for place in tab.places
            ],
        )
        for name, key, axis, title in charts
    ]
    return [chart for chart in map(_chart, found) if chart]


def speed_chart(tab: Tab) -> Chart | None:
    """Images a second of every cell's runs, as they were trained."""
    panels = []
    for place in tab.places:
        dots = [
            Dot.of(
                row.cell.norm,
                Sample.of(speeds := [r["images_per_second"] for r in row.cell.finished]),
                runs=tuple(speeds),
            )
            for row in tab.column(place)
        ]
        panels.append(Panel(place_name(place), [dot for dot in dots if dot]))
    return _chart(
        Chart(
            id=f"{tab.id}-speed",
            title=f"Images a second while training, {tab.label}",
            x=Axis("images a second", log=False),
            y=Axis(""),
            panels=panels,
            about="Of one run, as it was trained: beside others, on a machine whose speed changes. "
            "To compare norms, look at the chart of what a step costs, which measures them in "
            "turns.",
            dots=True,
            free=True,
        )
    )


def place_name(place: Place) -> str:
    return f"batch size {place[0]}, learning rate {place[1]:g}"


def small(place: Place) -> bool:
    """Whether a place is one of small batches."""
    return place[0] <= SMALL_BATCH


def _curve(cell: Cell, key: str) -> Line | None:
    runs = [array([epoch[key] for epoch in r["epochs"]]) for r in cell.finished]
    if not runs or max(map(len, runs)) < 2:
        return None
    stacked = stack(runs)
    return Line(cell.norm, range(1, stacked.shape[1] + 1), stacked, cell.norm)


def _last(cell: Cell, key: str) -> list[float]:
    return [r["epochs"][-1][key] for r in cell.finished]


def _chart(chart: Chart) -> Chart | None:
    """A chart without its empty panels; None if nothing is left."""
    panels = [panel for panel in chart.panels if panel.marks]
    if not panels:
        return None
    fields: Mapping[str, object] = {
        name: value for name, value in vars(chart).items() if name not in ("panels", "norms")
    }
    return Chart(panels=panels, **fields)  # type: ignore[arg-type]


def _known(row: Row) -> bool:
    return bool(row.cell.records or row.accuracy.article)


def _place(row: Row) -> Place:
    return row.cell.batch_size, row.cell.lr
