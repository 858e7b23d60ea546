"""Wrong input: one clear line that names culprit and remedy, exit code 2, nothing left behind."""

import pytest
import torch

# Told before anything is read: what is typed -> what the line must say.
TYPED = {
    "norm=batchnrm": ["norm=batchnrm is not known", "did you mean 'batchnorm'", "groupnorm"],
    "norm=none,batchnrm": ["norm=batchnrm is not known", "did you mean 'batchnorm'"],
    "model=cnn5": ["model=cnn5", "did you mean 'cnn4'"],
    "data=imagenete": ["data=imagenete", "did you mean 'imagenette'"],
    "experiment=quikstart": ["experiment=quikstart", "did you mean 'quickstart'"],
    "nrm=batchnorm": ["'nrm'", "did you mean 'norm'"],
    "train.epoch=3": ["'train.epoch'", "did you mean 'epochs'"],
    "norm.layer.epz=3": ["'norm.layer.epz'", "did you mean 'eps'"],
    "grid.batch_size=[a]": ["grid.batch_size", "'a'", "Integer"],
    "grid.batch_size=3": ["grid.batch_size=3", "Give a list"],
    "grid.lr=[fast]": ["grid.lr", "'fast'", "Float"],
    "grid.lr=[0.1": ["[0.1"],
    "grid=[2]": ["settings"],
    "foo": ["foo"],
    "--cfg=nothing": ["--cfg", "'nothing'", "job"],
    "hydra.sweeper.max_batch_size=1": ["hydra.sweeper.max_batch_size", "grid.split"],
}

# Told before anything is trained.
CHECKED = {
    "grid.batch_size=[0]": ["grid.batch_size=0", "whole numbers from 1"],
    "grid.batch_size=[]": ["grid.batch_size is empty"],
    "grid.lr=[]": ["grid.lr is empty"],
    "grid.seeds=[]": ["grid.seeds is empty"],
    "grid.lr=[-0.1]": ["grid.lr=-0.1", "positive"],
    "grid.lr=[0]": ["grid.lr=0", "positive"],
    "grid.lr=[nan]": ["grid.lr=nan", "positive"],
    "grid.seeds=[1,2,1]": ["grid.seeds has 1 more than once"],
    "grid.seeds=[-1]": ["grid.seeds=-1"],
    "grid.split=seed": ["grid.split=seed", "batch_size, cell, run"],
    "grid.part.seeds=[7]": ["grid.part.seeds=[7]", "grid.seeds"],
    "train.epochs=0": ["train.epochs=0"],
    "train.precision=fp8": ["train.precision=fp8", "bf16"],
    "device=tpu": ["device=tpu", "cuda"],
    "engine.lanes=none": ["engine.lanes=none", "auto"],
    "norm=groupnorm norm.layer.num_groups=7": ["num_groups=7", "num_channels=16"],
    "norm.layer._target_=nowhere.Mine": ["nowhere.Mine"],
    "+norm.layer.epz=3": ["epz"],
    "model.widths=[16,-3]": ["widths", "-3"],
    "optimizer=sgd schedule=constant optimizer.momentum=-1": ["optimizer=sgd", "momentum"],
    "optimizer=sgd optimizer.momentum=0.5": ["optimizer.momentum=0.5", "schedule.momentum"],
    "schedule=flat_cosine schedule.flat=7": ["schedule=flat_cosine", "flat=7"],
    "grid.batch_size=[121] data=synthetic data.source.train_size=120": ["121", "120 images"],
    "data.root=/nowhere": ["/nowhere", "does not exist"],
    "results.dir=/proc/nowhere data=synthetic": ["results.dir=/proc/nowhere", "cannot be used"],
}


def only_line(command_line, answer):
    code, out, err = answer
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    (line,) = err.splitlines()
    assert list(command_line.folder.iterdir()) == []
    return line


def wrong(command_line, *arguments):
    return only_line(command_line, command_line(*arguments))


@pytest.mark.parametrize("typed", [*TYPED, *CHECKED])
def test_what_is_wrong_is_named_before_anything_is_trained(normbench_command, typed):
    line = wrong(normbench_command, "run", *typed.split())
    for word in (TYPED | CHECKED)[typed]:
        assert word in line


@pytest.mark.parametrize("typed", ["norm=batchnrm", "norm=groupnorm norm.layer.num_groups=7"])
def test_so_it_is_in_a_process_of_its_own(normbench_command, typed):
    line = only_line(normbench_command, normbench_command.process("run", *typed.split()))
    for word in (TYPED | CHECKED)[typed]:
        assert word in line


def test_cuda_where_there_is_none(normbench_command, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = wrong(normbench_command, "run", "device=cuda")
    assert "device=cuda" in line and "device=cpu" in line


def test_an_unknown_command_is_answered_with_the_known_ones(normbench_command):
    assert "did you mean 'table'" in wrong(normbench_command, "tabel")


@pytest.mark.parametrize("command", ["table", "status"])
def test_a_folder_without_records(normbench_command, command):
    assert "holds no records" in wrong(normbench_command, command)
    assert "nowhere" in wrong(normbench_command, command, "results.dir=nowhere")


@pytest.mark.parametrize("command", ["compare", "claims"])
def test_nothing_to_look_at(normbench_command, command):
    assert "holds no records" in wrong(normbench_command, command)
    assert "nowhere" in wrong(normbench_command, command, "results.dir=nowhere")
    assert "train.precision=fp8" in wrong(normbench_command, command, "train.precision=fp8")
    assert "did you mean 'sgd'" in wrong(normbench_command, command, "optimizer=sgdd")


def test_full_errors_on_request(normbench_command):
    code, _, err = normbench_command("run", "norm=batchnrm", HYDRA_FULL_ERROR="1")
    assert code != 0 and "Traceback" in err and "batchnrm" in err
