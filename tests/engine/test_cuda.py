"""What is asked of CUDA, where CUDA does not do as it should."""

from types import SimpleNamespace

import pytest
import torch

from normbench.engine import cuda


class Generator:
    """In place of a device's."""

    def clone_state(self):
        return Generator()

    def get_state(self):
        return None

    def set_state(self, state):
        pass

    def graphsafe_set_state(self, state):
        pass


class Graph:
    """In place of torch's: a capture that became invalid, and says so at its end."""

    def capture_begin(self, pool, capture_error_mode):
        pass

    def capture_end(self):
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


def fails():
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "work, error", [(fails, ZeroDivisionError), (lambda: None, RuntimeError)], ids=["work", "end"]
)
def test_an_invalid_capture_leaves_no_pool_that_takes_what_comes_next(monkeypatch, work, error):
    ended, pools = [], iter(range(1, 9))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(pools))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(cuda, "_generator", Generator)
    for name in ("endAllocateToPool", "releasePool"):
        name = f"_cuda_{name}"
        record = lambda device, pool, name=name: ended.append((name, pool))  # noqa: E731
        monkeypatch.setattr(torch._C, name, record, raising=False)
    monkeypatch.setattr(torch.cuda, "Stream", object)
    stream = cuda.Stream()
    stream.renew()
    with pytest.raises(error):
        stream.capture(work)
    assert ended == [("_cuda_endAllocateToPool", 1), ("_cuda_releasePool", 1)]
    assert stream.pool == 2


@pytest.mark.parametrize("free, given_back", [(60, 0), (40, 1)])
def test_memory_is_given_back_only_where_it_is_scarce(monkeypatch, free, given_back):
    calls, waited = [], []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 100))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    stream = cuda.Stream.__new__(cuda.Stream)
    stream.stream = SimpleNamespace(synchronize=lambda: waited.append(1))
    stream.settle()
    assert len(calls) == given_back and waited
