"""The commands as functions: the same settings, the same records on disk, answers to look at.

Runs train in processes of their own (on a GPU, in this one), so this works in a notebook, in a
thread, and in a script without ``if __name__ == "__main__":``. Calls in several threads wait for
each other: one uses the whole machine.
"""

from __future__ import annotations

import base64
import html
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from normbench.errors import RunFailed, UserError

if TYPE_CHECKING:
    import pandas

    from normbench.data.load import Datasets
    from normbench.job import Job
    from normbench.runs.train import Report
    from normbench.store.records import Record

WRONG = (OSError, MemoryError, HydraException, OmegaConfBaseException)  # the user's, once it runs

_alone = threading.RLock()  # Hydra's and torch's global state are this process's


@dataclass(frozen=True, repr=False)
class Answer:
    """What came of runs.

    Attributes:
        records: one a run, as they are on disk, in the grid's order; of a run that failed, none.
        folder: the results folder that they are in.
        trained, found: how many runs were trained now, and how many had a record.
    """

    records: list[Record]
    folder: Path
    trained: int
    found: int

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, repr=False)
class Results(Answer):
    """What trained runs came to; a notebook shows the article's table of each model and norm."""

    @cached_property
    def frame(self) -> pandas.DataFrame:
        """A row a run, with the columns of ``load_records``."""
        from normbench.analysis.frame import frame_of

        return frame_of(self.records)

    def __str__(self) -> str:
        from normbench.report.tables import tables_of

        tables = [f"{what}\n\n{text}" for what, text in tables_of(self.records)]
        return "\n\n".join([*tables, _counts(self, "trained")])

    def _repr_markdown_(self) -> str:
        return str(self)


@dataclass(frozen=True, repr=False)
class Probed(Answer):
    """What a probe measured; a notebook shows its figures.

    Attributes:
        figures: stems of the figures' files (without .png, .svg) -> what they show, as markdown.
    """

    figures: dict[Path, str]

    @cached_property
    def frame(self) -> pandas.DataFrame:
        """A row a number: of which run, what it is (``quantity``), where in lists (``place``)."""
        from normbench.analysis.tidy import measured

        return measured(self.records)

    def __str__(self) -> str:
        return "\n\n".join([*filter(None, self.figures.values()), _counts(self, "measured")])

    def _repr_html_(self) -> str:
        return _shown([stem.with_name(f"{stem.name}.png") for stem in self.figures], str(self))


@dataclass(frozen=True, repr=False)
class Ranked:
    """Norms in order; a notebook shows the pages and their figures.

    Attributes:
        pages: one a model, data and protocol: its text, as markdown, and its files.
    """

    pages: list[tuple[str, list[Path]]]

    @property
    def figures(self) -> list[Path]:
        """Of all pages, each as .png."""
        return [path for _, files in self.pages for path in files if path.suffix == ".png"]

    @cached_property
    def frame(self) -> pandas.DataFrame:
        """A row a cell, with the columns of the pages' CSV files, and ``page``, its name."""
        import pandas

        tables = [(files[0].stem, pandas.read_csv(files[1])) for _, files in self.pages]
        return pandas.concat([table.assign(page=page) for page, table in tables])

    def __str__(self) -> str:
        return "\n\n".join(text for text, _ in self.pages)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _shown(self.figures, str(self))


class Plan(str):
    """What would be trained, as markdown."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def run(
    norm: Any = None,
    model: Any = None,
    data: Any = None,
    grid: Any = None,
    *,
    dry_run: bool = False,
    config_dir: str | Path | None = None,
    **settings: Any,
) -> Results | Plan:
    """Train every run of a grid that has no record yet, as ``normbench run`` does.

    Settings have the names of the command line, as dicts or dotted: ``train={"epochs": 1}`` or
    ``**{"train.epochs": 1}``. A list for norm, model, data or another group sweeps over it.

    Args:
        norm: a name, such as ``"groupnorm"``; or a class whose first argument is the number of
            channels, or a ``functools.partial`` of one with more of its arguments. It may be of a
            notebook's cell: records know its source, and that of what it uses.
        model: a name, or a function that takes ``norm_layer`` and ``num_classes``.
        data: a name.
        grid: such as ``{"batch_size": [128, 2], "lr": [0.01], "seeds": [0, 1, 2]}``.
        dry_run: train and write nothing; return what would be trained.
        config_dir: a folder with configs of your own.

    Raises:
        UserError: for wrong input, with the command's line.
        RunFailed: if a run failed; what became of the others is its ``answer``.
    """
    with _jobs("run", locals()) as (jobs, datasets):
        if dry_run:
            return _plan(jobs, datasets)
        from normbench.report.tables import write_tables
        from normbench.runs.train import train_runs
        from normbench.runs.tune import tune_and_train

        reports = [tune_and_train(job) if job.tuned else train_runs(job) for job in jobs]
        write_tables(jobs[0].store.results)
        return _checked(Results(*_found(jobs, reports)), reports)


def probe(
    probe: Any,
    norm: Any = None,
    model: Any = None,
    data: Any = None,
    grid: Any = None,
    *,
    dry_run: bool = False,
    config_dir: str | Path | None = None,
    **settings: Any,
) -> Probed | Plan:
    """Measure why a norm works, and draw the figures, as ``normbench probe`` does.

    Args:
        probe: a name, such as ``"gradients"``; settings of its own are ``**{"probe.steps": 100}``.
        norm: as for ``run``; None: those of the probe's figure.
        model, data, grid, dry_run, config_dir, settings: as for ``run``.

    Raises:
        UserError: for wrong input, with the command's line.
        RunFailed: if a run failed; what became of the others is its ``answer``.
    """
    with _jobs("probe", locals()) as (jobs, datasets):
        if dry_run:
            return _plan(jobs, datasets)
        from normbench.probes.known import probe_class
        from normbench.report.figures import draw_figures, probe_figures
        from normbench.runs.train import train_runs

        reports = [train_runs(job) for job in jobs]
        found = records, results, _, _ = _found(jobs, reports)
        keys = {record["key"] for record in records}
        figures = {}
        for name, target in sorted({(p["name"], p["_target_"]) for p in map(_probe_of, jobs)}):
            drawn = draw_figures(results, name, probe_class(target))
            for stem, shown, _ in probe_figures(results, name, probe_class(target)):
                if not keys.isdisjoint(record["key"] for record in shown):
                    figures[stem] = drawn[stem]
        return _checked(Probed(*found, figures), reports)


def rank(norm: Any = None, *, config_dir: str | Path | None = None, **settings: Any) -> Ranked:
    """Order norms by what the records tell, as ``normbench rank`` does.

    Args:
        norm: whose place is told in words: a name or a class, or a list of these.
        config_dir: a folder with configs of your own.
        settings: those of the command, such as ``among=["none", "batchnorm"]``,
            ``baseline="groupnorm"`` and ``results={"dir": "results"}``.

    Raises:
        UserError: for wrong input, with the command's line.
    """
    from normbench.commands.rank import LISTS, write_pages
    from normbench.typed import Typed

    typed = Typed()
    for key, value in ({"norm": norm} | settings).items():
        if value is not None and key in LISTS:
            several = value if isinstance(value, list | tuple) else [value]
            names = [getattr(one, "__name__", one) for one in several]
            typed.add(LISTS[key], names)
        elif value is not None:
            typed.add(key, value)
    with _alone:
        with _hydra("rank", config_dir) as loader:
            cfg = loader.load_configuration("rank", typed.words, RunMode.RUN)
        with read_write(cfg), open_dict(cfg):
            del cfg["hydra"]
        with _explained(WRONG):
            return Ranked(list(write_pages(cfg)))


@contextmanager
def _jobs(command: str, given: Mapping[str, Any]) -> Iterator[tuple[list[Job], Datasets]]:
    """The jobs of a call, resolved; what they are given can be imported inside.

    Args:
        command: its name.
        given: the function's arguments.
    """
    from normbench.commands import load
    from normbench.data.load import Datasets
    from normbench.data.outlook import Outlook
    from normbench.interactive import standing_in_main
    from normbench.outside import check_loaded
    from normbench.typed import Typed, choices

    named = {key: value for key, value in given.items() if value is not None}
    dry_run, folder = named.pop("dry_run"), named.pop("config_dir", None)
    named |= named.pop("settings")
    parts: dict[str, Any] = {}
    typed = []
    for choice in choices(named):
        one = Typed(parts=parts)
        for key, value in choice.items():
            one.add(key, value)
        typed.append(one.words)
    with _alone, standing_in_main(parts):
        configs = [job for words in typed for job in _composed(command, words, folder)]
        datasets = Outlook() if dry_run else Datasets()
        module = load(command)
        with _explained(WRONG):
            jobs = [module.prepare(config, words, datasets) for words, config in configs]
            for job in jobs:
                check_loaded(job.settings)
            yield jobs, datasets


def _composed(command: str, words: list[str], folder: str | Path | None) -> list[Any]:
    """The configs of a command's jobs, each with what was typed, as Hydra composes them."""
    from normbench.runs.sweep import composed

    with _hydra(command, folder) as loader:
        master = loader.load_configuration(command, words, RunMode.MULTIRUN)
        return composed(loader, master, master.hydra.sweeper.params or {}, words)


@contextmanager
def _hydra(command: str, folder: str | Path | None) -> Iterator[ConfigLoaderImpl]:
    """What reads a command's configs, as its own application does, whatever Hydra is used for in
    this process; raises as ``_explained``.

    Args:
        command: its name.
        folder: with configs of the user's own.
    """
    from normbench.cli import register
    from normbench.places import config_folder

    before = version.getbase()
    version.setbase("1.3")
    try:
        with _explained():
            register(command)
            path = create_config_search_path(str(config_folder()))
            if folder is not None:
                if not Path(folder).is_dir():
                    raise UserError(f"config_dir={folder} does not exist: name a folder of configs")
                path.prepend("python", f"file://{Path(folder).absolute()}", "schema")
            yield ConfigLoaderImpl(path)
    finally:
        version.VersionBase.instance().version_base = before


@contextmanager
def _explained(kinds: tuple[type[Exception], ...] = (Exception,)) -> Iterator[None]:
    """Turn errors of some kinds into the line that the command has for them, if it has one."""
    from normbench.explain import explain

    try:
        yield
    except (UserError, RunFailed):
        raise
    except kinds as error:
        if (line := explain(error)) is None:
            raise
        raise UserError(line) from error


def _plan(jobs: list[Job], datasets: Datasets) -> Plan:
    from normbench.report.plan import describe

    return Plan(describe(jobs, datasets))


def _probe_of(job: Job) -> dict[str, Any]:
    settings: dict[str, Any] = job.settings["probe"]
    return settings


def _found(jobs: list[Job], reports: list[Report]) -> tuple[list[Record], Path, int, int]:
    """The fields of an Answer."""
    records: dict[str, Record] = {}
    for job, report in zip(jobs, reports, strict=True):
        records |= job.store.read_many(report.keys)
    return (
        list(records.values()),
        jobs[0].store.results,
        sum(report.trained for report in reports),
        sum(report.found for report in reports),
    )


def _checked(answer: Any, reports: list[Report]) -> Any:
    failed = [line for report in reports for line in report.failed]
    if failed:
        raise RunFailed("\n".join([f"{len(failed)} failed:", *failed]), answer)
    return answer


def _counts(answer: Answer, done: str) -> str:
    runs = f"{answer.trained} run{'s' * (answer.trained != 1)} {done}"
    return f"{runs}, {answer.found} already there, in {answer.folder}"


def _shown(pictures: Iterable[Path], text: str) -> str:
    """HTML of files in PNG and a text, all of it in one piece."""
    images = "".join(
        '<img style="max-width: 100%" src="data:image/png;base64,'
        f'{base64.b64encode(picture.read_bytes()).decode()}">'
        for picture in pictures
    )
    return f"{images}<pre>{html.escape(text)}</pre>"
