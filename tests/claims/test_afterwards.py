"""Claims whose rules were written afterwards, in worlds in which they hold, fail, or are open."""

import numpy as np
import pytest
from made_up import probe_record, probe_results, results, runs

from normbench.claims.afterwards import CLAIMS
from normbench.claims.evidence import Evidence
from normbench.claims.rules import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED

NAMED = {claim.name: claim for claim in CLAIMS}
STEPS = NAMED["batchnorm_allows_longer_steps"]
CONVEX = NAMED["batchnorm_makes_the_loss_more_convex"]
ALIKE = NAMED["batchnorm_makes_gradients_of_layers_alike"]
GROWING = NAMED["activations_grow_with_running_batchnorm"]
SEEDS = -1, 0, 1  # what sets runs of a cell apart
SIZES = [0.01 * 2**doublings for doublings in range(11)]


def steps(*first_worse):
    """A mini-batch a seed, whose loss is larger after steps of this size on; None: after none."""
    return [
        {
            "at": [0],
            "step_sizes": SIZES,
            "loss": [2.0],
            "losses": [[3.0 if worse and size >= worse else 1.0 for size in SIZES]],
        }
        for worse in first_worse
    ]


def hessian(ratio, spread=0.02):
    """Its second measurement did not converge."""
    return [
        {"largest": [10.0, None], "smallest": [-10.0 * ratio * (1 + seed * spread), -1.0]}
        for seed in SEEDS
    ]


def gradients(spread, noise=0.02):
    """Two layers, one of which has gradients so many times as large as the other."""
    ones = np.ones(100)
    return [
        {"norms": [ones.tolist(), (ones * spread ** (1 + seed * noise)).tolist()]} for seed in SEEDS
    ]


def activations(growth, spread=0.02):
    return [{"std": [[1, 1], [2, 2 * growth * (1 + seed * spread)]]} for seed in SEEDS]


WORLD = {
    ("step_size", "none"): steps(0.08, 0.08, 0.16),
    ("step_size", "batchnorm"): steps(1.28, 1.28, 2.56),
    ("hessian", "none"): hessian(0.2),
    ("hessian", "batchnorm"): hessian(0.05),
    ("gradients", "none"): gradients(4),
    ("gradients", "batchnorm"): gradients(1.5),
    ("activations", "batchnorm"): activations(1.5),
    ("activations", "running_batchnorm"): activations(2.5),
}


def judge(claim, changes=None, model="cnn4"):
    world = {place: of for place, of in (WORLD | (changes or {})).items() if of}
    found = [
        probe_record(probe, measured, norm, seed)
        for (probe, norm), of_seeds in world.items()
        for seed, measured in enumerate(of_seeds)
    ]
    return claim.judge(Evidence.of(results(runs("none")), model, probe_results(found)))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_holds_where_it_holds(claim):
    assert judge(claim).verdict == SUPPORTED


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_nothing_is_claimed_without_measurements(claim):
    assert judge(claim, model="resnet18").verdict == NOT_MEASURED
    assert judge(claim, dict.fromkeys(WORLD)).verdict == NOT_MEASURED


@pytest.mark.parametrize(
    ("claim", "expected", "probe", "norm", "measured"),
    [
        (STEPS, CONTRADICTED, "step_size", "batchnorm", steps(0.01, 0.01, 0.01)),
        (STEPS, UNDECIDED, "step_size", "batchnorm", steps(0.08, 0.16, 0.32)),
        (CONVEX, CONTRADICTED, "hessian", "batchnorm", hessian(0.9)),
        (CONVEX, UNDECIDED, "hessian", "batchnorm", hessian(0.19, spread=0.1)),
        (ALIKE, CONTRADICTED, "gradients", "batchnorm", gradients(9)),
        (ALIKE, UNDECIDED, "gradients", "batchnorm", gradients(3.9, noise=0.1)),
        (GROWING, CONTRADICTED, "activations", "running_batchnorm", activations(0.5)),
        (GROWING, CONTRADICTED, "activations", "batchnorm", activations(4)),
        (GROWING, UNDECIDED, "activations", "batchnorm", activations(2.45)),
        (GROWING, NOT_MEASURED, "activations", "batchnorm", None),
    ],
)
def test_claims_go_either_way(claim, expected, probe, norm, measured):
    assert judge(claim, {(probe, norm): measured}).verdict == expected


def test_where_no_step_is_too_long_the_longest_that_was_tried_counts():
    never = steps(None, None, None)
    (part,) = judge(STEPS, {("step_size", "batchnorm"): never}).parts
    assert part.estimate.value == pytest.approx(10.24 / (0.08 * 0.08 * 0.16) ** (1 / 3))


def test_what_did_not_converge_is_left_out():
    (part,) = judge(CONVEX).parts
    assert part.estimate.value == pytest.approx(0.25)
