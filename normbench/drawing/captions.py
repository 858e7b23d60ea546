"""What figures and pages are of, in words."""

from __future__ import annotations

from collections.abc import Iterator

from normbench.analysis.cells import Results
from normbench.analysis.groups import provenance
from normbench.drawing.text import filled
from normbench.store.records import Record


def looked_at(results: Results) -> Iterator[str]:
    """Paragraphs for a page: what each model's records have in common, and what was left out."""
    for model, records in results.records.items():
        yield filled(f"{model}: {provenance(records)}")
    if results.others:
        yield filled(f"Not looked at: {'; '.join(results.others)}.")


def page(title: str, records: list[Record], *paragraphs: str) -> str:
    """Markdown that goes with a figure: what it is of, and paragraphs."""
    return "\n\n".join([f"# {title}", f"{protocol_line(records)}.", *paragraphs]) + "\n"


def protocol_line(records: list[Record]) -> str:
    """What a figure's records have in common, for its caption."""
    config = records[0]["config"]
    sizes, rates, seeds = (
        sorted({record[field] for record in records}) for field in ("batch_size", "lr", "seed")
    )
    return (
        f"{config['model']['name']} on {config['data']['name']}, "
        f"{config['data']['image_size']} px; "
        f"batch size {_listed(sizes)}, learning rate {_listed(rates)} "
        f"({config['optimizer']['name']}, {config['schedule']['name']}, "
        f"{config['train']['epochs']} epochs), {config['train']['precision']}, "
        f"seed{'s' * (len(seeds) > 1)} {_listed(seeds)}"
    )


def measured_when(records: list[Record]) -> str:
    """Between which of the steps something was measured, for a caption."""
    at = max((record["measured"]["at"] for record in records), key=len)
    return f"at {len(at)} points of training, after {at[0]} to {at[-1]} steps"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
