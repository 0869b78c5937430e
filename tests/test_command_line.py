"""The command line as it is: exit codes, what goes to stdout and stderr, the files of --out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from think2seg import __main__ as command_line
from think2seg import pipeline, record
from think2seg.datasets.scenes import scene
from think2seg.export import FORMATS
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter

ROOT = Path(__file__).parent.parent


class Squares:
    """A segmenter that fills the box."""

    name = "squares"
    about = "fills boxes"

    def encode(self, image):
        return None

    def segment(self, image, prompts):
        from think2seg.types import Mask

        masks = []
        for i, prompt in enumerate(prompts):
            pixels = np.zeros(image.shape[:2], dtype=bool)
            x1, y1, x2, y2 = (int(v) for v in prompt.box)
            pixels[y1:y2, x1:x2] = True
            masks.append(Mask(pixels, 0.5, i))
        return masks


@pytest.fixture
def picture(tmp_path) -> str:
    Image.fromarray(np.full((50, 80, 3), 100, np.uint8)).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch):
    """Makes the command line run on a prompter that writes the given text."""

    def set_text(text: str) -> None:
        def load(prompter="auto", segmenter="auto", **options):
            line = {
                name: value for name, value in options.items() if name not in ("tiles", "tiles_from", "zoom", "agree")
            }
            return Pipeline(ReplayPrompter(text, (80, 50)), Squares(), **line)

        monkeypatch.setattr(pipeline, "load", load)

    return set_text


ANSWER = '<think> Here \x1b[31mit\x1b[0m is. </think>\n<answer>```json[{"bbox_2d": [10, 10, 30, 20]}]```</answer>'


def test_the_thought_goes_to_stderr_and_the_summary_to_stdout(says, picture, capsys) -> None:
    says(ANSWER)
    assert command_line.main(["segment", picture, "where is it?", "--strategy", "box"]) == 0
    out, err = capsys.readouterr()
    assert "1 object, 200 pixels (5.0% of the image)" in out and "Here" not in out
    assert "Here" in err and "\x1b" not in err  # model text cannot drive the terminal


def test_json_is_exactly_one_document(says, picture, capsys, tmp_path) -> None:
    says(ANSWER)
    out_folder = tmp_path / "new" / "folder"
    code = command_line.main(
        ["segment", picture, "where is it?", "--strategy", "box", "--json", "--out", str(out_folder)]
    )
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["image"] == {"path": picture, "width": 80, "height": 50}
    assert document == json.loads((out_folder / "result.json").read_text())
    assert sorted(p.name for p in out_folder.iterdir()) == ["mask.png", "overlay.png", "result.json"]
    mask = np.asarray(Image.open(out_folder / "mask.png"))
    assert mask.shape == (50, 80) and (mask > 0).sum() == 200
    assert np.array_equal(record.from_rle(document["instances"][0]["rle"]), mask > 0)
    overlay = np.asarray(Image.open(out_folder / "overlay.png"))
    assert overlay.shape == (50, 80, 3) and (overlay != 100).any()


def test_nothing_here_is_a_success(says, picture, capsys) -> None:
    says("<think> None. </think>\n<answer>```json[]```</answer>")
    assert command_line.main(["segment", picture, "a volcano"]) == 0
    assert "Nothing here" in capsys.readouterr().out


def test_an_unreadable_answer_is_exit_2_with_the_text(says, picture, capsys) -> None:
    says("<think> Hm. </think> I would rather not.")
    assert command_line.main(["segment", picture, "x"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "cannot be read" in err and "rather not" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["gone.png", "x"], 2, "gone.png"),
        (["PICTURE", " "], 2, "question is empty"),
        (["PICTURE", "x", "--strategy", "lasso"], 2, "box+2+neg"),
        (["PICTURE", "x", "--prompter", "medium"], 3, "Think2Seg-RS-3B"),
        (["PICTURE", "x", "--prompter", "nano", "--segmenter", "huge"], 3, "base-plus"),
        (["PICTURE", "x", "--out", "PICTURE"], 2, "--out"),
        (["PICTURE", "x", "--tiles", "9"], 2, "2 to 4 a side"),
        (["PICTURE", "x", "--tiles", "some"], 2, "--tiles"),
        (["PICTURE", "x", "--tiles", "auto", "--tiles-from", "2"], 2, "no tiles that could wait"),
    ],
)
def test_bad_input_says_what_came_and_the_way_out(picture, capsys, arguments, code, words) -> None:
    filled = [picture if a == "PICTURE" else a for a in arguments]
    try:
        assert command_line.main(["segment", *filled]) == code
    except SystemExit as stopped:
        assert stopped.code == code
    out, err = capsys.readouterr()
    assert out == "" and words in err and "Traceback" not in err


def test_models_says_what_can_run_here_and_why_not(capsys) -> None:
    assert command_line.main(["models"]) == 0
    out = capsys.readouterr().out
    assert "nano" in out and "base-plus" in out and "auto chose" in out
    assert "Think2Seg-RS-3B  cannot run here: needs a CUDA GPU" in out


def test_the_real_thing_from_a_shell(tmp_path) -> None:
    """The bundled models in a process of their own: one JSON document on stdout, the thought on stderr."""
    made = scene(7, 336)
    Image.fromarray(made.image).save(tmp_path / "scene.png")
    question = next(q.text for q in made.questions if q.kind == "explicit")
    done = subprocess.run(
        [sys.executable, "-m", "think2seg", "segment", str(tmp_path / "scene.png"), question, "--json",
         "--prompter", "nano", "--segmenter", "nano", "--out", str(tmp_path / "out")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["prompter"] == "nano, 2 x 2 tiles from 2 on" and document["frame"] == [336, 336]
    assert document["thought"] and document["thought"].split()[0] in done.stderr
    assert (tmp_path / "out" / "overlay.png").is_file()
    for identity in document["revisions"].values():
        assert identity["source"] == "bundled" and identity["revision"].startswith("sha256:")


# --- --format, and export ---------------------------------------------------------------------------------------------


@pytest.fixture
def raster(tmp_path) -> str:
    with rasterio.open(
        tmp_path / "place.tif", "w", driver="GTiff", width=80, height=50, count=3, dtype="uint8", crs="EPSG:32617",
        transform=rasterio.Affine(0.5, 0, 404211.5, 0, -0.5, 3285142.0),
    ) as made:  # fmt: skip
        made.write(np.full((3, 50, 80), 100, np.uint8))
    return str(tmp_path / "place.tif")


def test_format_writes_what_was_named_and_nothing_else(says, raster, capsys, tmp_path) -> None:
    says(ANSWER)
    asked = ["segment", raster, "where?", "--strategy", "box", "--out", str(tmp_path / "out")]
    assert command_line.main([*asked, "--format", "geojson,geotiff", "--format", "json,geojson"]) == 0
    out, _err = capsys.readouterr()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["mask.tif", "result.geojson", "result.json"]
    assert "result.geojson" in out and "Note: " not in out
    held = json.loads((tmp_path / "out" / "result.geojson").read_text())
    assert held["features"][0]["properties"]["area_m2"] == 50.0 and held["think2seg"]["image"] == "place.tif"
    assert held["think2seg"]["prompter"] == "replay" and held["think2seg"]["prompter_revision"] is None


def test_without_a_georeference_the_files_and_the_summary_say_so(says, picture, capsys, tmp_path) -> None:
    says(ANSWER)
    asked = ["segment", picture, "where?", "--strategy", "box", "--out", str(tmp_path / "out")]
    assert command_line.main([*asked, "--format", ",".join(FORMATS)]) == 0
    out, _err = capsys.readouterr()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f.file for f in FORMATS.values())
    assert "Note: result.geojson: Without a georeference coordinates are pixels" in out
    assert "Note: mask.tif: Without a georeference it is a plain TIFF." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment", "PICTURE", "x", "--out", "OUT", "--format", "shapefile"], "no format called 'shapefile'"),
        (["segment", "PICTURE", "x", "--format", "geojson"], "Give --out DIR"),
        (["export", "PICTURE", "--out", "OUT", "--format", "shapefile"], "no format called 'shapefile'"),
        (["export", "PICTURE", "--out", "OUT", "--format", "json"], "holds no JSON"),
        (["export", "gone.json", "--out", "OUT", "--format", "json"], "gone.json"),
        (["export", "gone.json", "--out", "OUT", "--format", "json,overlay-png"], "overlay-png shows the image"),
        (["export", "gone.json", "--out", "OUT", "--format", "json", "--image", "gone.png"], "gone.png"),
        (["export", "gone.json", "--out", "PICTURE", "--format", "json"], "--out"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_model_is_loaded(
    picture, capsys, tmp_path, monkeypatch, arguments, words
) -> None:
    monkeypatch.setattr(pipeline, "load", lambda *_a, **_k: pytest.fail("a model was loaded"))
    filled = [{"PICTURE": picture, "OUT": str(tmp_path / "out")}.get(a, a) for a in arguments]
    assert command_line.main(filled) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and "Traceback" not in err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_stored_result_is_written_again_without_its_image(says, raster, capsys, tmp_path) -> None:
    says(ANSWER)
    first, again = tmp_path / "first", tmp_path / "again"
    everything = ",".join(FORMATS)
    asked = ["segment", raster, "where?", "--strategy", "box", "--out", str(first), "--format", everything]
    assert command_line.main(asked) == 0
    Path(raster).rename(tmp_path / "moved.tif")
    others = ",".join(name for name, entry in FORMATS.items() if not entry.needs_image)
    stored = ["export", str(first / "result.json"), "--out", str(again)]
    assert command_line.main([*stored, "--format", others]) == 0
    written = capsys.readouterr().out
    for name, entry in FORMATS.items():
        if name != "geopackage" and not entry.needs_image:  # GeoPackage holds the time of writing
            assert (again / entry.file).read_bytes() == (first / entry.file).read_bytes(), name
        assert entry.needs_image or str(again / entry.file) in written
    asked = [*stored, "--format", "overlay-png", "--image", str(tmp_path / "moved.tif")]
    assert command_line.main(asked) == 0
    assert (again / "overlay.png").read_bytes() == (first / "overlay.png").read_bytes()


def test_a_format_that_fails_costs_no_other(says, capsys, tmp_path) -> None:
    """A picture in a plan's own system has no longitude and latitude; the answer is kept all the same."""
    with rasterio.open(
        tmp_path / "plan.tif", "w", driver="GTiff", width=80, height=50, count=3, dtype="uint8",
        crs=rasterio.crs.CRS.from_wkt('LOCAL_CS["a site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'),
        transform=rasterio.Affine(0.5, 0, 7, 0, -0.5, 9),
    ) as made:  # fmt: skip
        made.write(np.full((3, 50, 80), 100, np.uint8))
    says(ANSWER)
    asked = ["segment", str(tmp_path / "plan.tif"), "where?", "--strategy", "box", "--out", str(tmp_path / "out")]
    assert command_line.main([*asked, "--format", "geojson,json,geotiff"]) == 2
    out, err = capsys.readouterr()
    assert "1 object, 200 pixels" in out and "no way from this image's reference system" in err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["mask.tif", "result.json"]


def test_a_question_that_is_no_utf_8_is_refused_in_words(says, picture, capsys) -> None:
    says(ANSWER)
    assert command_line.main(["segment", picture, "wo ist \udcfc?"]) == 2
    assert "bytes that are no UTF-8" in capsys.readouterr().err


def test_a_file_name_that_is_no_utf_8_does_not_lose_the_answer(says, picture, capsys, tmp_path) -> None:
    says(ANSWER)
    named = str(tmp_path / "f\udcfcr.png")
    Path(picture).rename(named)
    asked = ["segment", named, "where?", "--strategy", "box", "--out", str(tmp_path / "out"), "--json"]
    assert command_line.main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["image"]["path"].endswith("f\N{REPLACEMENT CHARACTER}r.png")
    assert document == json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
