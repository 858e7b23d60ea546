"""What CUDA lanes ask of CUDA, on the CPU: graphs are functions, queues are done at once."""

import weakref
from contextlib import contextmanager

import torch
from torch import nn


class StandIn:
    """In place of normbench.engine.cuda.Cuda.

    delays: for each stream made, how often it says that it is still busy before it goes on.
    memory: bytes free at first; what a test makes lanes take is up to the test.
    """

    def __init__(self, delays=(), memory=10**12):
        self.delays, self.memory, self.reserved = list(delays), memory, 0
        self.streams, self.unused = [], []

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
        self.delay, self.captured, self.replayed = delay, 0, 0
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

    @contextmanager
    def no_waiting(self):
        yield

    def capture(self, work):
        """work: a method of an object, which a graph does not keep alive either."""
        self.captured += 1
        work = weakref.WeakMethod(work)

        def replay():
            assert StandInStream.in_use in (self, None)
            self.replayed += 1
            work()()

        return replay


class Noisy(nn.Module):
    """Random in training."""

    def __init__(self, num_channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_channels)

    def forward(self, x):
        return self.norm(nn.functional.dropout(x, 0.2, self.training))
