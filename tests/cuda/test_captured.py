"""Steps replayed from CUDA graphs against the same steps run one by one."""

import math
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from fake_cuda import places
from torch import nn

from normbench.engine import captured
from normbench.engine.captured import CapturedTraining, run_in_stream
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.optimizers import Ranger
from normbench.engine.ranger_update import coefficients, for_parameter, update_by_operators
from normbench.engine.schedules import constant, one_cycle
from normbench.engine.training import Training, finish, run
from normbench.models.cnn4 import CNN4
from normbench.places import config_names

CUDA = torch.device("cuda")
ARTICLE = [
    "none", "batchnorm", "batchnorm_eps", "running_batchnorm", "layernorm", "groupnorm",
    "ws_groupnorm", "ws_bcn",
]  # fmt: skip
NORMS = [*ARTICLE, *(norm for norm in config_names("norm") if norm not in ARTICLE)]
# the article's first, then every norm in the small model and every model with a norm
PAIRS = [(model, norm) for model in ("cnn4", "resnet18") for norm in ARTICLE]
PAIRS += [("cnn4", norm) for norm in NORMS if norm not in ARTICLE]
PAIRS += [(m, "batchnorm") for m in config_names("model") if m not in ("cnn4", "resnet18")]

ONE_CYCLE = partial(one_cycle, momentum=[0.95, 0.5, 0.95])


def sgd(params, **settings):
    return torch.optim.SGD(params, momentum=0.9, **settings)


class HostDriven(CapturedTraining):
    """The same kernels, put in the queue by the host, one step at a time."""

    def set_rates(self, step):
        for number, _, values in self.rates:
            number.fill_(values[step])

    train_on, evaluate_on = Training.train_on, Training.evaluate_on


@pytest.fixture(autouse=True)
def a_look_at_every_replay(monkeypatch):
    monkeypatch.setattr(captured, "SECONDS_A_TURN", 0)


@contextmanager
def training_of(cuda, make, plan, data):
    """A training in a stream of its own, which is in use meanwhile."""
    stream = cuda.take_stream()
    with stream.use():
        yield make(plan, data, CUDA, stream)


def sums_of_losses(training):
    """The loss summed over 8, 16, … 48, 49, 50 steps of one epoch; every 8 and the last two."""
    steps, sums = 0, {}
    epoch = training.epoch()
    while True:
        try:
            steps += next(epoch)
        except StopIteration:
            return sums
        sums[steps] = training.metrics.loss.item()


def every_step(training):
    """The same with an entry for each step of a training that the host drives."""
    sums, step = {}, training.step

    def watched(index):
        step(index)
        sums[len(sums) + 1] = training.metrics.loss.item()

    training.step = watched
    finish(training.epoch())
    return sums


def distance(one, other, start):
    """How far two trainings' parameters are apart, over the way that one went."""
    return ((one - other).norm() / (one - start).norm()).item()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model, norm", PAIRS)
def test_replayed_steps_are_the_steps_of_the_host(cuda, data, plan, model, norm, precision):
    chosen = plan(model, norm, precision=precision)
    with training_of(cuda, HostDriven, chosen, data) as host:
        start = host.parameters.tensors[0].detach().clone()
        expected = every_step(host)
        expected_evaluation = finish(host.evaluate(data.val))

    with training_of(cuda, CapturedTraining, chosen, data) as graph:
        graph.capture()
        assert torch.equal(graph.parameters.tensors[0], start)
        ours = sums_of_losses(graph)
        evaluation = finish(graph.evaluate(data.val))
    assert list(ours) == [8, 16, 24, 32, 40, 48, 50]
    assert ours[8] == pytest.approx(expected[8], rel=1e-4 if precision == "fp32" else 1e-3)
    assert ours[50] == pytest.approx(expected[50], rel=1e-3 if precision == "fp32" else 1e-2)
    assert evaluation == pytest.approx(expected_evaluation, rel=0.02, abs=2 / 70)
    assert distance(host.parameters.tensors[0], graph.parameters.tensors[0], start) < 0.05
    for (name, one), other in zip(host.model.named_buffers(), graph.model.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.01, msg=name)


@pytest.mark.parametrize("optimizer", [Ranger, sgd, torch.optim.AdamW, torch.optim.RAdam])
@pytest.mark.parametrize("norm", ["none", "groupnorm"])
def test_a_captured_run_is_a_plain_run(cuda, data, plan, norm, optimizer):
    """Here the plain step has torch's plain optimizer, and weights that autocast would cast."""
    chosen = plan(norm=norm, optimizer=optimizer, epochs=2, batch_size=10)
    plain = finish(run(Training(chosen, data, CUDA)))
    stream = cuda.take_stream()
    with stream.use():
        ours = finish(run_in_stream(chosen, data, CUDA, stream, pytest.fail))
    for one, other in zip(ours.epochs, plain.epochs, strict=True):
        assert one == pytest.approx(other, rel=5e-3, abs=2 / 70)


@pytest.mark.parametrize("optimizer", [Ranger, sgd, torch.optim.AdamW])
def test_a_schedule_for_the_momentum(cuda, data, plan, optimizer):
    chosen = plan(
        optimizer=optimizer, norm="none", batch_size=10, epochs=2,
        schedule=ONE_CYCLE,
    )  # fmt: skip
    plain = finish(run(Training(chosen, data, CUDA)))
    stream = cuda.take_stream()
    with stream.use():
        ours = finish(run_in_stream(chosen, data, CUDA, stream, pytest.fail))
    for one, other in zip(ours.epochs, plain.epochs, strict=True):
        assert one == pytest.approx(other, rel=5e-3, abs=2 / 70)


@pytest.mark.parametrize(
    "optimizer, schedule",
    [
        *((optimizer, schedule) for optimizer in (Ranger, sgd, torch.optim.AdamW)
          for schedule in (constant, ONE_CYCLE)),
        (torch.optim.RAdam, constant),
    ],
)  # fmt: skip
def test_fp16_and_its_scaler(cuda, data, plan, optimizer, schedule):
    class Overflowing(nn.Identity):
        """Gradients are too large for fp16 until the loss is scaled less."""

        def forward(self, x):
            y = x * 1
            if y.requires_grad:
                y.register_hook(lambda gradient: gradient * 100)
            return y

    chosen = plan(
        optimizer=optimizer, schedule=schedule, precision="fp16", batch_size=10,
        model=lambda: CNN4(lambda channels: Overflowing(), 3, widths=(8, 8)),
    )  # fmt: skip
    plain = Training(chosen, data, CUDA)
    expected = finish(run(plain))
    with training_of(cuda, CapturedTraining, chosen, data) as graph:
        graph.capture()
        ours = finish(run(graph))
    assert plain.scaler.get_scale() < 65536
    assert graph.scaler.get_scale() == plain.scaler.get_scale()
    assert ours.epochs[0]["train_loss"] == pytest.approx(expected.epochs[0]["train_loss"], rel=0.02)


@pytest.mark.parametrize("graphs", [False, True])
def test_noise_goes_on_after_a_checkpoint(cuda, data, plan, tmp_path, graphs):
    dropout = partial(CNN4, lambda _: nn.Dropout(0.3), 3, widths=(8, 8))
    chosen = plan(dropout, batch_size=10, epochs=2)
    checkpoint = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)

    def outcome(kept, seed):
        stream = cuda.take_stream()
        with stream.use():
            if graphs:
                training = CapturedTraining(chosen, data, CUDA, stream)
                training.capture()
            else:
                training = Training(chosen, data, CUDA)
            if seed is not None:  # of numbers that a run which goes on must not draw
                torch.cuda.manual_seed(seed)
            return [epoch["train_loss"] for epoch in finish(run(training, kept)).epochs]

    whole = outcome(checkpoint, None)  # keeps the state after its first epoch
    assert outcome(checkpoint, 99) == pytest.approx(whole, rel=1e-4)
    assert outcome(None, 99)[1] != pytest.approx(whole[1], rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("model, norm", PAIRS)
def test_nothing_in_a_step_waits_for_the_device(cuda, data, plan, model, norm, precision):
    chosen = plan(model, norm, precision=precision)
    with training_of(cuda, CapturedTraining, chosen, data) as training:
        for mode in ("default", "error"):  # what happens only once may wait
            training.counter.zero_()
            training.val_counter.zero_()
            torch.cuda.set_sync_debug_mode(mode)
            try:
                training.model.train()
                training.next_step()
                training.model.eval()
                training.next_evaluation()
            finally:
                torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("model", config_names("model"))
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_lie_as_the_copy_that_collects_them_wants(cuda, data, plan, model, precision):
    """Where strides differ, one copy would become many."""
    with training_of(cuda, CapturedTraining, plan(model, precision=precision), data) as training:
        training.model.train()
        training.next_step()
        for params, targets in training.parameters.gradients:
            assert len({p.grad.dtype for p in params}) == 1
            for p, target in zip(params, targets, strict=True):
                assert places(p.grad) == places(target), tuple(p.shape)


@pytest.mark.parametrize("lookahead", [0, 6])
@pytest.mark.parametrize("scaled", [False, True])
def test_rangers_kernel_is_its_plain_update(cuda, lookahead, scaled):
    pytest.importorskip("triton")
    generator = torch.Generator("cuda").manual_seed(0)

    def noise():
        return torch.randn(1_000_003, device="cuda", generator=generator)

    update = for_parameter(noise())
    assert update is not update_by_operators, "the kernel does not compile here"
    group = Ranger([nn.Parameter(torch.zeros(1))], weight_decay=0.1, lookahead_steps=lookahead)
    table = coefficients(group.param_groups[0], 30).to(CUDA)
    lr = torch.tensor(0.05, dtype=torch.float64, device=CUDA)
    plain = [noise(), noise(), noise().abs(), noise() if lookahead else None]
    fused = [t if t is None else t.clone() for t in plain]
    for step in range(30):
        g, scaler = noise(), ()
        if scaled:
            overflow = step % 4 == 1
            scaler = torch.tensor(8.0, device=CUDA), torch.tensor(float(overflow), device=CUDA)
            g[7] = math.inf if overflow else 1
        for (p, *moments), apply in ((plain, update_by_operators), (fused, update)):
            apply(p, g, *moments, lr, table[step], *scaler)
    for one, other in zip(plain, fused, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
