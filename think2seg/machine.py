"""The machine beneath the models: what its processors can do, how many a thread may take, and what becomes of memory
that is let go.

It knows torch's threads and the C library, and neither models nor weights.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from functools import lru_cache
from pathlib import Path


def processors() -> int:
    """On how many threads torch computes in this process: as many as it had when this was first asked."""
    return _threads() if "torch" in sys.modules else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _threads() -> int:
    import torch

    return torch.get_num_threads()


def likes_bfloat16() -> bool:
    """Whether this CPU computes faster in bfloat16 than in float32; without units for it, it is slower."""
    return not cpu_flags().isdisjoint(("avx512_bf16", "amx_bf16"))


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """What this CPU can do, as Linux names it; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


def compute_on(number: int) -> None:
    """Let torch take `number` processors, at least one and no more than there are, in the thread that calls this.

    Where models run beside each other, threads that wait for a processor cost more than they bring. Does nothing
    before torch is loaded.
    """
    if "torch" not in sys.modules:
        return
    import torch

    everything = processors()
    torch.set_num_threads(max(1, min(number, everything)))
    torch.get_num_threads()  # a thread that asks, or computes, for the first time takes the number that was set last
    # and so would every new thread, whoever set it
    restoring = threading.Thread(target=torch.set_num_threads, args=(everything,))
    restoring.start()
    restoring.join()


# glibc's own numbers for `mallopt`, and the largest value that it takes: an `int`
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_LARGEST = 2**31 - 1


@lru_cache(maxsize=1)
def keep_memory() -> bool:
    """Lets glibc keep what torch lets go of, in one arena for all threads; whether it does so now.

    By default it gives each large tensor back to the system and fetches the next one anew, page by page, which costs
    more than much of the arithmetic on it; and each thread has an arena of its own, which grows to the largest answer
    that it ever saw. The process then holds the most that it has needed. Whoever has set MALLOC_* or GLIBC_TUNABLES in
    the environment has decided, and nothing is done; nor with another C library.
    """
    decided = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if decided or platform.libc_ver()[0] != "glibc":
        return False
    option = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, 2**28), (_ARENA_MAX, 1))
    return all(option(name, value) == 1 for name, value in settings)
