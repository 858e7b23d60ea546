"""What a results folder holds, lacks and waits for, from its files alone."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from normbench.analysis.durations import PARTS, Durations, RunFacts, facts_of
from normbench.drawing.text import table
from normbench.runs.progress import duration
from normbench.store.locks import Holder, Locks
from normbench.store.probe_records import read_probe, stored_probes
from normbench.store.processes import alive
from normbench.store.records import read_all

SILENT = 30.0  # seconds without a sign of life that are worth a word
LISTED = 20  # lines of one kind; more are counted
STATES = ("recorded", "diverged", "running", "failed", "missing")


def describe(results: Path) -> str:
    """What the grids that were asked for have, what runs, what failed, what is missing."""
    stored = [read_all(results), *(read_probe(results, name) for name in stored_probes(results))]
    records = {record["key"]: record for kind in stored for record in kind}
    runs = {
        key: facts_of(r["config"], r["batch_size"], r["lr"], r["seed"])
        for key, r in records.items()
    } | _wanted(results)
    locks = {k: h for k, h in Locks(results / "locks").holders().items() if k not in records}
    failures = {k: f for k, f in _failures(results).items() if k not in records}
    states = {key: _state(key, records, locks, failures) for key in runs}

    lines = [_counts(runs, states)]
    silence = _silence(results / "locks") if locks else {}
    lines += _section(
        "running",
        [
            f"{_label(runs.get(key), key)}  {_holder(holder, silence.get(key, 0.0))}"
            for key, holder in locks.items()
        ],
    )
    lines += _section("failed", [f"{f['run']}  {f['error']}" for f in failures.values()])
    lines += _section(
        "missing", [_label(runs[key], key) for key, state in states.items() if state == "missing"]
    )
    if failures or "missing" in states.values():
        lines += ["", "normbench status forget=true forgets what is missing or failed"]
    lines += _time_left(records, runs, states, locks)
    return "\n".join(lines)


def _wanted(results: Path) -> dict[str, RunFacts]:
    """By key, the runs of every grid that was asked for here (``runs.missing.announce``)."""
    wanted: dict[str, RunFacts] = {}
    for path in sorted((results / "grids").glob("*.json")):
        try:
            grid = json.loads(path.read_bytes())
            shared = {part: grid[part] for part in (*PARTS, "epochs")}
            for key, batch_size, lr, seed in grid["runs"]:
                wanted[key] = shared | {"batch_size": batch_size, "lr": lr, "seed": seed}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is a help, nothing more; the next run of that grid writes it again
    return wanted


def _failures(results: Path) -> dict[str, dict[str, str]]:
    failures = {}
    for path in sorted((results / "failures").glob("*.json")):
        try:
            failure = json.loads(path.read_bytes())
            failures[path.stem] = {"run": str(failure["run"]), "error": str(failure["error"])}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return failures


def _state(
    key: str, records: dict[str, Any], locks: dict[str, Holder], failures: dict[str, Any]
) -> str:
    if key in records:
        return "recorded" if records[key]["status"] == "finished" else "diverged"
    if key in locks and alive(locks[key].process) is not False:
        return "running"
    return "failed" if key in failures else "missing"


def _counts(runs: dict[str, RunFacts], states: dict[str, str]) -> str:
    parts = PARTS if any(run["probe"] for run in runs.values()) else PARTS[:-1]
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for key, run in runs.items():
        group = tuple(str(run[part]) for part in parts)
        counts.setdefault(group, Counter())[states[key]] += 1
    rows = [
        (*group, *(str(count[state] or "") for state in STATES), str(count.total()))
        for group, count in sorted(counts.items())
    ]
    headers = (*parts, *STATES, "of")
    return table(rows, headers, "l" * len(parts) + "r" * (len(STATES) + 1))


def _section(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return ["", f"{title}:", *(f"  {line}" for line in lines[:LISTED]), *more]


def _label(run: RunFacts | None, key: str) -> str:
    if run is None:
        return f"run {key}"
    return (
        f"{run['probe']} {run['model']} {run['norm']} "
        f"bs={run['batch_size']} lr={run['lr']:g} seed={run['seed']}"
    ).lstrip()


def _holder(holder: Holder, silence: float) -> str:
    if alive(holder.process) is False:
        return f"on {holder.host}, where its process died: the next run takes it over"
    text = f"on {holder.host}, for {duration(holder.seconds)}"
    return text + (f", no sign of life for {duration(silence)}" if silence > SILENT else "")


def _silence(folder: Path) -> dict[str, float]:
    """For each lock the seconds since its holder wrote, by the clock of who keeps the files."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as now:
            time = Path(now.name).stat().st_mtime
        return {path.stem: time - path.stat().st_mtime for path in folder.glob("*.lock")}
    except OSError:  # a folder that may only be read: no file to learn the time from
        return {}


def _time_left(
    records: dict[str, Any],
    runs: dict[str, RunFacts],
    states: dict[str, str],
    locks: dict[str, Holder],
) -> list[str]:
    """A line on how long what runs and what is missing will take."""
    open_ = [key for key, state in states.items() if state in ("running", "failed", "missing")]
    if not open_:
        return []
    durations = Durations(records.values())
    left = 0.0
    for key in open_:
        known = durations.of(runs[key])
        if known is None:
            return ["", f"{len(open_)} to go; none like {_label(runs[key], key)} is measured yet"]
        done = locks[key].seconds if states[key] == "running" else 0.0
        left += max(0.0, known - done)
    beside = max(1, sum(state == "running" for state in states.values()))
    return ["", f"{len(open_)} to go: about {duration(left / beside)}, {beside} at a time"]
