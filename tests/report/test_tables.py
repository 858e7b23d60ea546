"""Tables: functions of the records, honest about what stands behind each row."""

import copy

import pytest
from made_up import stored

from normbench.report.tables import norm_table, norm_tables, write_tables
from normbench.store.records import SCHEMA


def record(batch_size=128, lr=0.01, seed=0, accuracy=0.5, loss=1.0, norm="batchnorm", **changes):
    epoch = {"train_loss": 1.0, "val_loss": loss, "val_accuracy": accuracy}
    made = {
        "schema": SCHEMA,
        "key": f"{norm}{batch_size}{lr}{seed}".replace(".", ""),
        "config": {
            "data": {"name": "imagenette", "image_size": 64},
            "model": {"name": "cnn4", "widths": [16, 32]},
            "norm": {"name": norm, "layer": {"eps": 1e-5}, "weight": None},
            "optimizer": {"name": "sgd"},
            "schedule": {"name": "constant"},
            "train": {"epochs": 3, "precision": "fp32"},
            "grid": {"batch_size": [128, 2], "lr": [0.01, 0.001], "seeds": [0, 1, 2]},
        },
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "status": "finished",
        "epochs": [{"train_loss": 9.0, "val_loss": 9.0, "val_accuracy": 0.0}, epoch],
        "train_seconds": 1.0,
        "images_per_second": 10.0,
        "environment": {"device": "a CPU", "commit": "abc", "normbench": "0.1"},
    }
    return copy.deepcopy(made | changes)


def rows(table):
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_row_is_mean_and_sample_standard_deviation_of_the_last_epoch():
    # by hand: mean of .58 .60 .65 is .61, squared deviations .0009 .0001 .0016, / 2, root: .0361
    runs = [record(seed=s, accuracy=a, loss=2 * a) for s, a in enumerate([0.58, 0.60, 0.65])]
    assert rows(norm_table(runs)) == [["128", "0.01", "**0.61 ± 0.04**", "1.22 ± 0.07"]]


def test_rows_come_in_the_articles_order_and_the_best_accuracy_is_bold():
    cells = {(2, 0.001): 0.51, (128, 0.001): 0.35, (2, 0.01): 0.46, (128, 0.01): 0.47}
    runs = [record(bs, lr, seed, accuracy=a) for (bs, lr), a in cells.items() for seed in (2, 0, 1)]
    assert [row[:3] for row in rows(norm_table(runs))] == [
        ["128", "0.01", "0.47 ± 0.00"],
        ["128", "0.001", "0.35 ± 0.00"],
        ["2", "0.01", "0.46 ± 0.00"],
        ["2", "0.001", "**0.51 ± 0.00**"],
    ]


def test_missing_and_diverged_runs_are_named_and_stay_out_of_the_mean():
    runs = [
        record(seed=0, accuracy=0.4),
        record(seed=1, status="diverged", epochs=[]),
        record(batch_size=2, seed=0, status="diverged", epochs=[]),
        record(batch_size=2, seed=2, status="diverged", epochs=[]),
    ]
    first, second = rows(norm_table(runs))
    assert first[2:] == ["**0.40** (1 of 3 runs; seed 1 diverged)", "1.00"]
    assert second[2:] == ["diverged (0 of 3 runs; seeds 0, 2 diverged)", "diverged"]


def test_norms_come_in_the_articles_order_and_variants_of_one_name_are_told_apart():
    variant = record(norm="batchnorm", seed=1)
    variant["config"]["norm"]["layer"]["eps"] = 0.5
    runs = [record(norm=n) for n in ("mine", "ws_bcn", "batchnorm", "none")] + [variant]
    headings = [heading for heading, _ in norm_tables(runs)]
    assert headings == [
        "none",
        "batchnorm (layer.eps=0.5)",
        "batchnorm (layer.eps=1e-05)",
        "ws_bcn",
        "mine",
    ]


def test_protocols_are_never_mixed(tmp_path):
    other = record(norm="none", seed=1, accuracy=0.9)
    other["config"]["train"]["epochs"] = 5
    text = write_tables(stored(tmp_path, [record(norm="none"), other])).popitem()[1]
    assert "Protocol: train.epochs=3" in text and "Protocol: train.epochs=5" in text
    assert "0.50" in text and "0.90" in text and "0.70" not in text


def test_tables_are_byte_identical_whatever_order_records_were_written_in(tmp_path):
    records = [record(norm=n, seed=s) for n in ("none", "batchnorm") for s in range(3)]
    one = write_tables(stored(tmp_path / "a", records))
    other = write_tables(stored(tmp_path / "b", records[::-1]))
    assert list(one.values()) == list(other.values())
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]
    assert [p.name for p in one] == ["imagenette_cnn4.md"]


@pytest.mark.parametrize("name", ["../../etc/x", "a b", "ünï😀", "q\"uo'te"])
def test_names_cannot_leave_the_tables_folder(tmp_path, name):
    odd = record()
    odd["config"]["model"]["name"] = name
    (path,) = write_tables(stored(tmp_path, [odd]))
    assert path.parent == tmp_path / "tables" and path.is_file()
