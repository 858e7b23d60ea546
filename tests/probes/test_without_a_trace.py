"""Every probe that is here: the run it watches ends with the same bits."""

import pytest
import torch
from torch import nn

from normbench.engine.optimizers import Ranger
from normbench.engine.training import Training, finish, run
from normbench.norms import BatchChannelNorm, RunningBatchNorm
from normbench.probes.covariate_shift import CovariateShift
from normbench.probes.hessian import Hessian
from normbench.probes.landscape import Landscape
from normbench.probes.learning_rate_range import LearningRateRange
from normbench.probes.step_size import StepSize

CPU = torch.device("cpu")
PROBES = [
    Landscape(every=2, step_sizes=[0.1, 3.0]),
    StepSize(at=[0, 5, 11], smallest=0.1, largest=10, per_decade=2),
    CovariateShift(every=2),
    CovariateShift(every=3, step_size=0.5),
    Hessian(times=3, images=8, mode="eval", tolerance=0.1, restarts=9, trace_samples=2),
    LearningRateRange(margin=0.1),
]
NORMS = {
    "batchnorm": nn.BatchNorm2d,
    "running_batchnorm": RunningBatchNorm,
    "bcn": lambda channels: BatchChannelNorm(channels, num_groups=4),
    "dropout": lambda channels: nn.Dropout(0.3),
}


@pytest.mark.parametrize("norm", NORMS)
def test_the_run_is_the_same_with_and_without(norm, plan, data):
    alone = Training(plan(NORMS[norm], optimizer=Ranger), data, CPU)
    finish(run(alone))
    expected = alone.model.state_dict()
    for probe in PROBES:
        seen = []

        class Kept(type(probe)):
            def watch(self, run, seen=seen):
                seen.append(run.training)
                yield from super().watch(run)
                yield run.steps
                return {}

        kept = Kept(**vars(probe))
        finish(kept.measure(plan(NORMS[norm], optimizer=Ranger), data, CPU))
        actual = seen[0].model.state_dict()
        assert all(torch.equal(value, actual[name]) for name, value in expected.items()), kept
