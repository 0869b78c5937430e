"""The door of the studio: how much there may be of everything, and a guard on what comes in and goes out.

`Guard` sits before every request: paths that this page has no use for are closed, bodies have a limit, and answers
carry the headers that keep a browser here. It knows HTTP; no job (that is `watch.py`), no picture, no model.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from think2seg.rasters import Limits

_log = logging.getLogger(__name__)

MIB = 2**20
API = "/gradio_api"
CLOSED = (
    f"{API}/proxy=", f"{API}/vibe-", f"{API}/undo-vibe-edit", f"{API}/process_recording", f"{API}/deep_link",
    f"{API}/dev/", f"{API}/custom_component", f"{API}/profiling", f"{API}/stream/", "/monitoring",
)  # fmt: skip
"""What gradio serves and this page never asks for: proxies, editors, recorders, stored states, figures of use."""
_ADDRESS = re.compile(re.escape(API) + r"/file[=/]/*[a-z][a-z0-9+.-]+:")
UNFETCHED = "This server fetches no addresses. Download the picture first, then upload the file."
UNSERVED = f"This request could not be served. {API}/info says what may be asked, and how."


@dataclass(frozen=True)
class House:
    """How much there may be of everything.

    upload_bytes: of one uploaded file. body_bytes: of any other request. waiting: questions that wait for the model;
    of other jobs as many. jobs: of one visitor, asked through the API, running or waiting; the page may have one more
    of each kind, since there a newer question takes the place of an older one. mcp_jobs: of all agents together, which
    gradio lets in as one visitor. address_jobs: of one network address, 0 for no limit of its own. frame_ancestors:
    pages that may hold this one in a frame, as in a Content-Security-Policy.
    """

    upload_bytes: int = Limits().max_bytes
    body_bytes: int = 16 * MIB
    waiting: int = 32
    jobs: int = 1
    mcp_jobs: int = 8
    address_jobs: int = 0
    frame_ancestors: str = "'self'"

    @classmethod
    def here(cls) -> House:
        """The rules of this place: on Hugging Face Spaces the page stands in a frame of theirs.

        `THINK2SEG_FRAME_ANCESTORS` and `THINK2SEG_ADDRESS_JOBS` overrule. Raises `ValueError` for one that is no rule.
        """
        on_spaces = "SPACE_ID" in os.environ
        spaces = "'self' https://huggingface.co https://*.huggingface.co https://*.hf.space"
        ancestors = os.environ.get("THINK2SEG_FRAME_ANCESTORS", spaces if on_spaces else "'self'")
        if any(sign in ancestors for sign in ";,\r\n") or not ancestors.strip():
            raise ValueError(
                f"THINK2SEG_FRAME_ANCESTORS must be sources with blanks between them, such as \"'self' "
                f'https://example.org"; it is {ancestors!r}.'
            )
        jobs = os.environ.get("THINK2SEG_ADDRESS_JOBS", "0")
        if not jobs.isdecimal():
            raise ValueError(f"THINK2SEG_ADDRESS_JOBS must be a whole number, 0 for no limit; it is {jobs!r}.")
        return cls(frame_ancestors=ancestors, address_jobs=int(jobs))

    @property
    def let_in(self) -> int:
        """Questions under way: one that has the model, and those that wait for it."""
        return self.waiting + 1

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every answer carries. Gradio's page needs inline scripts and `Function`; no other host is reached."""
        policy = "; ".join(
            (
                "default-src 'self'",
                "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                "media-src 'self' data: blob:",
                "connect-src 'self' data: blob:",
                "worker-src 'self' blob:",
                "object-src 'none'",
                "base-uri 'self'",
                "form-action 'self'",
                f"frame-ancestors {self.frame_ancestors}",
            )
        )
        named = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
            "cross-origin-opener-policy": "same-origin",
        }
        return tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in named.items())


class Guard:
    """ASGI middleware: closed paths, bodies with a limit, headers on every answer."""

    def __init__(self, app: Any, house: House) -> None:
        self.app = app
        self.house = house

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                ours = self.house.headers
                names = {name for name, _value in ours}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
                message = {**message, "headers": [*kept, *ours]}
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await _answer(sent, *refused)
            return
        limit, came, over = self._limit(_path(scope)), 0, False

        async def received() -> Any:
            nonlocal came, over
            message = await receive()
            if message["type"] == "http.request":
                came += len(message.get("body", b""))
                if came > limit:  # no length was announced, or a false one
                    over = True
                    return {"type": "http.disconnect"}
            return message

        begun = False

        async def sent_once(message: Any) -> None:
            nonlocal begun
            if over and not begun:
                begun = True
                await _answer(sent, 413, _too_much(limit))
            elif not over:
                begun = True
                await sent(message)

        try:
            await self.app(scope, received, sent_once)
        except Exception as error:
            if not over:
                _log.error("A request to %s failed", scope["path"], exc_info=error)
                if begun:
                    raise
                begun = True
                await _answer(sent, 500, UNSERVED)
        if over and not begun:
            await _answer(sent, 413, _too_much(limit))

    def _limit(self, path: str) -> int:
        """Bytes of a body: pictures come as uploads, or in base64 from an agent."""
        if path.startswith(f"{API}/upload"):
            return self.house.upload_bytes + MIB
        if path.startswith(f"{API}/mcp"):
            return self.house.upload_bytes * 4 // 3 + MIB
        return self.house.body_bytes

    def _refused(self, scope: Any) -> tuple[int, str] | None:
        path = _path(scope)
        if path.startswith(CLOSED):
            return 404, "There is nothing here."
        if _ADDRESS.match(path):
            return 403, UNFETCHED
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        limit = self._limit(path)
        if not length.isdigit() or int(length) > limit:
            return 413, _too_much(limit)
        return None


def _path(scope: Any) -> str:
    """The path that gradio will see, lower case and without a mounting point."""
    path = str(scope["path"])
    root = str(scope.get("root_path", "")).rstrip("/")
    if root and path.startswith(root):
        path = path[len(root) :]
    return unquote(path).lower()


def _too_much(limit: int) -> str:
    return f"That is more than the {limit / MIB:.0f} MiB that are taken here. Make it smaller, or cut a part out of it."


async def _answer(send: Any, status: int, words: str) -> None:
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
