"""Real training on real images; only where they are on disk."""

import json


def test_one_epoch_of_a_small_network_beats_chance_clearly(normbench_command, imagenette_root):
    code, out, err = normbench_command(
        "run", f"data.root={imagenette_root}", "norm=batchnorm", "train.epochs=1",
        "grid.batch_size=[32]", "grid.lr=[0.01]", "grid.seeds=[0]",
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(normbench_command.records[0].read_text())
    assert record["epochs"][-1]["val_accuracy"] > 0.35
    assert "cnn4 on imagenette: batchnorm" in out
