"""Steps that are captured and replayed: the control logic, on the CPU.

The same on a device is tested in tests/cuda.
"""

import gc
import importlib
import math
import random
import weakref
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from small_runs import MODEL, adamw, dataset, plan, ranger, sgd, split
from stand_in_cuda import Noisy, StandInStream
from torch import nn

from normbench.engine import captured, training
from normbench.engine.capturable import NotCapturable
from normbench.engine.captured import CapturedTraining, run_in_stream
from normbench.engine.schedules import constant, one_cycle
from normbench.engine.training import Training, finish, run, train
from normbench.models import build_model
from normbench.models.cnn4 import CNN4

CPU = torch.device("cpu")
DATA = dataset()


def captured_training(plan, data=DATA, stream=None):
    made = CapturedTraining(plan, data, CPU, stream or StandInStream())
    made.capture()
    return made


class HostDriven(CapturedTraining):
    """The same optimizer, fed by the host one step at a time."""

    def set_rates(self, step):
        for number, _, values in self.rates:
            number.fill_(values[step])

    train_on, evaluate_on = Training.train_on, Training.evaluate_on


def losses(result):
    return [epoch["train_loss"] for epoch in result.epochs]


@pytest.mark.parametrize("norm", ["none", "batchnorm", "running_batchnorm", "ws_groupnorm"])
@pytest.mark.parametrize("optimizer", [sgd, ranger, adamw])
def test_replayed_steps_are_the_steps_of_a_plain_loop(norm, optimizer):
    chosen = plan(model=partial(build_model, MODEL, norm, 3), optimizer=optimizer, batch_size=7)
    replayed = finish(run(captured_training(chosen)))
    assert len(replayed.epochs) == 2
    assert losses(replayed) == losses(finish(run(HostDriven(chosen, DATA, CPU, StandInStream()))))
    plain = train(chosen, DATA, CPU)
    for one, other in zip(replayed.epochs, plain.epochs, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    if optimizer is sgd:  # its fused form differs in the last bits only
        assert losses(replayed) == pytest.approx(losses(plain), rel=1e-6)


@pytest.mark.parametrize("unroll", [1, 4, 5, 6, 100])
def test_unrolling_is_not_seen_in_the_outcome(unroll, monkeypatch):
    steps = []
    plain = finish(run(captured_training(plan())))  # 6 steps an epoch
    monkeypatch.setattr(CapturedTraining, "unroll", unroll)
    stream = StandInStream()
    ours = captured_training(plan(), stream=stream)
    stream.replayed = 0
    unrolled = finish(run(ours), steps.append)
    assert unrolled.epochs == plain.epochs
    assert sum(steps) == 12
    replays = {1: 6, 4: 1 + 2, 5: 1 + 1, 6: 1, 100: 1}[unroll]
    assert stream.replayed == 2 * (replays + 1)  # and an evaluation
    assert stream.captured == (3 if unroll in (4, 5) else 2)


@pytest.mark.parametrize(
    "seconds, batch_size, turns",
    [
        (0, 3, [2] * 8),
        (0, 16, [2, 1]),
        (math.inf, 3, [2, 4, 8, 2]),
        (math.inf, 5, [2, 4, 4]),
    ],
)
def test_turns_double_until_they_take_long_enough(monkeypatch, seconds, batch_size, turns):
    monkeypatch.setattr(captured, "SECONDS_A_TURN", seconds)
    monkeypatch.setattr(CapturedTraining, "unroll", 2)
    steps = []
    finish(run(captured_training(plan(batch_size=batch_size, epochs=1))), steps.append)
    assert steps == [*turns, 0]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("norm", ["none", "batchnorm", "ws_bcn"])
def test_half_precision_copies_are_what_autocast_would_make(precision, norm):
    chosen = plan(
        model=partial(build_model, MODEL, norm, 3), optimizer=sgd, schedule=constant,
        precision=precision, epochs=1,
    )  # fmt: skip
    with_copies = captured_training(chosen)
    halved = {name for name, p in with_copies.model.named_parameters() if p.dtype != torch.float32}
    assert {"head.weight", "head.bias"} <= halved
    assert ("features.0.weight" in halved) == (norm != "ws_bcn")
    assert not any(name.startswith("features.2.") for name in halved)  # a norm

    class WithoutCopies(CapturedTraining):
        half_copies = False

    without = WithoutCopies(chosen, DATA, CPU, StandInStream())
    without.capture()
    assert losses(finish(run(with_copies))) == losses(finish(run(without)))
    masters = with_copies.parameters.tensors[0]
    assert torch.equal(masters, without.parameters.tensors[0])
    assert all(
        torch.equal(copy, master.to(copy.dtype))
        for copy, master in zip(
            with_copies.parameters.copies, with_copies.parameters.masters, strict=True
        )
    )


ONE_CYCLE = partial(one_cycle, momentum=[0.95, 0.5, 0.95])


@pytest.fixture
def capturable_here(monkeypatch):
    """Torch lets its optimizers be captured on accelerators only."""
    for name in ("adam", "radam"):
        module = importlib.import_module(f"torch.optim.{name}")
        monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda *_: ["cpu"])


@pytest.mark.parametrize(
    "optimizer, schedule",
    [
        *((optimizer, schedule) for optimizer in (sgd, ranger, adamw)
          for schedule in (constant, ONE_CYCLE)),
        (torch.optim.RAdam, constant),
    ],
)  # fmt: skip
def test_fp16_skips_steps_whose_gradients_overflow(optimizer, schedule, capturable_here):
    class Overflowing(nn.Identity):
        """Gradients are too large for fp16 until the loss is scaled less."""

        def forward(self, x):
            y = x * 1
            if y.requires_grad:
                y.register_hook(lambda gradient: gradient * 100)
            return y

    chosen = plan(
        model=lambda: CNN4(lambda channels: Overflowing(), 3, widths=(8, 8)),
        optimizer=optimizer, schedule=schedule, precision="fp16", lr=0.001,
    )  # fmt: skip
    plain = Training(chosen, DATA, CPU)
    expected = finish(run(plain))
    replayed = captured_training(chosen)
    result = finish(run(replayed))
    assert plain.scaler.get_scale() < 65536
    assert replayed.scaler.get_scale() == plain.scaler.get_scale()
    assert losses(result) == pytest.approx(losses(expected), rel=2e-3)


@pytest.mark.parametrize("optimizer", [sgd, ranger, adamw])
def test_a_schedule_for_the_momentum_is_followed_on_the_device(optimizer, capturable_here):
    chosen = plan(optimizer=optimizer, schedule=ONE_CYCLE, epochs=4)
    replayed = finish(run(captured_training(chosen)))
    expected = train(chosen, DATA, CPU)
    for one, other in zip(replayed.epochs, expected.epochs, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    fixed = train(plan(optimizer=optimizer, schedule=one_cycle, epochs=4), DATA, CPU)
    assert losses(replayed) != pytest.approx(losses(fixed), rel=1e-3)


@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (0.5, 0.4, 0.3)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inputs_are_scaled_and_cast_in_one_go(mean, precision):
    chosen = plan(mean=mean, std=(0.2, 0.3, 0.4), precision=precision)
    images = DATA.train.images[:5]
    ours = CapturedTraining(chosen, DATA, CPU, StandInStream()).inputs(images)
    expected = Training(chosen, DATA, CPU).inputs(images)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert ours.dtype == dtype and ours.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours, expected.to(dtype))


@pytest.mark.parametrize("size", [31, 16, 10, 1, 500])
def test_padded_evaluation_measures_what_plain_evaluation_does(size, monkeypatch):
    expected = finish(Training(plan(), DATA, CPU).evaluate(DATA.val))
    monkeypatch.setitem(training.EVALUATION_BATCH, "cuda", size)
    stream = StandInStream()
    ours = captured_training(plan(), stream=stream)
    stream.replayed = 0
    loss, accuracy = finish(ours.evaluate(DATA.val))
    assert stream.replayed == math.ceil(31 / size)
    assert loss == pytest.approx(expected[0], rel=1e-5) and accuracy == expected[1]
    assert finish(ours.evaluate(DATA.val)) == (loss, accuracy)
    other = split(9, 5)
    assert finish(ours.evaluate(other)) == finish(Training(plan(), DATA, CPU).evaluate(other))


@pytest.mark.parametrize("optimizer", [sgd, ranger, adamw])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_warm_up_leaves_no_trace(optimizer, precision):
    chosen = plan(
        model=lambda: CNN4(Noisy, 3, widths=(8, 8)), optimizer=optimizer, precision=precision
    )
    fresh = CapturedTraining(chosen, DATA, CPU, StandInStream())
    random = torch.get_rng_state()
    warmed = captured_training(chosen)
    assert torch.equal(torch.get_rng_state(), random)
    for one, other in zip(
        fresh.model.state_dict().items(), warmed.model.state_dict().items(), strict=True
    ):
        assert one[0] == other[0] and torch.equal(one[1], other[1])
    assert torch.equal(fresh.parameters.tensors[0], warmed.parameters.tensors[0])
    initial = {id(p): {} for p in warmed.parameters.tensors}
    for state in warmed.optimizer.state.values():
        for name, value in state.items():
            made = fresh.optimizer.state[fresh.parameters.tensors[0]].get(name)
            assert torch.equal(value, torch.zeros_like(value) if made is None else made)
    assert initial and warmed.scaler.state_dict() == fresh.scaler.state_dict()
    assert warmed.counter.item() == warmed.val_counter.item() == warmed.metrics.loss.item() == 0
    assert all(p.grad is None for p in warmed.model.parameters())
    assert losses(finish(run(warmed))) == losses(
        finish(run(HostDriven(chosen, DATA, CPU, StandInStream())))
    )


@pytest.mark.parametrize("batch_size", [8, 10])
def test_what_a_run_held_is_freed_when_the_next_has_no_use_for_it(batch_size):
    gc.collect()
    gc.disable()
    try:
        stream = StandInStream()
        running = run_in_stream(plan(), DATA, CPU, stream, pytest.fail)
        next(running)
        model = weakref.ref(running.gi_frame.f_locals["training"].model)
        finish(running)
        del running
        assert model() is not None
        finish(run_in_stream(plan(batch_size=batch_size), DATA, CPU, stream, pytest.fail))
        assert (model() is None) == (batch_size != 8)
        stream.left = None
        assert model() is None
    finally:
        gc.enable()


class StreamThatCannot(StandInStream):
    """capture fails as CUDA does; or, in the warm-up, something waits for the device."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def capture(self, work):
        if self.what == "capture":
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")
        return super().capture(work)

    @contextmanager
    def no_waiting(self):
        yield
        if self.what == "wait":
            raise RuntimeError("called a synchronizing CUDA operation")


class Replacing(nn.Module):
    """Makes a new tensor of its buffer at every step, which no graph would see."""

    def __init__(self, num_channels):
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_channels, 1, 1))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 2, 3)).view(-1, 1, 1)
        return x - self.mean


@pytest.mark.parametrize(
    "changes, stream, reason",
    [
        ({}, StreamThatCannot("capture"), "operation not permitted when stream is capturing"),
        ({}, StreamThatCannot("wait"), "called a synchronizing CUDA operation"),
        ({"optimizer": torch.optim.NAdam}, StandInStream(), "NAdam"),
        ({"optimizer": lambda p, lr: sgd(p, lr=lr)}, StandInStream(), "SGD refuses"),
        ({"optimizer": partial(sgd, dampening=0.1)}, StandInStream(), "dampening"),
        (
            {"optimizer": torch.optim.RAdam, "schedule": partial(one_cycle, momentum=[0.9] * 3)},
            StandInStream(),
            "RAdam with a schedule for its momentum",
        ),
        (
            {"model": partial(CNN4, Replacing, 3, widths=(8,))},
            StandInStream(),
            "features.2.buffers.mean",
        ),
    ],
)
def test_what_cannot_be_captured_trains_without_and_says_why(changes, stream, reason):
    notices, chosen = [], plan(**changes)
    outcome = finish(run_in_stream(chosen, DATA, CPU, stream, notices.append))
    assert len(notices) == 1 and "\n" not in notices[0]
    assert "without CUDA graphs" in notices[0] and reason in notices[0]
    assert outcome.epochs == train(chosen, DATA, CPU).epochs


class Stale(nn.Module):
    """Does what no graph holds, in a way of its own.

    how: replaces a tensor that is no buffer, counts in Python, or draws from Python's numbers.
    """

    def __init__(self, num_channels, how):
        super().__init__()
        self.how, self.mean, self.count = how, torch.zeros(num_channels, 1, 1), 0

    def forward(self, x):
        if not self.training:
            return x
        if self.how == "replaces":
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 2, 3)).view(-1, 1, 1)
        if self.how == "counts":
            self.count += 1
        if self.how == "draws":
            return x * (2 if random.random() < 0.01 else 1)
        if self.how == "draws with NumPy":
            return x * (2 if np.random.rand() < 0.01 else 1)
        return (x - self.mean) * (1 + (self.count == 1000))


@pytest.mark.parametrize(
    "how, reason",
    [
        ("replaces", "features.2.attributes.mean"),
        ("counts", "features.2.attributes.count"),  # what follows is not seen in so few steps
        ("draws", "random numbers"),
        ("draws with NumPy", "random numbers"),
    ],
)
def test_a_layer_whose_replays_would_be_stale_trains_without_graphs(how, reason):
    random.seed(1)
    np.random.seed(1)
    notices, chosen = [], plan(model=partial(CNN4, partial(Stale, how=how), 3, widths=(8,)))
    outcome = finish(run_in_stream(chosen, DATA, CPU, StandInStream(), notices.append))
    assert len(notices) == 1 and "without CUDA graphs" in notices[0] and reason in notices[0]
    if how in ("replaces", "counts"):
        assert outcome.epochs == train(chosen, DATA, CPU).epochs


class Wavering(nn.Module):
    """Its last bits are another each time, as where a device adds up in no fixed order."""

    def __init__(self, num_channels):
        super().__init__()
        self.last = torch.zeros(())

    def forward(self, x):
        noise = torch.rand((), generator=WAVES) if self.training else 0
        return x * (1 + 1e-6 * noise)


WAVES = torch.Generator().manual_seed(0)


def test_steps_that_waver_by_themselves_may_be_replayed():
    captured_training(plan(model=partial(CNN4, Wavering, 3, widths=(8,))))


def test_what_wavers_may_not_be_stale_as_well():
    class Both(Wavering):
        def forward(self, x):
            y, last = super().forward(x), self.last
            if self.training:
                self.last = y.detach().mean()
            return y - last

    with pytest.raises(NotCapturable, match="features.2.attributes.last"):
        captured_training(plan(model=partial(CNN4, Both, 3, widths=(8,))))


@pytest.mark.parametrize("batch_size", [50, 20, 7])
def test_replays_are_compared_however_few_steps_an_epoch_has(batch_size):
    captured_training(plan(batch_size=batch_size))
    with pytest.raises(NotCapturable, match="replays are not"):
        stale = partial(CNN4, partial(Stale, how="replaces"), 3, widths=(8,))
        captured_training(plan(batch_size=batch_size, model=stale))


def test_running_out_of_memory_is_no_reason_to_do_without_graphs():
    class Full(StandInStream):
        def capture(self, work):
            raise torch.OutOfMemoryError("CUDA out of memory")

    def optimizer(params, lr, steps=None):
        if steps:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ranger(params, lr=lr)

    for chosen, stream in [(plan(), Full()), (plan(optimizer=optimizer), StandInStream())]:
        with pytest.raises(torch.OutOfMemoryError):
            next(run_in_stream(chosen, DATA, CPU, stream, pytest.fail))


@pytest.mark.parametrize("full", [True, False])
def test_what_a_full_memory_leads_to_is_no_reason_either(full):
    class Autotuning(StandInStream):
        """A library finds no memory, keeps that to itself, and does what no capture can hold."""

        failed = 3

        def failed_allocations(self):
            return self.failed

        def capture(self, work):
            self.failed += full
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    with pytest.raises(torch.OutOfMemoryError if full else NotCapturable, match="not permitted"):
        captured_training(plan(), stream=Autotuning())


def test_a_place_outside_torch_is_named():
    class Waiting(nn.Identity):
        def forward(self, x):
            raise RuntimeError("called a synchronizing CUDA operation")

    chosen = plan(model=lambda: CNN4(lambda c: Waiting(), 3, widths=(8,)))
    with pytest.raises(NotCapturable, match=r"\(test_captured.py, line \d+\)"):
        captured_training(chosen)
