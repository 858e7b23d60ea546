"""What a machine does to those who train on it: full disks, no memory, sleep, clocks that jump."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faults.images import write_folder
from faults.trial import (
    ONE,
    SWEEP,
    SWEEP_RUNS,
    TINY,
    NotHere,
    Trial,
    family,
    fault,
)

MIB = 2**20


@fault("a disk that is full: the results'")
def full_results(trial: Trial) -> str:
    trial.without_faults(SWEEP)
    with _disk(trial.folder / "disk", "400k") as disk:
        process = trial.start(*SWEEP, "results.dir=disk/results")
        while process.poll() is None:
            if list(disk.glob("results/records/*.json")):
                _fill(disk / "filler")
            time.sleep(0.01)
        done = trial.end(process)
        line = done.err.strip().splitlines()[-1]
        assert done.code in (1, 2) and "No space left" in line, f"{done.code}: {done.err}"
        assert "Traceback" not in done.err, done.err
        kept = len(list((disk / "results" / "records").glob("*.json")))
        (disk / "filler").unlink()
        _mount("-o", "remount,size=50m", str(disk))
        trial.type(*SWEEP, "results.dir=disk/results").fine()
        trial.same_as_undisturbed(SWEEP, "disk/results")
    return f"exit {done.code} and a line; with room again, it goes on from {kept} records"


@fault("a disk that is full: the cache's")
def full_cache(trial: Trial) -> str:
    write_folder(trial.folder / "images")
    typed = ["data", "data=imagefolder", "data.root=images", "data.cache=disk"]
    with _disk(trial.folder / "disk", "64k") as disk:
        trial.type(*typed).refused("cannot write", "data.cache")
        assert not list(disk.iterdir()), list(disk.iterdir())
        _mount("-o", "remount,size=50m", str(disk))
        trial.type(*typed).fine()
    return "refused; nothing is left; with room again, it is prepared"


@fault("a read-only file system: results and cache")
def read_only(trial: Trial) -> str:
    write_folder(trial.folder / "images")
    with _disk(trial.folder / "disk", "1m") as disk:
        _mount("-o", "remount,ro", str(disk))
        trial.type("run", *ONE, "results.dir=disk/results").refused("results.dir", "Read-only")
        typed = ["data", "data=imagefolder", "data.root=images", "data.cache=disk/cache"]
        trial.type(*typed).refused("data.cache", "Read-only")
    return "refused, naming the folder"


@fault("no permission: results, cache and images")
def no_permission(trial: Trial) -> str:
    if not shutil.which("setpriv"):
        raise NotHere("setpriv is not installed")
    obeys = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)
    write_folder(trial.folder / "images")
    closed = trial.folder / "closed"
    closed.mkdir(mode=0o555)
    here = {"prefix": obeys}
    trial.type("run", *ONE, "results.dir=closed/results", **here).refused("closed", "Permission")
    typed = ["data", "data=imagefolder", "data.root=images"]
    trial.type(*typed, "data.cache=closed/cache", **here).refused("closed", "Permission")
    image = next((trial.folder / "images").rglob("*.png"))
    image.chmod(0)
    trial.type(*typed, **here).refused(image.name, "Permission")
    return "refused, naming folder or file"


@fault("no memory for some of the runs")
def no_memory(trial: Trial) -> str:
    process = trial.start("run", *ONE)
    peak = 0
    while process.poll() is None:
        for pid in [process.pid, *family(process.pid)]:
            peak = max(peak, _peak_bytes(pid))
        time.sleep(0.02)
    trial.end(process).fine()
    shutil.rmtree(trial.folder / "results")
    limit = peak + 768 * MIB

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    typed = ["run", *TINY, "data.image_size=256", "model.widths=[64,128]", "engine.lanes=1"]
    typed += ["grid.batch_size=[120,2]", "grid.seeds=[0]"]
    done = trial.type(*typed, preexec_fn=limited)
    assert done.code == 1 and "1 failed" in done.err, f"{done.code}: {done.err}"
    assert "Traceback" not in done.err, done.err
    assert len(list(trial.folder.glob("results/records/*.json"))) == 1
    assert trial.type(*typed).fine().trained == 1
    return "the run that needs too much fails, the other is recorded; with memory, it trains"


@fault("a full process table")
def no_processes(trial: Trial) -> str:
    with _process_limit(3) as group:
        done = trial.type("run", *ONE, preexec_fn=lambda: (group / "cgroup.procs").write_text("0"))
    assert done.code in (1, 2) and "Traceback" not in done.err, f"{done.code}: {done.err}"
    assert trial.type("run", *ONE).fine().trained == 1
    return f"exit {done.code}: {done.err.strip().splitlines()[-1][:70]}; later, it trains"


@fault("a machine that sleeps: one of two commands is stopped for a while")
def sleeps(trial: Trial) -> str:
    trial.without_faults(SWEEP)
    both = [trial.start(*SWEEP) for _ in range(2)]
    for _ in range(3):
        time.sleep(trial.draw.uniform(1, 3))
        _signal(both[0], signal.SIGSTOP)
        time.sleep(trial.draw.uniform(1, 3))
        _signal(both[0], signal.SIGCONT)
    trained = [trial.end(process).fine().trained for process in both]
    assert sum(trained) == SWEEP_RUNS, trained
    trial.same_as_undisturbed(SWEEP, "results")
    return "each run trained once"


@fault("two hosts that share a results folder")
def hosts(trial: Trial) -> str:
    both = [trial.start(*SWEEP, prefix=_host("one")), trial.start(*SWEEP, prefix=_host("other"))]
    trained = [trial.end(process).fine().trained for process in both]
    assert sum(trained) == SWEEP_RUNS, trained
    trial.same_as_undisturbed(SWEEP, "results")
    return f"each run trained once, {trained[0]} and {trained[1]}"


@fault("a host that goes while it trains")
def host_gone(trial: Trial) -> str:
    gone = trial.start(*SWEEP, prefix=_host("gone"))
    while gone.poll() is None and not list(trial.folder.glob("results/locks/*.lock")):
        time.sleep(0.01)
    gone.kill()
    trial.end(gone)
    left = len(list(trial.folder.glob("results/locks/*.lock")))
    assert left, "it went too late"
    assert "on gone, for" in trial.type("status").fine().out
    start = time.monotonic()
    trial.type(*SWEEP).fine()
    seconds = time.monotonic() - start
    trial.same_as_undisturbed(SWEEP, "results")
    held = f"{left} run{'s' * (left > 1)} that it held"
    return f"the next command takes over {held}; {seconds:.0f} s with the training"


CLOCK = """
import time
real, real_ns, start = time.time, time.time_ns, time.monotonic()


def jump():
    return -86400 if (time.monotonic() - start) % 2 > 1 else 86400


time.time = lambda: real() + jump()
time.time_ns = lambda: real_ns() + jump() * 10**9
"""


@fault("a clock that jumps by days, back and forth, every second")
def clock(trial: Trial) -> str:
    (trial.folder / "site").mkdir()
    (trial.folder / "site" / "sitecustomize.py").write_text(CLOCK)
    jumps = {"PYTHONPATH": os.pathsep.join([str(trial.folder / "site"), *_python_path()])}
    start = time.monotonic()
    both = [trial.start(*SWEEP, changes=jumps), trial.start(*SWEEP)]
    done = [trial.end(process).fine() for process in both]
    seconds = time.monotonic() - start
    assert sum(d.trained for d in done) == SWEEP_RUNS
    trial.same_as_undisturbed(SWEEP, "results")
    status = trial.type("status").fine()
    assert "missing" not in status.out.splitlines()[2:], status.out
    longest = max(_durations(trial.folder / "results"))
    assert 0 < longest < seconds, longest
    return "each run trained once; durations are right"


def _durations(results: Path) -> Iterator[float]:
    import json

    for path in results.glob("records/*.json"):
        record = json.loads(path.read_text())
        yield from (record["train_seconds"], record["evaluation_seconds"])


def _python_path() -> list[str]:
    return os.environ["PYTHONPATH"].split(os.pathsep) if os.environ.get("PYTHONPATH") else []


def _host(name: str) -> list[str]:
    """What to type before a command that runs as if on another host: where no process of this one
    is known, under another host's name. Killing it kills all that runs there."""
    inside = ["unshare", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child"]
    try:
        subprocess.run([*inside, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere("unshare makes no host here") from error
    return [*inside, "sh", "-c", f'hostname {name} && exec "$@"', "sh"]


def _fill(file: Path) -> None:
    """Take what room there is."""
    with suppress(OSError), open(file, "ab", buffering=0) as filler:
        while filler.write(bytes(1024)):
            pass


def _signal(process: subprocess.Popen, number: int) -> None:
    for pid in [process.pid, *family(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _peak_bytes(pid: int) -> int:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmPeak:"):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in memory."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise NotHere(f"no file system can be mounted: {done.stderr.strip()}")


@contextmanager
def _process_limit(count: int) -> Iterator[Path]:
    """A control group that may have so many processes and threads."""
    roots = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]
    group = next((root for root in roots if (root / "cgroup.procs").exists()), roots[1])
    group /= f"normbench_faults_{os.getpid()}"
    try:
        group.mkdir()
        (group / "pids.max").write_text(str(count))
    except OSError as error:
        raise NotHere(f"no control group for it: {error.strerror}") from error
    try:
        yield group
    finally:
        for _ in range(100):
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)
