"""Lanes on a device: beside each other as if alone, whatever becomes of the others."""

import gc
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from normbench.engine.captured import CapturedTraining, run_in_stream
from normbench.engine.cuda_lanes import CudaLanes
from normbench.engine.training import Training, finish, run
from normbench.models.cnn4 import CNN4

CUDA = torch.device("cuda")


class Noisy(nn.Module):
    """Random in training."""

    def __init__(self, num_channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_channels)

    def forward(self, x):
        return self.norm(nn.functional.dropout(x, 0.2, self.training))


class Waiting(nn.BatchNorm2d):
    """Waits for the device at every step, to do nothing."""

    def forward(self, x):
        return super().forward(x) * (1 if x.isfinite().all().item() else 1)


def drive(cuda, data, plans, count=8):
    """Events by task, ended ones first."""
    lanes = CudaLanes(
        lambda name, stream, note: run_in_stream(plans[name], data, CUDA, stream, note),
        cuda,
        count,
        elsewhere=pytest.fail,
    )
    tasks, events, ended = list(plans), {name: [] for name in plans}, []
    while tasks or len(ended) < len(plans):
        while tasks and lanes.idle:
            lanes.start(tasks.pop(0))
        for event in lanes.wait():
            events[event.task].append(event)
            if event.ended:
                ended.append(event.task)
    lanes.close()
    return {name: events[name] for name in ended}


def result(events):
    assert events[-1].error is None, events[-1].details
    return events[-1].result


def same(one, other):
    """Up to rounding: libraries may add up in another order while others are at work."""
    return all(a == pytest.approx(b, rel=5e-3, abs=2 / 70) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_lane_trains_as_if_it_were_alone(cuda, data, plan, precision):
    plan = partial(plan, precision=precision, epochs=2)
    noisy = partial(CNN4, Noisy, 3, widths=(8, 8))
    plans = {
        "a": plan(),
        "b": plan(seed=4, lr=0.005),
        "c": plan(norm="ws_bcn", batch_size=10),
        "d": plan(optimizer=partial(torch.optim.SGD, momentum=0.9), seed=9, batch_size=3),
        "noisy": plan(noisy, batch_size=10),
        "noisier": plan(noisy, batch_size=10, seed=8),
    }
    alone = {name: result(drive(cuda, data, {name: plans[name]})[name]) for name in plans}
    together = drive(cuda, data, plans, count=4)
    for name, events in together.items():
        assert same(result(events).epochs, alone[name].epochs), name
        assert sum(event.steps for event in events) == 2 * (100 // plans[name].batch_size)
    assert alone["noisy"].epochs != alone["noisier"].epochs


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_run_of_the_same_cell_uses_the_graphs_of_the_last(
    cuda, data, plan, monkeypatch, noisy, precision
):
    network = {"model": partial(CNN4, Noisy, 3, widths=(8, 8))} if noisy else {}
    plans = [
        plan(**network, precision=precision, epochs=2, batch_size=10, seed=seed, lr=0.002 / seed)
        for seed in (1, 2, 3)
    ]
    alone = [result(drive(cuda, data, {0: chosen}, 1)[0]).epochs for chosen in plans]
    captured, capture = [], CapturedTraining.capture
    monkeypatch.setattr(
        CapturedTraining, "capture", lambda self: (captured.append(1), capture(self))
    )
    events = drive(cuda, data, dict(enumerate(plans)), 1)
    assert len(captured) == 1
    for seed, epochs in enumerate(alone):
        assert same(result(events[seed]).epochs, epochs)


def test_a_diverged_lane_ends_early_and_leaves_the_others_alone(cuda, data, plan):
    sgd = partial(torch.optim.SGD, momentum=0.9)
    plans = {"good": plan(epochs=4), "bad": plan(norm="none", lr=1e30, optimizer=sgd, epochs=4)}
    events = drive(cuda, data, plans)
    assert list(events) == ["bad", "good"]
    assert result(events["bad"]).status == "diverged"
    assert sum(event.steps for event in events["bad"]) == 50
    alone = drive(cuda, data, {"good": plans["good"]})
    assert same(result(events["good"]).epochs, result(alone["good"]).epochs)


BESIDE = """
import sys
from functools import partial
import torch
from normbench.data.dataset import Dataset, Split
from normbench.engine.captured import run_in_stream
from normbench.engine.cuda import Cuda
from normbench.engine.cuda_lanes import CudaLanes
from normbench.engine.optimizers import Ranger
from normbench.engine.schedules import flat_cosine
from normbench.engine.training import Plan
from normbench.models import build_model

device, (model, precision) = Cuda(), sys.argv[1:]
split = Split(
    torch.randint(0, 255, (1280, 64, 64, 3), dtype=torch.uint8), torch.randint(0, 3, (1280,))
)
data = Dataset("made", split, split, ("a", "b", "c"), "digest", None).to(torch.device("cuda"))

def begin(seed, stream, note):
    network = partial(build_model, model, "batchnorm", 3)
    plan = Plan(network, Ranger, flat_cosine, 128, 0.001, seed, 30, precision)
    return run_in_stream(plan, data, torch.device("cuda"), stream, note)

lanes, ended = CudaLanes(begin, device, 2, elsewhere=sys.exit), []
for seed in range(2):
    lanes.start(seed)
while len(ended) < 2:
    ended += [event for event in lanes.wait() if event.ended]
for event in ended:
    assert event.error is None, event.details
"""


@pytest.mark.parametrize("model", ["cnn4", "resnet18"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_two_lanes_of_large_batches_do_not_stall_each_other(model, precision):
    """cuDNN's BatchNorm may wait for all of its blocks to run (pytorch #80259).

    In a process of its own, as nothing else ends a kernel that waits for ever.
    """
    command = [sys.executable, "-c", BESIDE, model, precision]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_running_out_of_memory_halves_the_lanes_and_loses_no_run(cuda, data, plan):
    def large(seed):
        return plan("resnet18", batch_size=50, seed=seed, epochs=2)

    alone = {seed: result(drive(cuda, data, {seed: large(seed)})[seed]) for seed in range(2)}
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    drive(cuda, data, {0: large(0)})
    one = torch.cuda.max_memory_reserved() - before
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(CUDA).total_memory
    torch.cuda.set_per_process_memory_fraction((before + 2.5 * one) / total)
    try:
        events = drive(cuda, data, {seed: large(seed) for seed in range(6)}, count=6)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    notices = [event.notice for task in events.values() for event in task if event.notice]
    assert notices and all("no memory" in notice for notice in notices)
    outcomes = {seed: result(task) for seed, task in events.items()}
    assert sorted(outcomes) == list(range(6))
    for seed in alone:
        assert same(outcomes[seed].epochs, alone[seed].epochs)


def test_what_waits_for_the_device_trains_without_graphs(cuda, data, plan):
    chosen = plan(partial(CNN4, Waiting, 3, widths=(8, 8)), batch_size=10)
    events = drive(cuda, data, {"waiting": chosen, "good": plan(batch_size=10)})
    notices = [event.notice for event in events["waiting"] if event.notice]
    assert len(notices) == 1 and "synchroniz" in notices[0] and "test_lanes.py" in notices[0]
    expected = finish(run(Training(chosen, data, CUDA)))
    assert same(result(events["waiting"]).epochs, expected.epochs)
    assert not [event.notice for event in events["good"] if event.notice]


class Stale(nn.BatchNorm2d):
    """Keeps a running mean in a tensor that it replaces, which no graph sees."""

    last = 0.0

    def forward(self, x):
        y = super().forward(x) - self.last
        if self.training:
            self.last = 0.1 * y.detach().mean()
        return y


def test_what_replays_would_not_repeat_trains_without_graphs(cuda, data, plan):
    chosen = plan(partial(CNN4, Stale, 3, widths=(8, 8)), batch_size=10)
    events = drive(cuda, data, {"stale": chosen, "good": plan(batch_size=10)})
    notices = [event.notice for event in events["stale"] if event.notice]
    assert len(notices) == 1 and "attributes.last" in notices[0]
    expected = finish(run(Training(chosen, data, CUDA)))
    assert same(result(events["stale"]).epochs, expected.epochs)
    assert not [event.notice for event in events["good"] if event.notice]


def test_a_capture_that_fails_spoils_nothing(cuda):
    stream = cuda.take_stream()
    source, target = torch.ones(4, device=CUDA), torch.zeros(4, device=CUDA)
    with stream.use():
        for fail in (lambda: source.sum().item(), lambda: 1 / 0):
            with pytest.raises((RuntimeError, ZeroDivisionError)):
                stream.capture(lambda fail=fail: (target.add_(source), fail()))
            torch.rand(1, device=CUDA)
            stream.settle()
        replay = stream.capture(lambda: target.add_(source * 2))
        assert target.sum().item() == 0
        replay()
        replay()
        assert target.tolist() == [4.0] * 4  # in its queue, as nothing else waits for it


def test_streams_draw_random_numbers_of_their_own(cuda):
    def drawn(streams, rounds=3):
        """Numbers that graphs of all streams draw in turns, and steps run by the host between."""
        numbers, replays = [torch.empty(3, device=CUDA) for _ in streams], []
        for seed, (stream, target) in enumerate(zip(streams, numbers, strict=True)):
            with stream.use():
                torch.manual_seed(seed)
                replays.append(stream.capture(lambda target=target: target.uniform_()))
        found = [[] for _ in streams]
        for _ in range(rounds):
            for stream, replay, target, one in zip(streams, replays, numbers, found, strict=True):
                with stream.use():
                    replay()
                    one += target.tolist() + torch.rand(2, device=CUDA).tolist()
                    one += torch.rand(2).tolist()
        return found

    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    together = drawn([cuda.take_stream(), cuda.take_stream()])
    assert drawn([cuda.take_stream()])[0] == together[0] != together[1]
    assert len(set(together[0])) == len(together[0])
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
