"""What jobs would train: how many runs, what is there already, how long the rest takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from normbench.analysis.durations import Durations, RunFacts, facts_of
from normbench.data.load import Datasets
from normbench.data.outlook import Outlook
from normbench.drawing.text import table
from normbench.grid import Run
from normbench.job import Job
from normbench.outside import changed_parts
from normbench.runs.progress import duration
from normbench.runs.tune import trials_of
from normbench.store.records import Record

NOTHING = "Nothing was trained, fetched or written."
HEADINGS = ("data", "model", "norm", "bs", "runs", "already there", "to train", "each")


@dataclass
class Row:
    """The runs of a job with one batch size.

    Attributes:
        job: theirs.
        batch_size: theirs.
        there: how many have a record that stands.
        missing: what there is to say of each that would be trained.
        again: how many of these have a record that is older than their code, or forced.
    """

    job: Job
    batch_size: int
    there: int = 0
    missing: list[RunFacts] = field(default_factory=list)
    again: int = 0


def describe(jobs: Sequence[Job], datasets: Datasets) -> str:
    """The plan of jobs that were resolved with an ``Outlook``, as markdown.

    A row a model, norm and batch size. How long a run takes is what runs like it took, of which the
    results folder has records.
    """
    stores = {job.store.folder: job.store for job in jobs}
    records = {r["key"]: r for store in stores.values() for r in store.read_all()}
    rows = [row for job in jobs for row in _rows(job, records)]
    durations = Durations(records.values())
    lines = [_table(rows, durations), _total(rows, durations)]
    if isinstance(datasets, Outlook):
        lines += [f"{name} would be fetched first." for name in sorted(datasets.absent)]
    return "\n\n".join([*lines, NOTHING])


def _rows(job: Job, records: Mapping[str, Record]) -> Iterator[Row]:
    runs, chosen = job.runs, 0
    if job.tuned:
        runs, chosen = trials_of(job)[1], len(job.grid.seeds)
    for batch_size in job.part.batch_size:
        row = Row(job, batch_size)
        for run in (run for run in runs if run.batch_size == batch_size):
            record = records.get(run.key)
            if record and not job.force and not _changed(record, job):
                row.there += 1
            else:
                row.again += record is not None
                row.missing.append(_facts(run))
        # with what the trials choose, which is not known before
        row.missing += [_facts(Run(job.settings, batch_size, 0.0, 0))] * chosen
        yield row


def _changed(record: Record, job: Job) -> bool:
    return bool(changed_parts(record.get("outside"), job.outside))


def _facts(run: Run) -> RunFacts:
    return facts_of(run.settings, run.batch_size, run.lr, run.seed)


def _table(rows: Iterable[Row], durations: Durations) -> str:
    lines = []
    for row in rows:
        settings, seconds = row.job.settings, _seconds(row, durations)
        each = "" if not row.missing else "?" if seconds is None else duration(seconds)
        names = [settings[part]["name"] for part in ("data", "model", "norm")]
        if "probe" in settings:
            names[0] = f"{settings['probe']['name']} of {names[0]}"
        runs = row.there + len(row.missing)
        counts = [row.batch_size, runs, row.there or "", len(row.missing) or ""]
        lines.append((*names, *map(str, counts), each))
    return table(lines, HEADINGS, "lllrrrrr")


def _total(rows: Sequence[Row], durations: Durations) -> str:
    missing = sum(len(row.missing) for row in rows)
    there, again = sum(row.there for row in rows), sum(row.again for row in rows)
    words = f"{missing + there} runs, {there} already there, {missing} to train"
    if again:
        words += f" ({again} of them again)"
    if not missing:
        return f"{words}."
    known = [(row, _seconds(row, durations)) for row in rows if row.missing]
    unknown = [row for row, seconds in known if seconds is None]
    beside = max(1, min(rows[0].job.lanes, missing))
    seconds = sum(len(row.missing) * (each or 0.0) for row, each in known) / beside
    if len(unknown) < len(known):
        words += f": about {duration(seconds)}, {beside} at a time"
    if unknown:
        first = unknown[0]
        norm, model = (first.job.settings[part]["name"] for part in ("norm", "model"))
        like = f"{model} with {norm} and batch size {first.batch_size}"
        besides = " and what cannot be told" if len(unknown) < len(known) else ""
        words += f"{besides}; how long is not known for {like}, of which no run is measured here"
        words += f", and {len(unknown) - 1} more such rows" if len(unknown) > 1 else ""
    return f"{words}."


def _seconds(row: Row, durations: Durations) -> float | None:
    """That one of the missing runs takes."""
    return durations.of(row.missing[0]) if row.missing else None
