"""`normbench run` on a device."""

import json

from command_line import TINY
from torch import nn

import normbench


def test_a_grid_is_trained_on_the_device(normbench_command):
    nb = normbench_command
    code, out, err = nb.process(
        "run", *TINY, "device=cuda", "grid.batch_size=[20,2]", "grid.lr=[0.01]",
        "grid.seeds=[0,1]", "norm=groupnorm",
    )  # fmt: skip
    assert code == 0, err
    assert "4 runs trained" in out and "without CUDA graphs" not in err
    for path in nb.records:
        record = json.loads(path.read_text())
        assert record["environment"]["device_type"] == "cuda"
        assert record["environment"]["cudnn"]
        assert record["config"]["train"]["precision"] == "bf16"
        assert record["status"] == "finished"


def test_what_cannot_be_captured_is_said_and_trained(normbench_command):
    code, out, err = normbench_command.process(
        "run", *TINY, "device=cuda", "grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0]",
        "optimizer._target_=torch.optim.NAdam", "optimizer.name=nadam",
    )  # fmt: skip
    assert code == 0, err
    assert "1 run trained" in out
    assert "without CUDA graphs" in err and "NAdam" in err


BOOM = """
import torch
from torch import nn

class Boom(nn.BatchNorm2d):
    \"\"\"With seed 1, a kernel fails, which takes the device from its process.\"\"\"

    def __init__(self, num_channels):
        super().__init__(num_channels)
        self.bad = torch.initial_seed() == 1

    def forward(self, x):
        if self.bad and x.is_cuda:
            x = x + torch.zeros(1, device=x.device)[torch.full((1,), 5, device=x.device)]
        return super().forward(x)
"""


def test_a_run_that_loses_the_device_takes_no_other_along(normbench_command):
    nb = normbench_command
    (nb.folder / "boom.py").write_text(BOOM)
    code, out, err = nb.process(
        "run", *TINY, "device=cuda", "grid.batch_size=[20]", "grid.lr=[0.01]",
        "grid.seeds=[0,1,2,3]", "norm=batchnorm", "norm.name=boom", "norm.layer._target_=boom.Boom",
    )  # fmt: skip
    assert code == 1 and "3 runs trained" in out and "1 failed" in err
    assert "the device is lost to this process" in err
    assert sorted(json.loads(path.read_text())["seed"] for path in nb.records) == [0, 2, 3]


def test_a_layer_that_lies_in_no_module_and_counts_in_python_trains_on_the_device(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)

    class Counts(nn.BatchNorm2d):
        calls = None

        def forward(self, x):
            self.calls = (self.calls or 0) + 1
            return super().forward(x)

    results = normbench.run(
        norm=Counts,
        data="synthetic",
        device="cuda",
        train={"epochs": 1},
        grid={"batch_size": [20], "lr": [0.01], "seeds": [0, 1]},
        **{"data.source.train_size": 120, "data.source.val_size": 60, "data.image_size": 16},
    )
    assert results.frame["status"].tolist() == ["finished", "finished"]
    assert "the layer changes Counts.calls as it is used" in capsys.readouterr().err
