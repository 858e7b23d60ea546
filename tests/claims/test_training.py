"""Claims about what goes on in training, in worlds in which they hold, fail, or cannot be told."""

import numpy as np
import pytest
from made_up import probe_record, probe_results, results, runs

from normbench.claims.evidence import Evidence
from normbench.claims.rules import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED
from normbench.claims.training import CLAIMS

NAMED = {claim.name: claim for claim in CLAIMS}
STEADIER = NAMED["gradients_are_steadier_with_batchnorm"]
RUNNING = NAMED["running_batchnorm_has_batchnorm_gradients_but_trains_worse"]
STATISTICS = NAMED["gradients_through_statistics_matter_more_than_affine"]
GROWING = NAMED["activations_grow_without_a_norm"]
STANDARDIZED = NAMED["ws_gradients_peak_then_level"]
NOISE = NAMED["noise_leaves_the_benefit_of_batchnorm"]
STEPS = np.arange(200)
SEEDS = -1, 0, 1  # what sets runs of a cell apart


def gradients(start=1.0, low=1.0, end=1.0, at=40, spike=1.1, spread=0.02):
    """Gradient norms that go from start to low, which is at a step, to end, and spike there."""
    line = np.exp(np.interp(STEPS, [0, at, 199], np.log([start, low, end])))
    rough = np.where(STEPS % 10 == 9, spike, 1)
    return [
        {"norms": [(line ** (1 + seed * spread) * rough ** (1 + seed * spread)).tolist()] * 2}
        for seed in SEEDS
    ]


def activations(last, spread=0.02):
    """Standard deviations of two layers' outputs; the last one's goes from 2 to so much."""
    return [{"std": [[1, 9, 9], [2, 3, last * (1 + seed * spread)]]} for seed in SEEDS]


def accuracies(last, spread=0.01):
    return [{"val_accuracy": [0.1, last + seed * spread]} for seed in SEEDS]


WORLD = {
    ("gradients", "none"): gradients(start=8, low=0.5, end=4, spike=3),
    ("gradients", "batchnorm"): gradients(start=2, end=2, spike=1.5),
    ("gradients", "running_batchnorm"): gradients(start=2, end=2, spike=1.5),
    ("gradients", "ws_groupnorm"): gradients(start=5, at=8),
    ("gradients", "ws_bcn"): gradients(start=5, at=8, end=1.5),
    ("activations", "none"): activations(9),
    ("activations", "batchnorm"): activations(3),
    ("ablation", "batchnorm"): accuracies(0.6),
    ("ablation", "batchnorm_detached"): accuracies(0.3),
    ("ablation", "batchnorm_no_affine"): accuracies(0.55),
    ("noisy_batchnorm", "none"): accuracies(0.45),
    ("noisy_batchnorm", "batchnorm"): accuracies(0.6),
    ("noisy_batchnorm", "noisy_batchnorm"): accuracies(0.57),
}
TABLE = {"batchnorm": 0.6, "running_batchnorm": 0.5}


def records(world, status=None, settings=None):
    """A world's records; of some places with another status, or other settings of their probe."""
    return [
        probe_record(
            place[0], measured, place[1], seed, (status or {}).get(place, "finished"),
            **(settings or {}).get(place, {}),
        )
        for place, of_seeds in world.items()
        for seed, measured in enumerate(of_seeds)
    ]  # fmt: skip


def verdict(claim, changes=None, table=None, model="cnn4", **how):
    """In that world, but for changes; a place that is None was not measured."""
    world = {place: of for place, of in (WORLD | (changes or {})).items() if of}
    trained = [
        run for norm, accuracy in (TABLE | (table or {})).items() for run in runs(norm, 128, 0.01,
        accuracy)
    ]  # fmt: skip
    evidence = Evidence.of(results(trained), model, probe_results(records(world, **how)))
    return claim.judge(evidence).verdict


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_holds_where_it_holds(claim):
    assert verdict(claim) == SUPPORTED


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_nothing_is_claimed_without_measurements(claim):
    assert verdict(claim, model="resnet18") == NOT_MEASURED
    assert verdict(claim, dict.fromkeys(WORLD)) == NOT_MEASURED
    assert claim.judge(Evidence.of(results(runs("none")), "cnn4")).verdict == NOT_MEASURED


OTHER_WORLDS = [
    # Gradients are steadier with BatchNorm
    (STEADIER, CONTRADICTED, "gradients", "none", gradients(8, 0.5, 4, spike=1.1)),
    (STEADIER, CONTRADICTED, "gradients", "none", gradients(8, 0.5, 0.6, spike=3)),
    (STEADIER, CONTRADICTED, "gradients", "batchnorm", gradients(start=40)),
    (STEADIER, UNDECIDED, "gradients", "batchnorm",
        gradients(8, 0.5, 4, spike=2.8, spread=0.1)),
    (STEADIER, NOT_MEASURED, "gradients", "none", None),
    # Running BatchNorm has BatchNorm's gradients, and trains worse
    (RUNNING, CONTRADICTED, "gradients", "running_batchnorm",
        gradients(20, 10, 20, spike=1.5)),
    (RUNNING, CONTRADICTED, "gradients", "running_batchnorm",
        gradients(2, 1, 2, spike=4)),
    (RUNNING, UNDECIDED, "gradients", "running_batchnorm",
        gradients(2, 1, 3, spike=1.5, spread=0.1)),
    (RUNNING, SUPPORTED, "gradients", "running_batchnorm",
        gradients(2, 1, 2.4, spike=1.5)),
    # The gradient through the statistics matters more than scale and shift
    (STATISTICS, CONTRADICTED, "ablation", "batchnorm_detached", accuracies(0.7)),
    (STATISTICS, CONTRADICTED, "ablation", "batchnorm_no_affine", accuracies(0.2)),
    (STATISTICS, UNDECIDED, "ablation", "batchnorm_no_affine", accuracies(0.31)),
    (STATISTICS, NOT_MEASURED, "ablation", "batchnorm_no_affine", None),
    # Activations of the last layer grow without a norm
    (GROWING, CONTRADICTED, "activations", "none", activations(1)),
    (GROWING, CONTRADICTED, "activations", "batchnorm", activations(20)),
    (GROWING, UNDECIDED, "activations", "batchnorm", activations(9)),
    (GROWING, NOT_MEASURED, "activations", "batchnorm", None),
    # With weight standardization, a peak at the start and then a level
    (STANDARDIZED, CONTRADICTED, "gradients", "ws_bcn", gradients(at=8, end=3)),
    (STANDARDIZED, CONTRADICTED, "gradients", "ws_groupnorm",
        gradients(start=100, at=150, low=0.1, end=1)),
    (STANDARDIZED, UNDECIDED, "gradients", "ws_bcn",
        gradients(start=1.01, at=8, spread=2)),
    (STANDARDIZED, NOT_MEASURED, "gradients", "ws_bcn", None),
    # Noise leaves most of BatchNorm's benefit
    (NOISE, CONTRADICTED, "noisy_batchnorm", "noisy_batchnorm", accuracies(0.46)),
    (NOISE, CONTRADICTED, "noisy_batchnorm", "batchnorm", accuracies(0.4)),
    (NOISE, UNDECIDED, "noisy_batchnorm", "noisy_batchnorm", accuracies(0.53)),
    (NOISE, NOT_MEASURED, "noisy_batchnorm", "none", None),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "expected", "probe", "norm", "measured"), OTHER_WORLDS)
def test_claims_go_either_way(claim, expected, probe, norm, measured):
    assert verdict(claim, {(probe, norm): measured}) == expected


@pytest.mark.parametrize(
    ("accuracy", "expected"), [(0.6, UNDECIDED), (0.7, CONTRADICTED), (0.5, SUPPORTED)]
)
def test_running_batch_norm_has_to_train_worse(accuracy, expected):
    assert verdict(RUNNING, table={"running_batchnorm": accuracy}) == expected


@pytest.mark.parametrize(
    ("norm", "expected"), [("batchnorm_detached", SUPPORTED), ("batchnorm", CONTRADICTED)]
)
def test_runs_that_diverged_count_as_guessing_where_accuracies_are_compared(norm, expected):
    place = "ablation", norm
    diverged = {place: [{"val_accuracy": []}] * 3}
    assert verdict(STATISTICS, diverged, status={place: "diverged"}) == expected


def test_runs_that_diverged_are_left_out_elsewhere_and_named():
    place = "gradients", "none"
    half = records(WORLD, status={place: "diverged"})
    part, *_ = STEADIER.judge(Evidence.of(results([]), "cnn4", probe_results(half))).parts
    assert part.verdict == NOT_MEASURED
    assert part.caveat == ("gradients, none bs=128 lr=0.01: 0 of 3 runs; seeds 0, 1, 2 diverged")


def test_what_was_measured_with_other_settings_of_a_probe_does_not_count():
    other = {("gradients", "none"): {"steps": 20}}
    assert verdict(STEADIER, settings=other) == NOT_MEASURED


def test_a_ratio_is_of_geometric_means_and_its_interval_welchs_of_logarithms():
    from scipy import stats

    evidence = Evidence.of(results([]), "cnn4", probe_results(records(WORLD)))
    _, part = GROWING.judge(evidence).parts
    ours, theirs = ([np.log(last * s / 2) for s in (0.98, 1, 1.02)] for last in (9, 3))
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert part.estimate.value == pytest.approx(3)
    assert (part.estimate.low, part.estimate.high) == pytest.approx(tuple(np.exp(interval)))
