"""What figures and pages are of, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from normbench.analysis.cells import Results
from normbench.analysis.groups import by_norm, provenance
from normbench.drawing.text import filled
from normbench.store.records import Record

FEW = 4  # values that are listed


def looked_at(results: Results, models: Collection[str] | None = None) -> Iterator[str]:
    """Paragraphs for a page: what each model's records have in common, and what was left out.

    Args:
        models: that the page is about; None: all that were run.
    """
    for model, records in results.records.items():
        if models is not None and model not in models:
            continue
        yield filled(f"{model}: {provenance(records)}")
    if results.others:
        yield filled(f"Not looked at: {'; '.join(results.others)}.")


def page(title: str, records: list[Record], *paragraphs: str) -> str:
    """Markdown that goes with a figure: what it is of, and paragraphs."""
    return "\n\n".join([f"# {title}", f"{protocol_line(records)}.", *paragraphs]) + "\n"


def protocol_line(records: list[Record], trained: bool = True) -> str:
    """What a figure's records have in common, for its caption.

    Args:
        records: of what is drawn.
        trained: whether that is about training; how long it was is left out otherwise.
    """
    config = records[0]["config"]
    sizes, rates, seeds = (
        sorted({record[field] for record in records}) for field in ("batch_size", "lr", "seed")
    )
    training = [config["optimizer"]["name"], config["schedule"]["name"]]
    if trained:
        training.append(_length(config))
    parts = [
        f"{config['model']['name']} on {config['data']['name']}, {config['data']['image_size']} px",
        f"batch size {_listed(sizes)}, learning rate {_listed(rates)} "
        f"({', '.join(training)}), {config['train']['precision']}, "
        f"seed{'s' * (len(seeds) > 1)} {_listed(seeds)}",
    ]
    if diverged := sum(record["status"] == "diverged" for record in records):
        parts.append(f"{diverged} of {len(records)} runs diverged")
    return "; ".join(parts)


def how_many(records: list[Record]) -> str:
    """How many seeds each norm has, in words."""
    counts = {len({record["seed"] for record in group}) for group in by_norm(records).values()}
    if counts <= {1}:
        return "1 seed" if counts else "no seed"
    return f"{' to '.join(str(n) for n in sorted({min(counts), max(counts)}))} seeds"


def mean_and_std(records: list[Record]) -> str:
    """What a mean with a standard deviation is over."""
    seeds = how_many(records)
    return "one seed" if seeds == "1 seed" else f"mean ± standard deviation over {seeds}"


def averaged(records: list[Record], average: str = "mean") -> str:
    """What lines over seeds are, as ``drawing.lines.draw_runs`` draws them."""
    seeds = how_many(records)
    if seeds == "1 seed":
        return "One seed"
    return f"Lines: {average}s over {seeds}; shaded: from the lowest to the highest of these"


def _length(config: dict[str, Any]) -> str:
    """How long runs are, or how much of them was watched."""
    epochs = config["train"]["epochs"]
    whole = f"{epochs} epoch{'s' * (epochs != 1)}"
    steps = config.get("probe", {}).get("steps")
    return f"the first {steps} steps of {whole}" if steps else whole


def measured_when(records: list[Record]) -> str:
    """Between which of the steps something was measured, for a caption."""
    at = max((record["measured"]["at"] for record in records), key=len)
    return f"at {len(at)} points of training, after {at[0]} to {at[-1]} steps"


def _listed(values: list[float]) -> str:
    """All of a few values, or the ends of many."""
    if len(values) > FEW:
        return f"{values[0]:g} to {values[-1]:g} ({len(values)} of them)"
    return ", ".join(f"{value:g}" for value in values)
