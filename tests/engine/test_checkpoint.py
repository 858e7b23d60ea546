"""A run that was stopped after an epoch goes on to the bits that it would have come to."""

import hashlib
import io
from functools import partial

import pytest
import small_runs
import torch
from small_runs import MODEL, dataset, sgd
from stand_in_cuda import StandInStream
from torch import nn

from normbench.engine import checkpoint as module
from normbench.engine.captured import CapturedTraining
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.schedules import constant, one_cycle
from normbench.engine.training import Training, finish, run, train
from normbench.models import build_model
from normbench.models.cnn4 import CNN4

CPU = torch.device("cpu")
DATA = dataset()
plan = partial(small_runs.plan, epochs=4)


class Noisy(nn.Module):
    """Draws from torch's global random state, and counts in a buffer that no state dict has."""

    def __init__(self, num_channels):
        super().__init__()
        self.register_buffer("count", torch.zeros(()), persistent=False)

    def forward(self, x):
        if self.training:
            self.count.add_(1)
            x = x + torch.randn_like(x) / self.count
        return x


def adamw(params, **settings):
    return torch.optim.AdamW(params, **settings)


def rprop(params, **settings):
    return torch.optim.Rprop(params, **settings)


PLANS = {
    "ranger": plan(),
    "sgd, one cycle": plan(optimizer=sgd, schedule=partial(one_cycle, momentum=[0.95, 0.85, 0.95])),
    "adamw, bf16": plan(optimizer=adamw, precision="bf16"),
    "fp16": plan(precision="fp16"),
    "crops": plan(augment="crop"),
    "running averages": plan(model=partial(build_model, MODEL, "running_batchnorm", 3)),
    "reparametrized": plan(model=partial(build_model, MODEL, "ws_bcn", 3)),
    "noise": plan(model=lambda: CNN4(Noisy, 3, widths=(8, 8)), schedule=constant),
    "an optimizer of its own": plan(optimizer=rprop, lr=1e-3),
}


def measured(result):
    return result.status, result.epochs


def stop_after(epochs, training, checkpoint):
    """Train until so many epochs are kept, and forget the rest, as if killed."""
    running = run(training, checkpoint)
    kept = []
    save = Checkpoint.save

    def counted(self, training, result, seconds):
        save(self, training, result, seconds)
        kept.append(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", counted)
        while len(kept) < epochs:
            next(running)
    running.close()


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("epochs", [1, 3])
def test_going_on_gives_the_same_bits(name, epochs, tmp_path):
    chosen = PLANS[name]
    whole = train(chosen, DATA, CPU)
    assert len({str(epoch) for epoch in whole.epochs}) > 1
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)
    stop_after(epochs, Training(chosen, DATA, CPU), kept)
    torch.manual_seed(99)
    steps = []
    resumed = train(chosen, DATA, CPU, steps.append, kept)
    assert measured(resumed) == measured(whole)
    assert sum(steps) == 24 and steps[0] == 6 * epochs
    assert resumed.train_seconds > 0 and resumed.images_per_second > 0


@pytest.mark.parametrize("name", ["ranger", "sgd, one cycle", "adamw, bf16", "fp16", "crops"])
def test_so_does_going_on_from_graphs(name, tmp_path):
    chosen = PLANS[name]
    if "adamw" in name:
        chosen = plan(optimizer=adamw)

    def captured():
        made = CapturedTraining(chosen, DATA, CPU, StandInStream())
        made.capture()
        return made

    whole = finish(run(captured()))
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)
    stop_after(2, captured(), kept)
    assert measured(finish(run(captured(), kept))) == measured(whole)


def test_only_long_epochs_are_worth_it_unless_always(tmp_path, monkeypatch):
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"})
    train(plan(epochs=2), DATA, CPU, checkpoint=kept)
    assert not kept.path.exists()
    monkeypatch.setattr(module, "LONG", 0.0)
    train(plan(epochs=2), DATA, CPU, checkpoint=kept)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


@pytest.fixture
def kept(tmp_path):
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)
    train(plan(epochs=2), DATA, CPU, checkpoint=kept)
    return kept


def starts_over(kept, caplog):
    caplog.clear()
    steps = []
    result = train(plan(epochs=2), DATA, CPU, steps.append, kept)
    (line,) = caplog.messages
    return steps[0] == 0 and measured(result) == measured(train(plan(epochs=2), DATA, CPU)) and line


def test_a_damaged_checkpoint_starts_the_run_over_with_a_line(kept, caplog):
    whole = kept.path.read_bytes()
    places = [0, 40, len(whole) // 2, len(whole) - 1]
    flipped = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in places]
    for content in [b"", whole[:20], whole[:-1], *flipped]:
        kept.path.write_bytes(content)
        assert "is damaged (its digest is wrong): its run starts over" in starts_over(kept, caplog)
        assert kept.path.read_bytes() != content


@pytest.mark.parametrize("change", [{"run": "b"}, {"run": "a", "threads": 2}, {}])
def test_a_checkpoint_of_another_run_or_version_is_not_gone_on_from(kept, caplog, change):
    other = Checkpoint(kept.path, change)
    assert "is of other code or data" in starts_over(other, caplog)


class Evil:
    def __reduce__(self):
        return open, ("pwned", "w")


def test_nothing_in_a_checkpoint_is_executed(kept, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    torch.save({"about": kept.about, "state": Evil()}, content)
    content = content.getvalue()
    kept.path.write_bytes(hashlib.sha256(content).digest() + content)
    assert "is damaged" in starts_over(kept, caplog)
    assert not (tmp_path / "pwned").exists()


def test_a_disk_that_is_full_costs_the_checkpoint_only(tmp_path, monkeypatch, caplog):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)
    result = train(plan(epochs=2), DATA, CPU, checkpoint=kept)
    assert measured(result) == measured(train(plan(epochs=2), DATA, CPU))
    assert "No space left on device" in caplog.text


def test_it_holds_plain_values_and_tensors(tmp_path):
    kept = Checkpoint(tmp_path / "run.pt", {"run": "a"}, always=True)
    stop_after(1, Training(PLANS["adamw, bf16"], DATA, CPU), kept)
    content = kept.path.read_bytes()[hashlib.sha256().digest_size :]
    assert torch.load(io.BytesIO(content), weights_only=True)["about"] == kept.about
