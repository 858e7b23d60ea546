"""What the article claims of its tables, each with its rule, fixed before the grid was run.

A claim is what stands above a function, and the function, which turns evidence into a judgement.
Adding a claim is adding one of these.
"""

from __future__ import annotations

from collections import Counter

from normbench.analysis.welch import ALPHA, contrast, spread
from normbench.claims.claim import Claims
from normbench.claims.evidence import Evidence
from normbench.claims.rules import (
    MARGIN,
    GridPoint,
    Judgement,
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

LEARNING_RATES = (0.01, 0.001)
LARGE: list[GridPoint] = [(128, lr) for lr in LEARNING_RATES]
SMALL: list[GridPoint] = [(2, lr) for lr in LEARNING_RATES]

STABLE = 0.03  # standard deviation of accuracy
WALL_TIME = (2.5, 10)  # "about 5 times": within a factor of two


CLAIMS = Claims()  # numbered in this order


@CLAIMS.claim(
    title="BatchNorm beats no norm at batch size 128, most at lr 0.01",
    texts="A",
    sentence="With large batches BatchNorm makes a network more accurate than one without any "
    "norm, and the more so at the higher learning rate.",
    source="The article's tables of no norm and of BatchNorm, and its discussion of large batches.",
    measured="The difference in accuracy between batchnorm and none at batch size 128, and how "
    "much larger it is at learning rate 0.01 than at 0.001.",
    rule="All three are above 0.",
)
def batchnorm_beats_none_at_128(evidence: Evidence) -> Judgement:
    return every(
        [
            *(above(evidence, "batchnorm", "none", point) for point in LARGE),
            gains(evidence, "batchnorm", "none", *LARGE),
        ]
    )


@CLAIMS.claim(
    title="BatchNorm loses its advantage at batch size 2",
    texts="A",
    sentence="What BatchNorm has over no norm is gone when statistics come from two images.",
    source="The article's tables of no norm and of BatchNorm, and its discussion of small batches.",
    measured="The difference in accuracy between none and batchnorm at batch size 2, and how much "
    "larger what batchnorm has over none is at batch size 128.",
    rule=f"At both learning rates the advantage at 128 is larger than at 2, and at 2 none is as "
    f"good as batchnorm: better, or worse by less than {MARGIN}.",
)
def batchnorm_loses_its_advantage_at_2(evidence: Evidence) -> Judgement:
    return every(
        [
            *(matches(evidence, "none", "batchnorm", point) for point in SMALL),
            *(
                gains(evidence, "batchnorm", "none", large, small)
                for large, small in zip(LARGE, SMALL, strict=True)
            ),
        ]
    )


@CLAIMS.claim(
    title="A larger eps helps BatchNorm at batch size 2",
    texts="A",
    sentence="Where the variance comes from two images, a larger constant added to it makes "
    "BatchNorm more accurate.",
    source="The article's discussion of small variances, and its table of BatchNorm with a larger "
    "eps.",
    measured="The difference in accuracy between batchnorm_eps and batchnorm at batch size 2.",
    rule="It is above 0 at both learning rates.",
    stricter="Help in the mean, or at one learning rate, is help, too; the rule asks for it at "
    "both.",
)
def larger_eps_helps_batchnorm_at_2(evidence: Evidence) -> Judgement:
    return every(above(evidence, "batchnorm_eps", "batchnorm", point) for point in SMALL)


@CLAIMS.claim(
    title="Running BatchNorm works at batch size 2, falls short at 128",
    texts="A",
    sentence="Normalizing by running statistics makes small batches work, but loses to BatchNorm "
    "with large ones, and in some cells to a mere larger eps.",
    source="The article's table of running BatchNorm, and its discussion of it.",
    measured="Differences in accuracy: running_batchnorm and batchnorm at batch sizes 2 and 128, "
    "running_batchnorm and batchnorm_eps in every cell.",
    rule="At batch size 2 it is above batchnorm at both learning rates; at 128 it is worse than "
    f"batchnorm by more than {MARGIN} at both; and in at least one of four cells it is below "
    "batchnorm_eps, with intervals of 98.75% since there are four chances.",
    stricter="To make small batches work is not yet to beat BatchNorm at both learning rates, and "
    f"to lose to it with large ones may be to lose by less than {MARGIN}.",
)
def running_batchnorm_works_at_2_only(evidence: Evidence) -> Judgement:
    points = LARGE + SMALL
    return every(
        [
            *(above(evidence, "running_batchnorm", "batchnorm", point) for point in SMALL),
            *(falls_short(evidence, "running_batchnorm", "batchnorm", point) for point in LARGE),
            some(
                below(evidence, "running_batchnorm", "batchnorm_eps", point, ALPHA / len(points))
                for point in points
            ),
        ]
    )


@CLAIMS.claim(
    title="LayerNorm, GroupNorm: below BatchNorm at 128, above it at 2",
    texts="A",
    sentence="Norms that do without the batch are less accurate than BatchNorm with large batches "
    "and more accurate with small ones.",
    source="The article's tables of LayerNorm and GroupNorm, beside that of BatchNorm.",
    measured="The differences in accuracy between layernorm and batchnorm, and between groupnorm "
    "and batchnorm, in every cell.",
    rule="All four at batch size 128 are below 0, all four at batch size 2 are above 0.",
)
def batch_free_norms_lose_at_128_and_win_at_2(evidence: Evidence) -> Judgement:
    norms = ("layernorm", "groupnorm")
    return every(
        [
            *(below(evidence, norm, "batchnorm", point) for norm in norms for point in LARGE),
            *(above(evidence, norm, "batchnorm", point) for norm in norms for point in SMALL),
        ]
    )


@CLAIMS.claim(
    title="GroupNorm is at least as good as LayerNorm",
    texts="A",
    sentence="Normalizing groups of channels is at least as good as normalizing all at once.",
    source="The article's tables of LayerNorm and GroupNorm, and its discussion of the two.",
    measured="The difference in accuracy between groupnorm and layernorm in every cell.",
    rule=f"In every cell groupnorm is better, or worse by less than {MARGIN}.",
)
def groupnorm_matches_layernorm(evidence: Evidence) -> Judgement:
    return every(matches(evidence, "groupnorm", "layernorm", point) for point in LARGE + SMALL)


@CLAIMS.claim(
    title="WS with BCN is best at batch size 2, matches BatchNorm at 128",
    texts="A",
    sentence="Weight standardization with batch-channel normalization is the most accurate of all "
    "with small batches, and as accurate as BatchNorm where that is at its best.",
    source="The article's table of weight standardization with batch-channel normalization, and "
    "its conclusion.",
    measured="The difference in accuracy between ws_bcn and each other norm at batch size 2, and "
    "between ws_bcn and batchnorm at batch size 128, learning rate 0.01.",
    rule="At batch size 2 it is above every other norm and none at both learning rates; at 128/"
    f"0.01 it is better than batchnorm, or worse by less than {MARGIN}.",
    stricter="What is best in the mean, or at its best learning rate, need not be above every "
    "other at each; and ws_groupnorm, which the rule counts in, is not in the article's tables.",
)
def ws_bcn_is_best_at_2_and_matches_at_128(evidence: Evidence) -> Judgement:
    others = [norm for norm in evidence.norms if norm != "ws_bcn"]
    return every(
        [
            *(above(evidence, "ws_bcn", other, point) for point in SMALL for other in others),
            matches(evidence, "ws_bcn", "batchnorm", LARGE[0]),
        ]
    )


@CLAIMS.claim(
    title="Norms allow a higher learning rate",
    texts="A",
    sentence="With BatchNorm a network gains more from a higher learning rate than without.",
    source="The article's discussion of why normalization helps, and its tables of no norm and of "
    "BatchNorm.",
    measured="How much more accuracy batchnorm gains from learning rate 0.001 to 0.01 at batch "
    "size 128 than none does. That is the last number of claim 1, seen from the other side.",
    rule="It is above 0.",
)
def norms_allow_a_higher_learning_rate(evidence: Evidence) -> Judgement:
    return every([gains(evidence, "batchnorm", "none", *LARGE)])


@CLAIMS.claim(
    title="Small batches cost about 5 times the wall time",
    texts="A",
    sentence="Training with batches of 2 takes about 5 times as long as with batches of 128. That "
    "is as much about a tool and its hardware as about batches: judged is what it costs here.",
    source="The article's remark on how long its runs took.",
    measured="The ratio of training times, batch size 2 over 128, on the device that most runs "
    "were made on: the geometric mean over norms and learning rates.",
    rule=f"It is from {WALL_TIME[0]} to {WALL_TIME[1]}, which is within a factor of two of 5.",
)
def small_batches_cost_five_times_the_time(evidence: Evidence) -> Judgement:
    devices = Counter(
        record["environment"]["device"]
        for cell in evidence.cells.values()
        for record in cell.finished
    )
    device = min(devices, key=lambda name: (-devices[name], name), default="")
    pairs = []
    for norm in evidence.norms:
        for large, small in zip(LARGE, SMALL, strict=True):
            seconds = [evidence.log_seconds(norm, *point, device) for point in (small, large)]
            pairs += [seconds] if all(seconds) else []
    terms = [
        (weight / len(pairs), seconds)
        for pair in pairs
        for weight, seconds in zip((1, -1), pair, strict=True)
    ]
    ratio = contrast(*terms)
    what = f"batch size 2 over 128, {len(pairs)} pairs on {device}"
    return every([Part(what, ratio, *WALL_TIME).exp()])


@CLAIMS.claim(
    title="Results are stable over 3 runs",
    texts="A",
    sentence="Three runs of a cell come to nearly the same accuracy.",
    source="The standard deviations in the article's tables, and its discussion of them.",
    measured="The sample standard deviation of accuracy over the runs of each cell.",
    rule=f"In every cell it is below {STABLE}, which is less than what other claims count as a "
    "difference. The number itself decides, as the claim is about these runs; a larger one "
    "contradicts it only if its interval (of a standard deviation, from chi-squared) is above.",
    stricter="What is stable on the whole may have a cell that is not; the rule counts every one.",
)
def results_are_stable_over_three_runs(evidence: Evidence) -> Judgement:
    cells = [(norm, *point) for norm in evidence.norms for point in LARGE + SMALL]
    samples = [evidence.accuracy(*cell) for cell in cells]
    return every(
        Observed(
            f"{norm}, {batch_size}/{lr:g}",
            spread(sample) if sample else None,
            high=STABLE,
            caveat=evidence.caveats((norm, batch_size, lr)),
            form=".3f",
        )
        for (norm, batch_size, lr), sample in zip(cells, samples, strict=True)
    )
