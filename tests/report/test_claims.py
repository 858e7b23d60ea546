"""Claims as a page: all at a glance, then the evidence."""

from made_up import record, results, runs

from normbench.claims import CLAIMS
from normbench.report.claims import markdown


def page(*records):
    return markdown(results(records), {})


SOME = runs("none", accuracy=0.47) + runs("batchnorm", accuracy=0.59)


def cells(text):
    return [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]


def test_every_claim_has_a_verdict_for_each_model_and_a_section():
    text = page(*SOME)
    for number, claim in enumerate(CLAIMS, start=1):
        assert [str(number), claim.title, "not measured", "not measured"] in cells(text)
        assert f"## {number}. {claim.title}\n" in text


def test_evidence_has_effect_size_interval_range_and_verdict():
    # by hand: .12 ± 2.776 √(2 (.01²) / 3) = .12 ± .0227
    row = ["batchnorm − none, 128/0.01", "+0.120 (+0.097, +0.143)", "> 0", "supported"]
    assert row in cells(page(*SOME))


def test_a_contradicted_claim_is_shown_like_the_others():
    text = page(*runs("none", accuracy=0.59), *runs("batchnorm", accuracy=0.47))
    assert ["1", CLAIMS[0].title, "contradicted", "not measured"] in cells(text)
    assert "**cnn4: contradicted**" in text


def test_runs_that_lack_or_diverged_are_named():
    text = page(*SOME[:-1], record(norm="layernorm", status="diverged"))
    assert "batchnorm bs=128 lr=0.01: 2 of 3 runs" in " ".join(text.split())
    assert "layernorm bs=128 lr=0.01: 0 of 3 runs; seed 0 diverged" in " ".join(text.split())


def test_the_same_records_make_the_same_page_in_any_order():
    assert page(*SOME) == page(*SOME[::-1])


def test_a_page_is_100_characters_wide():
    assert max(map(len, page(*SOME).splitlines())) <= 101
