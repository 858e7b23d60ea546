"""Norms ordered by what their runs came to, cell by cell and over cells, and what is certain of it.

A run that diverged counts as accuracy 0: whoever trained it has nothing to show.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from normbench.analysis.cells import Cell
from normbench.analysis.differences import canonical
from normbench.analysis.games_howell import Apart, GamesHowell, Mean
from normbench.analysis.groups import groups, norm_groups, norm_rank, protocol_of
from normbench.analysis.tuning import Choice, Tuning, choose, held_out
from normbench.analysis.welch import ALPHA, Sample
from normbench.places import config_names, read_config
from normbench.settings import norm_settings
from normbench.store.keys import stable
from normbench.store.records import Record

DECIMALS = 12  # of means that are compared, so that equal runs in another order are equal


class Place(NamedTuple):
    """A column of a ranking.

    Attributes:
        batch_size: of its runs.
        lr: their learning rate; None where each norm has chosen one of its own.
    """

    batch_size: int
    lr: float | None

    def __str__(self) -> str:
        return f"{self.batch_size} / {'tuned' if self.lr is None else f'{self.lr:g}'}"

    def in_words(self) -> str:
        rate = "tuned" if self.lr is None else f"{self.lr:g}"
        return f"batch size {self.batch_size}, learning rate {rate}"


Cells = Mapping[Place, Mapping[str, Cell]]  # place -> norm -> its runs there


class Comparison:
    """All norms of one place, or over several, compared with each other.

    Attributes:
        means: norm -> what is compared, of those with two runs or more in every cell.
    """

    def __init__(self, cells: Mapping[str, Sequence[Cell]], alpha: float):
        found = {norm: Mean.of(*map(accuracies, of)) for norm, of in cells.items()}
        self.means = {norm: mean for norm, mean in found.items() if mean}
        self.test = GamesHowell(list(self.means.values()), alpha) if len(self.means) > 1 else None

    def apart(self, one: str, other: str) -> Apart | None:
        """How far one norm is above another; None where one of them has too few runs."""
        if self.test is None or not {one, other} <= self.means.keys():
            return None
        return self.test.apart(self.means[one], self.means[other])

    def more_runs(self, one: str, other: str, difference: float) -> int | None:
        """How many more runs of each would tell a difference (``GamesHowell.more_runs``)."""
        assert self.test
        return self.test.more_runs(self.means[one], self.means[other], difference)


@dataclass(frozen=True)
class Ranking:
    """Norms under one protocol, with one model and dataset.

    Attributes:
        cells: what was run, from the largest batch size and learning rate to the smallest.
        chosen: (norm, batch size) -> what its tuning came to; empty where nothing was tuned.
    """

    cells: Cells
    chosen: Mapping[tuple[str, int], Choice]

    @cached_property
    def records(self) -> list[Record]:
        """All that this is from."""
        return [r for of in self.cells.values() for cell in of.values() for r in cell.records]

    @cached_property
    def places(self) -> list[Place]:
        return list(self.cells)

    @cached_property
    def shared(self) -> list[Place]:
        """The places that norms are ranked over: those where more than half of all norms ran."""
        norms = {norm for of in self.cells.values() for norm in of}
        return [place for place, of in self.cells.items() if 2 * len(of) > len(norms)]

    @cached_property
    def ranks(self) -> dict[Place, dict[str, float]]:
        """Of norms within each place: 1 is the best, equals share the mean of their ranks."""
        return {
            place: _ranks({norm: mean(cell) for norm, cell in of.items()})
            for place, of in self.cells.items()
        }

    @cached_property
    def average_ranks(self) -> dict[str, float]:
        """Over the shared places, among the norms that have run in all of them; these alone."""
        every = [self.cells[place] for place in self.shared]
        complete = [norm for norm in self._any_order if every and all(norm in of for of in every)]
        if len(complete) < 2:
            return {}
        within = [_ranks({norm: mean(of[norm]) for norm in complete}) for of in every]
        return {norm: statistics.fmean(ranks[norm] for ranks in within) for norm in complete}

    @cached_property
    def norms(self) -> list[str]:
        """The best first, by average rank, then mean accuracy; those that are not ranked last."""
        return sorted(
            self._any_order,
            key=lambda norm: (
                self.average_ranks.get(norm, len(self._any_order) + 1),
                -statistics.fmean(mean(of[norm]) for of in self.cells.values() if norm in of),
                norm_rank(norm),
            ),
        )

    @cached_property
    def compared(self) -> dict[Place, Comparison]:
        """Each place by itself."""
        return {
            place: Comparison({norm: [cell] for norm, cell in of.items()}, self.alpha)
            for place, of in self.cells.items()
        }

    @cached_property
    def over_all(self) -> Comparison | None:
        """Means over the shared places; None of one place."""
        if len(self.shared) < 2:
            return None
        return Comparison(
            {norm: [self.cells[p][norm] for p in self.shared] for norm in self.average_ranks},
            self.alpha,
        )

    @property
    def tables(self) -> int:
        """How many sets of pairs are compared: one a place, and one over the shared ones."""
        return len(self.cells) + (len(self.shared) > 1)

    @property
    def alpha(self) -> float:
        """How often any interval of one place may miss, so that one of all does in ALPHA."""
        return ALPHA / self.tables

    def lacking(self, norm: str) -> int:
        """In how many of the shared places a norm was not run."""
        return sum(norm not in self.cells[place] for place in self.shared)

    @cached_property
    def _any_order(self) -> list[str]:
        return list(dict.fromkeys(norm for of in self.cells.values() for norm in of))


def accuracies(cell: Cell) -> list[float]:
    """What a cell's runs came to on the validation split, 0 for those that diverged."""
    return [
        record["epochs"][-1]["val_accuracy"] if record["status"] == "finished" else 0.0
        for record in cell.records
    ]


def accuracy(cell: Cell) -> Sample:
    """Mean and standard deviation of ``accuracies``."""
    sample = Sample.of(accuracies(cell))
    assert sample  # as a cell of a ranking has runs
    return sample


def mean(cell: Cell) -> float:
    return round(accuracy(cell).mean, DECIMALS)


def _ranks(values: Mapping[str, float]) -> dict[str, float]:
    from scipy.stats import rankdata

    ranks = rankdata([-value for value in values.values()]).tolist()
    return dict(zip(values, ranks, strict=True))


def rankings(
    records: Iterable[Record], tuning: Tuning | None = None
) -> list[tuple[dict[str, Any], Ranking]]:
    """What there is to rank among records: norms with the same model, data and protocol.

    Args:
        records: of any runs.
        tuning: how learning rates were chosen; with it, only runs with those count. Without, runs
            on a part of the training images that was held out do not.

    Returns:
        What the norms of each ranking have in common, and the ranking.
    """
    found = []
    for _, group in groups(records, lambda record: canonical(_common(record, tuning))):
        ranking = _tuned(group, tuning) if tuning else _plain(group)
        if ranking.cells or ranking.chosen:
            found.append((_common(group[0], tuning), ranking))
    return found


def _common(record: Record, tuning: Tuning | None) -> dict[str, Any]:
    """What a record shares with those that it can be ranked with, tuned settings left out."""
    protocol = protocol_of(record)
    protocol["data"] = {k: v for k, v in protocol["data"].items() if k != "held_out"}
    if tuning and tuning.weight_decay:
        optimizer = protocol["optimizer"]
        protocol["optimizer"] = {k: v for k, v in optimizer.items() if k != "weight_decay"}
    return protocol


def _plain(group: list[Record]) -> Ranking:
    records = [record for record in group if not held_out(record)]
    cells: dict[Place, dict[str, Cell]] = {}
    for norm, of_norm in norm_groups(records, known_norms()):
        for (size, lr), runs in groups(of_norm, lambda r: (r["batch_size"], r["lr"])):
            cells.setdefault(Place(size, lr), {})[norm] = _cell(norm, runs)
    ordered = sorted(cells.items(), key=lambda item: item[0], reverse=True)
    return Ranking(dict(ordered), {})


def _tuned(group: list[Record], tuning: Tuning) -> Ranking:
    """Of each norm and batch size the runs with what it chose, on seeds that did not choose."""
    cells: dict[Place, dict[str, Cell]] = {}
    chosen = {}
    for norm, of_norm in norm_groups(group, known_norms()):
        for size, runs in groups(of_norm, lambda record: record["batch_size"]):
            choice = choose(tuning, runs)
            if not choice.accuracies:
                continue
            chosen[norm, size] = choice
            of_choice = [
                record
                for record in runs
                if choice.best
                and not held_out(record)
                and record["seed"] not in tuning.seeds
                and choice.best == tuning.settings(record)
            ]
            if of_choice:
                cells.setdefault(Place(size, None), {})[norm] = _cell(norm, of_choice)
    ordered = sorted(cells.items(), key=lambda item: item[0].batch_size, reverse=True)
    return Ranking(dict(ordered), chosen)


def _cell(norm: str, runs: list[Record]) -> Cell:
    seeds = {seed for record in runs for seed in record["config"]["grid"]["seeds"]}
    first = runs[0]
    return Cell(
        first["config"]["model"]["name"], norm, first["batch_size"], first["lr"],
        tuple(sorted(seeds)), tuple(runs),
    )  # fmt: skip


@cache
def known_norms() -> dict[str, dict[str, Any]]:
    """norm -> the settings that its name stands for, by normbench's own configs."""
    configs = (read_config(f"norm/{name}") for name in config_names("norm"))
    plain: list[Any] = [OmegaConf.to_container(config) for config in configs]
    return {config["name"]: stable(norm_settings(config)) for config in plain}


def only(ranking: Ranking, norms: Iterable[str]) -> Ranking:
    """The ranking of some norms alone."""
    norms = set(norms)
    cells = {p: {n: c for n, c in of.items() if n in norms} for p, of in ranking.cells.items()}
    return Ranking(
        {place: of for place, of in cells.items() if of},
        {(norm, size): c for (norm, size), c in ranking.chosen.items() if norm in norms},
    )
