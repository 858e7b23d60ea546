"""The papers' formulas, written out for tensors of any dtype, and what each layer keeps of batches.

A formula takes x (N, C, H, W), the layer's parameters in their order and, for evaluation, the
statistics that its layer has kept by then; without them it computes its own, as in training.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from normbench.norms import (
    BatchChannelNorm,
    BatchNorm,
    BatchRenorm,
    Derf,
    DyT,
    EvoNormB0,
    EvoNormS0,
    FilterResponseNorm,
    FixupScalars,
    GhostBatchNorm,
    GroupNorm,
    InstanceNorm,
    L1BatchNorm,
    LayerNorm,
    LInfBatchNorm,
    NoisyBatchNorm,
    PartialBatchNorm,
    RMSNorm,
    RunningBatchNorm,
)

EPS, MOMENTUM = 1e-5, 0.1
BATCH, MAP = (0, 2, 3), (2, 3)


def affine(z, weight, bias):
    return z * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


def standardize(x, mean, var):
    return (x - mean) / (var + EPS).sqrt()


def moments(x, dims=BATCH):
    mean = x.mean(dims, keepdim=True)
    return mean, (x - mean).square().mean(dims, keepdim=True)


def batch_norm(x, params, statistics=None):
    return affine(standardize(x, *(statistics or moments(x))), *params)


def running_batch_norm(x, params, statistics=None):
    # The first step's debiased averages are that batch's own statistics, taken as constants.
    return batch_norm(x, params, statistics or moments(x.detach()))


def group_norm(x, params, statistics=None, num_groups=8):
    groups = x.reshape(len(x), num_groups, -1)
    return affine(standardize(groups, *moments(groups, 2)).reshape(x.shape), *params)


def layer_norm(x, params, statistics=None):
    return group_norm(x, params, num_groups=1)


def instance_norm(x, params, statistics=None):
    return affine(standardize(x, *moments(x, MAP)), *params)


def batch_channel_norm(x, params, statistics=None):
    return group_norm(running_batch_norm(x, params[:2], statistics), params[2:])


def partial_batch_norm(center=True, scale=True, statistics_gradient=True, affine=True):
    def formula(x, params, statistics=None):
        mean, var = statistics or moments(x if statistics_gradient else x.detach())
        y = x - mean if center else x
        y = y / (var + EPS).sqrt() if scale else y
        return globals()["affine"](y, *params) if affine else y

    return formula


def deviations(x):
    mean, var = moments(x)
    return mean, (var + EPS).sqrt()


def batch_renorm(x, params, statistics=None):
    mean, std = statistics or deviations(x)  # of the first batch, for which r = 1 and d = 0
    return affine((x - mean) / std, *params)


def l1_size(x, deviation):
    mean = x.mean(BATCH, keepdim=True)
    if not deviation:
        return mean, x.abs().mean(BATCH, keepdim=True)
    return mean, math.sqrt(math.pi / 2) * (x - mean).abs().mean(BATCH, keepdim=True)


def linf_size(x, deviation):
    mean = x.mean(BATCH, keepdim=True)
    if not deviation:
        return mean, x.abs().amax(BATCH, keepdim=True)
    n = max(2, x.numel() // x.shape[1])
    constant = (1 + math.sqrt(math.pi * math.log(4))) / (2 * math.sqrt(2 * math.log(n)))
    return mean, constant * (x - mean).abs().amax(BATCH, keepdim=True)


def lp_batch_norm(size):
    def formula(x, params, statistics=None):
        mean, deviation = statistics or size(x)
        return affine((x - mean) / (deviation + EPS), *params)

    return formula


def rms_norm(x, params, statistics=None):
    mean_square = (x**2).flatten(1).mean(1).view(-1, 1, 1, 1)
    return affine(x / (mean_square + EPS).sqrt(), *params, torch.zeros(1).to(x))


def filter_response_norm(x, params, statistics=None):
    weight, bias, threshold, *more_eps = params
    eps = 1e-6 + more_eps[0].abs() if more_eps else 1e-6
    y = affine(x / ((x**2).mean(MAP, keepdim=True) + eps).sqrt(), weight, bias)
    return torch.where(y > threshold.view(1, -1, 1, 1), y, threshold.view(1, -1, 1, 1))


def batch_variance(x):
    return moments(x)[1:]


def evonorm_b0(x, params, statistics=None):
    weight, bias, v = params
    (var,) = statistics or batch_variance(x)
    other = v.view(1, -1, 1, 1) * x + (moments(x, MAP)[1] + EPS).sqrt()
    return affine(x / torch.maximum((var + EPS).sqrt(), other), weight, bias)


def evonorm_s0(x, params, statistics=None):
    weight, bias, v = params
    groups = (x / (1 + torch.exp(-v.view(1, -1, 1, 1) * x))).reshape(len(x), 8, -1)
    var = moments(x.reshape(len(x), 8, -1), 2)[1]
    return affine((groups / (var + EPS).sqrt()).reshape(x.shape), weight, bias)


def fixup_scalars(x, params, statistics=None):
    scale, bias = params
    return scale * x + bias


def dyt(x, params, statistics=None):
    weight, bias, alpha = params
    return affine(1 - 2 / (torch.exp(2 * alpha * x) + 1), weight, bias)


def derf(x, params, statistics=None):
    weight, bias, alpha, shift = params
    return affine(1 - torch.special.erfc(alpha * x + shift), weight, bias)


def average(values, weights):
    return sum(w * v for w, v in zip(weights, values, strict=True))


def recency(batches):
    return [MOMENTUM * (1 - MOMENTUM) ** i for i in reversed(range(len(batches)))]


def debiased(batches, of_batch):
    """Averages that are made of batches only."""
    weights = recency(batches)
    weights = [w / sum(weights) for w in weights]
    return tuple(average(values, weights) for values in zip(*map(of_batch, batches), strict=True))


def from_start(batches, of_batch, unbiased=True):
    """Averages that start at 0 for a mean and at 1 for all else, as torch's do."""
    count = batches[0].numel() // batches[0].shape[1]
    kept = []
    for values in zip(*map(of_batch, batches), strict=True):
        is_mean = len(kept) == 0 and of_batch is not batch_variance
        factor = 1 if is_mean or not unbiased else count / (count - 1)
        rest = 0 if is_mean else (1 - MOMENTUM) ** len(batches)
        kept.append(factor * average(values, recency(batches)) + rest)
    return tuple(kept)


@dataclass(frozen=True)
class Case:
    """A layer and what it should compute.

    Attributes:
        make: number of channels -> layer.
        formula: as above.
        statistics: batches that were trained with -> what evaluation uses.
        constant: whether statistics are constants to the gradient in training.
        single: whether layers below learn from maps of a single value: of one sample (`one`), of
            more only (`some`), of none (`none`), or `hardly`.
    """

    make: Callable[[int], nn.Module]
    formula: Callable
    statistics: Callable = lambda batches: None
    constant: bool = False
    single: str = "one"


torchs = partial(from_start, of_batch=moments)
running = partial(debiased, of_batch=moments)


def partial_case(constant=False, single="some", **settings):
    formula = partial_batch_norm(**settings)
    return Case(partial(PartialBatchNorm, **settings), formula, torchs, constant, single)


def lp_case(Layer, size, deviation):
    size = partial(size, deviation=deviation)
    statistics = partial(from_start, of_batch=size, unbiased=False)
    make = partial(Layer, deviation=deviation)
    return Case(make, lp_batch_norm(size), statistics, single="some")


SILENT = partial(NoisyBatchNorm, shift=0, scale=1, shift_spread=0, scale_spread=0)
LEARNED_EPS = partial(FilterResponseNorm, eps=1e-4, learned_eps=True)
CASES = {
    "BatchNorm": Case(BatchNorm, batch_norm, torchs, single="some"),
    "RunningBatchNorm": Case(RunningBatchNorm, running_batch_norm, running, constant=True),
    "LayerNorm": Case(LayerNorm, layer_norm),
    "GroupNorm": Case(GroupNorm, group_norm),
    "InstanceNorm": Case(InstanceNorm, instance_norm, single="none"),
    "BatchChannelNorm": Case(BatchChannelNorm, batch_channel_norm, running, constant=True),
    "silent": Case(SILENT, batch_norm, torchs, single="some"),
    "batchnorm_detached": partial_case(constant=True, statistics_gradient=False),
    "batchnorm_no_affine": partial_case(affine=False),
    "batchnorm_center": partial_case(scale=False, affine=False),
    "batchnorm_scale": partial_case(single="one", center=False, affine=False),
    "affine": partial_case(single="one", center=False, scale=False),
    "GhostBatchNorm": Case(GhostBatchNorm, batch_norm, torchs, single="some"),
    "BatchRenorm": Case(
        BatchRenorm, batch_renorm, partial(debiased, of_batch=deviations), True, "some"
    ),
    "L1BatchNorm": lp_case(L1BatchNorm, l1_size, True),
    "L1BatchNorm of x": lp_case(L1BatchNorm, l1_size, False),
    "LInfBatchNorm": lp_case(LInfBatchNorm, linf_size, True),
    "LInfBatchNorm of x": lp_case(LInfBatchNorm, linf_size, False),
    "RMSNorm": Case(RMSNorm, rms_norm),
    "FilterResponseNorm": Case(FilterResponseNorm, filter_response_norm, single="hardly"),
    "FilterResponseNorm, eps": Case(LEARNED_EPS, filter_response_norm, single="hardly"),
    "EvoNormB0": Case(EvoNormB0, evonorm_b0, partial(from_start, of_batch=batch_variance)),
    "EvoNormS0": Case(EvoNormS0, evonorm_s0),
    "DyT": Case(DyT, dyt),
    "FixupScalars": Case(FixupScalars, fixup_scalars),
    "Derf": Case(Derf, derf),
}
