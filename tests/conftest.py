"""For every test: no model hub, no other host, one thread of a busy machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.pop("THINK2SEG_WEIGHTS", None)
sys.path.insert(0, str(Path(__file__).parent))
