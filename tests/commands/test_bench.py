"""`normbench bench`: everybody trains the same thing, and the table says who was how fast."""

import json
import time

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torchvision.datasets import ImageFolder

from normbench.bench.ceilings import CountBytes, best_seconds
from normbench.bench.images import images_as_files
from normbench.bench.measure import Task, measure
from normbench.errors import RunFailed
from normbench.report.bench import headline, render

TASK = Task("", "", 2, "cpu", "fp32", 1.0, None)


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
    table = {row[1]: row for row in cells(render(result)) if len(row) == 10}
    assert [table[name][3] for name in table] == ["1.00×", "0.80×", "3.00×", "5.00×"]
    assert headline(result).startswith("normbench trains 5.0× at batch size 2 as fast")
    # 500 images/s of 1e6 operations against 1e9; of 5e5 bytes against 1e9
    assert table["normbench, 2 lanes"][-2:] == ["50%", "25%"]


def test_a_cell_is_three_seeds_and_three_epochs_in_as_many_rounds_as_lanes_need(result):
    table = {row[1]: row for row in cells(render(result)) if len(row) == 10}
    # 3 x (5 + 3 x (1000/100 + 400/200)); 5 + 3 x 3 x (1000/300 + 400/600);
    # two lanes: 5 + 2 rounds x 3 x 2 x (1000/500 + 400/1000)
    assert [table[n][5] for n in ("plain", "normbench, 1 lane", "normbench, 2 lanes")] == [
        "123", "41", "34",
    ]  # fmt: skip


def test_a_contender_that_is_not_there_is_said_and_not_compared_with(result):
    result["rows"][0]["contenders"]["plain"] = {"missing": "gone fishing"}
    assert "plain: gone fishing" in render(result)
    assert headline(result).startswith("normbench trains 6.2×")


def test_images_that_are_drawn_become_files_and_files_are_linked_to(tmp_path):
    drawn, linked = tmp_path / "drawn", tmp_path / "linked"
    drawn.mkdir(), linked.mkdir()
    settings = {
        "name": "synthetic",
        "source": {
            "_target_": "normbench.data.sources.synthetic", "_partial_": True,
            "train_size": 30, "val_size": 20,
        },
        "root": None, "cache": None, "download": False, "image_size": 16, "fit": "crop",
        "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0],
    }  # fmt: skip
    images_as_files(settings, drawn)
    assert len(ImageFolder(drawn / "train")) == 30 and len(ImageFolder(drawn / "val")) == 20
    folder = settings | {
        "root": str(drawn),
        "source": {"_target_": "normbench.data.sources.imagefolder", "_partial_": True},
    }
    images_as_files(OmegaConf.create(folder), linked)
    assert (linked / "train").is_symlink()
    assert ImageFolder(linked / "train")[3][1] == ImageFolder(drawn / "train")[3][1]
    with Image.open(next(linked.glob("val/*/*.jpg"))) as image:
        assert image.size == (16, 16)


def module(folder, name, body, monkeypatch):
    (folder / f"{name}.py").write_text(
        "from normbench.bench.measure import contender, cannot_run\n"
        f"def main(task):\n    {body}\ncontender(main)\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_a_contenders_answer_comes_back_with_its_peak_memory(tmp_path, monkeypatch):
    body = "import time; x = bytearray(200 << 20); time.sleep(1.5); return {'bs': task.batch_size}"
    answer = measure(module(tmp_path, "good", body, monkeypatch), TASK)
    assert answer["bs"] == 2
    assert 200 << 20 < answer["peak_memory"] < 800 << 20


def test_a_contender_that_cannot_run_or_fails_says_why(tmp_path, monkeypatch):
    body = "print('noise'); cannot_run('no such library')"
    assert measure(module(tmp_path, "absent", body, monkeypatch), TASK) == {
        "missing": "no such library"
    }
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        measure(module(tmp_path, "broken", "return 1 / 0", monkeypatch), TASK)


def test_bytes_are_those_of_operands_and_views_are_free():
    a, b = torch.zeros(10, 10), torch.zeros(10, 10)
    with CountBytes() as count:
        (a + b).view(100).t()
    assert count.bytes == 3 * 400
    assert 0.01 <= best_seconds(lambda: time.sleep(0.01), 0.05, torch.device("cpu")) < 0.05


def test_a_short_benchmark_needs_no_download(normbench_command):
    code, out, err = normbench_command(
        "bench", "bench.short=true", "bench.batch_sizes=[16]", "data=synthetic",
        "data.image_size=16", "data.source.train_size=400", "data.source.val_size=100",
        "model.widths=[8,8]", "engine.lanes=2",
    )  # fmt: skip
    assert code == 0, err
    assert "normbench, 2 lanes" in out and "as fast as the better of" in out
    folder = normbench_command.folder / "results" / "bench"
    written = json.loads((folder / "cpu_cnn4_batchnorm_fp32_short.json").read_text())
    (row,) = written["rows"]
    for name in ("plain", "normbench, 1 lane", "normbench, 2 lanes"):
        measured = row["contenders"][name]
        assert all(measured[key] > 0 for key in measured), measured
    assert written["environment"]["device"] and str(normbench_command.folder) not in str(written)
    assert (folder / "cpu_cnn4_batchnorm_fp32_short.md").read_text() in out
    assert {p.name for p in normbench_command.folder.iterdir()} == {"results"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("bench.batch_sizes=[0]", "bench.batch_sizes=0"),
        ("bench.seconds=0", "bench.seconds=0"),
        ("bench.batch_sizes=[99999] data=synthetic", "batch size 99999"),
        ("norm=batchnrm", "did you mean 'batchnorm'"),
    ],
)
def test_wrong_settings_are_named(normbench_command, typed, said):
    code, out, err = normbench_command("bench", *typed.split())
    assert (code, out, len(err.splitlines())) == (2, "", 1) and said in err
