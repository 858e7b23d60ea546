"""Finding one's way: help, version, completion, and quick answers where no torch is needed."""

import subprocess
import sys

import pytest

import normbench
from normbench.commands import COMMANDS


def test_normbench_alone_lists_the_commands_with_what_they_are_for(normbench_command):
    code, out, _ = normbench_command()
    assert code == 0
    for command in COMMANDS:
        (line,) = (line for line in out.splitlines() if line.startswith(f"  {command} "))
        assert len(line.split()) > 3


def test_version(normbench_command):
    said = (0, f"normbench {normbench.__version__}\n", "")
    assert normbench_command("--version") == said
    assert normbench_command.process("--version") == said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(normbench_command, command):
    code, out, err = normbench_command(command, "--help")
    assert code == 0 and err == ""
    assert out.startswith(f"normbench {command}:") and "key=value" in out
    assert f"\n  normbench {command}" in out, "an example"
    assert list(normbench_command.folder.iterdir()) == []


QUICK = [
    "table --help", "run --help", "probe --help", "table", "status", "compare", "claims", "figures",
    "calibration", "run norm=batchnrm", "run -m train.epoch=3", "models resnet18",
]  # fmt: skip
DRIVER = """
import os
import sys
from normbench.cli import main
for typed in sys.stdin.read().splitlines():
    sys.argv = ["normbench", *typed.split()]
    os.environ.pop("HYDRA_FULL_ERROR", None)
    try:
        main()
    except SystemExit:
        pass
    assert not {"torch", "matplotlib", "scipy"} & set(sys.modules), typed
"""


def test_what_needs_no_torch_does_not_import_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input="\n".join(QUICK), capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("normbench") > 3


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("normbench ", set(COMMANDS)),
        ("normbench ta", {"table"}),
        ("normbench run norm=group", {"norm=groupnorm"}),
        ("normbench compare models.cnn4.h", {"models.cnn4.head="}),
        ("normbench run train.ep", {"train.epochs="}),
        ("normbench table results.", {"results.dir="}),
    ],
)
def test_shell_completion(normbench_command, typed, offered):
    code, out, _ = normbench_command(
        "-sc", "query=bash", COMP_LINE=typed, COMP_POINT=str(len(typed))
    )
    assert code == 0 and set(out.split()) == offered


def test_shell_completion_can_be_installed(normbench_command):
    code, out, _ = normbench_command("-sc", "install=bash")
    assert code == 0 and "complete " in out


def test_a_flag_that_is_not_known_is_named(normbench_command):
    code, out, err = normbench_command("run", "--unknown")
    assert code == 2 and len(err.splitlines()) == 1
    assert "unrecognized arguments: --unknown; normbench run --help" in err
