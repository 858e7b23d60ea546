"""Studies: what each was run for, what it measured, and its claims."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normbench.claims.rules import Judgement
from normbench.claims.studies import StudyClaim
from normbench.report.page import outcomes
from normbench.report.page.charts import Chart
from normbench.report.page.measured import Measured, measured
from normbench.report.page.outcomes import Tab
from normbench.report.page.verdicts import Judged, Verdict, pieces
from normbench.report.studies import verdicts as judge
from normbench.store.records import Record, read_all
from normbench.studies import Study, load_study, study_names
from normbench.studies.found import Found


@dataclass(frozen=True)
class StudyView:
    """A study as the page shows it.

    Attributes:
        study: what it is.
        runs: how many of its runs there are.
        claims: its, judged.
        tabs: what its runs came to.
        measured: by its probes.
        records: all of its.
        folder: of its results, in relation to the page.
    """

    study: Study
    runs: int
    claims: list[Judged]
    tabs: list[Tab]
    measured: list[Measured]
    records: list[Record]
    folder: str

    @property
    def id(self) -> str:
        return f"study-{self.study.name}"

    @property
    def charts(self) -> list[Chart]:
        of_runs = [chart for tab in self.tabs if (chart := outcomes.accuracy_chart(tab))]
        curves = [chart for tab in self.tabs for chart in outcomes.curve_charts(tab)[:1]]
        return [*of_runs, *curves, *(chart for one in self.measured for chart in one.charts)]


def study_views(results: Path) -> list[StudyView]:
    """Every study that there is, run or not, in the order of their numbers."""
    return [_view(load_study(name), results) for name in study_names()]


def _view(study: Study, results: Path) -> StudyView:
    folder = study.folder(results)
    below = folder.relative_to(results).as_posix() + "/"
    found = Found.of(study, results)
    records = read_all(folder) if (folder / "records").is_dir() else []
    of_probes = measured(folder, below) if (folder / "probes").is_dir() else []
    everything = [*records, *(r for one in of_probes for r in one.records)]
    return StudyView(
        study=study,
        runs=study.runs - found.missing,
        claims=[
            _judged(place, claim, judgement, found, below)
            for place, (claim, judgement) in enumerate(judge(found), start=1)
        ],
        tabs=outcomes.study_tabs(study.name, records),
        measured=of_probes,
        records=everything,
        folder=below,
    )


def _judged(
    place: int, claim: StudyClaim, judgement: Judgement, found: Found, below: str
) -> Judged:
    kinds: dict[str, set[str]] = {}
    for part in found.study.parts:
        kind = below + ("records" if part.probe is None else f"probes/{part.probe}")
        keys = {row["record"]["key"] for row in found.rows.get(part.name, ())}
        kinds.setdefault(kind, set()).update(keys)
    verdict = Verdict(
        model=found.study.title,
        verdict=judgement.verdict,
        theirs="",
        pieces=pieces(judgement),
        caveats=tuple(dict.fromkeys(part.caveat for part in judgement.parts if part.caveat)),
        records={kind: tuple(sorted(keys)) for kind, keys in kinds.items() if keys},
    )
    return Judged(
        f"S{found.study.number}.{place}",
        claim,
        (verdict,),
        theirs=claim.theirs,
        texts=claim.texts,
        command=f"normbench study {found.study.name}",
    )
