"""The network that reads an image row by row."""

import torch
from torch import nn

from normbench.models.rnn import RowRNN
from normbench.norms import BatchNorm, LayerNorm


def test_without_a_norm_it_is_torchs_rnn():
    torch.manual_seed(0)
    network = RowRNN(nn.Identity, width=9, image_size=6).double()
    theirs = nn.RNN(3 * 6, 9, batch_first=True).double()
    theirs.weight_ih_l0.data.copy_(network.input.weight)
    theirs.weight_hh_l0.data.copy_(network.recurrent.weight)
    theirs.bias_ih_l0.data.copy_(network.input.bias)
    nn.init.zeros_(theirs.bias_hh_l0)
    x = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    rows = x.transpose(1, 2).flatten(2)  # a row after another, all its channels
    torch.testing.assert_close(network(x), network.head(theirs(rows)[1][0]))


def test_with_layernorm_it_is_the_papers_equation():
    torch.manual_seed(0)
    network = RowRNN(LayerNorm, width=16, image_size=5, in_channels=1).double()
    norm = nn.LayerNorm(16).double()
    shared = network.norm0
    nn.init.uniform_(shared.weight, 0.5, 1.5)
    nn.init.uniform_(shared.bias)
    norm.load_state_dict(shared.state_dict())
    x = torch.randn(3, 1, 5, 5, dtype=torch.float64)
    h = torch.zeros(3, 16, dtype=torch.float64)
    for t in range(5):
        h = torch.tanh(norm(network.input(x[:, 0, t]) + network.recurrent(h)))
    torch.testing.assert_close(network(x), network.head(h))


def test_batchnorm_has_statistics_of_each_row_and_one_scale_and_shift():
    torch.manual_seed(0)
    network = RowRNN(BatchNorm, width=8, image_size=4, in_channels=1)
    norms = [m for m in network.modules() if isinstance(m, BatchNorm)]
    assert len(norms) == 4
    assert len({id(m.weight) for m in norms}) == len({id(m.bias) for m in norms}) == 1
    x = torch.randn(16, 1, 4, 4) * torch.arange(1, 5).view(1, 1, 4, 1)
    network(x).sum().backward()
    means = torch.stack([m.running_mean for m in norms])
    assert torch.unique(means, dim=0).shape == means.shape
    assert norms[0].weight.grad.any()
    torch.testing.assert_close(network.eval()(x[:1]), network(x)[:1])


def test_scales_of_norms_start_where_they_are_told_to():
    network = RowRNN(BatchNorm, norm_scale=0.1)
    assert torch.equal(network.norm27.weight, torch.full((128,), 0.1))
    RowRNN(nn.Identity, norm_scale=0.1)  # which has none
