"""Every job is looked at before it may wait: whose files it names, and how much its visitor has here already.

It knows gradio's queue and the house's rules; no picture, no model, nothing of what a job is about.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio import processing_utils
from gradio.exceptions import Error
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse

from think2seg.studio import line
from think2seg.studio.door import UNFETCHED, House

UNKNOWN_FILE = "This file was not uploaded here. Upload the picture, then ask about it."
_REFUSED_KEPT = 200


def fetch_nothing() -> None:
    """No file is fetched for anybody in this process: gradio would, wherever a client hands it an address."""

    async def refuse(*_arguments: Any, **_options: Any) -> str:
        raise Error(UNFETCHED, print_exception=False)

    def refuse_now(*_arguments: Any, **_options: Any) -> str:
        raise Error(UNFETCHED, print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse
    processing_utils.ssrf_protected_download = refuse_now
    processing_utils.save_url_to_cache = refuse_now


def watch_queue(demo: Any, house: House, refused: dict[str, str]) -> None:
    """Look at every job of `demo` before it may wait; what is refused is told why in a sentence (HTTP 422,
    or 503 where too many wait for the model).

    refused: the sentence that a session was told last, if it was not let in, for the page to find.
    """
    queue = demo._queue
    push = queue.push

    async def watched(body: Any, request: Any, username: Any) -> Any:
        forget_the_gone(queue)
        words, full = foreign_file(body.data) or too_many(demo, house, body, request), too_long(demo, house, body)
        if (words or full) and body.session_hash:
            refused[body.session_hash] = words or full or ""
            if len(refused) > house.waiting + _REFUSED_KEPT:
                del refused[next(iter(refused))]
        if words:
            refusal = {"__type__": "validate", "is_valid": False, "parameter_name": "the request", "message": words}
            return False, [refusal], "validator_error"
        if full:
            return False, full, "queue_full"
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


def too_long(demo: Any, house: House, body: Any) -> str | None:
    """Whether the line for the model has reached its end."""
    fn = demo.fns.get(body.fn_index)
    if fn is None or fn.concurrency_id != line.THINK:
        return None
    questions = [event for event in line.jobs(demo._queue) if event.concurrency_id == line.THINK]
    if len(questions) < house.let_in:
        return None
    return f"The queue is full: {house.waiting} wait for the model already. Try again in a minute."


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
