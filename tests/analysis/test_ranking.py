"""Norms in order: of made-up records, whose truth is known."""

import copy

import numpy as np
import pytest
from made_up import CELLS, record, runs

from normbench.analysis.ranking import Place, accuracies, only, rankings
from normbench.analysis.tuning import Tuning

BEST = {"none": 0.40, "batchnorm": 0.50, "groupnorm": 0.60}


def ranked(records, **settings):
    ((_, ranking),) = rankings(records, **settings)
    return ranking


def field(spread=0.001, cells=CELLS, **changes):
    """Three runs of each norm in each cell."""
    return [
        r
        for norm, accuracy in BEST.items()
        for bs, lr in cells
        for r in runs(norm, bs, lr, accuracy, spread, **changes)
    ]


def own(records, name="mine"):
    found = copy.deepcopy(records)
    for one in found:
        one["config"]["norm"] = {
            "name": name,
            "layer": {"_target_": "mylayer.Norm"},
            "weight": None,
        }
    return found


def test_norms_come_in_the_order_of_their_accuracy_whatever_that_of_the_records():
    for records in (field(), field()[::-1]):
        ranking = ranked(records)
        assert ranking.norms == ["groupnorm", "batchnorm", "none"]
        assert ranking.average_ranks == {"groupnorm": 1, "batchnorm": 2, "none": 3}
        assert list(map(str, ranking.places)) == [f"{bs} / {lr:g}" for bs, lr in CELLS]


def test_differences_are_those_of_the_truth_in_each_cell_and_over_all():
    ranking = ranked(field())
    for comparison in (*ranking.compared.values(), ranking.over_all):
        apart = comparison.apart("groupnorm", "none")
        assert apart.value == pytest.approx(0.2) and apart.real
        assert (-apart).value == pytest.approx(comparison.apart("none", "groupnorm").value)
    cell, over_all = ranking.compared[Place(2, 0.01)], ranking.over_all
    widths = [c.apart("groupnorm", "none").half_width for c in (cell, over_all)]
    assert widths[1] < widths[0]


def test_norms_that_overlap_are_not_told_apart():
    ranking = ranked(field(spread=0.1))
    assert not any(c.apart("groupnorm", "none").real for c in ranking.compared.values())


def test_intervals_are_corrected_for_all_cells_that_are_compared():
    one, four = ranked(field(cells=CELLS[:1])), ranked(field())
    assert (one.tables, four.tables) == (1, 5) and four.alpha == pytest.approx(0.05 / 5)
    place = Place(*CELLS[0])
    widths = [r.compared[place].apart("groupnorm", "none").half_width for r in (one, four)]
    assert widths[0] < widths[1]


def test_on_pages_of_equal_norms_a_difference_is_seldom_called_real():
    random, wrong = np.random.default_rng(0), 0
    for _ in range(60):
        records = [
            record(norm=norm, batch_size=bs, seed=seed, accuracy=0.5 + 0.01 * random.normal())
            for norm in BEST
            for bs in (128, 2)
            for seed in range(3)
        ]
        ranking = ranked(records)
        comparisons = [*ranking.compared.values(), ranking.over_all]
        wrong += any(c.apart(a, b).real for c in comparisons for a in BEST for b in BEST if a < b)
    assert wrong / 60 < 0.05 + 3 * 0.028


def test_equal_norms_share_their_rank():
    cells = runs("none", accuracy=0.5), runs("batchnorm", accuracy=0.5), runs("groupnorm")
    ranking = ranked([r for of in cells for r in of])
    assert set(ranking.ranks[Place(128, 0.01)].values()) == {2.0}


def test_a_norm_that_lacks_a_cell_is_ranked_where_it_ran_and_not_over_cells():
    ranking = ranked(field() + own(runs("none", 2, 0.01, accuracy=0.7)))
    assert ranking.ranks[Place(2, 0.01)]["mine"] == 1
    assert "mine" not in ranking.average_ranks and ranking.lacking("mine") == 3
    assert ranking.norms == ["groupnorm", "batchnorm", "none", "mine"]
    # the others' ranks are as if it were not there
    assert ranking.average_ranks == ranked(field()).average_ranks


def test_a_cell_that_few_norms_have_does_not_count_over_cells():
    ranking = ranked(field() + runs("none", 32, accuracy=0.9))
    assert Place(32, 0.01) in ranking.places and Place(32, 0.01) not in ranking.shared
    assert ranking.average_ranks["none"] == 3


def test_norms_with_different_cells_only_have_no_rank_over_cells():
    records = runs("none", 128) + runs("batchnorm", 2)
    ranking = ranked(records)
    assert ranking.average_ranks == {} and ranking.over_all is None
    assert {*ranking.norms} == {"none", "batchnorm"}


def test_a_run_that_diverged_counts_as_accuracy_0():
    records = field()
    for one in [r for r in records if r["config"]["norm"]["name"] == "groupnorm"][::3]:
        one |= {"status": "diverged", "epochs": []}
    ranking = ranked(records)
    assert accuracies(ranking.cells[Place(128, 0.01)]["groupnorm"]) == [0.0, 0.6, 0.601]
    assert ranking.norms == ["batchnorm", "groupnorm", "none"]
    assert not ranking.compared[Place(128, 0.01)].apart("groupnorm", "none").real


def test_norms_that_diverge_always_are_last_and_equal():
    gone = {"status": "diverged"}
    ranking = ranked(runs("none") + runs("batchnorm", **gone) + runs("groupnorm", **gone))
    assert ranking.ranks[Place(128, 0.01)] == {"none": 1, "batchnorm": 2.5, "groupnorm": 2.5}
    comparison = ranking.compared[Place(128, 0.01)]
    assert not comparison.apart("batchnorm", "groupnorm").real


def test_of_one_seed_there_is_an_order_and_nothing_is_certain():
    ranking = ranked([r for r in field() if r["seed"] == 0])
    assert ranking.norms == ["groupnorm", "batchnorm", "none"]
    assert all(c.apart("groupnorm", "none") is None for c in ranking.compared.values())
    assert ranking.over_all.apart("groupnorm", "none") is None


def test_one_norm_is_no_reason_to_fail():
    ranking = ranked(runs("none"))
    assert ranking.norms == ["none"] and ranking.average_ranks == {}


def test_norms_of_one_name_are_told_apart_by_their_settings():
    records = runs("groupnorm", accuracy=0.5) + runs("groupnorm", accuracy=0.6, num_groups=4)
    assert ranked(records).norms == ["groupnorm (layer.num_groups=4)", "groupnorm"]


def test_models_data_and_protocols_are_never_mixed():
    others = [
        *runs("none", model="resnet18"),
        *runs("none", protocol=("data=synthetic",)),
        *runs("none", protocol=("optimizer=sgd",)),
        *runs("none", precision="bf16"),
    ]
    assert len(rankings(field() + others)) == 5


def test_runs_on_a_part_held_out_are_not_ranked_with_others():
    records = field()
    held = copy.deepcopy(runs("none", accuracy=0.99))
    for one in held:
        one["config"]["data"]["held_out"] = 0.1
    assert ranked(records + held).average_ranks["none"] == 3


def test_some_norms_are_ranked_as_if_there_were_no_others():
    some = only(ranked(field()), ["none", "batchnorm"])
    assert some.norms == ["batchnorm", "none"] and len(some.records) == 24


TUNING = Tuning(3, (0.001, 1.0), None, (1000, 1001), 0.1)


def tuned(norm, best, accuracy, reported=(0, 1, 2), **changes):
    """Runs that choose, and those that are reported, of all candidates."""
    records = []
    for candidate in TUNING.candidates:
        for seed in TUNING.seeds:
            held = 0.9 if candidate == TUNING.candidates[best] else 0.5
            one = record(norm=norm, lr=candidate.lr, seed=seed, accuracy=held, **changes)
            records.append(copy.deepcopy(one))
            records[-1]["config"]["data"]["held_out"] = 0.1
        for seed in reported:
            value = accuracy if candidate == TUNING.candidates[best] else 0.99
            value += 0.001 * seed
            records.append(record(norm=norm, lr=candidate.lr, seed=seed, accuracy=value, **changes))
    return records


def test_tuned_norms_are_ranked_by_other_seeds_with_what_each_chose():
    records = tuned("none", 0, 0.4) + tuned("batchnorm", 2, 0.6)
    ranking = ranked(records, tuning=TUNING)
    assert ranking.places == [Place(128, None)] and ranking.norms == ["batchnorm", "none"]
    cells = ranking.cells[Place(128, None)]
    assert {norm: cell.lr for norm, cell in cells.items()} == {
        "none": TUNING.candidates[0].lr,
        "batchnorm": TUNING.candidates[2].lr,
    }
    assert accuracies(cells["none"]) == pytest.approx([0.4, 0.401, 0.402])
    assert ranking.compared[Place(128, None)].apart("batchnorm", "none").real


def test_a_norm_whose_budget_is_not_spent_is_not_ranked():
    records = tuned("none", 0, 0.4) + tuned("batchnorm", 2, 0.6)[1:]
    ranking = ranked(records, tuning=TUNING)
    assert ranking.norms == ["none"] and ranking.chosen["batchnorm", 128].lacking == 1
