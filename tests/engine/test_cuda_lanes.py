"""How lanes are driven on CUDA: the control logic, on the CPU.

The same on a device is tested in tests/cuda.
"""

import os
from functools import partial

import pytest
import torch
from small_runs import dataset, plan, sgd
from stand_in_cuda import Noisy, StandIn
from torch import nn

from normbench.engine.captured import run_in_stream
from normbench.engine.cuda_lanes import CudaLanes
from normbench.engine.lanes import ProcessLanes
from normbench.models.cnn4 import CNN4
from normbench.runs.lanes import train_on_cuda

CPU = torch.device("cpu")
DATA = dataset()


def lanes_for(plans, device=None, count=8, share=None, begin=None, elsewhere=pytest.fail):
    def begin_captured(name, stream, note):
        return run_in_stream(plans[name], DATA, CPU, stream, note)

    return CudaLanes(begin or begin_captured, device or StandIn(), count, elsewhere, share)


def drive(lanes, tasks):
    """Events by task, in the order of their ends, as ``grid.train_missing`` drives lanes."""
    tasks, events, ended = list(tasks), {}, []
    while tasks or len(ended) < len(events):
        while tasks and lanes.idle:
            events[tasks[0]] = []
            lanes.start(tasks.pop(0))
        for event in lanes.wait():
            events[event.task].append(event)
            if event.ended:
                ended.append(event.task)
    lanes.close()
    assert sorted(ended) == sorted(events)
    return {task: events[task] for task in ended}


def result(events):
    assert events[-1].error is None, events[-1].details
    return events[-1].result


@pytest.mark.parametrize("delays", [(0,), (0, 3, 1), (5, 0)])
def test_a_lane_trains_as_if_it_were_alone(delays):
    noisy = partial(CNN4, Noisy, 3, widths=(8, 8))
    plans = {
        "a": plan(),
        "b": plan(seed=4, lr=0.005),
        "c": plan(model=noisy, optimizer=sgd),
        "d": plan(model=noisy, optimizer=sgd, seed=9, batch_size=3),
        "e": plan(batch_size=16, precision="bf16"),
        "f": plan(model=noisy, optimizer=torch.optim.NAdam, lr=0.003),  # without graphs
    }
    alone = {name: result(drive(lanes_for(plans), [name])[name]).epochs for name in plans}
    together = drive(lanes_for(plans, StandIn(delays), count=4), plans)
    assert {name: result(events).epochs for name, events in together.items()} == alone
    assert alone["c"] != alone["d"]
    for name, events in together.items():
        assert sum(event.steps for event in events) == 2 * (50 // plans[name].batch_size)


def endless(task, stream, note):
    while True:
        yield 0


def test_a_diverged_lane_ends_early_and_leaves_the_others_alone():
    plans = {"good": plan(epochs=4), "bad": plan(lr=1e30, optimizer=sgd, epochs=4)}
    events = drive(lanes_for(plans), plans)
    assert list(events) == ["bad", "good"]
    assert result(events["bad"]).status == "diverged"
    assert sum(event.steps for event in events["bad"]) == 6
    alone = drive(lanes_for(plans), ["good"])
    assert result(events["good"]).epochs == result(alone["good"]).epochs


def test_lanes_are_no_more_than_was_asked_for():
    plans = {seed: plan(seed=seed, epochs=1) for seed in range(5)}
    device = StandIn()
    drive(lanes_for(plans, device, count=2), plans)
    assert len(device.streams) == 2


def test_lanes_are_no_more_than_there_are_streams():
    lanes = lanes_for({}, begin=endless, count=100)
    while lanes.idle:
        lanes.start(len(lanes.lanes))
    assert len(lanes.lanes) == 32


def test_auto_lanes_fill_the_device_and_no_more():
    lanes = lanes_for({}, share=lambda task: task, begin=endless, count=8)
    started = []
    for share in [0.5, 0.25, 0.125, 0.125, 0.125]:
        if lanes.idle:
            lanes.start(share)
            started.append(share)
    assert started == [0.5, 0.25, 0.125, 0.125]


def test_auto_lanes_leave_memory_for_what_a_lane_was_seen_to_take():
    device = StandIn(memory=100)

    def begin(task, stream, note):
        device.reserved += 30
        yield from endless(task, stream, note)

    lanes = lanes_for({}, device, share=lambda task: 0.1, begin=begin)
    lanes.start(1)
    assert lanes.idle  # 70 free
    lanes.start(2)
    assert lanes.idle  # 40 free, more than 30 · 1.25
    lanes.start(3)
    assert not lanes.idle


class Memory:
    """Room for so many runs; more raise what torch raises, while they start or in midway."""

    def __init__(self, room, late=False, error=None):
        self.room, self.late, self.taken, self.started = room, late, 0, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def begin(self, task, stream, note):
        self.started.append(task)
        self.taken += 1
        try:
            if self.late:
                yield 0
            if self.taken > self.room:
                raise self.error
            yield from [1] * 20
            return f"result of {task}"
        finally:
            self.taken -= 1


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        None,
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
    ids=["torch", "CUDA", "cuDNN"],
)
@pytest.mark.parametrize("room", [1, 3])
def test_running_out_of_memory_halves_the_lanes_and_loses_no_run(room, late, error):
    memory = Memory(room, late, error)
    lanes = lanes_for({}, begin=memory.begin, count=8)
    events = drive(lanes, range(10))
    assert {task: result(events[task]) for task in range(10)} == {
        task: f"result of {task}" for task in range(10)
    }
    notices = [e.notice for task in events.values() for e in task if e.notice]
    assert notices and all("no memory" in notice for notice in notices)
    assert len(memory.started) == 10 + len(notices)
    assert lanes.limit <= 4


def test_a_lane_that_starts_leaves_the_others_with_work():
    given = []

    def begin(task, stream, note):
        given.append(f"{task} starts")
        yield 0
        while True:
            given.append(f"{task} has work")
            yield 1

    lanes = lanes_for({}, begin=begin)
    for task in "abc":
        lanes.start(task)
    assert given == ["a starts", "a has work", "b starts", "a has work", "b has work", "c starts"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_runs_left_makes_room_for_others(count):
    """The device has memory for so many runs, those that train and those that left something."""
    device = StandIn()

    def begin(task, stream, note):
        stream.left = None
        left = [other for other in device.unused if other.left]
        if len(lanes.lanes) + len(left) > count:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield 1
        stream.left = "graphs"
        return f"result of {task}"

    lanes = lanes_for({}, device, begin=begin)
    for stream in [device.take_stream() for _ in range(3)]:
        stream.left = "graphs"
        device.give_back(stream)
    events = drive(lanes, range(6))
    assert [result(events[task]) for task in range(6)] == [f"result of {n}" for n in range(6)]
    assert not any(stream.left for stream in device.unused)


def test_auto_lanes_count_on_what_runs_left():
    device = StandIn(memory=100)

    def begin(task, stream, note):
        device.reserved += 40
        yield 0
        if task == "long":
            yield from endless(task, stream, note)
        stream.left = "graphs"
        return "done"

    lanes = lanes_for({}, device, share=lambda task: 0.1, begin=begin)
    lanes.start("long")
    assert lanes.idle
    lanes.start("short")
    assert not lanes.idle  # 20 free
    assert [event.task for event in lanes.wait()] == ["short"]
    assert lanes.idle


def test_a_run_too_large_for_the_device_fails_and_the_others_go_on():
    memory = Memory(1)

    def begin(task, stream, note):
        if task == "large":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (yield from memory.begin(task, stream, note))

    events = drive(lanes_for({}, begin=begin), ["small", "large", "other"])
    assert "too large for the device, even alone (CUDA out" in events["large"][-1].error
    assert result(events["small"]) and result(events["other"])


def test_an_error_in_one_lane_is_reported_and_the_others_go_on():
    class Broken(nn.Identity):
        def forward(self, x):
            raise ArithmeticError("this layer never works")

    broken = lambda: CNN4(lambda c: Broken(), 3, widths=(8,))  # noqa: E731
    plans = {"good": plan(epochs=1), "broken": plan(model=broken)}
    events = drive(lanes_for(plans), plans)
    assert result(events["good"]).status == "finished"
    assert events["broken"][-1].error.startswith("ArithmeticError: this layer never works (test_")
    assert "Traceback" in events["broken"][-1].details


class Asserting:
    """Trains tasks on a device that is lost for good when a task is bad."""

    def __init__(self, device):
        self.device, self.started = device, []

    def begin(self, task, stream, note):
        self.started.append(task)
        yield 0
        for step in range(9):
            if "bad" in task and step == 3:
                self.device.broken = True
            if self.device.broken:
                raise RuntimeError("CUDA error: device-side assert triggered\nmore")
            yield 1
        return f"{task} in process {os.getpid()}"


def make_train():
    device = StandIn()
    return train_on_cuda(Asserting(device).begin, device)


def in_processes():
    return ProcessLanes(2, make_train)


@pytest.mark.slow
def test_after_a_lost_device_other_processes_go_on_with_what_is_left():
    device = StandIn()
    here = Asserting(device)
    tasks = ["good", "bad", "other", "later", "as bad", "last", *(f"another {n}" for n in range(9))]
    lanes = lanes_for({}, device, count=3, begin=here.begin, elsewhere=in_processes)
    events = drive(lanes, tasks)
    ends = {task: told[-1] for task, told in events.items()}
    for task in tasks:
        if "bad" in task:
            assert ends[task].error.startswith("RuntimeError: CUDA error: device-side assert trig")
        else:
            assert ends[task].result.startswith(task)
            assert not ends[task].result.endswith(f" {os.getpid()}")
    assert set(here.started) == {"good", "bad", "other"}
    for task in here.started:  # by whose fault is not known yet
        notices = [event.notice for event in events[task] if event.notice]
        assert len(notices) == 1 and "is lost" in notices[0] and "\n" not in notices[0]
        assert "(CUDA error: device-side assert triggered)" in notices[0]

    later = lanes_for({}, device, begin=here.begin, elsewhere=in_processes)
    assert result(drive(later, ["of the next job"])["of the next job"])
    assert "of the next job" not in here.started


@pytest.mark.slow
def test_a_process_that_cannot_have_the_device_fails_its_tasks():
    device = StandIn()
    device.lost = "CUDA error: device-side assert triggered"
    lanes = lanes_for({}, device, elsewhere=lambda: ProcessLanes(2, no_device))
    events = drive(lanes, range(5))
    assert all("no CUDA-capable device" in events[task][-1].error for task in range(5))


def no_device():
    raise RuntimeError("CUDA error: no CUDA-capable device is detected")


def test_lanes_that_are_closed_stop():
    lanes = lanes_for({}, begin=Memory(8).begin)
    lanes.start(1)
    lanes.close()
    assert lanes.wait() == []
