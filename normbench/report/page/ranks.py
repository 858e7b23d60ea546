"""Norms in order: where each stands, and how far from what others are set beside."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from normbench.analysis.games_howell import Apart
from normbench.analysis.ranking import Comparison, Place, Ranking, accuracy, rankings
from normbench.analysis.welch import Sample
from normbench.report.page.charts import Axis, Chart, Dot, Panel
from normbench.store.records import Record

BASELINES = ("batchnorm", "none")  # the first that has runs is what others are set beside


@dataclass(frozen=True)
class Ranked:
    """A ranking as the page shows it.

    Attributes:
        id: no other has it.
        label: model and data.
        ranking: of the norms.
        baseline: that others are set beside.
    """

    id: str
    label: str
    ranking: Ranking
    baseline: str

    def sample(self, norm: str, place: Place) -> Sample | None:
        """Accuracy of a norm's runs there, 0 for those that diverged; None without runs."""
        cell = self.ranking.cells[place].get(norm)
        return accuracy(cell) if cell else None

    def is_best(self, norm: str, place: Place) -> bool:
        """Whether no norm is better there, as far as two decimals tell."""
        means = {n: f"{accuracy(cell).mean:.2f}" for n, cell in self.ranking.cells[place].items()}
        return means.get(norm) == max(means.values())

    def apart(self, norm: str, place: Place | None = None) -> Apart | None:
        """How far a norm is above the baseline in a place, or over the shared ones."""
        compared = self.ranking.compared[place] if place else self.ranking.over_all
        return _apart(compared, norm, self.baseline)

    def over_all(self, norm: str) -> float | None:
        """Mean accuracy over the shared places."""
        compared = self.ranking.over_all
        return compared.means[norm].value if compared and norm in compared.means else None

    @property
    def chart(self) -> Chart:
        panels = [(place.in_words(), self.ranking.compared[place]) for place in self.ranking.places]
        if self.ranking.over_all:
            panels.append((f"over {len(self.ranking.shared)} cells", self.ranking.over_all))
        return Chart(
            id=f"{self.id}-apart",
            title=f"Accuracy above {self.baseline}, {self.label}",
            x=Axis(f"accuracy, less that of {self.baseline}"),
            y=Axis(""),
            panels=[
                Panel(title, list(_dots(compared, self.ranking.norms, self.baseline)))
                for title, compared in panels
            ],
            about="Intervals hold all differences of all panels together, 95 times in a hundred "
            "(Games and Howell’s, widened for few runs): one that leaves out 0 is a difference.",
            spread="simultaneous intervals",
            dots=True,
        )


def ranked(records: Iterable[Record]) -> list[Ranked]:
    """Every ranking of more than one norm, those of most norms first."""
    found = [
        (settings, ranking)
        for settings, ranking in rankings(records)
        if len(ranking.norms) > 1 and len(ranking.records) > len(ranking.norms)
    ]
    found.sort(key=lambda of: -len(of[1].norms))
    return [
        Ranked(
            id=f"ranks-{place}",
            label=f"{settings['model']['name']} on {settings['data']['name']}",
            ranking=ranking,
            baseline=next((b for b in BASELINES if b in ranking.norms), ranking.norms[0]),
        )
        for place, (settings, ranking) in enumerate(found)
    ]


def _dots(compared: Comparison, norms: Iterable[str], baseline: str) -> Iterable[Dot]:
    for norm in norms:
        apart = _apart(compared, norm, baseline)
        if apart:
            width = apart.half_width if math.isfinite(apart.half_width) else math.nan
            yield Dot(norm, apart.value, apart.value - width, apart.value + width)


def _apart(compared: Comparison | None, norm: str, baseline: str) -> Apart | None:
    return compared.apart(norm, baseline) if compared and norm != baseline else None
