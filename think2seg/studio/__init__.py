"""The studio: Think2Seg as a page in a browser. `build()` makes it, `serve()` launches it.

A door: it maps the pipeline's events to components and errors to words. It asks nothing of other hosts. gradio is
loaded here, and nothing is sent home by it.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from collections.abc import Callable
from pathlib import Path
from typing import Any

from think2seg import prompter, segmenter
from think2seg.prompter import Prompter
from think2seg.segmenter import Segmenter
from think2seg.studio import examples, layout

__all__ = ["EXAMPLES", "build", "serve"]


def _examples_folder() -> Path:
    """Inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "assets" / "examples"
    return inside if inside.is_dir() else package.parent / "assets" / "examples"


EXAMPLES = _examples_folder()


def build(
    open_prompter: Callable[[str], Prompter] = prompter.load,
    open_segmenter: Callable[[str], Segmenter] = segmenter.load,
    examples_folder: Path = EXAMPLES,
    default_prompter: str = "auto",
    default_segmenter: str = "auto",
) -> Any:
    """The page as a `gradio.Blocks`. Models are opened by name at the first question, so building is quick."""
    return layout.page(
        open_prompter, open_segmenter, examples.find(examples_folder), default_prompter, default_segmenter
    )


def serve(demo: Any, *, host: str | None = None, port: int | None = None, **options: Any) -> Any:
    """Launch the page with its looks. host and port: gradio's own environment variables, else 127.0.0.1 and 7860."""
    if port is None and "GRADIO_SERVER_PORT" not in os.environ:
        port = 7860
    return demo.launch(
        server_name=host,
        server_port=port,
        theme=layout.theme(),
        css=layout.STYLE,
        footer_links=["api", "settings"],
        run_history=False,
        ssr_mode=False,
        **options,
    )
