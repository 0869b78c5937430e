"""The machine beneath the models: memory that is let go of is kept, unless somebody else has decided."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, threading
import torch
from think2seg import machine
kept = {keep} and machine.keep_memory()
def work():
    for round in range(40):
        if round == 20:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(12_500_000)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
faults = []
work()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(kept, *faults)
"""


def told(keep: bool, **decided: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment.pop("GLIBC_TUNABLES", None)
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(keep=keep)], env=environment | decided, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_large_tensor_is_not_fetched_from_the_system_again() -> None:
    """Twenty tensors of 50 MB, after as many, in two threads: pages that the system had to find for them."""
    kept, first, other = told(True)
    _not, stock, _thread = told(False)
    assert kept == "True"
    assert int(stock) > 20 * 12_000
    assert int(first) < int(stock) / 4 and int(other) < int(stock) / 4


def test_who_decided_otherwise_is_heard() -> None:
    assert told(True, MALLOC_ARENA_MAX="4")[0] == "False"


@pytest.mark.parametrize(
    ("flags", "likes"),
    [({"avx512f", "avx512_bf16"}, True), ({"amx_bf16"}, True), ({"avx512f", "avx512_vnni"}, False), (set(), False)],
)
def test_training_computes_in_bfloat16_only_where_the_processor_does(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], likes: bool
) -> None:
    import torch

    from think2seg import machine
    from train.nano.segmenter import in_quickest_precision

    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    with in_quickest_precision():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if likes else torch.float32)
