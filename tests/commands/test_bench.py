"""`normbench bench`: everybody trains the same thing."""

import json

import pytest


@pytest.mark.slow
def test_a_short_benchmark_needs_no_download(normbench_command):
    code, out, err = normbench_command(
        "bench", "bench.short=true", "bench.batch_sizes=[16]", "data=synthetic",
        "data.image_size=16", "data.source.train_size=400", "data.source.val_size=100",
        "model.widths=[8,8]", "engine.lanes=2",
    )  # fmt: skip
    assert code == 0, err
    assert "normbench, 2 lanes" in out and "as fast as the better of" in out
    folder = normbench_command.folder / "results" / "bench"
    written = json.loads((folder / "cpu_cnn4_batchnorm_16px_fp32_short.json").read_text())
    (row,) = written["rows"]
    for name in ("plain", "normbench, 1 lane", "normbench, 2 lanes"):
        measured = row["contenders"][name]
        assert all(measured[key] > 0 for key in measured), measured
    assert written["environment"]["device"] and str(normbench_command.folder) not in str(written)
    assert row["convolutions"]["images_per_second"] > 0
    assert (folder / "cpu_cnn4_batchnorm_16px_fp32_short.md").read_text() in out
    assert {p.name for p in normbench_command.folder.iterdir()} == {"results"}


@pytest.mark.slow
def test_a_whole_grid_is_trained_by_both_from_images_to_table(normbench_command):
    code, out, err = normbench_command(
        "bench", "bench.batch_sizes=[16]", "bench.seconds=0.5", "bench.scaling_lanes=[]",
        "bench.scaling_batch_sizes=[]", "bench.grid.batch_size=[16,8]", "bench.grid.lr=[0.01]",
        "bench.grid.seeds=[0,1]", "bench.grid.epochs=2", "data=synthetic", "data.image_size=16",
        "data.source.train_size=64", "data.source.val_size=32", "model.widths=[8,8]",
        "norm=groupnorm", "engine.lanes=2",
    )  # fmt: skip
    assert code == 0, err
    (written,) = normbench_command.folder.glob("results/bench/*.json")
    grid = json.loads(written.read_text())["grid"]
    assert grid["runs"] == 4 and all(c["seconds"] > 1 for c in grid["contenders"].values())
    command = grid["command"]
    assert {"optimizer=sgd", "schedule=flat_cosine", "norm=groupnorm"} < set(command)
    assert {"grid.batch_size=[16,8]", "grid.seeds=[0,1]", "train.epochs=2"} < set(command)
    # and it is what trained: typed again, elsewhere, it makes as many records
    code, _, err = normbench_command(*command)
    assert code == 0, err
    assert len(normbench_command.records) == 4
    assert "## A whole grid" in out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("bench.batch_sizes=[0]", "bench.batch_sizes=0"),
        ("bench.seconds=0", "bench.seconds=0"),
        ("bench.grid.batch_size=[0]", "bench.grid.batch_size=0"),
        ("bench.grid.epochs=0", "bench.grid.epochs=0"),
        ("bench.batch_sizes=[121] data=synthetic data.source.train_size=120", "batch size 121"),
        ("norm=batchnrm", "did you mean 'batchnorm'"),
    ],
)
def test_wrong_settings_are_named(normbench_command, typed, said):
    code, out, err = normbench_command("bench", *typed.split())
    assert (code, out, len(err.splitlines())) == (2, "", 1) and said in err
