"""A benchmark's tables say who was how fast."""

import pytest

from normbench.report.bench import glance, headline, render


def contender(speed, **changes):
    return {
        "images_per_second": speed,
        "evaluation_images_per_second": 2 * speed,
        "startup_seconds": 5.0,
        "peak_memory": 300 * 2**20,
    } | changes


@pytest.fixture
def result():
    return {
        "config": {
            "model": {"name": "cnn4"},
            "norm": {"name": "batchnorm"},
            "data": {"name": "imagenette", "image_size": 128},
            "optimizer": {"name": "sgd"},
        },
        "precision": "fp32",
        "images": {"train": 1000, "val": 400},
        "environment": {
            "device": "a CPU", "cores": 2, "normbench": "0.1", "commit": "abc", "torch": "2.15",
        },
        "rows": [
            {
                "batch_size": 2,
                "ceilings": {
                    "matrix_flops": 1e9,
                    "memory_bytes": 1e9,
                    "flops_per_image": 1e6,
                    "bytes_per_image": 5e5,
                },
                "convolutions": {"images_per_second": 625.0},
                "contenders": {
                    "plain": contender(100.0),
                    "fastai": contender(80.0),
                    "normbench, 1 lane": contender(300.0, lanes=1),
                    "normbench, 2 lanes": contender(500.0, lanes=2),
                },
            }
        ],
        "by_lanes": [{"batch_size": 2, "lanes": 4, **contender(510.0)}],
        "by_batch_size": [],
    }  # fmt: skip


def cells(text):
    return [
        [c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if "×" in line
    ]


def test_ratios_are_to_the_better_of_plain_and_fastai(result):
    table = {row[1]: row for row in cells(render(result)) if len(row) == 11}
    assert [table[name][3] for name in table] == ["1.00×", "0.80×", "3.00×", "5.00×"]
    assert headline(result).startswith("normbench trains 5.0× at batch size 2 as fast")
    # 500 images/s of 625; of 1e6 operations against 1e9; of 5e5 bytes against 1e9
    assert table["normbench, 2 lanes"][-3:] == ["80%", "50%", "25%"]
    assert headline(result).endswith(", at 80% of the speed of the convolutions alone.")


def test_at_a_glance(result):
    assert glance(result) == [("128 px, fp32", "2", "500 (5.0×)", "80%", "100", "80")]
    result["rows"][0]["contenders"]["fastai"] = {"missing": "no fastai"}
    assert glance(result)[0][-1] == "–"
    assert list(glance(result)[0]) in cells(render(result))


def test_what_convolutions_take_may_be_unknown(result):
    result["rows"][0]["convolutions"] = {"missing": "out of memory"}
    table = {row[1]: row for row in cells(render(result)) if len(row) == 11}
    assert table["normbench, 2 lanes"][-3:] == ["", "50%", "25%"]
    assert headline(result).endswith("as the better of plain and fastai.")


def test_a_whole_grid_is_told_with_the_command_that_trained_it(result):
    assert "whole grid" not in render(result)
    settings = {"batch_size": [128, 2], "lr": [0.01], "seeds": [0, 1], "epochs": 3}
    result["config"]["bench"] = {"grid": settings}
    result["grid"] = {
        "runs": 4,
        "command": ["run", "norm=groupnorm", "grid.seeds=[0,1]"],
        "contenders": {
            "plain": {"seconds": 300.0, "peak_memory": 2**30},
            "normbench": {"seconds": 40.0, "peak_memory": 2**31},
        },
    }
    text = render(result)
    assert "all 4 runs of batch sizes 128, 2 × learning rates 0.01 × seeds 0, 1, 3 epochs" in text
    assert "`normbench run norm=groupnorm grid.seeds=[0,1]`" in text
    assert ["normbench", "40", "7.5×", "2,048"] in cells(text)


def test_a_cell_is_three_seeds_and_three_epochs_in_as_many_rounds_as_lanes_need(result):
    table = {row[1]: row for row in cells(render(result)) if len(row) == 11}
    # 3 x (5 + 3 x (1000/100 + 400/200)); 5 + 3 x 3 x (1000/300 + 400/600);
    # two lanes: 5 + 2 rounds x 3 x 2 x (1000/500 + 400/1000)
    assert [table[n][5] for n in ("plain", "normbench, 1 lane", "normbench, 2 lanes")] == [
        "123", "41", "34",
    ]  # fmt: skip


def test_a_machine_that_was_busy_is_said(result):
    assert "Not to be trusted" not in render(result)
    result["busy"] = "3 other processes ran"
    assert "**Not to be trusted: 3 other processes ran when this was measured.**" in render(result)


def test_a_contender_that_is_not_there_is_said_and_not_compared_with(result):
    result["rows"][0]["contenders"]["plain"] = {"missing": "gone fishing"}
    assert "plain: gone fishing" in render(result)
    assert headline(result).startswith("normbench trains 6.2×")
