"""Many clients at once, each with its own colour: the benchmark `bench/crowd.py`, shortened, and more than may wait."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import crowd

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def test_32_at_once_lose_nothing_cross_nothing_and_keep_the_limits() -> None:
    count = crowd.run(clients=32, jobs=64, seconds=0.02)
    assert count.lost == [] and count.crossed == [] and count.answered == 64
    assert count.most_running == 1 and 16 <= count.most_waiting <= 32 and count.refused == 0
    (_jobs, early), (_more, late) = count.memory[-2:]
    assert late - early < 40, count.memory


def test_more_than_may_wait_are_refused_and_served_when_they_ask_again() -> None:
    count = crowd.run(clients=48, jobs=48, seconds=0.05)
    assert count.lost == [] and count.crossed == [] and count.answered == 48
    assert count.refused > 0 and count.most_waiting <= 32 and count.most_running == 1
