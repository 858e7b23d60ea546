"""Finding one's way: help, version, completion, and quick answers where no torch is needed."""

import subprocess
import sys

import pytest

import normbench
from normbench.cli import COMMANDS


def test_normbench_alone_lists_the_commands(normbench_command):
    code, out, _ = normbench_command()
    assert code == 0
    for command in COMMANDS:
        assert f"  {command} " in out


def test_version(normbench_command):
    assert normbench_command("--version") == (0, f"normbench {normbench.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(normbench_command, command):
    code, out, err = normbench_command(command, "--help")
    assert code == 0 and err == ""
    assert out.startswith(f"normbench {command}:") and "key=value" in out
    assert list(normbench_command.folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["table", "--help"],
        ["run", "--help"],
        ["probe", "--help"],
        ["table"],
        ["status"],
        ["compare"],
        ["figures"],
    ],
)
def test_what_needs_no_torch_does_not_import_it(arguments, tmp_path):
    code = (
        "import sys\nfrom normbench.cli import main\n"
        f"sys.argv = ['normbench', *{arguments}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


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
