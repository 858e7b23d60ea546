"""Study 2: the same image in different company."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, amount
from normbench.studies.found import Found, Measure

CLAIMS = StudyClaims()

BATCHNORM = {"norm": "batchnorm"}
SAME = 1e-5  # relative difference of logits
ALIKE = 0.01  # of accuracy
NOTHING = 1e-12


def _changed(mode: str, size: int) -> Measure:
    def share(record: dict) -> float:
        measured = record["measured"]
        return float(measured["changed"][mode][measured["sizes"].index(size)])

    return Measure(f"share of other classes, {mode} mode, batches of {size}", share)


ALONE = Measure("difference of logits", lambda record: record["measured"]["alone"])
GAP = Measure(
    "accuracy, running averages less means over an epoch",
    lambda record: record["measured"]["running"] - record["measured"]["averaged"],
)


@CLAIMS.claim(
    title="In training mode the class depends on the company",
    sentence="With BatchNorm in training mode the same image gets different outputs in different "
    "batches, the more so the smaller these are.",
    texts="BD",
    source="The texts' demonstrations.",
    measured="The companions probe: the share of 100 drawn batches in which an image's class is "
    "not its most frequent one, in training mode.",
    rule="It is above 0 in batches of 2, and smaller than that in batches of 32 and of 128.",
)
def class_depends_on_company(found: Found) -> Judgement:
    of_two = amount(found, _changed("train", 2), BATCHNORM, "batchnorm", low=0)
    return every(
        [
            of_two,
            *(amount(found, _less(size), BATCHNORM, "batchnorm", high=0) for size in (32, 128)),
        ]
    )


def _less(size: int) -> Measure:
    larger, two = _changed("train", size), _changed("train", 2)

    def difference(record: dict) -> float:
        ours, theirs = larger.number(record), two.number(record)
        assert ours is not None and theirs is not None
        return ours - theirs

    return Measure(f"share of other classes, batches of {size} less batches of 2", difference)


@CLAIMS.claim(
    title="In evaluation mode it does not",
    sentence="In evaluation mode an image has one output, whatever is beside it, and a single one "
    "can be evaluated.",
    texts="BD",
    source="Ioffe & Szegedy 2015, section 3.1.",
    measured="The companions probe in evaluation mode: the same share in batches of 2, and the "
    "largest relative difference of a logit between an image alone and inside of a batch.",
    rule=f"The share is exactly 0, and the difference is below {SAME:g}.",
)
def evaluation_does_not_depend_on_company(found: Found) -> Judgement:
    share = _changed("eval", 2)
    return every(
        [
            amount(found, share, BATCHNORM, "batchnorm", low=-NOTHING, high=NOTHING),
            amount(found, ALONE, BATCHNORM, "batchnorm", high=SAME),
        ]
    )


@CLAIMS.claim(
    title="Running averages stand for the whole training set's statistics",
    sentence="Running averages do as well as the means of all batches' statistics.",
    texts="BD",
    source="Ioffe & Szegedy 2015, algorithm 2.",
    measured="The companions probe: accuracy with running averages less that with means of all "
    "batches' statistics over one epoch, weights as they are.",
    rule=f"It is within {ALIKE} of 0.",
)
def running_averages_do(found: Found) -> Judgement:
    return every([amount(found, GAP, BATCHNORM, "batchnorm", low=-ALIKE, high=ALIKE)])
