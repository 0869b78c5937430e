"""The studio: Think2Seg as a page in a browser. `build()` makes it, `serve()` launches it.

A door: it maps the pipeline's events to components and errors to words. It asks nothing of other hosts. gradio is
loaded here, and nothing is sent home by it.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Gradio keeps a table of its last 10,000 jobs for a page that is closed here, and reads it anew after each.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "64")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from think2seg.errors import Think2SegError
from think2seg.prompter import Prompter
from think2seg.studio import agents, door, examples, layout, watch, zero
from think2seg.zoom import OpenSegmenter

__all__ = ["EXAMPLES", "build", "serve"]

SESSIONS = 200
"""Visitors whose last result is kept in memory; beyond that the one who was away longest is forgotten."""

THREADS = 120
"""Of gradio's own; everybody who waits for the model takes one for a quarter of a second at a time."""

_log = logging.getLogger(__name__)


def _examples_folder() -> Path:
    """Inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "assets" / "examples"
    return inside if inside.is_dir() else package.parent / "assets" / "examples"


EXAMPLES = _examples_folder()


def build(
    open_prompter: Callable[[str], Prompter] = zero.open_prompter,
    open_segmenter: OpenSegmenter = zero.open_segmenter,
    examples_folder: Path = EXAMPLES,
    default_prompter: str = "auto",
    default_segmenter: str = "auto",
    house: door.House | None = None,
) -> Any:
    """The page as a `gradio.Blocks`. Models are opened by name at the first question, so building is quick; where a GPU
    is lent to single calls, the first two are opened now, which is how they get there at all."""
    if zero.LENT:
        for open_first, name in ((open_prompter, default_prompter), (open_segmenter, default_segmenter)):
            try:
                open_first(name)
            except Think2SegError as error:
                _log.warning("%s was not opened ahead: %s", name, error)
    house = house or door.House.here()
    found = examples.find(examples_folder)
    demo = layout.page(open_prompter, open_segmenter, found, default_prompter, default_segmenter, house)
    demo.house = house
    return demo


def serve(demo: Any, *, host: str | None = None, port: int | None = None, mcp: bool = True, **options: Any) -> Any:
    """Launch the page with its looks. host and port: gradio's own environment variables, else 127.0.0.1 and 7860.

    mcp: whether agents are served over the Model Context Protocol too, for which the package `mcp` must be there.
    """
    watch.fetch_nothing()
    if mcp and importlib.util.find_spec("mcp") is None:
        _log.warning("No Model Context Protocol: the package `mcp` is not installed. Run `pip install mcp` for it.")
        mcp = False
    if mcp:
        agents.speak_json()
    if port is None and "GRADIO_SERVER_PORT" not in os.environ:
        port = 7860
    return demo.launch(
        server_name=host,
        server_port=port,
        theme=layout.theme(),
        css=layout.STYLE,
        head=layout.HEAD,
        footer_links=["api", "settings"],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=demo.house.upload_bytes,
        state_session_capacity=SESSIONS,
        max_threads=THREADS,
        app_kwargs={"middleware": [Middleware(door.Guard, house=demo.house)]},
        mcp_server=mcp,
        **options,
    )
