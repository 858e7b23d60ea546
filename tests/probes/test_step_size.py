"""The loss after one step: where it begins to diverge."""

import numpy as np
import pytest
import torch
from drawn import shades_of
from made_up import probe_record
from torch import nn

from normbench.calculus.line import losses_after_step
from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.step_size import StepSize, first_worse, first_worse_of_seeds, relative_losses

CPU = torch.device("cpu")


def probe(**changes):
    return StepSize(**{"at": [0], "smallest": 0.01, "largest": 100, "per_decade": 20} | changes)


def test_step_sizes_are_evenly_spread_over_decades():
    assert probe(smallest=0.1, largest=10, per_decade=1).step_sizes() == [0.1, 1, 10]
    sizes = np.array(probe().step_sizes())
    assert len(sizes) == 81 and sizes[0] == 0.01 and sizes[-1] == 100
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], 10 ** (1 / 20), rtol=1e-5)


@pytest.mark.parametrize("curvature", [0.3, 7.0])
def test_a_quadratic_diverges_from_two_over_its_curvature(curvature):
    sizes = probe().step_sizes()
    x = torch.ones(3, dtype=torch.float64)
    after = losses_after_step(lambda x: curvature / 2 * x @ x, x, sizes)
    group = [
        {"measured": {"at": [0], "step_sizes": sizes}
         | {name: [values.tolist()] for name, values in after.items()}}
    ]  # fmt: skip
    at, step_sizes, ratios = relative_losses(group)
    (found,) = first_worse(step_sizes, ratios)
    assert 2 / curvature < found < 2 / curvature * 10 ** (1 / 20)


def test_a_loss_that_is_not_finite_is_worse_and_one_may_find_nothing_worse():
    measured = {"at": [0, 5], "step_sizes": [1, 2, 3], "loss": [2.0, 2.0]}
    measured["losses"] = [[1.0, None, 1.0], [1.0, 1.5, 2.0]]
    at, sizes, ratios = relative_losses([{"measured": measured}])
    assert at.tolist() == [0, 5]
    np.testing.assert_equal(first_worse(sizes, ratios), [2, np.nan])


def test_the_batch_and_the_network_are_those_of_the_next_step(plan, data):
    """With plain SGD, the loss after a step of the run's size is the one found there afterwards."""
    made = plan(nn.Identity, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr), lr=0.1)
    measured = finish(
        probe(at=[0, 3], smallest=0.1, largest=1, steps=4).measure(made, data, CPU)
    ).measured

    class After(StepSize):
        def watch(self, run):
            losses = []
            for step in (0, 3):
                yield step
                batch = run.batch
                yield step + 1
                losses.append(run.loss(batch).item())
            return {"losses": losses}

    after = finish(After(**vars(probe(steps=4))).measure(made, data, CPU)).measured["losses"]
    assert [line[0] for line in measured["losses"]] == pytest.approx(after, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"at": [12]}, "probe.at has 12: .* 0 to 11"),
        ({"at": []}, "probe.at="),
        ({"at": [3, 1]}, "probe.at=.*rising"),
        ({"at": [-1]}, "probe.at has -1"),
        ({"smallest": 0}, "probe.smallest=0"),
        ({"largest": 0.001}, "probe.largest=0.001"),
        ({"per_decade": 0}, "probe.per_decade=0"),
        ({"steps": 13}, "probe.steps=13"),
    ],
)
def test_settings_that_do_not_fit(settings, culprit):
    with pytest.raises(UserError, match=culprit):
        probe(**settings).check(nn.Identity(), 12)


def records(norms=("none", "batchnorm"), seeds=(0, 1)):
    """Runs whose losses after a step grow with its size and with time."""
    sizes, at = [0.1, 1.0, 10.0], [0, 1, 3, 7]
    losses = [[0.9, 0.9 + 0.1 * (step + 1), 5.0] for step in at]
    measured = {"at": at, "step_sizes": sizes, "loss": [1.0] * len(at), "losses": losses}
    return [probe_record("step_size", measured, norm, seed) for norm in norms for seed in seeds]


def test_curves_can_be_told_apart_and_are_called_after_training_steps_not_batches():
    *panels, below = StepSize.draw(records()).axes
    for ax in panels:
        curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
        assert [line.get_label() for line in curves] == [f"training step {i}" for i in (1, 4, 8)]
        assert len({line.get_linestyle() for line in curves}) == 3
        assert len({line.get_color() for line in curves}) == 3
    assert "batch" not in " ".join(ax.get_xlabel() + ax.get_ylabel() for ax in [*panels, below])


def test_below_is_where_steps_of_every_time_begin_to_be_worse_norm_by_norm():
    group = records(["none"])
    group[1]["measured"] = group[1]["measured"] | {"losses": [[2.0, 2.0, 2.0]] * 4}
    at, worse = first_worse_of_seeds(group)
    assert at.tolist() == [0, 1, 3, 7]
    assert worse.tolist() == [[10, 1, 1, 1], [0.1] * 4]
    *_, below = StepSize.draw(group + records(["batchnorm"])).axes
    none, batchnorm = below.lines
    np.testing.assert_allclose(none.get_ydata(), [1, *[0.1**0.5] * 3])
    assert none.get_xdata().tolist() == [1, 2, 4, 8]
    assert none.get_marker() != batchnorm.get_marker()
    assert [text.get_text() for text in below.texts] == ["none", "batchnorm"]
    assert shades_of(below)[0] == (0.1, 10)


def test_the_table_is_of_the_same_numbers_and_says_how_many_seeds():
    text = StepSize.summarize(records())
    assert "step 1 |" in text and "batch 1 " not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| none")]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["10", "1", "1", "1", "1.78"]
    assert "Geometric means over 2 seeds." in text


def test_a_loss_that_a_step_brings_to_zero_is_drawn():
    group = records(["none"])
    for record in group:
        record["measured"] = record["measured"] | {"losses": [[0.0, 0.5, 2.0]] * 4}
    low, high = StepSize.draw(group).axes[0].get_ylim()
    assert 0 < low < 0.5 and high == 10
