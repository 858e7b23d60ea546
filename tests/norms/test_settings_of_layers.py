"""Settings of layers beyond what all of them promise."""

import math

import pytest
import torch

from normbench.norms import (
    BatchNorm,
    Derf,
    DyT,
    EvoNormB0,
    EvoNormS0,
    FilterResponseNorm,
    L1BatchNorm,
    LInfBatchNorm,
    RMSNorm,
)


@pytest.mark.parametrize("n", [2, 16, 64])
def test_of_normal_numbers_l1_is_their_deviation_and_linf_somewhat_more(n):
    torch.manual_seed(0)
    x = 3 * torch.randn(n, 8, 32, 32) + 5
    plain, l1, linf = (Layer(8)(x) for Layer in (BatchNorm, L1BatchNorm, LInfBatchNorm))
    torch.testing.assert_close(l1, plain, rtol=0.05, atol=0.05)
    assert (
        1 < plain.std() / linf.std() < 1.6
    )  # the constant is midway between 1 and 2.09, times max


def test_the_size_of_x_itself_tells_channels_with_another_mean_apart():
    x = torch.randn(4, 2, 8, 8) + torch.tensor([0.0, 100.0]).view(2, 1, 1)
    for Layer in (L1BatchNorm, LInfBatchNorm):
        of_deviation, of_x = (
            Layer(2, deviation=deviation)(x).detach().std((0, 2, 3)) for deviation in (True, False)
        )
        assert of_deviation[1] > 0.7 * of_deviation[0]
        assert of_x[1] < 0.05 * of_x[0]


def test_a_learned_eps_starts_where_it_is_told_and_learns():
    layer = FilterResponseNorm(3, eps=1e-4, learned_eps=True)
    x = 0.01 * torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(layer(x), FilterResponseNorm(3, eps=1e-4)(x))
    layer(x).sum().backward()
    assert layer.more_eps.grad.abs() > 1
    with pytest.raises(ValueError, match="eps=1e-07 must be at least 1e-06"):
        FilterResponseNorm(3, eps=1e-7, learned_eps=True)


def test_a_filter_response_starts_as_a_relu_of_what_is_normalized():
    x = torch.randn(2, 3, 4, 4)
    rms = x.square().mean((2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(FilterResponseNorm(3)(x), (x / rms).relu(), rtol=1e-4, atol=1e-4)


def test_large_fp16_values_do_not_overflow():
    """As they do where fp16 is squared in fp16, from 256 on."""
    x = 300 + torch.randn(2, 16, 4, 4)
    for Layer in (FilterResponseNorm, RMSNorm, EvoNormB0, EvoNormS0):
        y = Layer(16)(x.half())
        torch.testing.assert_close(y.float(), Layer(16)(x.half().float()), rtol=1e-3, atol=1e-3)
        assert y.abs().min() > 0.1


@pytest.mark.parametrize("Layer", [DyT, Derf])
def test_pointwise_functions_start_near_half_of_x_and_are_bounded(Layer):
    layer = Layer(3)
    x = torch.tensor([1e-3, 100.0, -100.0]).view(1, 3, 1, 1)
    slope = {DyT: 0.5, Derf: 0.5 * 2 / math.pi**0.5}[Layer]
    expected = torch.tensor([slope * 1e-3, 1, -1]).view(1, 3, 1, 1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=0)
    assert Layer(3, alpha=2.0).alpha.item() == 2


@pytest.mark.parametrize("Layer", [DyT, RMSNorm, FilterResponseNorm, EvoNormS0, L1BatchNorm])
def test_another_number_of_channels_is_refused(Layer):
    with pytest.raises(RuntimeError, match="x has 1 channels, the layer 8"):
        Layer(8)(torch.randn(2, 1, 4, 4))


def test_a_printed_layer_tells_its_settings():
    assert str(EvoNormS0(16)) == "EvoNormS0(16, num_groups=8, eps=1e-05)"
    assert str(DyT(16)) == "DyT(16)"
    assert str(L1BatchNorm(4)) == "L1BatchNorm(4, deviation=True, eps=1e-05, momentum=0.1)"
