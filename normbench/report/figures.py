"""The figures of probes, and of what runs came to, from their records alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.groups import protocol_of
from normbench.drawing.style import add_to_caption, save
from normbench.report import outcomes_figure
from normbench.store.files import write_atomically
from normbench.store.probe_records import read_probe
from normbench.store.records import Record, read_all

if TYPE_CHECKING:
    from normbench.probes import Probe

Settings = dict[str, Any]


def draw_figures(results: Path, probe: str, drawer: type[Probe]) -> dict[Path, str]:
    """Draw every figure of a probe: one for each dataset, model, batch size, learning rate and
    what else its records differ by, but for the norm, the seed and what the probe draws together.

    Args:
        results: the results folder.
        probe: its name.
        drawer: its class.

    Returns:
        Stem of the files (without .png, .svg, .md) -> what the figure shows, as markdown.
    """
    drawn = {}
    for stem, records, label in probe_figures(results, probe, drawer):
        fig = drawer.draw(records)
        drawn[stem] = drawer.summarize(records)
        if label:  # what sets it apart from another figure of this name
            add_to_caption(fig, f"Protocol: {label}.")
            drawn[stem] += f"\nProtocol: {label}.\n" if drawn[stem] else ""
        save(fig, stem)
        if drawn[stem]:
            write_atomically(stem.with_name(f"{stem.name}.md"), drawn[stem])
    return drawn


def probe_figures(
    results: Path, probe: str, drawer: type[Probe]
) -> Iterator[tuple[Path, list[Record], str]]:
    """The records of each figure of a probe, as ``draw_figures`` has them.

    Yields:
        Stem of the files, records, and in words how their settings differ from those of other
        figures that would have the same name.
    """

    def shared(record: Record) -> Settings:
        fields = (field for field in ("batch_size", "lr") if field not in drawer.together)
        return protocol_of(record) | {field: record[field] for field in fields}

    yield from _files(results, probe, read_probe(results, probe), shared)


def draw_outcomes(results: Path) -> list[Path]:
    """Draw what runs came to: for each dataset, model and protocol a figure, or one a page.

    Returns:
        Stems of the files (without .png, .svg).
    """
    drawn = []
    for stem, records, label in _files(results, "outcomes", read_all(results), protocol_of):
        for page, fig in enumerate(outcomes_figure.draw(records, label), start=1):
            drawn.append(stem if page == 1 else stem.with_name(f"{stem.name}_page{page}"))
            save(fig, drawn[-1])
    return drawn


def _files(
    results: Path,
    what: str,
    records: Iterable[Record],
    shared: Callable[[Record], Settings],
) -> Iterator[tuple[Path, list[Record], str]]:
    """The figures that some records make.

    Args:
        results: the results folder.
        what: with which the files' names begin.
        records: in any order.
        shared: what the records of one figure have in common.

    Yields:
        Stem of the files, records, and in words how their settings differ from those of other
        figures that would have the same name.
    """
    named: dict[str, dict[str, list[Record]]] = {}
    for record in sorted(records, key=lambda r: (r["seed"], r["batch_size"], r["lr"], r["key"])):
        settings = shared(record)
        parts = [what, settings["data"]["name"], settings["model"]["name"]]
        for short, field in (("bs", "batch_size"), ("lr", "lr")):
            if field in settings:
                parts.append(f"{short}{settings[field]:g}")
        name = "_".join(re.sub(r"[^\w.-]+", "_", part) for part in parts)
        named.setdefault(name, {}).setdefault(canonical(settings), []).append(record)
    for name, protocols in sorted(named.items()):
        labels = distinctions([shared(of[0]) for of in protocols.values()])
        for (protocol, of), label in zip(protocols.items(), labels, strict=True):
            # most have one protocol; to tell several apart takes a digest of their settings
            mark = f"_{sha256(protocol.encode()).hexdigest()[:4]}" if len(protocols) > 1 else ""
            yield Path(results) / "figures" / f"{name}{mark}", of, label
