"""A watched run computes what it would have computed unwatched, whatever the probe does to it."""

import copy
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn

from normbench.engine.excursion import excursion
from normbench.engine.optimizers import Ranger
from normbench.engine.schedules import flat_cosine, one_cycle
from normbench.engine.training import Training, finish, run
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.norms import BatchChannelNorm, RunningBatchNorm, WeightStandardization
from normbench.norms.norm import Norm
from normbench.probes import WatchingProbe
from normbench.probes.watching import find_convolutions, trained_weight

CPU = torch.device("cpu")


@dataclass(kw_only=True)
class Vandal(WatchingProbe):
    """Goes to given steps and leaves nothing there as it was."""

    at: tuple = ()

    def watch(self, run):
        seen = []
        for step in (*self.at, run.steps):
            arrived = yield step
            seen.append((run.training.steps_done, arrived, run.loss(run.batch).item()))
            training = run.training
            training.step(run.batch)
            training.batches()
            training.steps_done += 3
            run.evaluate()
            torch.manual_seed(99)
            for p in run.model.parameters():
                p.data = torch.randn(p.shape)
                p.grad = torch.ones_like(p)
            for module in run.model.modules():
                for name in module._buffers:
                    module._buffers[name] = torch.ones(2)
            run.model.requires_grad_(False).eval()
            for group in training.optimizer.param_groups:
                group["lr"] = 7.0
            training.optimizer.state.clear()
        self.seen.append(seen)
        self.state.append({k: v.clone() for k, v in run.model.state_dict().items()})
        return {}


class Spied(Vandal):
    """Also keeps the run, whose state is to be looked at when all is over."""

    def watch(self, run):
        self.training = run.training
        return super().watch(run)


def spied(**settings):
    probe = Spied(**settings)
    probe.seen, probe.state = [], []
    return probe


def bits(training):
    """Everything that a run has come to."""
    optimizer = copy.deepcopy(training.optimizer.state_dict())
    state = [v for s in optimizer["state"].values() for v in s.values()]
    return [
        *training.model.state_dict().values(),
        *(v for v in state if isinstance(v, torch.Tensor)),
        training.metrics.loss,
        training.order.get_state(),
    ]


def same(some, others):
    return len(some) == len(others) and all(
        torch.equal(a, b) for a, b in zip(some, others, strict=True)
    )


def standardized(norm):
    def make():
        model = CNN4(norm, 3, widths=(8, 8))
        Norm(norm, WeightStandardization).reparametrize(model)
        return model

    return make


CASES = {
    "batchnorm": {},
    "running_batchnorm": {"norm": RunningBatchNorm},
    "ws_bcn": {"model": standardized(partial(BatchChannelNorm, num_groups=4))},
    "dropout": {"norm": lambda channels: nn.Dropout(0.3)},
    "momentum": {
        "optimizer": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
        "schedule": lambda s, lr: one_cycle(s, lr, momentum=[0.95, 0.85, 0.95]),
    },
    "nadam": {"optimizer": lambda p, lr: torch.optim.NAdam(p, lr=lr)},
    "ranger": {"optimizer": Ranger, "schedule": flat_cosine},
    "separate": {"optimizer": lambda p, lr: torch.optim.Adafactor(p, lr=lr)},
    "fp16": {"precision": "fp16"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_watched_run_ends_with_the_same_bits(case, plan, data):
    alone = Training(plan(**CASES[case]), data, CPU)
    finish(run(alone))
    probe = spied(at=(0, 0, 1, 5, 6, 7))
    steps = []
    measurement = finish(probe.measure(plan(**CASES[case]), data, CPU), steps.append)
    assert measurement.status == "finished" and sum(steps) == 12
    assert [(step, arrived) for step, arrived, _ in probe.seen[0][1:]] == [
        (step, True) for step in (0, 1, 5, 6, 7, 12)
    ]
    # evaluation at the end of an epoch changes the sums of the metrics and nothing else
    alone.metrics.loss.copy_(probe.training.metrics.loss)
    assert same(bits(alone), bits(probe.training))
    assert probe.training.steps_done == 12


def test_the_vandal_would_be_noticed(plan, data):
    training = Training(plan(), data, CPU)
    before = [t.clone() for t in bits(training)]
    with excursion(training):
        training.step(training.batches()[0])
        assert not same(before, bits(training))
    assert same(before, bits(training))


def test_the_batch_is_the_one_that_the_next_step_trains_on(plan, data):
    trained, offered = [], []

    class Looking(WatchingProbe):
        def watch(self, run):
            step = run.training.step
            run.training.step = lambda index: (trained.append(index.tolist()), step(index))
            for i in range(12):
                yield i
                offered.append(run.batch.tolist())
            yield 12
            return {}

    finish(Looking().measure(plan(), data, CPU))
    assert trained == offered and len(trained) == 12


def test_watching_stops_early_on_the_schedule_of_the_whole_run(plan, data):
    rates = []

    class Rates(WatchingProbe):
        def watch(self, run):
            for i in range(1, run.steps + 1):
                yield i
                rates.append(run.training.optimizer.param_groups[0]["lr"])
            return {}

    made = plan(schedule=flat_cosine)
    finish(Rates(steps=8).measure(made, data, CPU))
    assert rates == pytest.approx(flat_cosine(12, 0.01).lr[:8])


def test_a_run_that_diverges_is_stopped_and_said_to_have(plan, data):
    heard = []

    class Listening(WatchingProbe):
        def watch(self, run):
            for step in (0, 3, 12):
                heard.append((yield step))
            return {"steps": run.training.steps_done}

    diverging = plan(lr=1e30, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr))
    measurement = finish(Listening().measure(diverging, data, CPU))
    assert heard == [True, False, False]
    assert measurement.status == "diverged" and measurement.measured == {"steps": 3}


def test_steps_beyond_the_end_are_refused():
    WatchingProbe(steps=12).check(nn.Identity(), 12)
    for steps in (0, 13):
        with pytest.raises(UserError, match=f"^probe.steps={steps} .* 12 steps"):
            WatchingProbe(steps=steps).check(nn.Identity(), 12)


def test_convolutions_are_found_by_name_in_order():
    model = CNN4(nn.Identity, 3, widths=(4, 4, 4))
    assert list(find_convolutions(model)) == ["features.0", "features.3", "features.6"]
    assert list(find_convolutions(model, ["features.6", "features.0"])) == [
        "features.0",
        "features.6",
    ]
    with pytest.raises(UserError, match="'features.1'.*did you mean.*features.0"):
        find_convolutions(model, ["features.1"])
    with pytest.raises(UserError, match="Linear has no convolution"):
        find_convolutions(nn.Linear(2, 2))


def test_the_trained_weight_is_the_parameter():
    conv = nn.Conv2d(3, 4, 3)
    weight = conv.weight
    assert trained_weight(conv) is weight
    nn.utils.parametrize.register_parametrization(conv, "weight", WeightStandardization())
    assert trained_weight(conv) is weight
