"""Processes that are killed, many at the same time, folders that go."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import normbench
from faults.images import write_folder
from faults.trial import PROBE, SWEEP, SWEEP_RUNS, Done, Trial, fault, lanes, measured, same


@fault("kill -9 of the command while it trains a sweep", short=True)
def kill_command(trial: Trial) -> str:
    return _kill_commands(trial, SWEEP, trial.kills)


@fault("kill -9 of the command while it measures a probe and draws")
def kill_probe(trial: Trial) -> str:
    return _kill_commands(trial, PROBE, max(1, trial.kills // 4))


def _kill_commands(trial: Trial, typed: list[str], kills: int) -> str:
    seconds = trial.without_faults(typed).seconds
    killed, sweeps, results = 0, 0, "results_0"
    while killed < kills:
        process = trial.start(*typed, f"results.dir={results}")
        if _ends_within(process, trial.draw.uniform(0, seconds)):
            trial.end(process)  # it was complete
            trial.same_as_undisturbed(typed, results)
            sweeps += 1
            results = f"results_{sweeps}"
            continue
        process.kill()
        trial.end(process)
        killed += 1
    trial.type(*typed, f"results.dir={results}").fine()
    trial.same_as_undisturbed(typed, results)
    return f"{killed} kills, {sweeps + 1} sweeps: records, tables and figures as if undisturbed"


@fault("kill -9 of lanes' workers while they train", short=True)
def kill_lanes(trial: Trial) -> str:
    seconds = trial.without_faults(SWEEP).seconds
    killed = sweeps = 0
    while killed < trial.kills:
        results, again = f"results_{sweeps}", True
        while again:
            process = trial.start(*SWEEP, f"results.dir={results}")
            while not _ends_within(process, trial.draw.uniform(0, seconds / 2)):
                if killed < trial.kills and (there := lanes(process.pid)):
                    _kill(trial.draw.choice(there))
                    killed += 1
            done = trial.end(process)
            # a run whose worker dies twice has failed, and is trained when the sweep is typed again
            again = done.code == 1 and "was killed by SIGKILL, 2 times" in done.err
        done.fine()
        trial.same_as_undisturbed(SWEEP, results)
        sweeps += 1
    return f"{killed} kills, {sweeps} sweeps: records and tables as if undisturbed"


@fault("kill -9 of a preparing process")
def kill_preparing(trial: Trial) -> str:
    write_folder(trial.folder / "images", count=150, size=200)
    typed = ["data", "data=imagefolder", "data.root=images"]
    start = time.monotonic()
    trial.type(*typed, "data.cache=undisturbed").fine()
    seconds = time.monotonic() - start
    wanted = measured(trial.folder / "undisturbed")
    killed = times = 0
    while killed < trial.kills:
        cache = trial.folder / f"cache_{times}"
        process = trial.start(*typed, f"data.cache={cache}")
        while process.poll() is None and not (cache / ".normbench.lock").exists():
            time.sleep(0.01)
        if not _ends_within(process, trial.draw.uniform(0, seconds / 2)):
            process.kill()
            killed += 1
        if trial.end(process).code == 0:
            same(measured(cache), wanted)
            times += 1
    trial.type(*typed, f"data.cache={cache}").fine()
    same(measured(cache), wanted)
    return f"{killed} kills: the cache is whole, nothing else is left"


@fault("processes that train the same grid at the same time")
def share(trial: Trial) -> str:
    both = [trial.start(*SWEEP) for _ in range(trial.processes)]
    trained = [trial.end(process).fine().trained for process in both]
    assert sum(trained) == SWEEP_RUNS, f"{sum(trained)} runs trained: {trained}"
    trial.same_as_undisturbed(SWEEP, "results")
    return f"{trial.processes} processes, {SWEEP_RUNS} runs, each trained once"


@fault("two versions of the code on the same grid at the same time")
def versions(trial: Trial) -> str:
    package = Path(normbench.__file__).parent
    other = trial.folder / "other"
    for name in ("normbench", "configs"):
        shutil.copytree(package.parent / name, other / name)
    init = other / "normbench" / "__init__.py"
    init.write_text(init.read_text().replace(normbench.__version__, "9.9.9"))
    both = [trial.start(*SWEEP), trial.start(*SWEEP, changes={"PYTHONPATH": str(other)})]
    done = [trial.end(process).fine() for process in both]
    assert sum(d.trained for d in done) == SWEEP_RUNS, [d.trained for d in done]
    trial.type("table").fine()
    found = measured(trial.folder / "results")
    wanted = trial.without_faults(SWEEP).holds
    assert found.keys() == wanted.keys()
    records = [name for name in wanted if name.startswith("records/")]
    for name in records:
        assert found[name]["epochs"] == wanted[name]["epochs"], name
    count = len({found[name]["environment"]["normbench"] for name in records})
    return f"each run trained once; records name the {'2 versions' * (count > 1) or 'version'}"


@fault("the results folder moved away while a sweep runs")
def moved(trial: Trial) -> str:
    process = trial.start(*SWEEP)
    _wait_for_record(trial, process)
    results, away = trial.folder / "results", trial.folder / "away"
    results.rename(away)
    done = trial.end(process)
    _clear(done)
    kept = len(list((away / "records").glob("*.json")))
    if results.exists():
        for record in results.glob("records/*.json"):
            record.rename(away / "records" / record.name)
        shutil.rmtree(results)
    away.rename(results)
    trial.type(*SWEEP).fine()
    trial.same_as_undisturbed(SWEEP, "results")
    return f"exit {done.code}; moved back, it goes on from the {kept} records that were there"


@fault("the results folder deleted while a sweep runs")
def deleted(trial: Trial) -> str:
    process = trial.start(*SWEEP)
    _wait_for_record(trial, process)
    shutil.rmtree(trial.folder / "results", ignore_errors=True)
    done = trial.end(process)
    _clear(done)
    trial.type(*SWEEP).fine()
    trial.same_as_undisturbed(SWEEP, "results")
    return f"exit {done.code}; typed again, it trains what was lost"


def _ends_within(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _wait_for_record(trial: Trial, process: subprocess.Popen) -> None:
    while process.poll() is None and not list(trial.folder.glob("results/records/*.json")):
        time.sleep(0.01)


def _clear(done: Done) -> None:
    """Whatever the exit code, no traceback."""
    assert done.code in (0, 1, 2) and "Traceback" not in done.err, f"{done.code}: {done.err}"
