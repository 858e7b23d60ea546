"""scripts/gpu_suite.sh: whatever ends it, nothing is lost, and nothing is done twice.

In place of Python there is a program that does what a test has it do, as the real stages need a
device and minutes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_suite.sh"
PROGRAM = """\
#!{python}
import os, sys, time
from pathlib import Path

arguments = " ".join(sys.argv[1:])
out = Path({out!r})
if sys.argv[1] == "-":  # what looks whether all can be imported
    sys.stdin.read()
    sys.exit(0)
name = next(part for part in arguments.split() if part in {{"run", "bench", "pytest", "probe",
    "compare", "claims", "figures"}})
with open({log!r}, "a") as log:
    print(arguments, file=log)
exec(Path({behaviour!r}).read_text())
"""
RECORDS = """
(out / "records").mkdir(exist_ok=True)
for number in range(20):
    path = out / "records" / f"{arguments.split('model=')[-1].split()[0]}-{number}.json"
    if name == "run" and "smoke" not in arguments and not path.exists():
        time.sleep(0.01)
        path.with_suffix(".new").write_text(f"record {number}")
        path.with_suffix(".new").rename(path)
"""


class Suite:
    def __init__(self, folder):
        self.folder, self.out = folder, folder / "out"
        self.log, self.behaviour = folder / "log", folder / "behaviour.py"
        self.program = folder / "python"
        self.program.write_text(
            PROGRAM.format(
                python=sys.executable,
                out=str(self.out),
                log=str(self.log),
                behaviour=str(self.behaviour),
            )
        )
        self.program.chmod(0o755)
        self.behaviour.write_text("")
        (folder / "data").mkdir()

    def start(self, *arguments, **environment):
        environment = {"PYTHON": str(self.program), "SUITE_DEVICE": "cpu"} | environment
        return subprocess.Popen(
            ["bash", SCRIPT, *(arguments or [self.folder / "data", self.out])],
            env={**os.environ, **environment}, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments, **environment):
        """(exit code, standard output, standard error)"""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def calls(self):
        """What Python was called with since the last time, but for reports."""
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return [call for call in calls if call.split()[2] not in ("compare", "claims", "figures")]

    def marks(self):
        marks = (self.out / "suite").glob("*.[df]*")
        return {path.name for path in marks if path.suffix in (".done", ".failed")}

    def records(self):
        return sorted(path.name for path in (self.out / "records").glob("*.json"))


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


def test_what_passed_is_not_done_again(suite):
    code, out, err = suite()
    assert code == 0, err
    stages = suite.calls()
    assert len(stages) == len(set(stages)) == 15
    assert ["smoke" in stages[0], "model=resnet18" in stages[1], "bench" in stages[2]] == [True] * 3
    assert suite()[0] == 0
    assert suite.calls() == []
    (suite.out / "suite" / "bench.done").unlink()
    assert suite()[0] == 0
    assert suite.calls() == [stages[2]]


def test_it_says_in_ten_lines_what_was_done_and_what_is_left(suite):
    suite.behaviour.write_text(
        RECORDS + 'if "hessian" in arguments: sys.exit("ZeroDivisionError: a reason")\n'
        'if name == "bench": sys.exit(3)\n'
    )
    code, out, err = suite()
    assert code == 1
    said = out[out.index("== gpu_suite") :].splitlines()
    assert len(said) <= 10
    assert "results-cnn4: done in" in "\n".join(said)
    assert f"bench: FAILED, exit code 3: {suite.out}/suite/bench.log" in said
    assert any(line.startswith("probes: gradients done,") for line in said)
    assert any("hessian FAILED" in line for line in said)
    assert f"records and probes: 40 files in {suite.out}" in said
    assert "a reason" in (suite.out / "suite" / "probe-hessian.log").read_text()
    suite.calls()
    assert suite()[0] == 1
    assert suite.calls() == []


def test_what_brought_something_before_it_failed_is_tried_again(suite):
    suite.behaviour.write_text(
        RECORDS + "if len(list((out / 'records').glob('*'))) < 100 and 'cnn4' in arguments:\n"
        "    (out / 'records' / f'{time.time()}').touch()\n    sys.exit(1)\n"
    )
    for _ in range(2):
        assert suite()[0] == 1
        assert any("cnn4" in call for call in suite.calls())
        assert "results-cnn4.failed" not in suite.marks()


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_it_goes_on_where_it_was(suite, seed):
    suite.behaviour.write_text(RECORDS)
    moments = random.Random(seed)
    kept, done = [], []
    for _ in range(4):
        process = suite.start()
        try:
            process.wait(moments.uniform(0.1, 2))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert set(kept) <= set(suite.records()) and set(done) <= suite.marks()
        kept, done = suite.records(), suite.marks()
    suite.calls()
    code, out, err = suite()
    assert code == 0, err
    assert len(suite.records()) == 40
    assert len(suite.calls()) == 15 - len(done)


def test_a_single_interruption_ends_it_with_what_there_is(suite):
    suite.behaviour.write_text('if name == "bench": print("begun", flush=True); time.sleep(30)')
    process = suite.start()
    log = suite.out / "suite" / "bench.log"
    while not (log.exists() and log.read_text()):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert suite.marks() == {"smoke.done", "results-resnet18.done"}


def test_all_of_it_is_packed_in_files_that_can_be_carried_away(suite, tmp_path):
    suite.behaviour.write_text(
        RECORDS + "if name == 'bench': (out / 'large').write_bytes(os.urandom(20 << 20))\n"
    )
    assert suite()[0] == 0
    parts = sorted((suite.out / "pack").iterdir())
    assert len(parts) == 2 and all(part.stat().st_size <= 16 << 20 for part in parts)
    whole = tmp_path / "whole"
    whole.mkdir()
    unpacked = subprocess.run(
        ["tar", "xzf", "-"], input=b"".join(part.read_bytes() for part in parts), cwd=whole
    )
    assert unpacked.returncode == 0
    for path in ["large", "records/cnn4-3.json", "suite/bench.done"]:
        assert (whole / path).read_bytes() == (suite.out / path).read_bytes()
    assert not (whole / "pack").exists()


def test_wrong_input_is_told(suite, tmp_path):
    assert suite(tmp_path)[0] == 2
    code, _, err = suite(tmp_path / "nowhere", suite.out)
    assert (code, err) == (2, f"gpu_suite: DATA_ROOT={tmp_path}/nowhere is no folder\n")
    code, _, err = suite(SUITE_WHEELS=str(tmp_path), PYTHON=sys.executable)
    assert code == 2 and f"SUITE_WHEELS={tmp_path}" in err and "no wheel" in err


@pytest.mark.slow
def test_what_lacks_is_told(suite, tmp_path):
    code, _, err = suite(PYTHON=sys.executable, PYTHONPATH=str(broken(tmp_path, "hydra")))
    assert code == 2 and "cannot import hydra (not today)" in err and "SUITE_WHEELS" in err


def broken(folder, name):
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text('raise ImportError("not today")')
    return folder
