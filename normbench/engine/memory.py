"""How a process that trains on the CPU gets its memory."""

from __future__ import annotations

import ctypes

# glibc's mallopt parameters (malloc.h)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
BLOCK = 64 << 20  # bytes asked of the system at a time


def keep_freed_memory() -> bool:
    """Have the C library keep the memory of freed tensors for the next ones.

    By default glibc maps every large tensor anew and gives it back when it is freed, so each step
    touches fresh pages, which the system has to find and zero: over a third of a training step of
    large activations. What a process holds is then its peak, as it is with CUDA's allocator.

    Returns:
        Whether the C library took the advice; others than glibc have no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all(
        mallopt(parameter, value)
        for parameter, value in (
            (M_MMAP_MAX, 0),
            (M_TRIM_THRESHOLD, 2**31 - 1),
            (M_TOP_PAD, BLOCK),
        )
    )
