"""Many clients at once, each with its own colour: the benchmark `bench/crowd.py`, shortened, and more than may wait."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import crowd

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def test_none_is_lost_or_crossed_and_who_finds_the_line_full_is_served_later() -> None:
    count = crowd.run(clients=48, jobs=48, seconds=0.05)
    assert count.lost == [] and count.crossed == [] and count.answered == 48
    assert count.most_running == 1 and 16 <= count.most_waiting <= 32 and count.refused > 0
    (_none, before), (_all, after) = count.memory
    assert after - before < 150, count.memory
