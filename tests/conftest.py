"""For every test: no model hub, no other host, one thread of a busy machine; a file's tests stay together."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.pop("THINK2SEG_WEIGHTS", None)
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share the work by file, and one has all the browser tests: two browsers at once are too many."""
    for item in items:
        name = item.path.stem
        item.add_marker(pytest.mark.xdist_group("browser" if name.startswith("test_browser") else name))
