"""Contenders: started, watched, listened to."""

import pytest

from normbench.bench.measure import Task, measure
from normbench.errors import RunFailed

TASK = Task({"train": {"precision": "fp32"}}, {}, "", 2, "cpu", 1.0, None)


def module(folder, name, body, monkeypatch):
    (folder / f"{name}.py").write_text(
        "from normbench.bench.measure import contender, cannot_run\n"
        f"def main(task):\n    {body}\ncontender(main)\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_a_contenders_answer_comes_back_with_its_peak_memory(tmp_path, monkeypatch):
    body = "import time; x = bytearray(200 << 20); time.sleep(1.5); return {'bs': task.batch_size}"
    answer = measure(module(tmp_path, "good", body, monkeypatch), TASK)
    assert answer["bs"] == 2
    assert 200 << 20 < answer["peak_memory"] < 800 << 20


def test_a_contender_that_cannot_run_or_fails_says_why(tmp_path, monkeypatch):
    body = "print('noise'); cannot_run('no such library')"
    assert measure(module(tmp_path, "absent", body, monkeypatch), TASK) == {
        "missing": "no such library"
    }
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        measure(module(tmp_path, "broken", "return 1 / 0", monkeypatch), TASK)
