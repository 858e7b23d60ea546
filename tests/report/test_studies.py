"""Studies' pages: what was measured, by which rule, and what came of it; from records alone."""

from pathlib import Path

import pytest
from drawn import caption_of

from normbench.analysis.welch import Estimate
from normbench.claims.rules import Judgement, Part
from normbench.claims.studies.claim import StudyClaim
from normbench.report.studies import draw, markdown, overview, state, verdicts, verdicts_by_text
from normbench.studies import load_study, study_names
from normbench.studies.found import Found

RESULTS = Path(__file__).parents[2] / "results"


def claim(texts="A"):
    return StudyClaim(
        "one",
        "A title",
        "A sentence.",
        texts,
        "A source.",
        "A measure.",
        "Above 0.",
        lambda f: None,
    )


def judged(value, low, high, caveat=""):
    part = Part("what: here", Estimate(value, low, high), low=0, caveat=caveat, form="+.3g")
    return Judgement(part.verdict, [part])


def measured_folders():
    return sorted(path.parent.name for path in RESULTS.glob("studies/*/study.md"))


@pytest.mark.parametrize("name", measured_folders())
def test_committed_pages_are_what_the_records_say(name):
    study = load_study(name.removesuffix("_full"), "full" if name.endswith("_full") else "small")
    found = Found.of(study, RESULTS)
    page = (study.folder(RESULTS) / "study.md").read_text()
    assert page == markdown(found, verdicts(found))


def test_the_committed_list_is_what_the_records_say():
    assert (RESULTS / "studies.md").read_text() == overview(RESULTS)


def test_a_page_has_rule_evidence_and_verdict_and_says_what_lacks():
    found = Found(load_study("placement"))
    page = markdown(found, [(claim(), judged(0.5, 0.4, 0.6, "here: 1 run diverged"))])
    for words in (
        "Incomplete: 0 of 45 runs", "normbench run -m model=cnn4", "Supported if: Above 0.",
        "**supported**", "+0.5 (+0.4, +0.6)", "here: 1 run diverged",
    ):  # fmt: skip
        assert words in page


def test_a_state_is_in_words():
    found = Found(load_study("placement"))
    assert state(found, []) == "not run"


def test_the_figure_shows_each_part_that_was_measured():
    found = Found(load_study("vgg_landscape"))
    shown = [(claim(), judged(0.5, 0.4, 0.6)), (claim(), judged(-0.5, -0.6, -0.4))]
    figure = draw(found, shown)
    assert len(figure.axes) == 2
    assert [ax.get_title("left") for ax in figure.axes] == ["A title", "A title"]
    assert "Smaller than its source: VGG-A of a quarter" in " ".join(caption_of(figure).split())
    nothing = Judgement("not measured", [Part("what", None)])
    assert draw(found, [(claim(), nothing)]) is None


def test_a_claim_counts_for_every_text_that_makes_it():
    of = Found(load_study("placement")), [(claim("AD"), judged(1, 0.5, 1.5))]
    assert verdicts_by_text([of]) == {"A": ["supported"], "B": [], "C": [], "D": ["supported"]}
    assert len(study_names()) == 22
