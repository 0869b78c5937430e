"""report.html: the same bytes again, hostile text as text, no host asked, nulls as dashes, the right cases chosen."""

from __future__ import annotations

import os
import random
import re
import shutil
import unicodedata
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from evaluation_doubles import SCRIPT, TEN, Scripted, answer, picture

from think2seg.baselines import BASELINES
from think2seg.datasets.samples import Sample
from think2seg.errors import DatasetError
from think2seg.evaluation import gallery, page
from think2seg.evaluation.contender import Answering, Loaded
from think2seg.evaluation.gallery import ANSWER, GAP, SIDE, TRUTH, Cases, choose, verdict
from think2seg.evaluation.report import Report, report
from think2seg.evaluation.row import Row, row_of_mask
from think2seg.metrics import Count
from think2seg.types import Prompt

MODELS = {
    "prompter": {"name": "nano", "source": "bundled", "revision": "5f1d", "dialect": "think2seg"},
    "segmenter": {"name": "filled-box", "source": "baseline", "revision": "no model"},
}
SETTINGS = {
    "dataset": "ten", "split": "test", "commit": "0123abc", "strategy": "box+2", "negatives": True, "limit": None,
    "models": MODELS,
}  # fmt: skip
TIMING = {"prompter_s": 1.5, "segmenter_s": 0.25}
BY_ID = {one.id: one for one in TEN}
CHROMIUM = next((p for p in (os.environ.get("CHROMIUM"), "/usr/bin/chromium", shutil.which("chromium")) if p), None)


class Read(HTMLParser):
    """A page taken apart: each element with its attributes, and the text of the page without its style sheet."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.odd: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.odd.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data

    @property
    def shape(self) -> list[tuple[str, list[str], str | None]]:
        return [(tag, list(attrs), attrs.get("class")) for tag, attrs in self.elements]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def rows_of(samples=TEN, script=SCRIPT, seed: int | None = None) -> list[Row]:
    contender = Answering(Scripted(script), BASELINES["filled-box"])
    loaded = [Loaded(s, *s.load()) for s in samples]
    return contender.end(loaded, contender.begin(loaded, seed), seed)[""]


def made(rows: list[Row], settings=SETTINGS, timing=TIMING) -> Report:
    return report(rows, settings, timing)


@pytest.fixture(scope="module")
def ten() -> str:
    return page.render(made(rows_of()), rows_of(), BY_ID)


# --- the page as a whole ----------------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_bytes(ten) -> None:
    assert page.render(made(rows_of()), rows_of(), BY_ID) == ten


def test_every_section_is_there_in_order_and_well_formed(ten) -> None:
    read = Read(ten)
    assert read.odd == [] and read._open == []
    places = [read.text.index(f"\n{heading}\n") for heading in (
        "Figures", "Distributions", "Strata", "Prompt geometry", "Cases", "Timing and settings",
    )]  # fmt: skip
    assert places == sorted(places)
    assert "nano + filled-box on ten, test" in read.text and "0123abc" in read.text
    assert "nano (bundled, revision 5f1d, dialect think2seg)" in read.text
    assert "10 on 6 images; 4 of 10 without a target" in read.text
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))


def test_the_figures_are_the_reports(ten) -> None:
    """By hand in test_report.py: gIoU 0.450, cIoU 0.476 (paper 0.500), P@0.5 0.5 (paper 0.714), N-acc 0.5."""
    rows = re.findall(r'<tr><th scope="row">(\S+) <small>.*?</small></th>(.*?)</tr>', ten)
    cells = {label: re.findall(r"<td>([^<]*)(?:<svg.*?</svg>)?</td>", rest) for label, rest in rows}
    assert (cells["gIoU"][0], cells["gIoU"][-1]) == ("0.450", "0.450")
    assert (cells["cIoU"][0], cells["cIoU"][-1]) == ("0.476", "0.500")
    assert (cells["Precision@0.5"][0], cells["Precision@0.5"][-1]) == ("0.500", "0.714")
    assert (cells["N-acc"][0], cells["N-acc"][-1], cells["Unreadable"][0]) == ("0.500", "–", "2 of 10")
    low, high = made(rows_of())["intervals"]["giou"]
    assert cells["gIoU"][2] == f"{low:.3f} – {high:.3f}"
    assert {"Precision@0.6", "Precision@0.7", "Precision@0.8", "Precision@0.9", "T-acc"} < set(cells)


def test_how_the_papers_questions_weigh_is_said(ten) -> None:
    assert "Every question counts alike." in ten
    drawn = page.render(made(rows_of(), SETTINGS | {"dataset": "earthreason"}), rows_of(), BY_ID)
    assert "a question weighs 1 / (questions of its image)" in drawn and "counts alike" not in drawn


def test_nothing_is_asked_of_any_host(ten) -> None:
    source = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", ten)
    assert not re.search(r"https?:|//[a-z]|@import|<script|<iframe|<base|<form", source, re.IGNORECASE)
    assert set(re.findall(r"url\((.)", ten)) <= {"#"}
    read = Read(ten)
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids)), "plots must not share names"
    for _tag, attrs in read.elements:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
            value = attrs.get(name)
            assert value is None or value.startswith("data:") or (value[0] == "#" and value[1:] in ids)
    assert set(re.findall(r"url\(#([^)]*)\)", ten)) <= set(ids)
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'") and "script" not in policy


def test_tables_and_pictures_can_be_heard(ten) -> None:
    read = Read(ten)
    assert len(read.all("caption")) == len(read.all("table")) > 5
    assert all(a.get("scope") in ("col", "row") for a in read.all("th"))
    assert len(read.all("img")) == 10
    alts = [a["alt"] or "" for a in read.all("img")]
    assert (
        "“question 02?” – of the picture the target covers 20.0%; the answer's mask covers 20.0%, with IoU 0.333; "
        "boxes: 1, positive points: 2, negative points: 0."
    ) in alts


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme: str) -> None:
    css = (Path(page.__file__).parent / "page.css").read_text()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", part)) for part in css.split("@media", 2)[:2])
    colours = light if scheme == "light" else light | dark

    def luminance(name: str) -> float:
        digits = colours[name][1:]
        digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    pairs = [(ink, ground) for ink in ("ink", "soft", "link", "warn") for ground in ("ground", "card")]
    for ink, ground in [*pairs, ("warn", "warn-ground"), ("good", "good-ground")]:
        a, b = sorted((luminance(ink), luminance(ground)))
        assert (b + 0.05) / (a + 0.05) >= 4.5, (ink, ground)


# --- hostile text -----------------------------------------------------------------------------------------------------

HOSTILE = "</p></style><script>alert(1)</script><img src=x onerror=alert(1)>${x} $title \"'&amp; --><!-- "
STEERING = "\u202eevil\u2066\x00\x1b[31m\x85\u2028\ufeff\ud800"


@lru_cache
def everywhere(evil: str) -> str:
    """The page of a report in which `evil` stands wherever a model, a data set or a person writes."""
    long = (evil + " word " * 100)[:700]
    samples = {}
    for one in TEN:
        samples[evil + one.id] = Sample(evil + one.id, evil + one.image_id, evil, one.read, {})
    rows = [
        replace(
            row, id=evil + row.id, image_id=evil + row.image_id, question=evil + row.question, text=long,
            thought=None if row.why else long, warnings=(evil, evil), why=row.why and evil,
            strata={"level": row.strata["level"] + evil, "kind" + evil: "a" + evil},
        )
        for row in rows_of()
    ]  # fmt: skip
    model = {"name": evil, "source": "s" + evil, "revision": "r" + evil, "dialect": "d" + evil}
    settings = {
        "dataset": evil, "split": evil, "commit": evil, "strategy": evil, "variant": evil, "sent": evil,
        "models": {"prompter": model, "segmenter": {"one" + evil: model, "two" + evil: evil}}, "other" + evil: evil,
    }  # fmt: skip
    return page.render(made(rows, settings, {"seconds" + evil: evil}), rows, samples)


def test_hostile_text_stays_text() -> None:
    plain, evil = Read(everywhere("plain")), Read(everywhere(HOSTILE))
    assert evil.shape == plain.shape, "no element, attribute or class more or less"
    assert evil.odd == [] and evil._open == []
    assert evil.text.count("<script>alert(1)</script>") >= plain.text.count("plain") > 100
    assert evil.text.count("${x} $title \"'&amp; -->") > 100
    titles = re.findall(r"<title>(.*?)</title>", everywhere(HOSTILE))
    assert len(titles) == 1 and "&lt;script&gt;" in titles[0]


def test_what_steers_a_page_becomes_a_mark() -> None:
    source = everywhere(STEERING)
    source.encode()  # no lone surrogate is left
    assert {unicodedata.category(c) for c in source if c != "\n"}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert "\ufffdevil" in source
    assert gallery.text("a\u200db \u0645\u200c\u06cc\n\tc\u00a0d 😀") == "a\u200db \u0645\u200c\u06cc\n\tc\u00a0d 😀"


def test_saved_masks_named_by_a_person() -> None:
    rows = [row_of_mask(s, s.load()[1], s.load()[1]) for s in TEN]
    evil = {"dataset": "ten", "models": {"masks": HOSTILE}}
    assert Read(page.render(made(rows, evil), rows, BY_ID)).all("script") == []


# --- what is not there ------------------------------------------------------------------------------------------------


def assert_no_nulls(source: str) -> None:
    assert not re.search(r"\b(nan|None|null|NaN)\b", Read(source).text)


def test_saved_masks_have_no_prompts_and_no_thoughts() -> None:
    rows = [row_of_mask(s, s.load()[1], picture((0, 0, 4, 5))[1]) for s in TEN]
    source = page.render(made(rows, {"dataset": "ten", "models": {"masks": "segearth-r1"}}), rows, BY_ID)
    assert_no_nulls(source)
    read = Read(source)
    assert "saved masks “segearth-r1” on ten" in read.text and "there is nothing to check" in read.text
    assert "Length of completions" not in read.text and "Instances answered" not in read.text
    assert "IoU of questions with a target" in read.text
    assert not {"thought", "why"} & {a.get("class") for a in read.all("p")}


@pytest.mark.parametrize("which", [1, 2, 4, 6])
def test_a_report_of_one_question(which: int) -> None:
    rows = rows_of(TEN[which : which + 1])
    source = page.render(report(rows, {}, {}), rows, BY_ID)
    assert_no_nulls(source)
    read = Read(source)
    assert len(read.all("img")) == 1 and "1 on 1 images" in read.text and "–" in read.text
    assert read.all("title") and "A set without a name" in read.text


def test_seeds_have_a_mean_and_a_deviation() -> None:
    other = SCRIPT | {"question 01?": answer(), "question 08?": answer()}
    rows = [replace(row, seed=0) for row in rows_of()] + [replace(row, seed=1) for row in rows_of(script=other)]
    found = made(rows)
    source = page.render(found, rows, BY_ID)
    assert_no_nulls(source)
    giou = found["seeds"]["giou"]
    read = Read(source)
    assert f"{giou['mean']:.3f} ± {giou['deviation']:.3f}" in read.text and "2 seeds, mean ± deviation" in read.text
    assert "1.5 ± 0.7" in read.text  # unreadable: 2 and 1
    assert "10 on 6 images, 2 sampled answers each: 20 in all" in read.text
    assert "seed 1" in read.text
    assert "± –" in page.render(made(rows[:10]), rows[:10], BY_ID)


def test_a_study_names_its_variant() -> None:
    models = MODELS | {"segmenter": {name: {"name": name} for name in ("filled-box", "ellipse")}}
    settings = SETTINGS | {"models": models, "variant": "ellipse", "variant_segmenter": "ellipse", "sent": "box"}
    assert "nano + ellipse on ten, test" in page.render(made(rows_of(), settings), rows_of(), BY_ID)


# --- which cases ------------------------------------------------------------------------------------------------------


def row(id_: str, image: str, iou: float | None, cause: str = "") -> Row:
    """A question on a picture of 10 x 10; iou None: nothing is to be found."""
    counts = {
        "unreadable": Count(0, 50, 50, readable=False, instances=0),
        "nothing here": Count(0, 50, 50, instances=0),
        "wrong place": Count(0, 60, 50),
        "": Count(round(50 * (iou or 0)), 50, 50),
    }
    absent = {
        "unreadable": Count(0, 0, 0, readable=False, instances=0),
        "false alarm": Count(0, 30, 0),
        "rightly empty": Count(0, 0, 0, instances=0),
    }
    held = (absent if iou is None else counts)[cause]
    return Row(id_, image, f"{id_}?", None, {}, (10, 10), held, text="…", thought="…")


CAUSES = ("unreadable", "nothing here", "wrong place")


def test_the_worst_take_turns_over_causes_and_pictures() -> None:
    zeros = [row(f"u{i}", f"p{i % 4}", 0, "unreadable") for i in range(40)]
    zeros += [row(f"n{i}", f"q{i % 4}", 0, "nothing here") for i in range(8)]
    zeros += [row(f"w{i}", f"r{i % 4}", 0, "wrong place") for i in range(8)]
    worst, best, absent = choose([*zeros, row("low", "s", 0.02), row("fine", "s", 0.9)], Cases(12, 2, 0))
    assert Counter(map(verdict, worst)) == dict.fromkeys(CAUSES, 4)
    assert len({r.image_id for r in worst}) == 12
    assert [r.id for r in best] == ["fine", "low"] and absent == ()


def test_the_lowest_come_before_any_turn() -> None:
    rows = [row("zero", "p", 0, "nothing here"), row("a", "p", 0.02), row("b", "p", 0.04), row("c", "q", 0.5)]
    rows += [row(f"z{i}", "q", 0.8) for i in range(4)]
    assert [r.id for r in choose(rows, Cases(3, 0, 0))[0]] == ["zero", "a", "b"]


def test_the_best_are_not_all_of_one_picture() -> None:
    rows = [row(f"a{i}", "same", 0.9 + 0.02 * i) for i in range(5)] + [row(f"b{i}", f"p{i}", 0.6) for i in range(3)]
    rows += [row(f"c{i}", "bad", 0, "nothing here") for i in range(8)]
    best = choose(rows, Cases(8, 5, 0))[1]
    assert [r.id for r in best[:2]] == ["a4", "a3"] and {r.id for r in best[2:]} == {"b0", "b1", "b2"}
    best = choose(rows, Cases(8, 7, 0))[1]
    assert [r.id for r in best[:4]] == ["a4", "a3", "a2", "a1"], "others are used up"


def test_false_alarms_come_first_and_right_ones_keep_a_place() -> None:
    rows = [row(f"f{i}", f"p{i}", None, "false alarm") for i in range(20)]
    rows += [row(f"u{i}", f"q{i}", None, "unreadable") for i in range(3)]
    rows += [row(f"r{i}", f"r{i}", None, "rightly empty") for i in range(20)]
    verdicts = [verdict(r) for r in choose(rows, Cases())[2]]
    assert verdicts == ["false alarm"] * 6 + ["rightly empty"] * 2
    large = replace(rows[7], count=Count(0, 90, 0))
    assert choose([*rows[:7], large, *rows[8:]], Cases())[2][0] == large
    verdicts = [verdict(r) for r in choose(rows[18:], Cases())[2]]
    assert verdicts == ["false alarm"] * 2 + ["unreadable"] * 3 + ["rightly empty"] * 3
    assert [verdict(r) for r in choose(rows[:20], Cases())[2]] == ["false alarm"] * 8


def test_a_choice_does_not_depend_on_the_order_of_rows_and_shows_no_row_twice() -> None:
    rows = [row(f"{i}", f"p{i % 7}", i % 5 / 4, "" if i % 5 else CAUSES[i % 3]) for i in range(60)]
    rows += [row(f"x{i}", f"p{i % 7}", None, "false alarm") for i in range(9)]
    shuffled = random.Random(1).sample(rows, len(rows))
    assert choose(rows, Cases()) == choose(shuffled, Cases())
    shown = [r.id for held in choose(rows, Cases()) for r in held]
    assert len(shown) == len(set(shown)) == 32
    few = choose(rows[:3], Cases())
    assert [len(held) for held in few] == [2, 1, 0]


# --- how cases are drawn ----------------------------------------------------------------------------------------------


def drawn(truth: np.ndarray, mask: np.ndarray, prompts: tuple[Prompt, ...] = ()) -> np.ndarray:
    held = row_of_mask(Sample("s", "s", "s?", lambda: (image, truth)), truth, mask)
    image = np.full((*truth.shape, 3), 128, np.uint8)
    return gallery.picture(image, truth, replace(held, prompts=prompts))


def boxed(size: int, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    return picture((x1, y1, x2, y2), size)[1]


def test_the_answer_is_tinted_and_the_truth_dashed_around() -> None:
    shown = drawn(boxed(200, 20, 20, 80, 80), boxed(200, 120, 120, 180, 180))
    tint = np.round(128 * 0.6 + np.array(ANSWER) * 0.4)
    assert shown[150, 150].tolist() == tint.tolist() and shown[50, 50].tolist() == [128] * 3
    assert shown[150, 120].tolist() == list(ANSWER)
    above = {tuple(pixel) for pixel in shown[18, 20:80].tolist()}
    assert above == {TRUTH, GAP}, "dashes, and what shows between them"
    assert (shown[22:78, 22:78] == 128).all(), "the target itself can be seen"


def test_prompts_are_drawn_by_shape() -> None:
    nothing = np.zeros((200, 200), bool)
    one = Prompt((50, 50, 150, 150), ((70, 70),), ((130, 130),))
    shown = drawn(nothing, nothing, (one,))
    assert shown[100, 50].tolist() == [230, 159, 0] and (shown[70, 63:78] != 128).any()
    disc, square = (shown[y - 6, x - 6].tolist() != [128] * 3 for x, y in ((70, 70), (130, 130)))
    assert square and not disc, "a square has a corner where a disc has none"


def test_large_pictures_are_shown_small_and_lose_no_target() -> None:
    truth = np.zeros((500, 2000), bool)
    truth[250, 1000] = True
    shown = drawn(truth, ~truth)
    assert shown.shape == (96, SIDE, 3)
    assert (shown == TRUTH).all(axis=2).any(), "one true pixel of a million is outlined"
    assert drawn(np.ones((2, 3000), bool), np.ones((2, 3000), bool)).shape == (1, SIDE, 3)


def test_only_the_cases_are_read_and_few_can_be_asked_for() -> None:
    read: list[str] = []

    def watched(one: Sample) -> Sample:
        return replace(one, read=lambda: (read.append(one.id), one.read())[1])

    samples = {one.id: watched(one) for one in TEN}
    source = page.render(made(rows_of()), rows_of(), samples, cases=Cases(1, 1, 1))
    assert len(read) == len(Read(source).all("img")) == 3
    assert Read(page.render(made(rows_of()), rows_of(), {}, cases=Cases(0, 0, 0))).text.count("There are none.") == 3


def test_a_sample_that_cannot_be_read_or_has_changed_is_named() -> None:
    def broken() -> tuple[np.ndarray, np.ndarray]:
        raise DatasetError("/data/01.png cannot be read")

    held, rows = made(rows_of()), rows_of()
    with pytest.raises(DatasetError, match="/data/01.png cannot be read"):
        page.render(held, rows, BY_ID | {"01": replace(TEN[0], read=broken)})
    with pytest.raises(DatasetError, match="lacks '01'"):
        page.render(held, rows, {key: value for key, value in BY_ID.items() if key != "01"})
    with pytest.raises(DatasetError, match="'01' is 12 x 12 pixels now and was 10 x 10"):
        page.render(held, rows, BY_ID | {"01": replace(TEN[0], read=lambda: picture(None, 12))})


def test_a_long_thought_is_cut_and_whole_beneath() -> None:
    words = "word " * 99 + "end"
    rows = [replace(r, thought=words, warnings=("mended",)) for r in rows_of(TEN[:1])]
    read = Read(page.render(made(rows), rows, BY_ID))
    assert read.text.count("word word") > 2 and words in read.text and "word …" in read.text
    assert "The whole thought, 498 characters" in read.text and "mended" in read.text
    unreadable = rows_of(TEN[4:5])
    read = Read(page.render(made(unreadable), unreadable, BY_ID))
    assert str(unreadable[0].why) in read.text and "I would rather not." in read.text


def test_many_answers_are_still_a_small_page() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for i, (truth, share) in enumerate(zip(rng.integers(1, 10_000, 3000), rng.random(3000), strict=True)):
        held = Count(int(truth * share), int(truth), int(truth), instances=int(rng.integers(1, 30)))
        rows.append(Row(f"{i}", f"{i % 90}", "?", None, {"class": "ship"}, (100, 100), held, text="x" * int(truth)))
    source = page.render(made(rows), rows, {}, cases=Cases(0, 0, 0))
    assert len(source) < 400_000
    assert "600 of 3,000 are drawn" in source and "10+" in source


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(CHROMIUM is None or not Path(CHROMIUM).exists(), reason="needs /usr/bin/chromium or CHROMIUM=path")
def test_a_browser_shows_it_narrow_and_asks_for_nothing(tmp_path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = tmp_path / "report.html"
    path.write_bytes(everywhere(HOSTILE + "unbroken" * 30).encode())
    asked: list[str] = []
    faults: list[str] = []
    with playwright.sync_playwright() as started:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += ["--disable-component-update", "--disable-sync"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        tab.on("request", lambda request: asked.append(request.url[:30]))
        tab.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        tab.on("console", lambda message: faults.append(message.text))
        tab.goto(path.as_uri())
        wide, inner = tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        drawn = tab.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
        browser.close()
    assert (wide, inner) == (390, 390)
    assert len(drawn) == 10 and all(drawn)
    assert faults == [] and all(url.startswith(("file:", "data:")) for url in asked)
