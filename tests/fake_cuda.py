"""CUDA tensors that have a shape, a dtype and a device, but no memory.

What a graph cannot hold shows without a device: an operator whose result depends on data raises, as
does one that mixes devices.
"""

from collections import Counter
from contextlib import contextmanager
from graphlib import TopologicalSorter

import pytest
import torch
from stand_in_cuda import StandInStream
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from normbench.data.dataset import Dataset, Split
from normbench.engine import ranger_update
from normbench.engine.captured import CapturedTraining

CUDA = torch.device("cuda")
CONVOLUTIONS = {torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default}


@contextmanager
def fake_cuda():
    """A device, as far as torch asks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "to", to)
        patch.setattr(torch.Tensor, "backward", backward)
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.amp.grad_scaler, "amp_definitely_not_available", lambda: False, False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        # of these, torch knows no form without memory
        for name in ("sgd", "adam", "adamw"):
            patch.setattr(torch, f"_fused_{name}_", one_kernel)
        patch.setattr(torch, "batch_norm_update_stats", statistics)
        patch.setattr(ranger_update, "_kernel", lambda: one_kernel)
        with FakeTensorMode(), AsCudnn(), torch.device("cuda"):
            yield


def training_of(plan, size=64):
    data = Dataset("made", split(50, size), split(31, size), ("a", "b", "c"), "digest", None)
    return CapturedTraining(plan, data, CUDA, StandInStream())


def split(count, size):
    images = torch.empty(count, size, size, 3, dtype=torch.uint8)
    return Split(images, torch.zeros(count, dtype=torch.int64))


def take_a_step(training):
    training.model.train()
    training.next_step()


def evaluate_a_batch(training):
    training.model.eval()
    training.next_evaluation()


class Watching(TorchDispatchMode):
    """Lets no operator read from the device or work on the host, and counts them.

    Attributes:
        operators: how many of each there were, of those that have something to do.
        convolved: the dtypes that convolutions compute in.
        misplaced: how often a convolution, or its gradient, was given what is not channels last.
    """

    def __init__(self):
        super().__init__()
        self.operators, self.convolved, self.misplaced = Counter(), set(), 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        outcome = operator(*args, **(kwargs or {}))
        made = [t for t in tree_leaves(outcome) if torch.is_tensor(t)]
        assert all(t.device.type == "cuda" for t in made), operator
        assert operator is not torch.ops.aten._local_scalar_dense.default
        if operator in CONVOLUTIONS:
            given = [t for t in tree_leaves(args) if torch.is_tensor(t)]
            self.convolved |= {t.dtype for t in given}
            self.misplaced += sum(not is_channels_last(t) for t in given)
        if (made or operator._schema.is_mutable) and has_something_to_do(operator):
            self.operators[str(operator)] += 1
        return outcome


def has_something_to_do(operator):
    """Not those that make another view of a tensor, or a tensor that nobody has written to."""
    name = operator.overloadpacket.__name__
    return (
        operator.namespace == "aten" and not operator.is_view
        and "empty" not in name and name != "as_strided_"
    )  # fmt: skip


class AsCudnn(TorchDispatchMode):
    """What convolutions make is channels last if anything that they are given is.

    Torch would have to ask cuDNN.
    """

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        outcome = operator(*args, **(kwargs or {}))
        given = [t for t in tree_leaves(args) if torch.is_tensor(t) and t.dim() == 4]
        if operator not in CONVOLUTIONS or all(t.is_contiguous() for t in given):
            return outcome
        return tree_map_only(torch.Tensor, made_by_cudnn, outcome)


def made_by_cudnn(x):
    return torch.empty_like(x, memory_format=torch.channels_last) if x.dim() == 4 else x


def is_channels_last(x):
    return x.dim() != 4 or x.is_contiguous(memory_format=torch.channels_last)


def to(module, device=None, memory_format=None):
    """In place of nn.Module.to, which swaps tensors that have no memory, and may not."""
    for t in [*module.parameters(), *module.buffers()]:
        if memory_format and t.dim() == 4:
            t.data = t.data.to(memory_format=memory_format)
    return module


def one_kernel(tensors, *others, **settings):
    """In place of a kernel of an optimizer's own."""
    (tensors if torch.is_tensor(tensors) else tensors[0]).mul_(1)


def statistics(x, running_mean, running_var, momentum):
    of_a_channel = 0, *range(2, x.dim())
    return x.float().mean(of_a_channel), x.float().var(of_a_channel)


@torch.no_grad()
def backward(loss):
    """In place of Tensor.backward, whose engine asks for a device: the same nodes, one by one."""
    followers, reached = {}, [loss.grad_fn]
    while reached:
        node = reached.pop()
        if node not in followers:
            followers[node] = [following for following, _ in node.next_functions if following]
            reached += followers[node]
    gradients = {node: [None] * len(node._input_metadata) for node in followers}
    gradients[loss.grad_fn] = [torch.ones_like(loss)]
    # a sorter begins with what others depend on, which here comes last
    for node in reversed(list(TopologicalSorter(followers).static_order())):
        given = gradients.pop(node)
        if hasattr(node, "variable"):
            keep(node.variable, *given)
            continue
        for (following, place), gradient in gradients_of(node, given):
            expected = following._input_metadata[place]
            if gradient.shape != expected.shape:
                gradient = gradient.sum_to_size(expected.shape)
            gradient = gradient.to(expected.dtype)
            there = gradients[following][place]
            gradients[following][place] = gradient if there is None else there + gradient


def gradients_of(node, given):
    """What a node makes of gradients, and where in which nodes it is wanted."""
    edges = node.next_functions
    if callable(node):
        made = node(*given)
        made = made if isinstance(made, tuple) else (made,)
    else:  # a torch.autograd.Function, which has no edges for what is no tensor
        made = node.apply(*given)
        made = made if isinstance(made, tuple) else (made,)
        made = [g for g, needed in zip(made, node.needs_input_grad, strict=True) if needed]
        edges = [edge for edge in edges if edge[0] is not None]
    pairs = zip(edges, made, strict=True)
    return [(edge, g) for edge, g in pairs if edge[0] is not None and g is not None]


def keep(p, gradient):
    """Torch copies a gradient that does not lie as its parameter does."""
    if gradient is not None and places(gradient) != places(p):
        gradient = torch.empty_like(p).copy_(gradient)
    p.grad = gradient


def places(x):
    """What of a tensor's strides says where its numbers are."""
    return [stride for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1]
