"""What lanes ask of CUDA, in so few words that tests can put something else in its place."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

MOST_STREAMS = 32  # that are different ones: torch hands them out of a pool


class Cuda:
    """The current device.

    Convolutions are autotuned among deterministic algorithms; float32 means float32, not TF32.

    Attributes:
        unused: streams to be used again, as libraries keep some memory for each that they have
            seen.
        lost: why nothing more can be had from the device in this process, once that is so.
    """

    def __init__(self) -> None:
        torch.cuda.init()
        self.unused: list[Stream] = []
        self.lost = ""
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False

    def take_stream(self) -> Stream:
        """A stream that nobody uses, ready for a run."""
        stream = self.unused.pop() if self.unused else Stream()
        stream.renew()
        return stream

    def give_back(self, stream: Stream) -> None:
        """Have a stream used for another run; the memory of this one is free."""
        stream.settle()
        self.unused.append(stream)

    def free_memory(self) -> int:
        """Bytes that nobody has asked for; of a device that is lost, none."""
        try:
            return torch.cuda.mem_get_info()[0]
        except RuntimeError:
            return 0

    def reserved_memory(self) -> int:
        """Bytes that this process's tensors have, or had and keep for the next."""
        return torch.cuda.memory_reserved()

    def works(self) -> bool:
        """Whether there is more to be had from it than the error that some kernel came to."""
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            return False
        return True


class Stream:
    """A lane's queue on the device: its work is done in order, beside that of other lanes.

    A stream has random numbers of its own, on the host and on the device, since a run's must not
    depend on what other lanes draw meanwhile.

    Attributes:
        stream: torch's.
        pool: the memory that the graphs of a run share.
        generator: the device's random numbers, as graphs know them.
        host_random: the state of the host's.
        left: what the last run left for the next in this stream, as its graphs may be of use.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.generator = _generator().clone_state()
        self.left: Any = None

    def renew(self) -> None:
        """Get ready for a run: memory and random numbers are not those of the last."""
        self.pool = torch.cuda.graph_pool_handle()
        self.generator.set_state(_generator().get_state())
        self.host_random = torch.get_rng_state()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Work inside is put in the queue, and draws from the stream's random numbers."""
        default, host = _generator(), torch.get_rng_state()
        others = default.graphsafe_get_state()
        default.graphsafe_set_state(self.generator)
        torch.set_rng_state(self.host_random)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            self.host_random = torch.get_rng_state()
            torch.set_rng_state(host)
            default.graphsafe_set_state(others)

    def mark(self) -> Callable[[], bool]:
        """Whether the device is through with what is in the queue now."""
        event = torch.cuda.Event()
        event.record(self.stream)
        return event.query

    def settle(self) -> None:
        """Wait until the queue is empty; give unused memory back if others may need it.

        To give it back waits for all queues, which would leave all lanes without work.
        """
        self.stream.synchronize()
        free, total = torch.cuda.mem_get_info()
        if free < total / 2:
            torch.cuda.empty_cache()

    def failed_allocations(self) -> int:
        """How often the device had no memory left, whether or not a library kept it to itself."""
        return torch.cuda.memory_stats().get("num_ooms", 0)

    @contextmanager
    def no_waiting(self) -> Iterator[None]:
        """What makes the host wait for the device inside raises a RuntimeError."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is a prototype, says torch
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def capture(self, work: Callable[[], Any]) -> Callable[[], None]:
        """Record the kernels of work, without running them; has to be called in ``use``.

        All graphs of a run share the memory of their intermediate results, as they are replayed
        one after another. ``torch.cuda.graph`` would wait for the other lanes first.

        Returns:
            What puts them in the queue.
        """
        graph = torch.cuda.CUDAGraph()
        collecting = gc.isenabled()
        gc.disable()  # freeing somebody else's graph or event meanwhile could spoil the capture
        try:
            graph.capture_begin(pool=self.pool, capture_error_mode="thread_local")
            try:
                work()
                graph.capture_end()
            except BaseException:
                self._abandon(graph)
                raise
        finally:
            if collecting:
                gc.enable()
        return graph.replay

    def _abandon(self, graph: torch.cuda.CUDAGraph) -> None:
        """End a capture that failed, and leave behind what it may have left half done."""
        try:
            graph.capture_end()
        except RuntimeError:
            # CUDA declared the capture invalid, and torch's allocator has not heard of its end
            device = torch.cuda.current_device()
            with suppress(RuntimeError, AttributeError):
                torch._C._cuda_endAllocateToPool(device, self.pool)
                torch._C._cuda_releasePool(device, self.pool)
        self.pool = torch.cuda.graph_pool_handle()
        self.generator = self.generator.clone_state()
        _generator().graphsafe_set_state(self.generator)


def _generator() -> torch.Generator:
    """What torch's random operators on the device draw from."""
    return torch.cuda.default_generators[torch.cuda.current_device()]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full, in torch's words or a library's.

    cuDNN says that it finds no engine where there is no memory for any engine's workspace.
    """
    words = ("out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED", "unable to find an engine")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)
