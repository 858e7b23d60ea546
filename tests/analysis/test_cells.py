"""Cells: the records of one protocol, and only those."""

from made_up import CELLS, record, results, runs

CELL = ("cnn4", "batchnorm", 128, 0.01)


def test_every_cell_of_the_grid_is_there_run_or_not():
    found = results(runs("none"))
    assert {key[2:] for key in found.cells} == set(CELLS)
    assert len(found.cells) == 2 * 8 * 4
    assert [c.caveat for c in found.cells.values()].count("not run") == 2 * 8 * 4 - 1
    assert list(found.records) == ["cnn4"]


def test_a_cell_is_mean_and_spread_of_the_last_epoch():
    cell = results(runs("batchnorm", accuracy=0.6, spread=0.02)).cells[CELL]
    assert (round(cell.accuracy.mean, 6), round(cell.accuracy.std, 6)) == (0.6, 0.02)
    assert cell.accuracy.runs == 3 and cell.loss.mean == 1.5 and cell.caveat == ""


def test_missing_and_diverged_runs_are_named_and_stay_out_of_the_mean():
    records = [record(seed=0, accuracy=0.4), record(seed=1, status="diverged")]
    cell = results(records).cells[CELL]
    assert cell.accuracy.mean == 0.4 and cell.accuracy.std is None
    assert cell.caveat == "1 of 3 runs; seed 1 diverged"
    cell = results([record(status="diverged")]).cells[CELL]
    assert cell.accuracy is None and cell.loss is None


def test_records_of_another_protocol_are_left_out_unless_it_is_asked_for():
    ours, others = runs("batchnorm"), runs("batchnorm", accuracy=0.9, protocol=("optimizer=sgd",))
    assert results(ours + others).cells[CELL].accuracy.mean == 0.5
    assert results(ours + others, protocol=("optimizer=sgd",)).cells[CELL].accuracy.mean == 0.9
    other_data = record(seed=4)
    other_data["config"]["data"] = other_data["config"]["data"] | {"name": "flowers"}
    assert results(ours + [other_data]).cells[CELL].accuracy.runs == 3


def test_precision_auto_is_what_most_runs_have_and_the_others_are_named():
    ours, others = runs("batchnorm"), runs("batchnorm", accuracy=0.9, precision="bf16")[:2]
    found = results(others + ours)
    assert found.cells[CELL].accuracy.mean == 0.5
    assert found.others == ("cnn4: 2 more runs with train.precision=bf16",)
    found = results(others + ours, precision="bf16")
    assert found.cells[CELL].accuracy.mean > 0.8 and found.others == ()


def test_a_norm_with_other_settings_is_not_the_articles():
    cells = results(runs("batchnorm") + runs("batchnorm", accuracy=0.9, eps=0.5)).cells
    assert cells[CELL].accuracy.mean == 0.5
    assert cells["cnn4", "batchnorm (layer.eps=0.5)", 128, 0.01].accuracy.mean == 0.9
    alone = results(runs("batchnorm", eps=0.5)).cells
    assert alone[CELL].accuracy is None and len(alone) == 2 * 8 * 4 + 1


def test_a_norm_of_the_users_own_is_a_cell_too():
    own = runs("batchnorm")
    for one in own:
        one["config"]["norm"] = {"name": "mine", "layer": {"_target_": "x.Mine"}, "weight": None}
    cells = results(own).cells
    assert cells["cnn4", "mine", 128, 0.01].accuracy.runs == 3
    norms = list(dict.fromkeys(norm for model, norm, *_ in cells if model == "cnn4"))
    assert norms[-1] == "mine" and norms[:2] == ["none", "batchnorm"]


def test_the_order_of_records_does_not_matter():
    records = runs("none") + runs("batchnorm", precision="bf16") + runs("layernorm")
    assert results(records) == results(records[::-1])
