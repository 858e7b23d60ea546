"""The small vision transformer, against torch's own layers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normbench.models.vit import TransformerBlock, ViT
from normbench.norms import BatchNorm, LayerNorm


def test_a_block_with_layernorm_is_torchs_encoder_layer():
    torch.manual_seed(0)
    block = TransformerBlock(LayerNorm, 16, 4, 24, "gelu").double()
    for p in block.parameters():
        nn.init.uniform_(p, -0.5, 0.5)
    theirs = nn.TransformerEncoderLayer(
        16, 4, 24, dropout=0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    names = {
        "self_attn.in_proj_weight": block.to_qkv.weight,
        "self_attn.in_proj_bias": block.to_qkv.bias,
        "self_attn.out_proj.weight": block.projection.weight,
        "self_attn.out_proj.bias": block.projection.bias,
    }
    for part in ("linear1", "linear2", "norm1", "norm2"):
        for kind in ("weight", "bias"):
            names[f"{part}.{kind}"] = getattr(getattr(block, part), kind)
    theirs.load_state_dict(names)
    x = torch.randn(3, 7, 16, dtype=torch.float64)
    torch.testing.assert_close(block(x), theirs(x))


def test_patches_are_embedded_as_a_convolution_would():
    torch.manual_seed(0)
    network = ViT(nn.Identity, patch=4, image_size=12)
    seen = []
    network.embedding.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = torch.randn(2, 3, 12, 12)
    network(x)
    kernel = network.embedding.weight.view(-1, 3, 4, 4)
    expected = F.conv2d(x, kernel, network.embedding.bias, stride=4).flatten(2).mT
    torch.testing.assert_close(seen[0], expected)


def test_norms_see_tokens_with_their_channels_second():
    network = ViT(BatchNorm, depth=2)
    shapes = []
    norms = [m for m in network.modules() if isinstance(m, BatchNorm)]
    for norm in norms:
        norm.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    network(torch.randn(2, 3, 32, 32))
    assert shapes == [(2, 64, 64)] * 5


@pytest.mark.parametrize(
    "settings", [{"patch": 5}, {"patch": 0}, {"heads": 3}, {"depth": 0}, {"hidden": 0}]
)
def test_sizes_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ViT(nn.Identity, **settings)
