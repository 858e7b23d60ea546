"""The commands from Python: the same records, answers to look at, layers from wherever they are."""

import functools
import importlib
import json
import subprocess
import sys
import threading

import pytest
import torch
from command_line import ONE_RUN, TINY
from made_up import runs, stored
from torch import nn

import normbench

# What the command line has in TINY and ONE_RUN, as Python has it.
SETTINGS = {
    "device": "cpu",
    "data.source.train_size": 120,
    "data.source.val_size": 60,
    "data.image_size": 16,
    "model": {"widths": [8, 16]},
    "train": {"epochs": 1},
    "engine.threads": 1,
}
GRID = {"batch_size": [20], "lr": [0.01], "seeds": [0]}
TIMES = ("train_seconds", "evaluation_seconds", "images_per_second", "checksum")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(norm="groupnorm", **changes):
    return normbench.run(norm=norm, data="synthetic", **{"grid": GRID, **SETTINGS} | changes)


def outcome(record):
    return {key: value for key, value in record.items() if key not in TIMES}


class Scaled(nn.Module):
    def __init__(self, num_channels, by=2.0):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x * self.by


def local_layer(factor):
    class Local(nn.Module):
        def __init__(self, num_channels):
            super().__init__()

        def forward(self, x):
            return x * factor

    return Local


def test_a_run_makes_the_record_that_the_command_makes(normbench_command):
    results = run()
    (record,) = results.records
    code, _, err = normbench_command("run", *TINY, *ONE_RUN, "norm=groupnorm")
    assert code == 0, err
    (path,) = normbench_command.records
    assert outcome(record) == outcome(json.loads(path.read_text()))
    assert json.loads((results.folder / "records" / path.name).read_text()) == record
    assert (results.folder / "tables" / "synthetic_cnn4.md").is_file()


def test_results_are_a_table_and_a_frame(capsys):
    results = run(["none", "groupnorm"])
    assert (results.trained, results.found) == (2, 0)
    assert results.frame["norm"].tolist() == ["none", "groupnorm"]
    assert results.frame.columns.equals(normbench.load_records("results").columns)
    for text in (str(results), repr(results), results._repr_markdown_()):
        assert "cnn4 on synthetic: groupnorm" in text and "| Accuracy" in text
    again = run(["none", "groupnorm"])
    assert (again.trained, again.found) == (0, 2) and again.records == results.records


def test_a_class_with_arguments_of_its_own_or_of_a_function_is_trained():
    results = run([functools.partial(Scaled, by=3.0), local_layer(0.5)])
    own, local = results.records
    assert own["config"]["norm"]["layer"]["by"] == 3.0
    assert local["config"]["norm"] == {
        "name": "Local", "layer": {"_target_": "__main__.Local"}, "weight": None,
    }  # fmt: skip
    assert list(local["outside"]) == ["__main__.Local"]
    assert not hasattr(sys.modules["__main__"], "Local"), "and leaves nothing behind"


def test_what_a_layer_refers_to_is_part_of_its_source():
    first = run(local_layer(0.5)).records[0]
    assert run(local_layer(0.5)).trained == 0
    changed = run(local_layer(2.0))
    assert changed.trained == 1 and changed.records[0]["key"] == first["key"]
    aside = changed.folder / "records/set_aside" / f"{first['key']}.1.changed"
    assert json.loads(aside.read_text()) == first


def test_settings_that_are_wrong_get_the_line_of_the_command(normbench_command):
    for settings, typed in (
        ({"train": {"epoch": 3}}, "train.epoch=3"),
        ({"norm": "batchnrm"}, "norm=batchnrm"),
        ({"grid": {"lr": [-1.0]}}, "grid.lr=[-1.0]"),
        ({"grid.batch_size": ["a"]}, "grid.batch_size=[a]"),
    ):
        with pytest.raises(normbench.UserError) as error:
            normbench.run(**{"data": "synthetic"} | settings)
        code, _, err = normbench_command("run", "data=synthetic", typed)
        assert (code, err) == (2, f"normbench: {error.value}\n")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"norm": lambda channels: nn.Identity()}, "has no name for records"),
        ({"norm": functools.partial(Scaled, 4)}, "give the arguments of .* by their names"),
        ({"norm": [local_layer(1), local_layer(2)]}, "another Local is given as well"),
        ({"norm": []}, "norm is empty"),
        ({"launcher": "slurm"}, "launcher is for the command line"),
        ({"train.epochs": object()}, "train.epochs is a object"),
    ],
)
def test_what_only_python_can_get_wrong_is_told_in_a_line(settings, line):
    with pytest.raises(normbench.UserError, match=line):
        normbench.run(**{"data": "synthetic"} | settings)


def test_a_layer_that_cannot_be_sent_to_a_lane_is_named():
    lock = threading.Lock()

    class Locked(Scaled):
        def forward(self, x):
            with lock:
                return x

    with pytest.raises(normbench.UserError, match="^Locked cannot be sent to the processes"):
        run(Locked)


def test_a_run_that_fails_leaves_the_others_in_the_error():
    class Fussy(Scaled):
        def forward(self, x):
            if self.training and len(x) > 10:
                raise ArithmeticError("too many")
            return x

    with pytest.raises(normbench.RunFailed, match="Fussy bs=20 .*ArithmeticError: too many") as it:
        run(Fussy, grid=GRID | {"batch_size": [20, 5]})
    (record,) = it.value.answer.records
    assert record["batch_size"] == 5
    assert it.value._render_traceback_() == [f"RunFailed: {it.value}"]


def test_a_dry_run_tells_what_there_is_to_train_and_writes_nothing(folder):
    plan = run(["none", "groupnorm"], dry_run=True)
    assert "2 runs, 0 already there, 2 to train" in plan and list(folder.iterdir()) == []
    run("none")
    plan = run(["none", "groupnorm"], dry_run=True)
    assert "2 runs, 1 already there, 1 to train: about" in plan._repr_markdown_()


def test_an_experiment_and_configs_of_ones_own_are_found(folder):
    plan = normbench.run(experiment="quickstart", dry_run=True)
    assert "24 runs, 0 already there" in plan and "| groupnorm |" in plan
    (folder / "mine/norm").mkdir(parents=True)
    (folder / "mine/norm/halves.yaml").write_text(
        "name: halves\nlayer: {_target_: torch.nn.BatchNorm2d, eps: 0.1}\nweight: {}\n"
    )
    plan = run("halves", config_dir="mine", dry_run=True)
    assert "| halves |" in plan
    with pytest.raises(normbench.UserError, match="config_dir=nowhere does not exist"):
        normbench.run(norm="halves", config_dir="nowhere", dry_run=True)


def test_a_probe_returns_its_numbers_and_its_figure():
    probed = normbench.probe(
        "gradients", norm="none", data="synthetic", grid=GRID, **SETTINGS, **{"probe.steps": 3}
    )
    (record,) = probed.records
    assert record["config"]["probe"]["steps"] == 3 and record["measured"]
    norms = probed.frame[probed.frame["quantity"] == "norms"]["value"].tolist()
    assert norms == [norm for of_step in record["measured"]["norms"] for norm in of_step]
    (stem,) = probed.figures
    assert stem.with_name(f"{stem.name}.png").is_file()
    assert probed._repr_html_().startswith("<img ") and "1 run measured" in str(probed)


def test_a_file_that_was_edited_after_it_was_imported_has_to_be_loaded_anew(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    text = "from torch import nn\n\nclass Edited(nn.Identity):\n    def __init__(self, channels):\n"
    (folder / "edited.py").write_text(f"{text}        super().__init__()\n")
    import edited

    first = edited.Edited
    assert run(first).trained == 1
    (folder / "edited.py").write_text(f"{text}        super().__init__()  # as before\n")
    with pytest.raises(normbench.UserError, match=r"importlib.reload\(edited\) and import Edited"):
        run(first)
    importlib.reload(edited)
    with pytest.raises(normbench.UserError, match="edited.Edited is another Edited by now"):
        run(first)
    assert run(edited.Edited).trained == 1
    del sys.modules["edited"]


def test_norms_are_ranked_by_their_records(folder):
    class groupnorm:  # known by its name
        pass

    stored(folder / "results", [*runs("none"), *runs("groupnorm", accuracy=0.6)])
    ranked = normbench.rank(norm=groupnorm, baseline="none")
    assert "groupnorm (0.600) is above none" in " ".join(str(ranked).split())
    assert ranked.frame["norm"].tolist() == ["groupnorm", "none"]
    assert [path.suffix for path in ranked.figures] == [".png", ".png"]
    assert ranked._repr_html_().startswith("<img ")
    for settings, line in (
        ({"norm": "grupnorm"}, "norm=grupnorm has no runs here: did you mean 'groupnorm'"),
        ({"tel": 0.1}, "'tel'"),
        ({"results": {"dir": "nowhere"}}, "nowhere"),
    ):
        with pytest.raises(normbench.UserError, match=line):
            normbench.rank(**settings)


def test_threads_wait_for_each_other():
    answers = {}
    threads = [
        threading.Thread(target=lambda n=norm: answers.update({n: run(n)}))
        for norm in ("none", "groupnorm")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: len(answer.records) for name, answer in answers.items()} == {
        "none": 1, "groupnorm": 1,
    }  # fmt: skip


def test_nothing_of_this_process_is_changed():
    before = torch.get_rng_state(), torch.get_num_threads()
    run()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


SCRIPT = f"""
import normbench
from torch import nn

print("once")
FACTOR = 2.0

def scaled(x):
    return FACTOR * x

class Mine(nn.Module):
    def __init__(self, num_channels):
        super().__init__()

    def forward(self, x):
        return scaled(x)

results = normbench.run(norm=Mine, data="synthetic", grid={GRID}, **{SETTINGS})
print(results.trained, results.records[0]["outside"])
"""


@pytest.mark.slow
def test_a_script_trains_its_own_layer_without_guarding_its_main_part(folder):
    (folder / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    once, trained = done.stdout.splitlines()
    assert once == "once" and trained.startswith("1 {'__main__.Mine': ")
