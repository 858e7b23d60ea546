"""The cells of one protocol among a folder's records: what is compared, and judged by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.groups import groups, norm_groups, norm_rank, notes, protocol_of
from normbench.analysis.welch import Sample
from normbench.places import config_names, read_config
from normbench.store.keys import stable
from normbench.store.records import Record

Settings = Mapping[str, Any]

REFERRED_TO = ("model", "probe")  # what a probe's settings may refer to


@dataclass(frozen=True)
class Cell:
    """A row of a table and its records, which may be none.

    Attributes:
        model: its name.
        norm: its name, with the settings that set it apart where they are not the article's.
        batch_size, lr: where on the grid it is.
        seeds: that a complete cell has.
        records: of its runs.
    """

    model: str
    norm: str
    batch_size: int
    lr: float
    seeds: tuple[int, ...]
    records: tuple[Record, ...] = ()

    @property
    def finished(self) -> list[Record]:
        return [r for r in self.records if r["status"] == "finished"]

    @property
    def accuracy(self) -> Sample | None:
        """Of the validation split after the last epoch, in runs that finished."""
        return Sample.of([r["epochs"][-1]["val_accuracy"] for r in self.finished])

    @property
    def loss(self) -> Sample | None:
        """Of the validation split after the last epoch, in runs that finished."""
        return Sample.of([r["epochs"][-1]["val_loss"] for r in self.finished])

    @property
    def caveat(self) -> str:
        """Which runs lack or diverged, in words; empty where all is well."""
        return notes(self.records, self.seeds) if self.records else "not run"

    def __str__(self) -> str:
        return f"{self.model} {self.norm} bs={self.batch_size} lr={self.lr:g}"


@dataclass(frozen=True)
class Results:
    """What records tell about a protocol.

    Attributes:
        cells: by model, norm, batch size and learning rate, in the tables' order; those of the
            grid, run or not, and whatever was run besides.
        records: model -> all its records of the protocol; only models that have any.
        others: settings in which other records differ that might have been meant as well.
        settings: (model, norm) -> what was looked for.
    """

    cells: dict[tuple[str, str, int, float], Cell]
    records: dict[str, list[Record]]
    others: tuple[str, ...]
    settings: Mapping[tuple[str, str], Settings]


def select(
    records: Iterable[Record],
    settings: Mapping[tuple[str, str], Settings],
    grid: tuple[Sequence[int], Sequence[float], Sequence[int]],
) -> Results:
    """The cells of one protocol, with the records of each.

    Args:
        records: of any protocol.
        settings: (model, norm) -> settings to look for (``article_grid``). With
            precision auto, each model's records are those of the precision that most of them have.
        grid: batch sizes, learning rates and seeds of a complete grid.
    """
    batch_sizes, lrs, seeds = grid
    models = list(dict.fromkeys(model for model, _ in settings))
    cells, found, others = {}, {}, []
    by_protocol = groups(records, lambda r: canonical(protocol_of(r)))
    for model in models:
        norms = {norm: of["norm"] for (name, norm), of in settings.items() if name == model}
        wanted = protocol_of({"config": settings[model, next(iter(norms))]})
        chosen, rest = _matching([group for _, group in by_protocol], wanted)
        others += rest
        if chosen:
            found[model] = chosen
        runs: dict[tuple[str, int, float], tuple[Record, ...]] = {
            (norm, bs, lr): () for norm in norms for bs in batch_sizes for lr in lrs
        }
        for norm, of_norm in norm_groups(chosen, norms):
            for (bs, lr), of_cell in groups(of_norm, lambda r: (r["batch_size"], r["lr"])):
                runs[norm, bs, lr] = tuple(of_cell)
        for norm, bs, lr in sorted(runs, key=lambda k: (norm_rank(k[0]), -k[1], -k[2])):
            cells[model, norm, bs, lr] = Cell(model, norm, bs, lr, tuple(seeds), runs[norm, bs, lr])
    return Results(cells, found, tuple(others), dict(settings))


def select_probes(
    records: Mapping[str, Iterable[Record]],
    settings: Mapping[tuple[str, str], Settings],
    grid: tuple[Sequence[int], Sequence[float], Sequence[int]],
) -> dict[str, Results]:
    """The cells of one protocol that each probe measured with its default settings.

    Args:
        records: of each of normbench's probes, of any protocol.
        settings, grid: as ``select`` takes them.
    """
    probes = default_probes()
    return {
        name: select(of, {k: probed_settings(v, probes[name]) for k, v in settings.items()}, grid)
        for name, of in records.items()
    }


@cache
def default_probes() -> dict[str, dict[str, Any]]:
    """What normbench's own probes set of a run's settings, by the probe's name: their own settings,
    and an optimizer or a schedule that their config chooses."""
    found = {}
    for name in config_names("probe"):
        config = read_config(f"probe/{name}")
        chosen = {k: v for choice in config.get("defaults", ()) for k, v in choice.items()}
        options = {key.removeprefix("override /"): option for key, option in chosen.items()}
        settings = {group: read_config(f"{group}/{option}") for group, option in options.items()}
        found[config.probe.name] = _plain(settings | {"probe": config.probe})
    return found


def probed_settings(settings: Settings, own: Settings) -> dict[str, Any]:
    """What a run's record holds of its settings where a probe measured it.

    Args:
        settings: of the run's record.
        own: what the probe sets of them; may refer to the run's, such as ``${model}``.
    """
    whole = {**settings, **own}
    return stable(whole | {"probe": _resolved(canonical({k: whole[k] for k in REFERRED_TO}))})


@cache  # of few probes and models, asked for with every norm
def _resolved(config: str) -> dict[str, Any]:
    """The probe's settings in a config, given as JSON, with what they refer to in place."""
    probe: dict[str, Any] = _plain(json.loads(config), resolve=True)["probe"]
    return probe


def _plain(config: Any, resolve: bool = False) -> Any:
    """A config as dicts and lists, with or without what it refers to in place."""
    return OmegaConf.to_container(OmegaConf.create(config), resolve=resolve)


def _matching(protocols: list[list[Record]], wanted: Settings) -> tuple[list[Record], list[str]]:
    """The largest group of records of the wanted protocol, and in words how others differ from it.

    There can be several, as precision auto and the place that images are from leave room.
    """
    found = []
    for records in protocols:
        config = protocol_of(records[0])
        data = {k: v for k, v in config["data"].items() if k != "identity"}
        precision = wanted["train"]["precision"]
        train = config["train"] | ({"precision": "auto"} if precision == "auto" else {})
        if canonical(config | {"data": data, "train": train}) == canonical(wanted):
            found.append(records)
    found.sort(key=len, reverse=True)
    labels = distinctions([protocol_of(records[0]) for records in found])
    others = [
        f"{records[0]['config']['model']['name']}: {len(records)} more runs with {label}"
        for records, label in zip(found[1:], labels[1:], strict=True)
    ]
    return (found[0] if found else []), others
