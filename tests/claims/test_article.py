"""The article's own tables, judged by the rules of its claims."""

import pytest
from made_up import CELLS

from normbench.analysis.reference import ArticleCell, article_cells
from normbench.claims import CLAIMS, tables
from normbench.claims.evidence import ArticleEvidence
from normbench.claims.rules import NOT_MEASURED, SUPPORTED, UNDECIDED, above, every

CNN4 = ArticleEvidence.of_tables("cnn4", article_cells())
OF_TABLES = {
    "batchnorm_beats_none_at_128": UNDECIDED,
    "batchnorm_loses_its_advantage_at_2": UNDECIDED,
    "larger_eps_helps_batchnorm_at_2": UNDECIDED,
    "running_batchnorm_works_at_2_only": UNDECIDED,
    "batch_free_norms_lose_at_128_and_win_at_2": SUPPORTED,
    "groupnorm_matches_layernorm": SUPPORTED,
    "ws_bcn_is_best_at_2_and_matches_at_128": UNDECIDED,
    "norms_allow_a_higher_learning_rate": UNDECIDED,
    "small_batches_cost_five_times_the_time": NOT_MEASURED,
    "results_are_stable_over_three_runs": UNDECIDED,
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_the_articles_own_verdicts(claim):
    assert claim.judge(CNN4).verdict == OF_TABLES.get(claim.name, NOT_MEASURED)


def test_four_of_its_sentences_say_less_than_their_rules_and_are_told_so():
    """Where a number of its own, as it is printed, lies outside of the range."""
    fail = set()
    for claim in tables.CLAIMS:
        for part in claim.judge(CNN4).parts:
            if part.estimate and not part.low < part.estimate.value < part.high:
                fail.add(claim.name)
    assert fail == {claim.name for claim in tables.CLAIMS if claim.stricter}
    assert len(fail) == 4


def test_norms_that_it_has_no_table_of_are_not_asked_for():
    (claim,) = (c for c in CLAIMS if c.name == "ws_bcn_is_best_at_2_and_matches_at_128")
    parts = claim.judge(CNN4).parts
    assert all(part.estimate for part in parts)
    assert not any("ws_groupnorm" in part.what for part in parts)


def test_its_rounding_is_an_error_of_its_own():
    def article(accuracy):
        return [
            ArticleCell("cnn4", norm, *CELLS[0], mean, 0.0, 1.5, 0.0)
            for norm, mean in (("none", 0.5), ("batchnorm", accuracy))
        ]

    def verdict(accuracy):
        evidence = ArticleEvidence.of_tables("cnn4", article(accuracy))
        return every([above(evidence, "batchnorm", "none", CELLS[0])]).verdict

    assert verdict(0.52) == SUPPORTED
    assert verdict(0.505) == UNDECIDED, "0.50 ± 0.00 can be 0.5049 ± 0.0049"


def test_of_a_model_that_it_has_no_numbers_of_nothing_is_known():
    evidence = ArticleEvidence.of_tables("resnet18", article_cells())
    assert not evidence.accuracies
    assert {claim.judge(evidence).verdict for claim in CLAIMS} == {NOT_MEASURED}
