"""Claims about the landscape of the loss, in worlds in which they hold, fail, or cannot be told."""

import pytest
from made_up import probe_record, probe_results, results, runs

from normbench.claims.evidence import Evidence
from normbench.claims.landscape import CLAIMS
from normbench.claims.rules import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED

NAMED = {claim.name: claim for claim in CLAIMS}
SHIFT = NAMED["covariate_shift_is_not_smaller_with_batchnorm"]
SMOOTH = NAMED["batchnorm_smooths_the_landscape"]
RATES = NAMED["batchnorm_allows_ten_times_the_learning_rate"]
COST = NAMED["batchnorm_costs_10_to_15_percent_of_the_time"]
SEEDS = -1, 0, 1  # what sets runs of a cell apart
TRIED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def shift(difference, cosine, spread=0.02):
    """Of one layer, at one step."""
    return [
        {
            "norm_before": [[1.0]],
            "difference": [[difference * (1 + seed * spread)]],
            "cosine": [[cosine + seed * spread]],
        }
        for seed in SEEDS
    ]


def landscape(loss_range, change, gradient_norm=1.0, spread=0.02):
    """At one step, with steps of 0.1 and 0.4 of a gradient of this norm."""
    return [
        {
            "step_sizes": [0.1, 0.4],
            "at": [0],
            "gradient_norm": [gradient_norm],
            "losses": [[2.0, 2.0 + loss_range * (1 + seed * spread)]],
            "gradient_changes": [[change * (1 + seed * spread) / 4, change * (1 + seed * spread)]],
        }
        for seed in SEEDS
    ]


def hessian(largest, spread=0.02):
    return [{"largest": [largest * (1 + seed * spread), None]} for seed in SEEDS]


def rates(*highest, tried=TRIED):
    """Each seed's highest learning rate that trains; those above it give a loss as of guessing."""
    return [
        (seed, lr, {"loss": 1.5 if lr <= high else 2.3, "guessing": 2.3})
        for seed, high in enumerate(highest)
        for lr in tried
    ]


def overhead(ratio, spread=0.02):
    return [
        {"train": [ratio * (1 + seed * spread), 9.0, 0.1], "reference_train": [1.0, 1.0, 1.0]}
        for seed in SEEDS
    ]


WORLD = {
    ("covariate_shift", "none"): shift(0.5, 0.9),
    ("covariate_shift", "batchnorm"): shift(1.0, 0.7),
    ("landscape", "none"): landscape(1.0, 10),
    ("landscape", "batchnorm"): landscape(0.2, 2),
    ("hessian", "none"): hessian(60),
    ("hessian", "batchnorm"): hessian(20),
    ("learning_rate_range", "none"): rates(0.1, 0.1, 0.1),
    ("learning_rate_range", "batchnorm"): rates(5, 5, 5),
    ("overhead", "batchnorm"): overhead(1.12),
}


def records(world):
    for (probe, norm), measured in world.items():
        if probe == "learning_rate_range":
            for seed, lr, one in measured:
                yield probe_record(probe, one, norm, seed, lr=lr)
        else:
            for seed, one in enumerate(measured):
                yield probe_record(probe, one, norm, seed)


def judge(claim, changes=None, model="cnn4"):
    """In that world, but for changes; a place that is None was not measured."""
    world = {place: of for place, of in (WORLD | (changes or {})).items() if of}
    found = probe_results(list(records(world)))
    return claim.judge(Evidence.of(results(runs("none")), model, found))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_holds_where_it_holds(claim):
    assert judge(claim).verdict == SUPPORTED


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_nothing_is_claimed_without_measurements(claim):
    assert judge(claim, model="resnet18").verdict == NOT_MEASURED
    assert judge(claim, dict.fromkeys(WORLD)).verdict == NOT_MEASURED
    assert claim.judge(Evidence.of(results(runs("none")), "cnn4")).verdict == NOT_MEASURED


OTHER_WORLDS = [
    # Covariate shift is not smaller with BatchNorm
    (SHIFT, CONTRADICTED, "covariate_shift", "batchnorm", shift(0.3, 0.7)),
    (SHIFT, CONTRADICTED, "covariate_shift", "batchnorm", shift(1.0, 1.0, spread=0.001)),
    (SHIFT, SUPPORTED, "covariate_shift", "batchnorm", shift(0.48, 0.9, spread=0.001)),
    (SHIFT, UNDECIDED, "covariate_shift", "batchnorm", shift(0.45, 0.7, spread=0.1)),
    (SHIFT, NOT_MEASURED, "covariate_shift", "none", None),
    # The landscape is smoother with BatchNorm: each of four numbers can contradict it
    (SMOOTH, CONTRADICTED, "landscape", "batchnorm", landscape(2.0, 2)),
    (SMOOTH, CONTRADICTED, "landscape", "batchnorm", landscape(0.2, 20, gradient_norm=20)),
    (SMOOTH, CONTRADICTED, "landscape", "batchnorm", landscape(0.2, 2, gradient_norm=0.1)),
    (SMOOTH, CONTRADICTED, "hessian", "batchnorm", hessian(100)),
    (SMOOTH, UNDECIDED, "hessian", "batchnorm", hessian(58, spread=0.1)),
    (SMOOTH, NOT_MEASURED, "hessian", "none", None),
    # Ten times the learning rate and more; 10 itself cannot be told from less on a grid
    (RATES, CONTRADICTED, "learning_rate_range", "batchnorm", rates(0.1, 0.1, 0.1)),
    (RATES, UNDECIDED, "learning_rate_range", "batchnorm", rates(1, 1, 1)),
    (RATES, UNDECIDED, "learning_rate_range", "batchnorm", rates(0.5, 5, 50)),
    (RATES, NOT_MEASURED, "learning_rate_range", "batchnorm", None),
    # 10 to 15% of the time
    (COST, CONTRADICTED, "overhead", "batchnorm", overhead(1.6)),
    (COST, CONTRADICTED, "overhead", "batchnorm", overhead(0.9)),
    (COST, UNDECIDED, "overhead", "batchnorm", overhead(1.29)),
    (COST, NOT_MEASURED, "overhead", "batchnorm", None),
]


@pytest.mark.parametrize(("claim", "expected", "probe", "norm", "measured"), OTHER_WORLDS)
def test_claims_go_either_way(claim, expected, probe, norm, measured):
    assert judge(claim, {(probe, norm): measured}).verdict == expected


def test_the_ratio_of_learning_rates_takes_more_than_one_seed():
    alone = {("learning_rate_range", norm): rates(0.5) for norm in ("none", "batchnorm")}
    assert judge(RATES, alone).verdict == NOT_MEASURED


def test_the_ratio_of_learning_rates_is_as_uncertain_as_the_grid_is_coarse_there():
    fine, coarse = (  # the next rates tried are twice, and two and a half times as high
        judge(RATES, {("learning_rate_range", "batchnorm"): rates(*[rate] * 3)}).parts[0].estimate
        for rate in (5, 2)
    )
    assert fine.value == pytest.approx(50) and coarse.value == pytest.approx(20)
    assert 1.8 < fine.value / fine.low < coarse.value / coarse.low
    assert 1.8 < fine.high / fine.value < coarse.high / coarse.value


def test_learning_rates_that_one_norm_was_not_tried_at_decide_nothing():
    fewer = rates(2, 2, 2, tried=TRIED[:8])
    judgement = judge(RATES, {("learning_rate_range", "batchnorm"): fewer})
    assert judgement.verdict == NOT_MEASURED
    assert "24 runs" in judgement.parts[0].caveat and "36" in judgement.parts[0].caveat
