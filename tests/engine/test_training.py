"""The training step against the loop that anybody would write, and the promises around it."""

import math
from functools import partial

import pytest
import small_runs
import torch
import torch.nn.functional as F
from small_runs import dataset, split
from torch import nn

from normbench.data.dataset import Dataset
from normbench.engine.schedules import Schedule, constant, one_cycle
from normbench.engine.training import Training, finish, train
from normbench.models.cnn4 import CNN4

CPU = torch.device("cpu")


@pytest.fixture
def data():
    return dataset()


def sgd(params, lr):
    return torch.optim.SGD(params, lr=lr, momentum=0.9)


plan = partial(
    small_runs.plan,
    model=lambda: CNN4(nn.BatchNorm2d, 3, widths=(8, 8)), optimizer=sgd, schedule=constant, lr=0.05,
)  # fmt: skip


def reference(plan, data):
    """Epochs as (train loss, val loss, val accuracy) from a plain loop in plain layout."""
    torch.manual_seed(plan.seed)
    model = plan.model()
    steps = len(data.train.labels) // plan.batch_size
    schedule = plan.schedule(steps * plan.epochs, plan.lr)
    optimizer = plan.optimizer(model.parameters(), lr=plan.lr)
    shuffle = torch.Generator().manual_seed(plan.seed)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (plan.mean, plan.std))

    def inputs(images):
        return (images.permute(0, 3, 1, 2).contiguous() / 255 - mean) / std

    epochs, done = [], 0
    for _ in range(plan.epochs):
        model.train()
        losses = []
        for index in torch.randperm(len(data.train.labels), generator=shuffle).split(
            plan.batch_size
        )[:steps]:
            optimizer.param_groups[0]["lr"] = schedule.lr[done]
            if schedule.momentum is not None:
                optimizer.param_groups[0]["momentum"] = schedule.momentum[done]
            loss = F.cross_entropy(
                model(inputs(data.train.images[index])), data.train.labels[index]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            done += 1
        model.eval()
        with torch.no_grad():
            logits = model(inputs(data.val.images))
        epochs.append(
            {
                "train_loss": sum(losses) / len(losses),
                "val_loss": F.cross_entropy(logits, data.val.labels).item(),
                "val_accuracy": (logits.argmax(1) == data.val.labels).float().mean().item(),
            }
        )
    return epochs


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch_size": 1, "lr": 0.01},
        {"batch_size": 50},
        {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)},
        {"schedule": lambda s, lr: one_cycle(s, lr, momentum=[0.95, 0.85, 0.95])},
        {"model": lambda: CNN4(nn.Identity, 3, widths=(8, 8), head="flatten", image_size=16)},
        {"optimizer": lambda params, lr: torch.optim.AdamW(params, lr=lr / 10)},
    ],
    ids=["sgd", "batch1", "whole", "standardized", "one_cycle", "flatten", "adamw"],
)
def test_a_run_is_what_a_plain_loop_would_measure(data, changes):
    ours, theirs = train(plan(**changes), data, CPU), reference(plan(**changes), data)
    assert len(ours.epochs) == len(theirs) == 2
    for one, other in zip(ours.epochs, theirs, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=1e-6)


def test_a_run_depends_on_its_plan_alone(data):
    first = train(plan(), data, CPU)
    torch.manual_seed(99)
    torch.rand(7)
    train(plan(seed=8, batch_size=4), data, CPU)
    again = train(plan(), data, CPU)
    assert first.epochs == again.epochs
    assert train(plan(seed=4), data, CPU).epochs != first.epochs


def test_an_epoch_sees_each_image_once_and_drops_the_last_incomplete_batch(data):
    seen = []

    class Spy(Training):
        def step(self, index):
            seen.append(index.clone())
            super().step(index)

    training = Spy(plan(), data, CPU)
    steps = []
    finish(training.epoch(), steps.append)
    assert [len(index) for index in seen] == [8] * 6
    assert len(set(torch.cat(seen).tolist())) == 48
    assert sum(steps) == 6
    first_epoch = torch.cat(seen).tolist()
    seen.clear()
    finish(training.epoch(), steps.append)
    assert torch.cat(seen).tolist() != first_epoch


def test_evaluation_covers_every_image_and_changes_nothing(data):
    training = Training(plan(), data, CPU)
    finish(training.epoch())
    before = {k: v.clone() for k, v in training.model.state_dict().items()}
    many = Dataset("many", data.train, split(1100, 2), data.classes, "", None)
    loss, accuracy = finish(training.evaluate(many.val))
    x = many.val.images.permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        logits = training.model(x)
    assert loss == pytest.approx(F.cross_entropy(logits, many.val.labels).item(), rel=1e-4)
    assert accuracy == (logits.argmax(1) == many.val.labels).double().mean().item()
    assert all(torch.equal(before[k], v) for k, v in training.model.state_dict().items())


def test_augmentation_is_for_training_images_only(data):
    plain, cropped = train(plan(), data, CPU), train(plan(augment="crop"), data, CPU)
    assert plain.epochs[0]["train_loss"] != cropped.epochs[0]["train_loss"]
    assert train(plan(augment="crop"), data, CPU).epochs == cropped.epochs
    training = Training(plan(augment="crop"), data, CPU)
    assert finish(training.evaluate(data.val)) == finish(training.evaluate(data.val))
    untrained = finish(Training(plan(), data, CPU).evaluate(data.val))
    assert finish(training.evaluate(data.val)) == untrained


def test_a_loss_that_is_no_number_ends_the_run(data):
    steps = []
    result = train(plan(lr=1e30, epochs=5), data, CPU, steps.append)
    assert result.status == "diverged"
    assert sum(steps) < 5 * 6
    assert all(math.isfinite(v) for epoch in result.epochs for v in epoch.values())


def test_a_network_that_breaks_in_evaluation_only_has_diverged_too(data):
    class BreaksInEvaluation(nn.Identity):
        def forward(self, x):
            return x if self.training else x * math.inf

    result = train(plan(model=lambda: CNN4(BreaksInEvaluation, 3, widths=(8,))), data, CPU)
    assert (result.status, result.epochs) == ("diverged", [])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_close_to_full(data, precision):
    full, half = train(plan(), data, CPU), train(plan(precision=precision), data, CPU)
    assert half.epochs[-1]["train_loss"] == pytest.approx(full.epochs[-1]["train_loss"], rel=0.1)
    assert half.epochs != full.epochs


def test_the_schedule_is_stepped_every_batch(data):
    rates = []

    class Recording(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    train(
        plan(
            optimizer=lambda p, lr: Recording(p, lr=lr),
            schedule=lambda steps, lr: Schedule(lr * torch.arange(1, steps + 1).numpy() / steps),
        ),
        data,
        CPU,
    )
    assert rates == pytest.approx([0.05 * i / 12 for i in range(1, 13)])


@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (0.5, 0.4, 0.3)])
def test_images_are_scaled_color_by_color(mean, data):
    training = Training(plan(mean=mean, std=(0.2, 0.3, 0.4)), data, CPU)
    images = data.train.images[:5]
    x = training.inputs(images)
    assert x.is_contiguous(memory_format=torch.channels_last)
    for color, (m, s) in enumerate(zip(mean, (0.2, 0.3, 0.4), strict=True)):
        expected = (images[..., color].double() / 255 - m) / s
        torch.testing.assert_close(x[:, color], expected, check_dtype=False)
    # in the same bits as pixel by pixel
    pixels = images.permute(0, 3, 1, 2) * training.scale
    assert torch.equal(x, pixels + training.shift if any(mean) else pixels)
