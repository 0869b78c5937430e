"""Results taken away from the page: each format is written when it is asked for, and opened again here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from PIL import Image
from studio_doubles import Ellipses, Scripted, example, geotiff

from think2seg import images
from think2seg.export import FORMATS
from think2seg.pipeline import Pipeline
from think2seg.studio import build
from think2seg.studio.hand import Held
from think2seg.types import Mask, Prompt, Result


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("take")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        example(folder / "examples")
        yield build(lambda name: Scripted(), lambda name, zoom=1: Ellipses(name), folder / "examples", "nano", "nano")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    """A result on a GeoTIFF."""
    picture = images.load(geotiff(tmp_path_factory.mktemp("raster") / "field.tif"))
    result = Pipeline(Scripted(), Ellipses("nano"))(picture, "one")
    return Held(result, picture, "about", None, True, True)


def written(demo: Any, held: Held | None, formats: Any) -> tuple[dict[str, Path], dict[str, str]]:
    updates = demo.taken.write(held, formats)
    paths = [Path(p) for p in updates[demo.taken.files].get("value") or []]
    return {path.name: path for path in paths}, updates[demo.taken.said]["said"]


def test_every_format_is_written_and_says_what_the_result_says(demo: Any, held: Held) -> None:
    files, said = written(demo, held, list(FORMATS))
    assert said == {"kind": "done", "words": f"{len(FORMATS)} files."}
    assert set(files) == {entry.file for entry in FORMATS.values()}
    union = held.result.mask
    assert np.array_equal(np.asarray(Image.open(files["mask.png"])) > 0, union)
    assert np.array_equal(np.asarray(Image.open(files["indexed.png"])) > 0, union)
    with rasterio.open(files["mask.tif"]) as raster:
        assert np.array_equal(raster.read(1) > 0, union) and raster.crs.to_epsg() == 32632
    assert len(json.loads(files["result.geojson"].read_text())["features"]) == len(held.result.masks)
    assert len(json.loads(files["coco.json"].read_text())["annotations"]) == len(held.result.masks)
    assert "instances" in {name for name, _kind in pyogrio.list_layers(files["result.gpkg"])}
    document = json.loads(files["result.json"].read_text())
    assert document["georef"] and document["question"] == "one"


def test_without_a_georeference_the_page_says_so(demo: Any, held: Held) -> None:
    plain = images.load(np.zeros((300, 400, 3), np.uint8))
    result = Pipeline(Scripted(), Ellipses("nano"))(plain, "one")
    _, said = written(demo, Held(result, plain, ""), ["geojson", "geotiff", "coco"])
    assert said["kind"] == "done" and "pixels of the image" in said["words"] and "plain TIFF" in said["words"]


@pytest.mark.parametrize(
    ("formats", "words"),
    [([], "No format is ticked"), (None, "No format is ticked"), ("geojson", "No format is ticked"),
     (["exe"], "no format called 'exe'"), ([7], "no format called '7'"), (["../x"], "no format called")],
)  # fmt: skip
def test_what_cannot_be_written_is_told(demo: Any, held: Held, formats: Any, words: str) -> None:
    files, said = written(demo, held, formats)
    assert not files and said["kind"] == "error" and words in said["words"]


def test_without_a_result_there_is_nothing_to_write(demo: Any) -> None:
    files, said = written(demo, None, ["geojson"])
    assert not files and "Ask about a picture first" in said["words"]


def test_a_format_that_fails_costs_no_other(demo: Any, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    from think2seg.studio import takeaway

    def encoded(result: Result, picture: Any, name: str, **rest: Any) -> bytes:
        if name == "coco":
            raise RuntimeError("a secret of the server")
        return b"fine"

    monkeypatch.setattr(takeaway, "encoded", encoded)
    files, said = written(demo, held, ["coco", "json"])
    assert set(files) == {"result.json"} and said["kind"] == "error" and "secret" not in said["words"]
    assert "COCO JSON" in said["words"]


@pytest.mark.parametrize(("ran", "known"), [(True, True), (False, False)])
def test_weights_are_told_only_of_models_that_ran(demo: Any, held: Held, ran: bool, known: bool) -> None:
    result = Result(
        held.result.query, held.result.completion, held.result.answer, held.result.masks, held.result.sent, "nano",
        "nano", held.result.strategy, held.result.timing,
    )  # fmt: skip
    files, _ = written(demo, Held(result, held.picture, "", None, ran, ran), ["json"])
    told = json.loads(files["result.json"].read_text())["revisions"]
    assert (told["prompter"]["revision"] is not None) is known
    assert (told["segmenter"]["revision"] is not None) is known


def test_an_edit_by_hand_is_exported_as_it_is_drawn(demo: Any, held: Held) -> None:
    box = (10.0, 10.0, 60.0, 50.0)
    pixels = np.zeros((300, 400), bool)
    pixels[10:50, 10:60] = True
    result = held.result
    drawn = Result(
        result.query, result.completion, type(result.answer)(result.answer.thought, (Prompt(box),)),
        (Mask(pixels, 0.9, 0),), (Prompt(box),), "by hand", "nano", "by hand", result.timing,
    )  # fmt: skip
    files, _ = written(demo, Held(drawn, held.picture, ""), ["mask-png", "geojson"])
    assert np.array_equal(np.asarray(Image.open(files["mask.png"])) > 0, pixels)
