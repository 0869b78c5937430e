"""The door, tried from outside: files of others, addresses, too much of anything, two jobs at once, headers, faults."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import safehttpx
from gradio_client import Client, handle_file
from studio_site import Site, running

from think2seg.studio import door, line
from think2seg.studio.jobs import Job, LateError

META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    house = door.House(upload_bytes=2 * door.MIB, body_bytes=door.MIB, waiting=4, address_jobs=0)
    with running(tmp_path_factory.mktemp("site"), house=house) as held:
        yield held


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What gradio would ask of other hosts: it goes through one library, whose two ways are watched."""
    held: list[str] = []

    async def ask(url: str, *_arguments: Any, **_options: Any) -> Any:
        held.append(url)
        raise OSError("no other host is reached from a test")

    monkeypatch.setattr(safehttpx, "get", ask)
    monkeypatch.setattr(safehttpx, "async_validate_url", ask)
    return held


def in_time(condition: Any, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.02)
    return bool(condition())


def index_of(site: Site, name: str) -> int:
    return next(i for i, f in site.demo.fns.items() if getattr(f.fn, "__name__", "") == name)


# --- whose files, whose addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["/etc/passwd", "{private}", "{cache}/../private.png", "app.py", ".venv", "", "\0"])
def test_no_path_of_the_server_is_read(site: Site, where: str) -> None:
    private = site.folder / "private.png"
    private.write_bytes(site.png.read_bytes())
    path = where.format(private=private, cache=site.folder / "cache")
    opened = len(site.opened)
    refused = site.call("segment", image={"path": path, "meta": META}, question="one")
    assert refused.status_code == 422 and "was not uploaded here" in refused.text
    assert "was not uploaded here" in json.dumps(site.answers("segment", image={"path": path}, question="one")) or (
        "no picture yet" in json.dumps(site.answers("segment", image={"path": path}, question="one"))
    )
    if "\0" not in path:
        assert httpx.get(f"{site.api}/file={path}").status_code in (403, 404)
    assert len(site.opened) == opened


def test_no_address_is_fetched_through_any_handler(site: Site, asked: list[str]) -> None:
    url = "https://example.org/picture.png"
    files: list[Any] = [
        {"path": url, "meta": META},
        {"path": url, "url": url, "meta": META},
        {"path": "", "url": url, "meta": META},
        {"path": url},
        url,
        {"nested": [{"path": url, "meta": META}]},
    ]
    for file in files:
        refused = site.call("segment", image=file, question="one")
        told = (
            refused.text
            if refused.status_code == 422
            else json.dumps(site.answers("segment", image=file, question="one"))
        )
        assert "fetches no addresses" in told or "no picture yet" in told or "was not uploaded" in told, told
        # The page's own handlers, past the queue: every one that takes an input.
        for number, fn in site.demo.fns.items():
            data = [file] * len(fn.inputs)
            body = {"data": data, "fn_index": number, "session_hash": "abc", "event_data": {"path": url}}
            httpx.post(f"{site.api}/run/predict", json=body, timeout=20)
            if not fn.queue:
                continue
            httpx.post(f"{site.api}/queue/join", json=body, timeout=20)
    assert in_time(lambda: not line.jobs(site.demo._queue)) and asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file={url}", "/gradio_api/file=HTTP://127.0.0.1:9/x", "/gradio_api/file/{url}",
        "/gradio_api/file=https:/example.org/x", "/gradio_api/proxy={url}", "/gradio_api/deep_link?session_hash=abc",
        "/gradio_api/vibe-code", "/gradio_api/custom_component/1/client/component/x.js", "/monitoring/summary",
        "/gradio_api/dev/reload", "/gradio_api/stream/x/y/1/playlist.m3u8", "/gradio_api/%66ile={url}",
    ],
)  # fmt: skip
def test_ways_that_nobody_needs_are_closed(site: Site, asked: list[str], path: str) -> None:
    answer = httpx.get(site.url + path.format(url="https://example.org/picture.png"), timeout=10)
    assert answer.status_code in (403, 404) and asked == []


def test_a_job_cannot_pass_by_the_queue(site: Site) -> None:
    for name in ("segment", "refine", "compare", "export", "ask"):
        assert httpx.post(f"{site.api}/run/{name}", json={"data": []}).status_code >= 400
        body = {"data": [None] * 7, "fn_index": index_of(site, name)}
        assert httpx.post(f"{site.api}/run/predict", json=body).status_code >= 400


# --- too much ---------------------------------------------------------------------------------------------------------


def test_uploads_have_a_limit(site: Site) -> None:
    files = {"files": ("large.png", b"x" * (2 * door.MIB + 10_000))}
    answer = httpx.post(f"{site.api}/upload", files=files, timeout=30)
    assert answer.status_code == 413
    assert not list((site.folder / "cache").rglob("large*"))
    with httpx.Client() as client:
        answer = client.post(f"{site.api}/upload", files={"files": ("vast.png", b"x" * 5 * door.MIB)}, timeout=30)
        assert answer.status_code == 413 and "more than the 3 MiB" in answer.text


def test_bodies_have_a_limit_announced_or_not(site: Site) -> None:
    vast = json.dumps({"image": None, "question": "x" * 2 * door.MIB}).encode()
    answer = httpx.post(f"{site.api}/call/v2/segment", content=vast, timeout=30)
    assert answer.status_code == 413 and "more than the 1 MiB" in answer.text

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(vast), 65536):
            yield vast[start : start + 65536]

    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{site.api}/call/v2/segment", content=pieces(), headers=headers, timeout=30)
    assert answer.status_code == 413
    assert site.last("segment", image=site.uploaded(), question="one")["schema"] == 1


def test_a_bomb_is_refused_by_its_header(site: Site) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    bomb = site.folder / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )
    error = site.last("segment", image=site.uploaded(bomb), question="one")
    assert "400.0 million pixels; at most 64 million" in error["error"]


# --- one at a time ----------------------------------------------------------------------------------------------------


def test_a_visitors_second_job_is_refused_in_a_sentence(site: Site) -> None:
    client = Client(site.url, verbose=False)
    slow = client.submit(image=handle_file(site.png), question="slow", api_name="/segment")
    assert in_time(lambda: len(site.line) == 1)
    for name, more in (("segment", {"question": "one"}), ("refine", {"prompts": []}), ("compare", {"question": "one"})):
        with pytest.raises(Exception, match="one visitor has one at a time"):
            client.predict(image=handle_file(site.png), api_name=f"/{name}", **more)
    other = Client(site.url, verbose=False)  # somebody else, and SAM is free
    assert other.predict(image=handle_file(site.png), prompts=[], api_name="/refine")["nothing_here"]
    slow.cancel()
    assert in_time(lambda: not line.jobs(site.demo._queue))
    assert client.predict(image=handle_file(site.png), question="one", api_name="/segment")["instances"]


def test_on_the_page_a_newer_question_takes_the_place_of_an_older_one(site: Site) -> None:
    body = {
        "data": [site.uploaded(), None, "slow", "nano", "nano", "box+2", True, "auto", 1],
        "fn_index": index_of(site, "ask"),
        "session_hash": "a-tab",
    }
    joined = [httpx.post(f"{site.api}/queue/join", json=body) for _ in range(6)]
    told = {j.status_code: j.text for j in joined}
    assert (
        set(told) <= {200, 422} and joined[0].status_code == 200 and "one at a time" in told.get(422, "one at a time")
    )
    assert in_time(lambda: len(line.jobs(site.demo._queue)) == 1 and len(site.line) == 1)
    (event,) = line.jobs(site.demo._queue)
    cancel = {"session_hash": "a-tab", "fn_index": body["fn_index"], "event_id": event._id}
    httpx.post(f"{site.api}/cancel", json=cancel)
    assert in_time(lambda: not line.jobs(site.demo._queue) and not len(site.line))


def test_the_line_has_an_end_and_tells_places(site: Site) -> None:
    queue, image = site.demo._queue, site.uploaded()
    index = index_of(site, "segment")
    data = [image, "slow", "nano", "nano", "box+2", True, "auto", 1]
    sessions = [f"visitor-{i}" for i in range(5)]  # one has the model, four may wait here
    streams = []
    for number, session in enumerate(sessions):
        body = {"data": data, "fn_index": index, "session_hash": session}
        streams.append(httpx.post(f"{site.api}/queue/join", json=body))
        assert in_time(lambda n=number: len(line.jobs(queue)) == n + 1)
        assert in_time(lambda n=number: len(site.line) == n + 1)
    assert [s.status_code for s in streams] == [200] * 5
    full = site.call("segment", image=image, question="one")
    assert full.status_code == 503 and "4 wait for the model already" in full.text

    def stage(session: str) -> str:
        with httpx.stream("GET", f"{site.api}/queue/data", params={"session_hash": session}, timeout=20) as stream:
            for text in stream.iter_lines():  # whole values first, then what changed in them
                found = re.search(r"\d+(st|nd|rd|th) in line", text)
                if found:
                    return found[0]
        return ""

    assert stage(sessions[3]) == "3rd in line"
    for event in line.jobs(queue):
        cancel = {"session_hash": event.session_hash, "fn_index": index, "event_id": event._id}
        httpx.post(f"{site.api}/cancel", json=cancel)
    assert in_time(lambda: not line.jobs(queue) and not len(site.line))


def test_a_line_is_served_in_order_and_can_be_left() -> None:
    held, served, off = line.Line(), [], threading.Event()
    told: list[tuple[str, int]] = []
    first, go = threading.Event(), threading.Event()

    def come(name: str, stop: threading.Event) -> None:
        try:
            with held.turn(stop, lambda place: told.append((name, place))):
                served.append(name)
                first.set()
                assert go.wait(5)
        except line.Gone:
            served.append(f"{name} left")

    threads = []
    for name, stop in (("a", threading.Event()), ("b", off), ("c", threading.Event())):
        threads.append(threading.Thread(target=come, args=(name, stop)))
        threads[-1].start()
        number = len(threads)
        assert in_time(lambda n=number: len(held) == n)
    assert first.wait(5) and in_time(lambda: ("c", 2) in told)
    off.set()
    assert in_time(lambda: ("c", 1) in told) and served == ["a", "b left"]
    go.set()
    for thread in threads:
        thread.join(5)
    assert served == ["a", "b left", "c"] and not len(held) and ("b", 1) in told


def test_an_address_can_have_a_limit_of_its_own(tmp_path: Path) -> None:
    with running(tmp_path, house=door.House(address_jobs=1)) as site:
        image = site.uploaded()
        assert site.call("segment", image=image, question="slow").status_code == 200
        refused = site.call("segment", image=image, question="one")
        assert refused.status_code == 422 and "1 jobs from this address" in refused.text
        assert site.call("segment", image=image, question="one").status_code == 422


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (23, "23rd"), (111, "111th")],
)
def test_places_are_told_as_people_say_them(number: int, word: str) -> None:
    assert line.ordinal(number) == word


def test_a_job_has_a_deadline() -> None:
    stopped = threading.Event()

    def work(stop: threading.Event, _tell: Any) -> None:
        stop.wait(30)
        stopped.set()

    started = time.monotonic()
    with pytest.raises(LateError, match="longer than 0 s"):
        list(Job(work, deadline_s=0.4).batches())
    assert time.monotonic() - started < 3 and stopped.wait(3)


# --- headers and faults -----------------------------------------------------------------------------------------------


def test_every_answer_keeps_a_browser_on_this_host(site: Site) -> None:
    file = site.uploaded()["path"]
    for path in ("/", "/config", f"/gradio_api/file={file}", "/nothing", "/gradio_api/proxy=x", "/gradio_api/mcp/"):
        answer = httpx.get(site.url + path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "object-src 'none'" in policy
        assert "http" not in policy and answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_who_may_frame_the_page_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert door.House.here().frame_ancestors == "'self'"
    monkeypatch.setenv("SPACE_ID", "somebody/think2seg")
    assert "https://huggingface.co" in door.House.here().frame_ancestors
    monkeypatch.setenv("THINK2SEG_FRAME_ANCESTORS", "https://example.org")
    monkeypatch.setenv("THINK2SEG_ADDRESS_JOBS", "3")
    house = door.House.here()
    assert house.address_jobs == 3 and dict(house.headers)[b"content-security-policy"].endswith(
        b"frame-ancestors https://example.org"
    )
    for name, value in (
        ("THINK2SEG_FRAME_ANCESTORS", "a; script-src *"),
        ("THINK2SEG_FRAME_ANCESTORS", " "),
        ("THINK2SEG_ADDRESS_JOBS", "many"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            with pytest.raises(ValueError, match=name):
                door.House.here()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"data": 3}', b'{"image": {"path": {"a": 1}}}', b'{"nobody": 1}']
)
def test_nonsense_gets_no_traceback(site: Site, body: bytes) -> None:
    for way in (
        "call/v2/segment",
        "call/segment",
        "queue/join",
        "run/predict",
        "call/nothing",
        "call/v2/nothing",
        "cancel",
    ):
        answer = httpx.post(f"{site.api}/{way}", content=body, headers={"content-type": "application/json"})
        assert answer.status_code >= 400 or way.startswith(("call/", "run/"))
        assert "Traceback" not in answer.text and 'File "' not in answer.text, (way, answer.text)
    assert site.last("segment", image=site.uploaded(), question="one")["schema"] == 1
