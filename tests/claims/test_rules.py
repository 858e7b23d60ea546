"""From numbers to verdicts: intervals, ranges, and parts that add up to a claim."""

import math

import pytest
from made_up import record, results, runs
from scipy import stats

from normbench.analysis.reference import GUESSING
from normbench.analysis.welch import Estimate
from normbench.claims.evidence import Evidence
from normbench.claims.rules import (
    CONTRADICTED,
    NOT_MEASURED,
    SUPPORTED,
    UNDECIDED,
    Observed,
    Part,
    above,
    below,
    every,
    falls_short,
    gains,
    matches,
    some,
)

CELL = (128, 0.01)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.3, SUPPORTED),
        (-0.3, -0.1, CONTRADICTED),
        (-0.1, 0.1, UNDECIDED),
        (0.0, 0.1, UNDECIDED),
        (0.9, 1.1, UNDECIDED),
        (1.1, 1.2, CONTRADICTED),
        (-1, 2, UNDECIDED),
        (0, 0, UNDECIDED),
    ],
)
def test_a_part_is_supported_inside_its_range_and_contradicted_outside(low, high, verdict):
    assert Part("x", Estimate((low + high) / 2, low, high), low=0, high=1).verdict == verdict


def test_what_was_not_measured_has_no_verdict():
    assert Part("x", None, low=0).verdict == NOT_MEASURED
    assert every([]).verdict == NOT_MEASURED


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [(0.5, -1, 9, SUPPORTED), (2, 0.5, 9, UNDECIDED), (3, 1.5, 9, CONTRADICTED)],
)
def test_what_was_observed_is_decided_by_itself_but_contradicted_by_its_interval(
    value, low, high, verdict
):
    assert Observed("x", Estimate(value, low, high), high=1).verdict == verdict


PARTS = {
    SUPPORTED: Part("s", Estimate(1, 0.5, 1.5), low=0),
    CONTRADICTED: Part("c", Estimate(-1, -1.5, -0.5), low=0),
    UNDECIDED: Part("u", Estimate(0, -1, 1), low=0),
    NOT_MEASURED: Part("n", None, low=0),
}


@pytest.mark.parametrize(
    ("verdicts", "of_all", "of_some"),
    [
        ([SUPPORTED, SUPPORTED], SUPPORTED, SUPPORTED),
        ([SUPPORTED, UNDECIDED], UNDECIDED, SUPPORTED),
        ([SUPPORTED, NOT_MEASURED], NOT_MEASURED, SUPPORTED),
        ([SUPPORTED, CONTRADICTED], CONTRADICTED, SUPPORTED),
        ([UNDECIDED, CONTRADICTED], CONTRADICTED, UNDECIDED),
        ([NOT_MEASURED, CONTRADICTED], CONTRADICTED, NOT_MEASURED),
        ([NOT_MEASURED, UNDECIDED], NOT_MEASURED, NOT_MEASURED),
        ([CONTRADICTED, CONTRADICTED], CONTRADICTED, CONTRADICTED),
    ],
)
def test_parts_add_up(verdicts, of_all, of_some):
    parts = [PARTS[verdict] for verdict in verdicts]
    assert every(parts).verdict == every(parts[::-1]).verdict == of_all
    assert some(parts).verdict == some(parts[::-1]).verdict == of_some
    assert every([some(parts)]).parts == parts, "nothing that was measured is left out"


def evidence(records):
    return Evidence.of(results(records), "cnn4")


@pytest.mark.parametrize(
    ("accuracy", "verdicts"),
    [  # of layernorm, whose interval is ± .023; batchnorm is at .50
        (0.55, (SUPPORTED, CONTRADICTED, SUPPORTED, CONTRADICTED)),
        (0.51, (UNDECIDED, UNDECIDED, SUPPORTED, CONTRADICTED)),
        (0.49, (UNDECIDED, UNDECIDED, UNDECIDED, UNDECIDED)),
        (0.47, (CONTRADICTED, SUPPORTED, UNDECIDED, UNDECIDED)),
        (0.44, (CONTRADICTED, SUPPORTED, CONTRADICTED, SUPPORTED)),
    ],
)
def test_above_below_matching_and_falling_short(accuracy, verdicts):
    seen = evidence(runs("batchnorm") + runs("layernorm", accuracy=accuracy))
    rules = (above, below, matches, falls_short)
    assert tuple(rule(seen, "layernorm", "batchnorm", CELL).verdict for rule in rules) == verdicts


def test_the_interval_is_scipys_and_a_smaller_alpha_makes_it_wider():
    seen = evidence(runs("batchnorm", spread=0.02) + runs("layernorm", accuracy=0.55))
    ours, theirs = [0.54, 0.55, 0.56], [0.48, 0.50, 0.52]
    for alpha in (0.05, 0.0125):
        interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(1 - alpha)
        part = above(seen, "layernorm", "batchnorm", CELL, alpha)
        assert (part.estimate.low, part.estimate.high) == pytest.approx(tuple(interval))


def test_what_a_norm_has_over_another_can_be_more_in_one_cell_than_in_another():
    here, there = (128, 0.01), (2, 0.01)
    records = [
        run
        for norm, cell, accuracy in (
            ("batchnorm", here, 0.6), ("none", here, 0.5), ("batchnorm", there, 0.4),
            ("none", there, 0.45),
        )
        for run in runs(norm, *cell, accuracy)
    ]  # fmt: skip
    part = gains(evidence(records), "batchnorm", "none", here, there)
    assert part.estimate.value == pytest.approx(0.15) and part.verdict == SUPPORTED
    assert gains(evidence(records), "batchnorm", "none", there, here).verdict == CONTRADICTED


def test_a_missing_cell_is_not_measured_and_named():
    part = above(evidence(runs("batchnorm")), "layernorm", "batchnorm", CELL)
    assert part.verdict == NOT_MEASURED and part.caveat == "layernorm bs=128 lr=0.01: not run"


def test_one_run_on_either_side_tells_nothing():
    seen = evidence([record(), record(norm="layernorm", accuracy=0.9)])
    assert above(seen, "layernorm", "batchnorm", CELL).verdict == NOT_MEASURED


def test_a_run_that_diverged_counts_as_guessing_and_is_named():
    diverged = [record(norm="none", seed=seed, status="diverged") for seed in range(3)]
    seen = evidence(runs("batchnorm") + diverged)
    part = above(seen, "batchnorm", "none", CELL)
    assert part.estimate.value == pytest.approx(0.5 - GUESSING) and part.verdict == SUPPORTED
    assert part.caveat == "none bs=128 lr=0.01: 0 of 3 runs; seeds 0, 1, 2 diverged"


def test_times_are_compared_on_one_device():
    elsewhere = runs("none", seconds=99.0)
    for one in elsewhere:
        one["environment"]["device"] = "a GPU"
    seen = evidence(elsewhere)
    assert seen.log_seconds("none", *CELL, "a CPU") is None
    assert seen.log_seconds("none", *CELL, "a GPU").mean == pytest.approx(math.log(99))
