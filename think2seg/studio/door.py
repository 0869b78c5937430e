"""The door of the studio: what comes in is small enough, asked for nothing of other hosts, and one thing at a time.

Two guards. `Guard` sits before every request: paths that this page has no use for are closed, bodies have a limit, and
answers carry the headers that keep a browser on this host. `watch_queue` looks at every job before it may wait: whose
files it names, and how much its visitor has there already. It knows HTTP and gradio's queue; no picture, no model.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gradio import processing_utils
from gradio.exceptions import Error
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse

from think2seg.rasters import Limits
from think2seg.studio import line

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
UNKNOWN_FILE = "This file was not uploaded here. Upload the picture, then ask about it."


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


def fetch_nothing() -> None:
    """No file is fetched for anybody in this process: gradio would, wherever a client hands it an address."""

    async def refuse(*_arguments: Any, **_options: Any) -> str:
        raise Error(UNFETCHED, print_exception=False)

    def refuse_now(*_arguments: Any, **_options: Any) -> str:
        raise Error(UNFETCHED, print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse
    processing_utils.ssrf_protected_download = refuse_now
    processing_utils.save_url_to_cache = refuse_now


def watch_queue(demo: Any, house: House) -> None:
    """Look at every job of `demo` before it may wait; what is refused is told why in a sentence (HTTP 422,
    or 503 where too many wait for the model)."""
    queue = demo._queue
    push = queue.push

    async def watched(body: Any, request: Any, username: Any) -> Any:
        forget_the_gone(queue)
        words = foreign_file(body.data) or too_many(demo, house, body, request)
        if words:
            refusal = {"__type__": "validate", "is_valid": False, "parameter_name": "the request", "message": words}
            return False, [refusal], "validator_error"
        fn = demo.fns.get(body.fn_index)
        if fn is not None and fn.concurrency_id == line.THINK:
            questions = [event for event in line.jobs(queue) if event.concurrency_id == line.THINK]
            if len(questions) >= house.let_in:
                return False, f"The queue is full: {house.waiting} wait already. Try again in a minute.", "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = watched


def forget_the_gone(queue: Any, keep: int = 256) -> None:
    """Gradio keeps a set and a mailbox of everybody who ever asked; those of visitors with nothing under way go."""
    mail, under_way = queue.pending_messages_per_session, queue.pending_event_ids_session
    if len(under_way) > keep:
        idle = [name for name, ids in under_way.items() if not ids and (name not in mail or mail[name].empty())]
        for name in idle[: len(under_way) - keep // 2]:
            del under_way[name]
            mail.pop(name, None)


def foreign_file(data: Any) -> str | None:
    """What is wrong with the files that `data` names: an address, or a file that nobody uploaded."""
    found: list[str] = []

    def look(file: dict[str, Any]) -> dict[str, Any]:
        path, url = file.get("path"), file.get("url")
        if is_http_url_like(path) or (is_http_url_like(url) and not _uploaded(path)):
            found.append(UNFETCHED)
        elif not _uploaded(path):
            found.append(UNKNOWN_FILE)
        return file

    traverse(data, look, is_file_obj_with_meta)
    return found[0] if found else None


def _uploaded(path: Any) -> bool:
    if not isinstance(path, str) or not path or "\0" in path:
        return False
    return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())


def too_many(demo: Any, house: House, body: Any, request: Any) -> str | None:
    """Whether this visitor, or this address, has enough here already."""
    fn = demo.fns.get(body.fn_index)
    if fn is None or fn.concurrency_id not in line.KINDS:
        return None
    there = line.jobs(demo._queue)
    address = getattr(getattr(request, "client", None), "host", None)
    agent = request is not None and request.headers.get("x-gradio-user") == "mcp"
    if house.address_jobs and not agent:
        same = [e for e in there if getattr(getattr(e.request, "client", None), "host", None) == address]
        if len(same) >= house.address_jobs:
            return f"{len(same)} jobs from this address run or wait here already. Try again when one is done."
    if not body.session_hash:
        return None
    mine = [event for event in there if event.session_hash == body.session_hash]
    if agent:
        if len(mine) >= house.mcp_jobs:
            return f"{len(mine)} jobs of agents run or wait here already. Try again when one is done."
        return None
    on_page = fn.api_visibility == "private"
    if on_page:
        mine = [event for event in mine if event.concurrency_id == fn.concurrency_id]
    if len(mine) >= house.jobs + on_page:
        return "A job of yours runs or waits here already, and one visitor has one at a time. Wait for it, or stop it."
    return None
