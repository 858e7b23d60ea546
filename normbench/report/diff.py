"""Two sets of records side by side: per cell how far apart they are, and what differs besides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from normbench.analysis.differences import canonical
from normbench.analysis.pairing import Name, Pair, pair_up
from normbench.analysis.welch import ALPHA, Estimate
from normbench.drawing.text import filled, table
from normbench.errors import UserError
from normbench.store.records import Record, nothing_recorded, read_all
from normbench.store.set_aside import changed_records

LISTED = 10  # names of one kind; more are counted
HEADINGS = ("data", "model", "norm", "bs", "lr", "A", "B", "B − A, accuracy", "B − A, loss", "")


def diff_folders(one: Path, other: Path) -> str:
    """The runs of two results folders, as markdown."""
    sides = []
    for folder in (one, other):
        if not (folder / "records").is_dir():
            raise nothing_recorded(folder)
        sides.append(read_all(folder))
    return f"A: {one}. B: {other}.\n\n{diff(*sides)}"


def diff_versions(results: Path) -> str:
    """Each version of a part from outside the project that was set aside, and the runs of today.

    Raises:
        UserError: where there is but one of each.
    """
    now = {record["key"]: record for record in read_all(results)}
    versions: dict[str, list[Record]] = {}
    for record in changed_records(results):
        if record["key"] in now:
            versions.setdefault(canonical(record.get("outside")), []).append(record)
    if not versions:
        raise UserError(
            f"{results} has no older version of a layer of yours beside its runs: name two folders"
        )
    texts = []
    for code, records in versions.items():
        parts = ", ".join(f"{part} {digest[:6]}" for part, digest in json.loads(code).items())
        today = [now[key] for key in dict.fromkeys(record["key"] for record in records)]
        texts.append(f"A: {parts}, set aside. B: as it is now.\n\n{diff(records, today)}")
    return "\n\n".join(texts)


def diff(one: Iterable[Record], other: Iterable[Record]) -> str:
    """What differs beyond noise between two sets of records, A and B."""
    one, other = list(one), list(other)
    pairing = pair_up(one, other)
    pairs = pairing.pairs
    lines = [f"{name}: {_origin(records)}" for name, records in (("A", one), ("B", other))]
    lines += [
        f"Only in {side}: {_listed(names)}"
        for side, names in (("A", pairing.only_one), ("B", pairing.only_other))
        if names
    ]
    if not pairs:
        return "\n\n".join([*lines, "No cell is in both."])
    alpha = ALPHA / len(pairs)
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(_settings(pair), []).append(pair)
    for heading, group in groups.items():
        rows = [_row(pair, alpha) for pair in group]
        lines += [f"## {heading}", table(rows, HEADINGS, "lllrrlllll")]
    apart = sum(_apart(pair.difference("val_accuracy", alpha)) for pair in pairs)
    cells = f"{len(pairs)} cells" if len(pairs) > 1 else "1 cell"
    lines.append(
        filled(
            f"Of {cells} that both have, {apart} are apart beyond noise in accuracy. Mean ± "
            "standard deviation over seeds; intervals: 95%, Welch's t; apart: 0 is outside of the "
            f"interval that all {cells} together miss in 5% of cases at most (Bonferroni)."
        )
    )
    return "\n\n".join(lines)


def _row(pair: Pair, alpha: float) -> tuple[str, ...]:
    data, model, norm, batch_size, lr = pair.name
    accuracy, loss = (
        None if pair.same else pair.difference(measure) for measure in ("val_accuracy", "val_loss")
    )
    sides = (str(sample or "diverged") for sample in pair.samples("val_accuracy"))
    if pair.same:
        word = "the same bits"
    elif accuracy is None:
        word = "cannot be told"
    else:
        word = "apart" if _apart(pair.difference("val_accuracy", alpha)) else "not told apart"
    names = (data, model, norm, str(batch_size), f"{lr:g}")
    return (*names, *sides, _interval(accuracy), _interval(loss), word)


def _apart(difference: Estimate | None) -> bool:
    return difference is not None and not difference.could_be_zero


def _interval(difference: Estimate | None) -> str:
    if difference is None:
        return "–"
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _settings(pair: Pair) -> str:
    """A heading: what differs besides the outcome."""
    differ = [
        f"{name}: {json.dumps(one)} → {json.dumps(other)}"
        for name, (one, other) in pair.settings.items()
    ]
    differ += [f"other code of {path}" for path in pair.code]
    return "; ".join(differ) or "The same settings"


def _origin(records: Sequence[Record]) -> str:
    if not records:
        return "no records"
    where = [record["environment"] for record in records]
    parts = {
        "": sorted({str(of["device"]) for of in where}),
        "normbench ": sorted({str(of.get("normbench")) for of in where}),
        "commit ": sorted({str(of.get("commit")) for of in where}),
        "torch ": sorted({str(of.get("torch")) for of in where}),
    }
    known = [f"{name}{', '.join(values)}" for name, values in parts.items() if values != ["None"]]
    return f"{len(records)} runs; {'; '.join(known)}"


def _listed(names: Sequence[Name]) -> str:
    texts = [f"{m} on {d}, {n}, bs={bs} lr={lr:g}" for d, m, n, bs, lr in names[:LISTED]]
    more = f"; and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return "; ".join(texts) + more
