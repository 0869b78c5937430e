"""Every format taken away from the page in a real browser, opened again and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from PIL import Image
from pycocotools.coco import COCO

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

from studio_doubles import geotiff  # noqa: E402
from test_browser import CHROMIUM, FLAGS, Site, Visit  # noqa: E402

from think2seg.export import FORMATS  # noqa: E402

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or not Path(CHROMIUM).exists(), reason="the browser tests need /usr/bin/chromium or CHROMIUM=path"
)


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    folder = tmp_path_factory.mktemp("takeaway")
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as started:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        site = Site(folder)
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield Visit(site, browser.new_page(viewport={"width": 1440, "height": 1000}))
        browser.close()
        site.demo.close()


def taken(visit: Visit, into: Path) -> dict[str, Path]:
    """All formats, downloaded."""
    page = visit.page
    page.get_by_role("tab", name="Export").click()
    for entry in FORMATS.values():
        box = page.get_by_label(f"{entry.label} · {entry.file}")
        if not box.is_checked():
            box.check()
    page.click("#take")
    page.wait_for_function("n => document.querySelectorAll('#take-files a[download]').length === n", arg=len(FORMATS))
    files = {}
    for link in page.locator("#take-files a[download]").all():
        with page.expect_download() as waiting:
            link.click()
        name = waiting.value.suggested_filename
        waiting.value.save_as(into / name)
        files[name] = into / name
    return files


def test_every_format_leaves_the_page_and_goes_with_its_answer(visit: Visit, tmp_path: Path) -> None:
    visit.upload(geotiff(visit.site.folder / "field.tif"), tab="raster")
    visit.ask("planes")
    visit.phase("done")
    visit.settle()
    files = taken(visit, tmp_path)
    assert set(files) == {entry.file for entry in FORMATS.values()}
    mask = np.asarray(Image.open(files["mask.png"])) > 0
    assert mask.any() and not mask.all()
    assert np.array_equal(np.asarray(Image.open(files["indexed.png"])) > 0, mask)
    with rasterio.open(files["mask.tif"]) as raster:
        assert np.array_equal(raster.read(1) > 0, mask) and raster.crs.to_epsg() == 32632
    coco = COCO(str(files["coco.json"]))
    union = np.any([coco.annToMask(one) for one in coco.loadAnns(coco.getAnnIds())], axis=0)
    assert np.array_equal(union, mask)
    document: dict[str, Any] = json.loads(files["result.json"].read_text())
    count = len(document["instances"])
    assert count and len(json.loads(files["result.geojson"].read_text())["features"]) == count
    assert len(pyogrio.raw.read(files["result.gpkg"], layer="instances")[2]) == count
    assert Image.open(files["overlay.png"]).size == (mask.shape[1], mask.shape[0])
    assert visit.hosts == {"127.0.0.1"} and not visit.faults

    visit.ask("one")  # files of the last answer are not this one's
    visit.page.wait_for_function("() => !document.querySelector('#take-files a[download]')")
