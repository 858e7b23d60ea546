"""Every probe that is here: the run it watches ends with the same bits."""

from functools import cache

import pytest
import small_runs
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import nn

from normbench.engine.optimizers import Ranger
from normbench.engine.schedules import constant
from normbench.engine.training import Training, finish, run
from normbench.models.cnn4 import CNN4
from normbench.norms import BatchChannelNorm, RunningBatchNorm
from normbench.places import config_names, read_config
from normbench.probes import WatchingProbe

CPU = torch.device("cpu")
# Settings of probes for a run of twelve steps; a probe that is not here watches with those of its
# config.
SETTINGS = {
    "landscape": [{"every": 2, "step_sizes": [0.1, 3.0]}],
    "step_size": [
        {"steps": None, "at": [0, 5, 11], "smallest": 0.1, "largest": 10, "per_decade": 2}
    ],
    "covariate_shift": [{"every": 2}, {"every": 3, "step_size": 0.5}],
    "hessian": [
        {"times": 3, "images": 8, "mode": "eval", "tolerance": 0.1, "restarts": 9,
         "trace_samples": 2}
    ],
    "learning_rate_range": [{"steps": None}],
    "companions": [{"sizes": [2, 4], "images": 20, "draws": 3}],
    "batch_noise": [{"batches": 2, "images": 2, "draws": 2, "loss_images": 10}],
    "least_active": [{"last": 4}],
    "hidden_inputs": [{"times": 3, "images": 10}],
    "sharpness": [{"level": 1.0, "every": 4, "ascent": 2, "images": 20}],
    "domain_shift": [{"batch_size": 8}],
}  # fmt: skip


def watching_probes():
    """Name -> probe, of every config of one that watches, with each of its settings."""
    for name in config_names("probe"):
        config = OmegaConf.to_container(read_config(f"probe/{name}").probe)
        kind = get_class(config.pop("_target_"))
        if issubclass(kind, WatchingProbe):
            del config["name"]
            for number, settings in enumerate(SETTINGS.get(name, [{}])):
                yield f"{name}{number or ''}", kind(**config | settings)


PROBES = dict(watching_probes())
NORMS = {
    "batchnorm": nn.BatchNorm2d,
    "running_batchnorm": RunningBatchNorm,
    "bcn": lambda channels: BatchChannelNorm(channels, num_groups=4),
    "dropout": lambda channels: nn.Dropout(0.3),
}


@cache
def expected(norm):
    """What the run comes to that nobody watches."""
    alone = Training(made(norm), small_runs.dataset(), CPU)
    finish(run(alone))
    return alone.model.state_dict()


def made(norm):
    return small_runs.plan(
        model=lambda: CNN4(NORMS[norm], 3, widths=(8, 8)),
        optimizer=Ranger, schedule=constant, lr=0.01,
    )  # fmt: skip


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", PROBES)
def test_the_run_is_the_same_with_and_without(name, norm, data):
    probe, seen = PROBES[name], []

    class Kept(type(probe)):
        def watch(self, run):
            seen.append(run.training)
            yield from super().watch(run)
            yield run.steps
            return {}

    finish(Kept(**vars(probe)).measure(made(norm), data, CPU))
    actual = seen[0].model.state_dict()
    assert seen[0].steps_done == 12
    assert all(torch.equal(value, actual[part]) for part, value in expected(norm).items())
