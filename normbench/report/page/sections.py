"""The reader's questions, in order, and where the answers are."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """A question.

    Attributes:
        id: also of its template, ``templates/sections/ID.html.j2``.
        question: its heading.
        claims: names of claims that answer it.
        probes: names of probes whose charts stand in it.
        studies: numbers of studies (``configs/study``) whose charts and claims stand in it.
        commands: that make what it shows.
    """

    id: str
    question: str
    claims: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    studies: tuple[int, ...] = ()
    commands: tuple[str, ...] = field(default=())


SECTIONS = (
    Section(
        "help",
        "Does normalization help here?",
        claims=(
            "batchnorm_beats_none_at_128",
            "norms_allow_a_higher_learning_rate",
            "results_are_stable_over_three_runs",
        ),
        studies=(3, 14, 15, 19),
        commands=("normbench run -m experiment=article", "normbench compare"),
    ),
    Section(
        "small",
        "What happens at small batches?",
        claims=(
            "batchnorm_loses_its_advantage_at_2",
            "larger_eps_helps_batchnorm_at_2",
            "batch_free_norms_lose_at_128_and_win_at_2",
            "small_batches_cost_five_times_the_time",
        ),
        studies=(2, 5),
        commands=(
            "normbench run -m norm=none,batchnorm,groupnorm grid.batch_size=[128,32,16,8,4,2]",
        ),
    ),
    Section(
        "part",
        "Which part of BatchNorm does it?",
        claims=(
            "gradients_through_statistics_matter_more_than_affine",
            "noise_leaves_the_benefit_of_batchnorm",
        ),
        probes=("ablation", "noisy_batchnorm"),
        studies=(10, 11, 17),
        commands=("normbench probe probe=ablation", "normbench probe probe=noisy_batchnorm"),
    ),
    Section(
        "look",
        "What do gradients, activations and the landscape look like?",
        claims=(
            "gradients_are_steadier_with_batchnorm",
            "running_batchnorm_has_batchnorm_gradients_but_trains_worse",
            "activations_grow_without_a_norm",
            "ws_gradients_peak_then_level",
            "covariate_shift_is_not_smaller_with_batchnorm",
            "batchnorm_smooths_the_landscape",
            "batchnorm_makes_the_loss_more_convex",
            "batchnorm_makes_gradients_of_layers_alike",
            "activations_grow_with_running_batchnorm",
        ),
        probes=("gradients", "activations", "covariate_shift", "landscape", "hessian"),
        studies=(6, 16, 18, 22),
        commands=(
            "normbench probe probe=gradients",
            "normbench probe probe=activations",
            "normbench probe probe=landscape",
            "normbench probe probe=covariate_shift",
            "normbench probe probe=hessian",
        ),
    ),
    Section(
        "replaces",
        "What replaces it?",
        claims=(
            "running_batchnorm_works_at_2_only",
            "groupnorm_matches_layernorm",
            "ws_bcn_is_best_at_2_and_matches_at_128",
        ),
        studies=(8, 12, 13),
        commands=(
            "normbench run norm=groupnorm",
            "normbench run norm.layer._target_=mylayer.PixelNorm",
            "normbench rank",
        ),
    ),
    Section(
        "breaks",
        "What breaks it?",
        claims=(
            "batchnorm_allows_ten_times_the_learning_rate",
            "batchnorm_allows_longer_steps",
        ),
        probes=("learning_rate_range", "step_size", "domain_shift", "companions"),
        studies=(1, 4, 7, 9, 20),
        commands=("normbench probe probe=learning_rate_range", "normbench probe probe=step_size"),
    ),
    Section(
        "costs",
        "What does it cost?",
        claims=("batchnorm_costs_10_to_15_percent_of_the_time",),
        probes=("overhead",),
        studies=(21,),
        commands=("normbench probe probe=overhead", "normbench bench"),
    ),
)

CLAIMED = Section(
    "claims",
    "What do the texts claim, and what do we find?",
    commands=("normbench claims", "normbench study all"),
)
MORE = Section("more", "What else was measured?", commands=("normbench figures",))
METHOD = Section(
    "method",
    "How was all of this measured?",
    commands=("normbench calibration", "normbench predictions", "normbench status"),
)
