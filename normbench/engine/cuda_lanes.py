"""Lanes that are streams of one process, for a device that one run alone leaves half idle."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from normbench.engine.cuda import MOST_STREAMS, Cuda, Stream, out_of_memory
from normbench.engine.lanes import Event, Lanes, failure
from normbench.explain import first_line

# Trains a task in a stream, given something to call with what a user may want to know of it.
# Yields, whenever it has put work in the stream's queue, the number of steps in it.
Begin = Callable[[Any, Stream, Callable[[str], None]], Generator[int, None, Any]]

MOST_LANES = 8  # that auto lets train side by side
SECONDS_BETWEEN_LOOKS = 1e-4
MEMORY_RESERVE = 1.25  # what has to be free for another lane, over what one was seen to take


class CudaLanes:
    """Runs side by side on one device, each in a stream, all fed by this thread.

    When a lane runs out of memory, half as many go on: its task starts anew when there is room.
    When a kernel fails in a way that takes the device from this process, all that is left to do
    goes to lanes elsewhere, and none tells by whose fault.

    Args:
        begin: what trains a task.
        device: the streams come from it.
        count: how many lanes at most; never more than there are streams.
        elsewhere: makes lanes that are processes, each with the device to itself.
        share: the share of the device that a task keeps busy. With it, lanes count as idle only
            while shares and memory allow; without it, whenever there are less than ``count``.

    Attributes:
        limit: how many lanes at most by now.
        lanes: those that train.
        waiting: tasks that ran out of memory.
        events: those that the next wait returns.
        need: bytes, the most that a lane was seen to take.
        others: the lanes elsewhere, once there are some.
    """

    def __init__(
        self,
        begin: Begin,
        device: Cuda,
        count: int,
        elsewhere: Callable[[], Lanes],
        share: Callable[[Any], float] | None = None,
    ):
        self.begin, self.device, self.share, self.elsewhere = begin, device, share, elsewhere
        self.limit = min(count, MOST_STREAMS)
        self.lanes: list[_Lane] = []
        self.waiting: deque[Any] = deque()
        self.events: list[Event] = []
        self.need = 0
        self.others = elsewhere() if device.lost else None

    @property
    def idle(self) -> int:
        if self.others:
            return max(0, self.others.idle - len(self.waiting))
        return int(not self.waiting and self._has_room())

    def _has_room(self) -> bool:
        if not self.lanes:
            return True
        if len(self.lanes) >= self.limit:
            return False
        if self.share is None:
            return True
        busy = sum(self.share(lane.task) for lane in self.lanes)
        left = sum(stream.left is not None for stream in self.device.unused) * self.need
        return busy < 1 and self.device.free_memory() + left > MEMORY_RESERVE * self.need

    def start(self, task: Any) -> None:
        """Get a task ready, with work for the others meanwhile; it trains while ``wait`` waits."""
        self._advance_all()
        if self.others:
            self.waiting.append(task)
            return
        if self.device.free_memory() < MEMORY_RESERVE * self.need:
            self._drop_what_is_left()
            gc.collect()  # what has ended, or failed, may live on in cycles of references
        stream = self.device.take_stream()
        before = self.device.reserved_memory()

        def note(text: str) -> None:
            self.events.append(Event(task, notice=text))

        lane = _Lane(task, stream, self.begin(task, stream, note), lambda: True)
        self.lanes.append(lane)
        self._advance(lane)
        self.need = max(self.need, self.device.reserved_memory() - before)

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Keep the lanes busy until something is to be told; not longer than timeout seconds."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            while self.waiting and not self.others and self._has_room():
                self.start(self.waiting.popleft())
            self._advance_all()
            if self.others:
                return self._wait_for(self.others, timeout)
            if self.events or not self.lanes or time.monotonic() >= end:
                events, self.events = self.events, []
                return events
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _wait_for(self, others: Lanes, timeout: float | None) -> list[Event]:
        while self.waiting and others.idle:
            others.start(self.waiting.popleft())
        events, self.events = self.events, []
        return events or others.wait(timeout)

    def _advance_all(self) -> None:
        for lane in list(self.lanes):
            if lane in self.lanes:  # or the device was lost meanwhile
                self._advance(lane)

    def _advance(self, lane: _Lane) -> None:
        """Have a lane put more work in its queue, if it is through with what was there."""
        try:
            if not lane.ready():
                return
            with lane.stream.use():
                steps = next(lane.running)
            lane.ready = lane.stream.mark()
            if steps:
                self.events.append(Event(lane.task, steps))
            return
        except StopIteration as end:
            self.events.append(Event(lane.task, result=end.value))
        except Exception as error:
            if out_of_memory(error):
                self.events.append(self._shrink(lane, error))
            elif self.device.works():
                self.events.append(failure(lane.task, error))
            else:
                self._lose_device(error)
                return
        self._drop(lane)

    def _lose_device(self, error: Exception) -> None:
        """Have all tasks train elsewhere; the lane that met the error need not have caused it."""
        self.device.lost = first_line(error)
        self.others = self.elsewhere()
        notice = (
            f"the device is lost to this process ({self.device.lost}); it starts again in another"
        )
        for lane in list(self.lanes):
            self._drop(lane)
            self.waiting.append(lane.task)
        self.events += [Event(task, notice=notice) for task in self.waiting]

    def _shrink(self, lane: _Lane, error: Exception) -> Event:
        """Go on with half the lanes; the one that found no memory has to wait."""
        left = self._drop_what_is_left()
        if len(self.lanes) == 1 and left:
            self.waiting.append(lane.task)
            notice = "no memory beside what is kept of runs that ended; it starts again without"
            return Event(lane.task, notice=notice)
        if len(self.lanes) == 1:
            reason = f"too large for the device, even alone ({first_line(error)})"
            return Event(lane.task, error=f"OutOfMemoryError: {reason}")
        self.limit = len(self.lanes) // 2
        self.waiting.append(lane.task)
        return Event(
            lane.task,
            notice=f"no memory beside {len(self.lanes) - 1} others, so at most {self.limit} train "
            "side by side from now on; it starts again",
        )

    def _drop_what_is_left(self) -> bool:
        """Free the memory of runs that have ended; returns whether there was any."""
        streams = [stream for stream in self.device.unused if stream.left is not None]
        for stream in streams:
            stream.left = None
        return bool(streams)

    def _drop(self, lane: _Lane) -> None:
        self.lanes.remove(lane)
        with suppress(RuntimeError):  # from a device that is lost
            lane.stream.settle()  # it may be at work with what is dropped now
        lane.running.close()
        with suppress(RuntimeError):
            self.device.give_back(lane.stream)

    def close(self) -> None:
        for lane in list(self.lanes):
            self._drop(lane)
        self._drop_what_is_left()
        if self.others:
            self.others.close()
        self.waiting.clear()
        self.events.clear()


@dataclass(eq=False)
class _Lane:
    """A task while it trains.

    Attributes:
        task: which.
        stream: the queue that its work is put in.
        running: goes on with it, and yields the number of steps that it has put there.
        ready: whether the device is through with what it has been given.
    """

    task: Any
    stream: Stream
    running: Generator[int, None, Any]
    ready: Callable[[], bool]
