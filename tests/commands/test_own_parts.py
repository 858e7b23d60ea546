"""The main loop of whoever invents a layer: write, run, look, edit, run again."""

import json

import pytest
from command_line import ONE_RUN, TINY

LAYER = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, num_channels):
        super().__init__()

    def forward(self, x):
        return {what}

class Weight(nn.Module):
    def forward(self, weight):
        return weight - weight.mean((1, 2, 3), keepdim=True)
"""
OWN = ["run", *TINY, *ONE_RUN, "norm.layer._target_=mine.Mine"]


@pytest.fixture
def write(normbench_command):
    def write(what, name="mine"):
        (normbench_command.folder / f"{name}.py").write_text(LAYER.format(what=what))

    return write


def record(command):
    (path,) = command.records
    return json.loads(path.read_text())


def test_a_layer_that_was_edited_is_trained_again_and_the_older_record_kept(
    normbench_command, write
):
    write("torch.tanh(x)")
    code, out, err = normbench_command.process(*OWN)
    assert code == 0 and "1 run trained, 0 already there" in out, err
    before = record(normbench_command)
    assert before["config"]["norm"]["name"] == "Mine"  # not that of the norm it replaces
    assert list(before["outside"]) == ["mine.Mine"]
    assert before["norm_layers"] == {"found": 2, "others": 0}

    _, out, _ = normbench_command(*OWN)
    assert "0 runs trained, 1 already there" in out

    write("torch.sin(x)")
    code, out, err = normbench_command(*OWN)
    assert code == 0 and "1 run trained, 0 already there" in out
    assert "mine.Mine changed since it was trained: trained again" in err
    after = record(normbench_command)
    assert after["key"] == before["key"] and after["epochs"] != before["epochs"]
    aside = normbench_command.folder / "results/records/set_aside" / f"{before['key']}.1.changed"
    assert json.loads(aside.read_text()) == before


def test_a_weight_of_ones_own_on_a_norm_that_has_none(normbench_command, write):
    write("x")
    code, _, err = normbench_command(
        "run", *TINY, *ONE_RUN, "norm=batchnorm", "+norm.weight._target_=mine.Weight"
    )
    assert code == 0, err
    assert record(normbench_command)["config"]["norm"]["name"] == "batchnorm_Weight"


def test_a_module_that_has_the_name_of_another_is_found_first_where_the_command_is_typed(
    normbench_command, write
):
    write("x", name="test")  # there is one in the standard library
    command = [*OWN[:-1], "norm.layer._target_=test.Mine"]
    code, _, err = normbench_command.process(*command)
    assert code == 0, err


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("import sys; sys.exit(4)", "importing mine.Mine ends the program (exit code 4)"),
        ("Mine = 3", "model=cnn4 with norm=Mine: "),
    ],
)
def test_code_that_cannot_be_used_is_one_line(normbench_command, content, line):
    (normbench_command.folder / "mine.py").write_text(content)
    code, _, err = normbench_command(*OWN)
    assert code == 2 and line in err and err.count("\n") == 1, err


def test_so_is_a_breakpoint_where_there_is_no_terminal_to_debug_from(normbench_command, write):
    write("x")
    path = normbench_command.folder / "mine.py"
    path.write_text(path.read_text().replace("return x", "breakpoint()\n        return x"))
    code, _, err = normbench_command.process(*OWN)
    assert code == 2 and "BdbQuit (mine.py, line 11)" in err and err.count("\n") == 1, err


@pytest.mark.parametrize(
    "wrong",
    [
        "results.dir=", "data.root=", "data.cache=", "norm.layer._target_=", "norm.name=",
        f"grid.seeds=[{2**63}]",
    ],
)  # fmt: skip
def test_what_is_empty_or_enormous_is_named(normbench_command, wrong):
    typed = [word for word in OWN if not word.startswith(wrong.split("=")[0])]
    code, _, err = normbench_command(*typed, wrong)
    assert code == 2 and wrong.split("=")[0] in err and err.count("\n") == 1, err


@pytest.mark.parametrize(
    "wrong", ["optimizer=sgd optimizer.momentum=0.5", "optimizer.betas=[0.5,0.99]"]
)
def test_a_momentum_that_the_schedule_overrules_is_refused(normbench_command, wrong):
    code, _, err = normbench_command("run", *TINY, *ONE_RUN, *wrong.split())
    assert code == 2 and "has no effect, as schedule.momentum=" in err
    code, _, err = normbench_command(
        "run", *TINY, *ONE_RUN, *wrong.split(), "schedule.momentum=null"
    )
    assert code == 0, err


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"optimizer:\n\teps: 1\n", "wrong.yaml, line 2: "),
        (b"a: [1\nb: 2\n", "wrong.yaml, line 2: "),
        (b"\xff\xfea: 1", "wrong.yaml is not text in UTF-8"),
    ],
)
def test_a_config_that_cannot_be_read_is_named_with_its_line(normbench_command, content, line):
    folder = normbench_command.folder / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "wrong.yaml").write_bytes(content)
    code, _, err = normbench_command("run", "--config-dir", "mine", *TINY, "experiment=wrong")
    assert code == 2 and line in err and err.count("\n") == 1, err


@pytest.mark.parametrize("typed", ["data.root=~/images", "norm.name=Ünï"])
def test_a_value_that_needs_quotes_is_shown_with_them(normbench_command, typed):
    code, _, err = normbench_command("run", *TINY, typed)
    key, _, value = typed.partition("=")
    assert code == 2 and f"'{key}=\"{value}\"'" in err and err.count("\n") == 1


def test_what_is_missing_or_failed_can_be_forgotten(normbench_command, write):
    write("x if x.shape[0] < 5 else x.nothing")
    code, _, err = normbench_command(*OWN)
    assert code == 1 and "AttributeError" in err and "(mine.py, line 10)" in err, err
    _, out, _ = normbench_command("status")
    assert "failed:" in out and "forget=true" in out
    _, out, _ = normbench_command("status", "forget=true")
    assert "2 grids and failures forgotten" in out and "failed:" not in out


WRONG_LAYERS = {
    "backward": (
        """
class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ArithmeticError("not backward")

class Mine(nn.Identity):
    def __init__(self, num_channels):
        super().__init__()

    def forward(self, x):
        return Backward.apply(x)
""",
        "with norm=Mine: ArithmeticError: not backward (mine.py, line 11)",
    ),
    "another argument": (
        """
class Mine(nn.Identity):
    def __init__(self, num_channels, groups):
        super().__init__()
""",
        "missing 1 required positional argument: 'groups': a layer is made of the number of",
    ),
    "no such name": ("class Min(nn.Identity):\n    pass\n", "mine has no Mine: did you mean Min"),
    "an import that fails": ("import einopps\n", "No module named 'einopps'"),
}


@pytest.mark.parametrize("wrong", WRONG_LAYERS)
def test_a_layer_that_cannot_be_trained_with_is_one_line_and_nothing_is_left(
    normbench_command, wrong
):
    text, line = WRONG_LAYERS[wrong]
    (normbench_command.folder / "mine.py").write_text(f"import torch\nfrom torch import nn\n{text}")
    code, out, err = normbench_command(*OWN)
    assert code == 2 and line in err and err.count("\n") == 1 and out == "", err
    assert not (normbench_command.folder / "results").exists()


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("nowhere.Mine", "there is no module nowhere in the folder where the command is typed"),
        ("__main__.Mine", "__main__.Mine is in no file: save Mine in one"),
        ("torch.nn.BatchNrm2d", "torch.nn has no BatchNrm2d: did you mean BatchNorm2d"),
    ],
)
def test_so_is_a_layer_that_is_not_there(normbench_command, target, line):
    code, _, err = normbench_command(*OWN[:-1], f"norm.layer._target_={target}")
    assert code == 2 and line in err and err.count("\n") == 1, err


def test_a_layer_that_counts_in_python_is_trained_and_told_of(normbench_command, write):
    write("self.count()")
    path = normbench_command.folder / "mine.py"
    path.write_text(
        path.read_text().replace("return self.count()", "return x * self.count()")
        + """
class Mine(Mine):
    calls = None

    def count(self):
        self.calls = (self.calls or 0) + 1
        return 1 + 1 / self.calls
"""
    )
    code, out, err = normbench_command(*OWN, "train.checkpoint=always")
    assert code == 0 and "1 run trained" in out, err
    (line,) = (line for line in err.splitlines() if line.startswith("normbench:"))
    assert "norm=Mine: the layer changes Mine.calls as it is used, which is no buffer" in line
    assert not (normbench_command.folder / "results/checkpoints").exists()
