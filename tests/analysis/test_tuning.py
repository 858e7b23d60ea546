"""The same budget for every norm: what is tried, and what the runs choose."""

import copy

import pytest
from made_up import record

from normbench.analysis.tuning import Candidate, Tuning, choose

TUNING = Tuning(3, (0.001, 1.0), None, (1000, 1001), 0.1)
LOW, MIDDLE, HIGH = sorted(TUNING.candidates)


def trial(candidate, accuracy, seed=1000, held_out=0.1, **changes):
    made = copy.deepcopy(record(lr=candidate.lr, seed=seed, accuracy=accuracy, **changes))
    if held_out:
        made["config"]["data"]["held_out"] = held_out
    if candidate.weight_decay is not None:
        made["config"]["optimizer"]["weight_decay"] = candidate.weight_decay
    return made


def trials(accuracies, **changes):
    return [
        trial(candidate, accuracy, seed, **changes)
        for candidate, accuracy in zip((LOW, MIDDLE, HIGH), accuracies, strict=True)
        for seed in TUNING.seeds
    ]


def test_candidates_are_even_in_log_scale_and_the_first_is_the_middle():
    assert [candidate.lr for candidate in TUNING.candidates] == [0.0316, 0.00562, 0.178]
    seven = Tuning(7, (1.0, 256.0), None, (0,), 0.1)
    assert sorted(seven.rates) == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]


def test_a_larger_budget_tries_the_same_and_more():
    more = Tuning(8, (0.001, 1.0), None, (1000,), 0.1)
    assert more.candidates[:3] == TUNING.candidates and len(set(more.candidates)) == 8


def test_weight_decays_are_tried_with_learning_rates_not_each_with_each():
    both = Tuning(9, (0.001, 1.0), (1e-5, 1e-1), (0,), 0.1)
    assert len({c.lr for c in both.candidates}) == len({c.weight_decay for c in both.candidates})
    assert len(both.candidates) == 9
    assert all(1e-5 < c.weight_decay < 1e-1 and 0.001 < c.lr < 1 for c in both.candidates)


def test_the_best_mean_on_the_part_held_out_is_chosen():
    choice = choose(TUNING, trials([0.3, 0.6, 0.5]))
    assert choice.best == MIDDLE and choice.edges == () and choice.lacking == 0
    assert choice.accuracies == pytest.approx({LOW: 0.3, MIDDLE: 0.6, HIGH: 0.5})


def test_what_is_reported_does_not_choose():
    """Neither other seeds, nor the validation split, nor learning rates that were not drawn."""
    others = [trial(LOW, 0.99, seed=0), trial(LOW, 0.99, held_out=0), trial(LOW, 0.9, held_out=0.2)]
    others.append(trial(Candidate(0.02, None), 0.99))
    assert choose(TUNING, trials([0.3, 0.6, 0.5]) + others) == choose(
        TUNING, trials([0.3, 0.6, 0.5])
    )


@pytest.mark.parametrize(
    "accuracies, edge",
    [([0.6, 0.5, 0.3], "the lowest learning rate"), ([0.1, 0.5, 0.6], "the highest learning rate")],
)
def test_it_says_where_the_best_lies_at_the_edge(accuracies, edge):
    assert choose(TUNING, trials(accuracies)).edges == (f"{edge} tried",)


def test_a_run_that_diverged_counts_as_nothing_and_all_that_did_choose_nothing():
    runs = trials([0.4, 0.5, 0.7])
    runs[-1] |= {"status": "diverged", "epochs": []}
    choice = choose(TUNING, runs)
    assert choice.best == MIDDLE and choice.diverged == 1
    assert choice.accuracies[HIGH] == pytest.approx(0.35)
    for run in runs:
        run |= {"status": "diverged", "epochs": []}
    assert choose(TUNING, runs).best is None


def test_nothing_is_chosen_before_the_budget_is_spent():
    choice = choose(TUNING, trials([0.3, 0.6, 0.5])[:-1])
    assert choice.best is None and choice.lacking == 1


def test_of_equals_the_lower_loss_is_chosen():
    runs = trials([0.5, 0.5, 0.4])
    for run in runs:
        run["epochs"][-1]["val_loss"] = 1.0 if run["lr"] == LOW.lr else 2.0
    assert choose(TUNING, runs).best == LOW


def test_a_weight_decay_is_chosen_with_its_learning_rate():
    both = Tuning(3, (0.001, 1.0), (1e-4, 1e-1), (1000,), 0.1)
    runs = [trial(c, 0.6 if c == both.candidates[1] else 0.5) for c in both.candidates]
    choice = choose(both, runs)
    assert choice.best == both.candidates[1]
    assert choice.edges == ("the lowest learning rate tried", "the highest weight decay tried")
    runs[0]["config"]["optimizer"]["weight_decay"] = 0.5  # of another sweep
    assert choose(both, runs).lacking == 1
