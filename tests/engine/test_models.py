"""Every model of ours in the engine: images of one channel and of three, graphs, checkpoints."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from fake_cuda import Watching, evaluate_a_batch, fake_cuda, take_a_step, training_of
from small_runs import dataset, plan

from normbench.data.dataset import Split
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.training import Training, finish, run, train
from normbench.models import build_model
from normbench.places import config_names, read_config

CPU = torch.device("cpu")
SMALL = {
    "mlp": {"widths": [8, 8]},
    "vgg": {"variant": "A", "width": 0.125},
    "resnet_cifar": {"depth": 8},
    "deep_linear": {"depth": 4, "width": 8},
    "rnn": {"width": 8},
    "vit": {"width": 16, "depth": 2, "hidden": 16},
}
SOME_NORMS = ("batchnorm", "layernorm", "ws_bcn")

every_model = pytest.mark.parametrize("model", SMALL)


def settings(model, size):
    """A small form of a model, for images of this size."""
    found = {**read_config(f"model/{model}"), **SMALL[model]}
    return found | ({"image_size": size} if "image_size" in found else {})


def planned(model, norm="batchnorm", channels=3, size=16, **changes):
    made = partial(build_model, settings(model, size), norm, 3, channels)
    return plan(model=made, mean=(0.5,) * channels, std=(0.25,) * channels, **changes)


def grey(data):
    parts = {name: Split(split.images[..., :1].contiguous(), split.labels)
             for name, split in (("train", data.train), ("val", data.val))}  # fmt: skip
    return replace(data, **parts)


def test_every_model_of_ours_is_tested():
    ours = {name for name in config_names("model")
            if read_config(f"model/{name}")._target_.startswith("normbench.")}  # fmt: skip
    assert ours == {"cnn4", *SMALL}


@every_model
@pytest.mark.parametrize("augment", ["none", "crop"])
def test_it_trains_on_grey_images(model, augment):
    result = train(planned(model, channels=1, augment=augment), grey(dataset()), CPU)
    assert result.status == "finished" and len(result.epochs) == 2


@every_model
@pytest.mark.parametrize("norm", SOME_NORMS)
def test_a_checkpoint_goes_on_in_the_same_bits(model, norm, tmp_path):
    planned_run, data = planned(model, norm), dataset()
    whole = train(planned_run, data, CPU)
    checkpoint = Checkpoint(tmp_path / "state", {"run": "a"}, always=True)

    class Killed(Exception):
        pass

    class Once:
        restore = checkpoint.restore

        def save(self, training, result, seconds):
            checkpoint.save(training, result, seconds)
            raise Killed

    with pytest.raises(Killed):
        finish(run(Training(planned_run, data, CPU), Once()))
    gone_on = train(planned_run, data, CPU, checkpoint=checkpoint)
    assert gone_on.epochs == whole.epochs and len(whole.epochs) == 2


@every_model
@pytest.mark.parametrize("norm", SOME_NORMS)
@pytest.mark.parametrize("precision", [pytest.param("fp32", marks=pytest.mark.slow), "bf16"])
def test_a_step_and_an_evaluation_on_cuda_wait_for_nothing(model, norm, precision):
    with fake_cuda():
        training = training_of(planned(model, norm, precision=precision), size=16)
        take_a_step(training)
        evaluate_a_batch(training)
        with Watching():
            take_a_step(training)
            evaluate_a_batch(training)


@every_model
def test_half_precision_reaches_the_same_loss_nearly(model):
    full, half = (train(planned(model, precision=p), dataset(), CPU) for p in ("fp32", "bf16"))
    assert half.epochs[0]["train_loss"] == pytest.approx(full.epochs[0]["train_loss"], rel=0.1)
