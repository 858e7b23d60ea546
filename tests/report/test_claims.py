"""Claims as a page: all at a glance, then the evidence."""

from made_up import record, results, runs

from normbench.analysis.reference import article_cells
from normbench.claims import CLAIMS
from normbench.claims.evidence import ArticleEvidence
from normbench.claims.rules import NOT_MEASURED
from normbench.report.claims import markdown


def page(*records, protocol=()):
    return markdown(results(records, protocol=protocol), {})


SOME = runs("none", accuracy=0.47) + runs("batchnorm", accuracy=0.59)


def cells(text):
    return [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]


def test_every_claim_has_a_verdict_for_each_model_and_a_section():
    text = page(*SOME)
    article = ArticleEvidence.of_tables("cnn4", article_cells())
    for number, claim in enumerate(CLAIMS, start=1):
        own = claim.judge(article).verdict
        own = "–" if own == NOT_MEASURED else own
        title = f"{claim.title} †" if claim.written_afterwards else claim.title
        assert [str(number), title, "not measured", own, "not measured"] in cells(text)
        assert f"## {number}. {title}\n" in text
        assert claim.stricter in " ".join(text.split())
    late = [claim for claim in CLAIMS if claim.written_afterwards]
    assert text.count("(Rule written after the measurement.)") == len(late) > 0


def test_evidence_has_effect_size_interval_range_and_verdict():
    # by hand: .12 ± 2.776 √(2 (.01²) / 3) = .12 ± .0227
    ours = ["batchnorm − none, 128/0.01", "> 0", "+0.120 (+0.097, +0.143)", "supported"]
    # .59 ± .00 and .47 ± .01, both rounded: .12, variances of .01² / 12 and .01² (1 + 1 / 12) / 3 …
    article = ["+0.120 (+0.100, +0.140)", "supported"]
    assert [*ours, *article] in cells(page(*SOME))


def test_an_undecided_number_of_the_article_says_where_it_lies_itself():
    text = page(*SOME, *runs("batchnorm_eps", batch_size=2), *runs("batchnorm", batch_size=2))
    eps = {row[0]: row[-1] for row in cells(text) if row[:1] and "batchnorm_eps − b" in row[0]}
    assert eps["batchnorm_eps − batchnorm, 2/0.01"] == "undecided, inside"
    assert eps["batchnorm_eps − batchnorm, 2/0.001"] == "undecided, outside"


def test_the_articles_numbers_do_not_stand_beside_runs_of_another_kind():
    synthetic = ("data=synthetic",)
    text = page(*runs("none", protocol=synthetic), protocol=synthetic)
    assert "article's own" not in text and "the article's |" not in text
    assert ["1", CLAIMS[0].title, "not measured", "not measured"] in cells(text)


def test_a_contradicted_claim_is_shown_like_the_others():
    text = page(*runs("none", accuracy=0.59), *runs("batchnorm", accuracy=0.47))
    assert ["1", CLAIMS[0].title, "contradicted", "undecided", "not measured"] in cells(text)
    assert "**cnn4: contradicted**; the article's own numbers: undecided" in text


def test_runs_that_lack_or_diverged_are_named():
    text = page(*SOME[:-1], record(norm="layernorm", status="diverged"))
    assert "batchnorm bs=128 lr=0.01: 2 of 3 runs" in " ".join(text.split())
    assert "layernorm bs=128 lr=0.01: 0 of 3 runs; seed 0 diverged" in " ".join(text.split())


def test_the_same_records_make_the_same_page_in_any_order():
    assert page(*SOME) == page(*SOME[::-1])


def test_text_is_100_characters_wide():
    lines = [line for line in page(*SOME).splitlines() if not line.startswith("|")]
    assert max(map(len, lines)) <= 100
