"""What every claim has in common."""

import pytest

from normbench.claims import CLAIMS, afterwards, tables


def test_there_are_enough_of_the_articles_tables():
    assert len(tables.CLAIMS) >= 10


def test_names_and_titles_tell_claims_apart():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    assert len({claim.title for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claims_are_told_whole(claim):
    assert claim.name[0].isalpha() and claim.name.islower()
    for words in (claim.title, claim.sentence, claim.source, claim.measured, claim.rule):
        assert words.strip()
    assert ("the article" if claim in tables.CLAIMS else "articles") in claim.source.lower()
    assert len(claim.title) <= 62, "a table of all fits a page"


def test_rules_that_were_written_when_the_numbers_were_known_are_marked():
    late = [claim for claim in CLAIMS if claim.written_afterwards]
    assert late == list(afterwards.CLAIMS) and late
    assert CLAIMS[-len(late) :] == late, "the others keep their numbers"
