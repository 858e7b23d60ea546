"""The documentation: it builds without a warning, and every command in it is one that works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from normbench.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")]
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?```bash\n(.*?)```", re.S)
# In place of what is a reader's own, in commands that are only read here.
OWN = {"mymodule.MyNorm": "torch.nn.BatchNorm2d", "mymodule.MyNet": "torchvision.models.resnet18"}
FOREIGN = ("--config-dir", "launcher=ray", "launcher=slurm")  # of folders and extras not here


def commands(page, marked=None):
    """Every normbench command of a page, as words; those of blocks that are marked, or are not."""
    found = []
    for mark, block in BLOCK.findall(page.read_text()):
        if marked is None or marked == bool(mark):
            lines = [line.partition("#")[0] for line in block.replace("\\\n", " ").splitlines()]
            words = [shlex.split(line) for line in lines if line.startswith("normbench ")]
            found += [line[1:] for line in words]
    return found


EVERY = [(page.relative_to(ROOT), words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("page,words", EVERY, ids=lambda value: str(value).replace("/", "_"))
def test_every_command_is_one_that_is_understood(page, words, normbench_command):
    command, *settings = words
    assert command in COMMANDS
    if any(part in setting for part in FOREIGN for setting in settings):
        pytest.skip("names what is not here")
    settings = [word for word in settings if word not in ("-m", "--dry-run")]
    for name, here in OWN.items():
        settings = [setting.replace(name, here) for setting in settings]
    first = [re.sub(r"^([\w.+]+=[\w/]+),[\w/,]+$", r"\1", setting) for setting in settings]
    code, _, err = normbench_command(command, *first, "--cfg=job")
    assert code == 0, err


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES[1:] if commands(page, marked=False)], ids=lambda page: page.stem
)
def test_commands_that_are_not_marked_work_as_they_stand(page, normbench_command):
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page.read_text(), re.S):
        (normbench_command.folder / name).write_text(code)
    for words in commands(page, marked=False):
        code, _, err = normbench_command.process(*words)
        assert code == 0, (words, err)


@pytest.mark.slow
def test_it_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "docs", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for page in ("index", "tutorial", "reference/commands", "reference/python"):
        assert (tmp_path / f"{page}.html").is_file()
    reference = (tmp_path / "reference" / "commands.html").read_text()
    assert all(f"normbench {command}" in reference for command in COMMANDS)
