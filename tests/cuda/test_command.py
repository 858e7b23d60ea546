"""`normbench run` on a device."""

import json

from command_line import TINY


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
