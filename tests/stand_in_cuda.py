"""What CUDA lanes ask of CUDA, on the CPU.

A graph is made of the operators that a step ran and of the tensors that they read and wrote; a
replay runs these operators again on these tensors, and nothing else. So, as on a device, what
Python does in a step it does once, while it is captured. Queues are done at once.
"""

from contextlib import contextmanager

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

# Operators whose result the host has to know.
WAITING = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
}


class Noisy(nn.Module):
    """Random in training."""

    def __init__(self, num_channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_channels)

    def forward(self, x):
        return self.norm(nn.functional.dropout(x, 0.2, self.training))


class StandIn:
    """In place of normbench.engine.cuda.Cuda.

    delays: for each stream made, how often it says that it is still busy before it goes on.
    memory: bytes free at first; what a test makes lanes take is up to the test.
    """

    def __init__(self, delays=(), memory=10**12):
        self.delays, self.memory, self.reserved = list(delays), memory, 0
        self.streams, self.unused, self.broken, self.lost = [], [], False, ""

    def works(self):
        return not self.broken

    def take_stream(self):
        if not self.unused:
            delay = self.delays[len(self.streams) % len(self.delays)] if self.delays else 0
            self.streams.append(StandInStream(delay))
            self.unused.append(self.streams[-1])
        stream = self.unused.pop()
        stream.renew()
        return stream

    def give_back(self, stream):
        assert stream not in self.unused
        self.unused.append(stream)

    def free_memory(self):
        return self.memory - self.reserved

    def reserved_memory(self):
        return self.reserved


class StandInStream:
    """In place of normbench.engine.cuda.Stream."""

    in_use = None

    def __init__(self, delay=0):
        self.delay, self.captured, self.replayed, self.left = delay, 0, 0, None
        self.renew()

    def renew(self):
        self.random = torch.get_rng_state()

    @contextmanager
    def use(self):
        assert StandInStream.in_use is None
        others, StandInStream.in_use = torch.get_rng_state(), self
        torch.set_rng_state(self.random)
        try:
            yield
        finally:
            self.random, StandInStream.in_use = torch.get_rng_state(), None
            torch.set_rng_state(others)

    def mark(self):
        looks = iter(range(self.delay))
        return lambda: next(looks, None) is None

    def settle(self):
        pass

    def failed_allocations(self):
        return 0

    def no_waiting(self):
        return NoWaiting("called a synchronizing CUDA operation")

    def capture(self, work):
        self.captured += 1
        graph = Recording()
        try:
            with graph:
                work()
        finally:
            graph.forget_that_it_ran()

        def replay():
            assert StandInStream.in_use in (self, None)
            self.replayed += 1
            graph.replay()

        return replay


class NoWaiting(TorchDispatchMode):
    """Raises a RuntimeError where the host would have to wait for a device."""

    def __init__(self, message):
        super().__init__()
        self.message = message

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator in WAITING:
            raise RuntimeError(self.message)
        return operator(*args, **(kwargs or {}))


class Recording(NoWaiting):
    """The operators that ran inside, as a CUDA graph holds them.

    A device does not run what it captures: ``forget_that_it_ran`` brings back what operators
    changed, but not what Python did.

    steps: operators, their arguments, and those of their results that have memory of their own.
    before: the storages that were there already, and what they held.
    made: storages of results.
    """

    def __init__(self):
        super().__init__("CUDA error: operation not permitted when stream is capturing")
        self.steps, self.before, self.made = [], {}, set()
        self.random = torch.get_rng_state()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        # aliases, so that a parameter whose data is replaced later is other memory than this
        recorded = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs or {}))
        read = {storage_of(t): t for t in tensors_in(recorded)}
        for storage, tensor in read.items():
            if storage not in self.made and storage not in self.before:
                memory = tensor.untyped_storage()
                self.before[storage] = memory, memory.clone()
        outcome = super().__torch_dispatch__(operator, types, args, kwargs)
        results = [None if storage_of(t) in read else t.detach() for t in tensors_in(outcome)]
        self.made |= {storage_of(t) for t in results if t is not None}
        self.steps.append((operator, *recorded, results))
        return outcome

    def forget_that_it_ran(self):
        for memory, content in self.before.values():
            memory.copy_(content)
        torch.set_rng_state(self.random)

    @torch.no_grad()
    def replay(self):
        for operator, args, kwargs, results in self.steps:
            made = tensors_in(operator(*args, **kwargs))
            for result, value in zip(results, made, strict=True):
                if result is not None:
                    result.copy_(value)


def tensors_in(tree):
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, torch.Tensor)]


def storage_of(tensor):
    return tensor.untyped_storage()._cdata
