"""How many operators a step takes, for every norm: what a small batch costs a device, as each
operator is a kernel or a few.

``python tests/operators_a_step.py`` writes them anew.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from fake_cuda import Watching, evaluate_a_batch, fake_cuda, take_a_step, training_of
from small_runs import plan

from normbench.engine.optimizers import Ranger
from normbench.models import build_model
from normbench.parts import make_clip
from normbench.places import config_names, read_config

FILE = Path(__file__).with_suffix(".txt")
MODELS = ("cnn4", "resnet18")
VERSION = ".".join(torch.__version__.split(".")[:2])
HEADER = f"""\
Operators a step, with torch {VERSION}, in bf16 with Ranger, views left out. `forward` is from the
images to the loss; `update` is the optimizer, with the metrics and what the next step needs;
`evaluation` is a batch's. `misplaced` is how often in a step a convolution is given what is not
channels last, which cuDNN copies. Written by `python tests/operators_a_step.py`.

"""


class Count(NamedTuple):
    model: str
    norm: str
    forward: int
    backward: int
    update: int
    step: int
    evaluation: int
    misplaced: int


def count(model, norm):
    """Have a step and an evaluation watched -> their count, and the dtypes that they convolve."""
    with fake_cuda():
        clip = partial(make_clip, read_config(f"norm/{norm}"))
        made = partial(build_model, model, norm, 3)
        training = training_of(plan(model=made, optimizer=Ranger, precision="bf16", clip=clip))
        take_a_step(training)  # what happens only once may wait
        evaluate_a_batch(training)
        marks, backward = [], torch.Tensor.backward
        with Watching() as watch:

            def marked(loss):
                marks.append(watch.operators.total())
                backward(loss)
                marks.append(watch.operators.total())

            torch.Tensor.backward = marked  # which fake_cuda brings back
            take_a_step(training)
            step, misplaced = watch.operators.total(), watch.misplaced
            evaluate_a_batch(training)
    forward, both = marks
    whole = watch.operators.total()
    counted = Count(
        model, norm, forward, both - forward, step - both, step, whole - step, misplaced
    )
    return counted, watch.convolved


def as_text(counts):
    rows = [Count._fields, *counts]
    form = "{:9} {:20}" + 6 * " {:>10}"
    return HEADER + "".join(form.format(*row).rstrip() + "\n" for row in rows)


def read():
    """(model, norm) -> Count, as they are written."""
    lines = FILE.read_text().removeprefix(HEADER).splitlines()[1:]
    rows = [(model, norm, *map(int, numbers)) for model, norm, *numbers in map(str.split, lines)]
    return {row[:2]: Count(*row) for row in rows}


if __name__ == "__main__":
    torch.set_num_threads(1)
    norms = config_names("norm")
    FILE.write_text(as_text(count(model, norm)[0] for model in MODELS for norm in norms))
