"""The API as programs use it: what each endpoint answers and refuses, and the same for agents over MCP."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from studio_doubles import HOSTILE, geotiff
from studio_site import Site, running

from think2seg import record
from think2seg.export import FORMATS
from think2seg.strategy import STRATEGIES
from think2seg.studio import line


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site")) as held:
        yield held


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    return Client(site.url, verbose=False)


@pytest.fixture(scope="module")
def document(site: Site) -> dict[str, Any]:
    """The answer to `planes` on the field, asked with all that there is to ask for."""
    return dict(site.last("segment", image=site.uploaded(), question="planes", strategy="box+2+neg"))


def told(client: Client, **arguments: Any) -> str:
    """The sentence in which a call fails."""
    with pytest.raises(Exception) as caught:
        client.predict(**arguments)
    return str(caught.value)


def test_the_four_are_published_and_nothing_else(site: Site) -> None:
    info = httpx.get(f"{site.api}/info").json()
    assert set(info["named_endpoints"]) == {"/segment", "/refine", "/compare", "/export"}
    assert info["unnamed_endpoints"] == {}
    for endpoint in info["named_endpoints"].values():
        assert endpoint["description"] and endpoint["parameters"][0]["parameter_name"] == "image"
        assert endpoint["parameters"][0]["type"]["properties"]["path"] == {"type": "string"}
    assert "Streams partial answers" in info["named_endpoints"]["/segment"]["description"]


# --- segment ----------------------------------------------------------------------------------------------------------


def test_segment_streams_thought_and_prompts_and_ends_with_the_document(site: Site, client: Client) -> None:
    job = client.submit(image=handle_file(site.png), question="planes", api_name="/segment")
    *partial, last = list(job)
    assert all(p["partial"] is True for p in partial) and "partial" not in last
    thoughts = [p["thought"] for p in partial]
    assert [len(t) for t in thoughts] == sorted(len(t) for t in thoughts) and len(set(thoughts)) >= 3
    assert last["thought"].startswith(max(thoughts, key=len).strip())
    counts = [len(p["prompts"]) for p in partial]
    assert {0, 1} <= set(counts) and counts == sorted(counts)
    assert any(p["masks"] and p["masks"] < 4 for p in partial)  # a mask before the text was over
    assert last["schema"] == record.SCHEMA and len(last["instances"]) == 4
    assert last["image"] == {"name": "field.png", "width": 800, "height": 600}
    assert job.result() == last
    first = last["instances"][0]
    assert record.from_rle(first["rle"]).sum() == first["area_px"] and first["box"] == [60, 80, 180, 160]


def test_segment_looks_at_tiles_where_it_is_asked_to(site: Site) -> None:
    calls = site.prompter.calls
    whole = site.last("segment", image=site.uploaded(), question="planes", views="whole")
    assert site.prompter.calls == calls + 1 and whole["prompter"] == "scripted"
    tiles = site.last("segment", image=site.uploaded(), question="planes", views="tiles")
    assert site.prompter.calls == calls + 6 and tiles["prompter"] == "scripted, 2 x 2 tiles from 2 on"
    assert len(tiles["instances"]) > len(whole["instances"]) and "\nLower right: " in tiles["thought"]


def test_segment_refine_and_compare_look_closer_where_they_are_asked_to(site: Site, document: dict[str, Any]) -> None:
    closer = site.last("segment", image=site.uploaded(), question="planes", segmenter="nano", zoom=2)
    assert closer["segmenter"] == "nano, zoom 2" and len(closer["instances"]) == 4
    again = site.last("refine", image=site.uploaded(), document=document, segmenter="nano", zoom=3)
    assert again["segmenter"] == "nano, zoom 3" and again["thought"] == document["thought"]
    panels = site.last("compare", image=site.uploaded(), question="one", strategies=["box"], zoom=2)["panels"]
    assert [p["document"]["segmenter"] for p in panels] == ["auto, zoom 2"]


def test_segment_over_plain_http(site: Site) -> None:
    answers = site.answers("segment", image=site.uploaded(), question="planes")
    assert [event for event, _data in answers][-1] == "complete" and len(answers) > 3
    assert len(answers[-1][1][0]["instances"]) == 4


def test_nothing_here_is_a_result_and_unreadable_is_not(site: Site, client: Client) -> None:
    empty = client.predict(image=handle_file(site.png), question="nothing", api_name="/segment")
    assert empty["nothing_here"] and empty["instances"] == []
    assert "bbox_2d" in told(client, image=handle_file(site.png), question="unreadable", api_name="/segment")


def test_hostile_text_is_text_in_json(site: Site, client: Client) -> None:
    evil = site.folder / "<img src=x onerror=alert(1)>.png"
    evil.write_bytes(site.png.read_bytes())
    found = client.predict(image=handle_file(evil), question="hostile", api_name="/segment")
    assert HOSTILE.split("<think>")[0].strip() in found["thought"]
    answer = httpx.get(f"{site.api}/info")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"question": ""}, "The question is empty"),
        ({"question": " \n"}, "The question is empty"),
        ({"question": "x" * 2001}, "2001 characters; at most 2000"),
        ({"question": ["planes"]}, "The question is empty"),
        ({"question": "one", "prompter": "/etc"}, "no prompter called '/etc'"),
        ({"question": "one", "segmenter": "../assets"}, "no size of SAM called '../assets'"),
        ({"question": "one", "segmenter": ["nano"]}, "no size of SAM"),
        ({"question": "one", "strategy": "everything"}, "no prompt strategy called 'everything'"),
        ({"question": "one", "views": "mosaic"}, "no views called 'mosaic'. Known: auto, whole, tiles"),
        ({"question": "one", "zoom": 5}, "2 to 4 tiles a side, 1 the whole picture alone; '5' came"),
        ({"question": "one", "zoom": "near"}, "'near' came"),
        ({"question": "one", "image": None}, "There is no picture yet"),
        ({"question": "one", "image": {"path": "/etc/passwd"}}, "was not uploaded here"),
        ({"question": "one", "image": "field.png"}, "There is no picture yet"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(site: Site, arguments: dict[str, Any], words: str) -> None:
    opened = len(site.opened)
    error = site.last("segment", **{"image": site.uploaded(), **arguments})
    assert words in error["error"] and len(site.opened) == opened


def test_our_own_faults_are_logged_and_not_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    answers = site.answers("segment", image=site.uploaded(), question="bug")
    assert "secret" not in json.dumps(answers) and "Traceback" not in json.dumps(answers)
    assert "the log has the details" in answers[-1][1]["error"] and "a secret of the server" in caplog.text


# --- refine -----------------------------------------------------------------------------------------------------------


def test_refine_runs_sam_alone_on_an_answer(site: Site, document: dict[str, Any]) -> None:
    calls = site.prompter.calls
    image = site.uploaded()
    same = site.last("refine", image=image, document=document, segmenter="tiny")
    assert same["segmenter"] == "tiny" and [i["rle"] for i in same["instances"]] == [
        i["rle"] for i in document["instances"]
    ]
    boxes = site.last("refine", image=image, document=document, strategy="box")
    assert all(i["box"] and not i["positive"] and not i["negative"] for i in boxes["instances"])
    without = site.last("refine", image=image, document=document, negatives=False)
    assert all(i["positive"] and not i["negative"] for i in without["instances"])
    assert without["instances"][0]["area_px"] > document["instances"][0]["area_px"]
    assert same["thought"] == document["thought"] and same["question"] == "planes"
    assert site.prompter.calls == calls


def test_refine_takes_prompts_of_ones_own(site: Site, document: dict[str, Any]) -> None:
    prompts = [{"box": [10, 20, 110, 120]}, {"positive": [[300, 300]], "negative": [[310, 300], [320, 300]]}]
    own = site.last("refine", image=site.uploaded(), prompts=prompts, question="two of mine")
    assert [i["box"] for i in own["instances"]] == [[10, 20, 110, 120], None] and own["question"] == "two of mine"
    assert own["instances"][1]["negative"] == [[310, 300], [320, 300]]
    moved = site.last("refine", image=site.uploaded(), document=document, prompts=prompts[:1])
    assert len(moved["instances"]) == 1 and moved["question"] == "planes" and moved["thought"]
    assert site.last("refine", image=site.uploaded(), prompts=[])["nothing_here"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing to send to SAM"),
        ({"prompts": "box"}, "must be a list"),
        ({"prompts": [3]}, "Prompt 1 must be an object"),
        ({"prompts": [{}]}, "needs a box or at least one positive point"),
        ({"prompts": [{"box": [1, 2, 3]}]}, "four finite numbers"),
        ({"prompts": [{"box": [9, 9, 1, 1]}]}, "x1 < x2"),
        ({"prompts": [{"box": ["a", 0, 1, 1]}]}, "Prompt 1 cannot be read"),
        ({"prompts": [{"box": [1, 1, 5, 5]}, {"positive": [[900, 10]]}]}, "Prompt 2 lies outside"),
        ({"prompts": [{"positive": [[1e400, 10]]}]}, "finite"),
        ({"prompts": [{"positive": [[i, 1] for i in range(65)]}]}, "65 points; at most 64"),
        ({"prompts": [{"box": [0, 0, 5, 5]}] * 101}, "101 prompts came; at most 100"),
        ({"document": {"schema": 2}}, "document of schema 1"),
        ({"document": []}, "must be a JSON object"),
        ({"prompts": [{"box": [0, 0, 5, 5]}], "strategy": "x"}, "no prompt strategy"),
        ({"prompts": [{"box": [0, 0, 5, 5]}], "question": "x" * 3000}, "3000 characters"),
    ],
)
def test_prompts_are_checked(site: Site, arguments: dict[str, Any], words: str) -> None:
    body = json.dumps({"image": site.uploaded(), **arguments})
    joined = httpx.post(f"{site.api}/call/v2/refine", content=body, headers={"content-type": "application/json"})
    if joined.status_code != 200:
        pytest.fail(joined.text)
    told = httpx.get(f"{site.api}/call/v2/refine/{joined.json()['event_id']}", timeout=30).text
    assert words in told, told


# --- compare ----------------------------------------------------------------------------------------------------------


def test_compare_asks_again_only_where_it_must(site: Site) -> None:
    calls = site.prompter.calls
    *partial, (_event, (whole,)) = site.answers(
        "compare", image=site.uploaded(), question="one", segmenters=["nano", "tiny"]
    )
    panels = whole["panels"]
    assert [(p["strategy"], p["segmenter"]) for p in panels] == [(s, m) for s in STRATEGIES for m in ("nano", "tiny")]
    assert {p["strategy"] for p in panels if p["asked_again"]} == {"box+4", "box+2+neg"}
    assert site.prompter.calls == calls + 2 and all("partial" in p or p == whole for _e, (p,) in partial)
    by_name = {p["strategy"]: p["document"] for p in panels}
    assert not by_name["box"]["instances"][0]["positive"] and by_name["points"]["instances"][0]["box"] is None
    areas = {p["strategy"]: p["area_px"] for p in panels}
    assert areas["box+2+neg"] < areas["box"] and areas["points"] < areas["box"]


def test_compare_has_limits(site: Site) -> None:
    image = site.uploaded()
    assert (
        "15 panels" in site.last("compare", image=image, question="one", segmenters=["nano", "tiny", "small"])["error"]
    )
    assert "no prompt strategy" in site.last("compare", image=image, question="one", strategies=["x"])["error"]
    assert "The question is empty" in site.last("compare", image=image, question="")["error"]
    twice = site.last("compare", image=image, question="one", strategies=["box", "box"])
    assert "takes every strategy once" in twice["error"]


def test_a_comparison_that_is_called_off_gives_the_model_back(site: Site) -> None:
    joined = site.call("compare", image=site.uploaded(), question="silent").json()
    end = time.monotonic() + 10
    while len(site.line) == 0 or not line.jobs(site.demo._queue):
        assert time.monotonic() < end
        time.sleep(0.02)
    (event,) = line.jobs(site.demo._queue)
    cancel = {"session_hash": event.session_hash, "fn_index": event.fn._id, "event_id": joined["event_id"]}
    httpx.post(f"{site.api}/cancel", json=cancel)
    end = time.monotonic() + 5
    while len(site.line):
        assert time.monotonic() < end, "the model was not given back"
        time.sleep(0.02)


# --- export -----------------------------------------------------------------------------------------------------------


def test_export_hands_out_files_that_say_what_the_document_says(
    site: Site, client: Client, document: dict[str, Any]
) -> None:
    files = client.predict(image=handle_file(site.png), document=document, api_name="/export")
    assert [Path(f).name for f in files] == ["result.json", "mask.png", "overlay.png"]
    mask = np.asarray(Image.open(files[1])) > 0
    union = np.any([record.from_rle(i["rle"]) for i in document["instances"]], axis=0)
    assert np.array_equal(mask, union)
    assert Image.open(files[2]).size == (800, 600)
    assert json.loads(Path(files[0]).read_text())["instances"] == document["instances"]
    (only,) = client.predict(image=handle_file(site.png), document=document, formats=["mask-png"], api_name="/export")
    assert Path(only).name == "mask.png"


def test_a_result_of_refine_can_be_exported(site: Site) -> None:
    own = site.last("refine", image=site.uploaded(), prompts=[{"box": [10, 20, 110, 120]}])
    (file,) = site.last("export", image=site.uploaded(), document=own, formats=["mask-png"])
    assert httpx.get(file["url"]).content.startswith(b"\x89PNG")


def spoilt(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(document))
    first = {k: v for k, v in changes.items() if k in ("rle", "score", "box", "positive")}
    copy["instances"][0].update(first)
    copy.update({k: v for k, v in changes.items() if k not in first})
    return dict(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rle": {"size": [600, 800], "counts": ""}}, "do not add up"),
        ({"rle": {"size": [600, 800], "counts": "0`1000"}}, "The document cannot be used"),
        ({"rle": {"size": [600, 800], "counts": "\x00é"}}, "cannot be read"),
        ({"rle": {"size": [10**7, 10**7], "counts": "04"}}, "not of the picture's size"),
        ({"rle": None}, "The document cannot be used"),
        ({"score": 7}, "score must lie in 0-1"),
        ({"score": "high"}, "The document cannot be used"),
        ({"box": [1, 1, 1, 1]}, "x1 < x2"),
        ({"instances": 4}, "its instances"),
        ({"frame": [0, 0]}, "its frame"),
        ({"text": 3}, "its text"),
        ({"strategy": "x"}, "its strategy"),
        ({"dialect": "klingon"}, "dialect is not known"),
        ({"timing": None}, "The document cannot be used"),
        ({"image": {"width": 3, "height": 3}}, "The document is about a picture of (3, 3)"),
        ({"image": "none"}, "The document is about a picture of None"),
    ],
)
def test_documents_are_checked(site: Site, document: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    if "strategy" in changes:
        words = "no prompt strategy"
    error = site.last("export", image=site.uploaded(), document=spoilt(document, **changes))
    assert words in error["error"], error


def test_a_format_that_there_is_not(site: Site, document: dict[str, Any]) -> None:
    error = site.last("export", image=site.uploaded(), document=document, formats=["mask.exe"])
    assert "no format called 'mask.exe'" in error["error"] and "geotiff" in error["error"]


def test_every_format_comes_by_the_api(site: Site) -> None:
    """Its content is the export room's business; here a GeoTIFF's place on the Earth gets through."""
    picture = site.uploaded(geotiff(site.folder / "field.tif"))
    found = site.last("segment", image=picture, question="one")
    files = site.last("export", image=picture, document=found, formats=list(FORMATS))
    assert [file["orig_name"] for file in files] == [entry.file for entry in FORMATS.values()]
    by_name = {file["orig_name"]: httpx.get(file["url"]).content for file in files}
    outline = json.loads(by_name["result.geojson"])["features"][0]["geometry"]["coordinates"]
    while isinstance(outline[0], list):
        outline = outline[0]
    assert all(abs(v) <= 180 for v in outline) and by_name["mask.tif"][:2] in (b"II", b"MM")
    assert by_name["result.gpkg"].startswith(b"SQLite format 3")


def test_a_geotiff_goes_through(site: Site) -> None:
    found = site.last("segment", image=site.uploaded(geotiff(site.folder / "field.tif")), question="one")
    assert found["image"] == {"name": "field.tif", "width": 400, "height": 300} and len(found["instances"]) == 1


# --- agents -----------------------------------------------------------------------------------------------------------


def asked_by_agent(site: Site, name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Whether a tool failed, and the text that it gave."""
    pytest.importorskip("mcp", reason="the Model Context Protocol needs the package mcp")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def ask() -> tuple[bool, str]:
        async with (
            streamable_http_client(f"{site.api}/mcp/") as (read, write, _id),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            known = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert set(known) == {"segment", "refine", "compare", "export"}
            assert "question" in known["segment"].inputSchema["properties"] and known["segment"].description
            result = await session.call_tool(name, arguments)
            return bool(result.isError), "\n".join(str(getattr(part, "text", part)) for part in result.content)

    return asyncio.run(ask())


def data_url(site: Site) -> str:
    return "data:image/png;base64," + base64.b64encode(site.png.read_bytes()).decode("ascii")


def test_an_agent_gets_the_final_document_as_json(site: Site) -> None:
    failed, text = asked_by_agent(site, "segment", {"image": data_url(site), "question": "planes"})
    assert not failed, text
    found = json.loads(text)
    assert "partial" not in found and len(found["instances"]) == 4 and found["thought"]
    failed, text = asked_by_agent(
        site, "refine", {"image": data_url(site), "prompts": [{"box": [10, 10, 60, 60]}], "segmenter": "tiny"}
    )
    assert not failed and json.loads(text)["segmenter"] == "tiny"


def test_an_agent_is_told_what_is_wrong_and_no_more(site: Site) -> None:
    failed, text = asked_by_agent(site, "segment", {"image": data_url(site), "question": ""})
    assert failed and "The question is empty" in text
    failed, text = asked_by_agent(site, "segment", {"image": data_url(site), "question": "bug"})
    assert failed and "the log has the details" in text and "secret" not in text and "Traceback" not in text
    failed, text = asked_by_agent(site, "segment", {"image": "http://127.0.0.1:9/x.png", "question": "one"})
    assert failed and "fetches no addresses" in text


def test_export_is_json_for_an_agent_too(site: Site, document: dict[str, Any]) -> None:
    arguments = {"image": data_url(site), "document": document, "formats": ["mask-png"]}
    failed, text = asked_by_agent(site, "export", arguments)
    assert not failed, text
    (file,) = json.loads(text)
    assert Image.open(io.BytesIO(httpx.get(file["url"]).content)).size == (800, 600)
