"""What agents get over the Model Context Protocol: the endpoints' results as JSON.

Gradio serves its endpoints as tools by itself, but would write a result as Python does; programs read JSON. It knows
gradio's server for the protocol and nothing of what a result holds.
"""

from __future__ import annotations

import json
from functools import wraps
from typing import Any


def speak_json() -> None:
    """Results that are objects or lists are told as JSON from now on, in this process; files stay as gradio has them.

    Needs the package `mcp`.
    """
    from gradio.mcp import GradioMCPServer
    from gradio.processing_utils import add_root_url
    from gradio_client.utils import is_file_obj_with_meta

    theirs = GradioMCPServer.postprocess_output_data
    if getattr(theirs, "speaks_json", False):
        return

    @wraps(theirs)
    def told(self: Any, data: Any, root_url: str) -> list[Any]:
        content: list[Any] = []
        for output in add_root_url(data, root_url, None):
            if isinstance(output, dict | list) and not is_file_obj_with_meta(output):
                content.append(self.types.TextContent(type="text", text=json.dumps(output, ensure_ascii=False)))
            else:
                content.extend(theirs(self, [output], root_url))
        return content

    told.speaks_json = True  # type: ignore[attr-defined]
    GradioMCPServer.postprocess_output_data = told
