"""Noise after BatchNorm: of the distributions that are named, anew at every step, never without."""

import math

import pytest
import torch

from normbench.norms import BatchNorm, NoisyBatchNorm

N, C = 2000, 50


def noise_of(layer, steps=1):
    """Scales and shifts (steps, N, C) that the layer applied, from what it made of two values."""
    x = torch.tensor([-1.0, 1.0]).repeat(N, C, 1, 1)  # already normalized, up to eps
    out = torch.stack([layer(x)[:, :, 0] for _ in range(steps)]).detach()
    return (out[..., 1] - out[..., 0]) / 2, (out[..., 1] + out[..., 0]) / 2


def test_scales_and_shifts_have_the_distributions_of_the_paper():
    torch.manual_seed(0)
    scales, shifts = noise_of(NoisyBatchNorm(C), steps=20)
    means, stds = shifts.mean(1), shifts.std(1)  # of the samples, for each step and channel
    assert means.abs().max() <= 0.51
    assert means.std() == pytest.approx(1 / math.sqrt(12), rel=0.05)  # uniform on (-0.5, 0.5)
    assert stds.mean() == pytest.approx(0.2 / math.sqrt(12), rel=0.01)
    assert (shifts - means[:, None]).abs().max() <= 0.105
    means, stds = scales.mean(1), scales.std(1)
    assert means.min() >= 0.99 and means.max() <= 1.26
    assert means.mean() == pytest.approx(1.125, rel=0.01)
    assert stds.mean() == pytest.approx(0.1, rel=0.01)
    kurtosis = ((scales - means[:, None]) / stds[:, None]).pow(4).mean()
    assert kurtosis == pytest.approx(3, rel=0.02)  # normal; of a uniform one 1.8


def test_noise_is_new_at_every_step_and_for_every_channel_and_sample():
    torch.manual_seed(0)
    for noise in noise_of(NoisyBatchNorm(C), steps=2):
        assert not torch.equal(noise[0], noise[1])
        assert abs(torch.corrcoef(noise.mean(1))[0, 1]) < 0.5  # the means, from step to step
        assert noise[0].unique().numel() > 0.9 * noise[0].numel()


def test_evaluation_and_running_statistics_are_those_of_batch_norm_and_draw_nothing():
    noisy, plain = NoisyBatchNorm(C), BatchNorm(C)
    for x in torch.randn(3, 8, C, 4, 4):
        noisy(x), plain(x)
    state = torch.get_rng_state()
    assert torch.equal(noisy.eval()(x), plain.eval()(x))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(b, plain.get_buffer(name)) for name, b in noisy.named_buffers())


def test_a_seed_decides():
    def draw():
        torch.manual_seed(5)
        return NoisyBatchNorm(C)(torch.arange(2.0 * C * 4).view(2, C, 2, 2))

    assert torch.equal(draw(), draw())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_output_has_the_dtype_of_the_input(dtype):
    layer, x = NoisyBatchNorm(C), torch.randn(8, C, 4, 4).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    assert layer(x).dtype == dtype
    assert layer(x).is_contiguous(memory_format=torch.channels_last)
