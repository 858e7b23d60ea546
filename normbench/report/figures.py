"""The figures of probes, from their records alone."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.analysis.differences import canonical
from normbench.analysis.groups import protocol_of
from normbench.drawing.style import save
from normbench.store.files import write_atomically
from normbench.store.probe_records import read_probe
from normbench.store.records import Record

if TYPE_CHECKING:
    from normbench.probes import Probe


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
    named: dict[str, dict[str, list[Record]]] = {}
    for record in read_probe(results, probe):
        shared = _shared(record, drawer)
        name = "_".join(
            [probe, record["config"]["data"]["name"], record["config"]["model"]["name"]]
            + [
                f"{short}{shared[field]:g}"
                for short, field in (("bs", "batch_size"), ("lr", "lr"))
                if field in shared
            ]
        )
        named.setdefault(name, {}).setdefault(canonical(shared), []).append(record)
    drawn = {}
    for name, protocols in sorted(named.items()):
        for protocol, records in protocols.items():
            # most have one protocol; to tell several apart takes a digest of their settings
            mark = f"_{sha256(protocol.encode()).hexdigest()[:4]}" if len(protocols) > 1 else ""
            stem = Path(results) / "figures" / f"{name}{mark}"
            records.sort(key=lambda r: (r["seed"], r["batch_size"], r["lr"], r["key"]))
            save(drawer.draw(records), stem)
            drawn[stem] = drawer.summarize(records)
            if drawn[stem]:
                write_atomically(stem.with_name(f"{stem.name}.md"), drawn[stem])
    return drawn


def _shared(record: Record, drawer: type[Probe]) -> dict[str, Any]:
    """What records must have in common to be drawn in one figure."""
    fields = (field for field in ("batch_size", "lr") if field not in drawer.together)
    return protocol_of(record) | {field: record[field] for field in fields}
