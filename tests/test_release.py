"""What is released: one version everywhere, and a wheel that works where the repository is not."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from command_line import ONE_RUN, TINY

import normbench

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("file", "pattern"), [("CHANGELOG.md", r"^## (\d\S+)"), ("CITATION.cff", r"^version: (\S+)")]
)
def test_the_version_is_the_same_everywhere(file, pattern):
    told = re.search(pattern, (ROOT / file).read_text(), re.M)
    assert told and told.group(1) == normbench.__version__


@pytest.mark.slow
def test_a_wheel_works_without_the_repository(tmp_path, normbench_command):
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("normbench-*.whl")
    site = tmp_path / "site"
    with ZipFile(wheel) as packed:
        packed.extractall(site)
    # all that is not code, too: configs, the article's numbers, the page's templates and scripts
    for folder, inside in (("configs", "normbench/configs"), ("normbench", "normbench")):
        there = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.*")}
        packed = {path.relative_to(site / inside) for path in (site / inside).rglob("*.*")}
        assert {path for path in there if "__pycache__" not in path.parts} <= packed

    own = {"PYTHONPATH": str(site)}
    for command, *settings in (("run", *TINY, *ONE_RUN), ("table",), ("report",)):
        code, _, err = normbench_command.process(command, *settings, **own)
        assert code == 0, err
    code, _, err = normbench_command.process("run", "norm=mine", **own)
    assert code == 2 and "mine" in err
    where = "import normbench; print(normbench.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], env=normbench_command.environment | own, text=True,
        capture_output=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert found.stdout.startswith(str(site))
