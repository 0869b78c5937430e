"""What each dialect asks and reads: a table of answers for each, the turns word for word, and the one reader's ways."""

from __future__ import annotations

import ast
import builtins
import hashlib
import itertools
import json
import os
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from think2seg import answer, models
from think2seg.answer import PromptClosed, Reader, ThoughtGrew
from think2seg.answer_json import OURS as OUR_KEYS
from think2seg.answer_json import Keys, ValueReader
from think2seg.dialect import DIALECTS, OURS, Dialect, find_dialect, spoken
from think2seg.errors import AnswerError, ModelError, QueryError
from think2seg.strategy import STRATEGIES
from think2seg.types import Answer, Prompt

FRAME = (840, 600)
HOSTILE = "__import__('os').system('touch /tmp/owned')"
PEERS = [d for d in DIALECTS.values() if d is not OURS]


def told(written: str) -> str:
    return f"<think> thought </think><answer>{written}</answer>"


def p(*corners: float, at: tuple[tuple[float, float], ...] = (), off: tuple[tuple[float, float], ...] = ()) -> Prompt:
    return Prompt(tuple(corners) if corners else None, at, off)  # type: ignore[arg-type]


# A row: the text, and the prompts that it says or a part of the reason why it cannot be read.
Row = tuple[str, tuple[Prompt, ...] | str]

ROWS: dict[str, dict[str, Row]] = {
    "think2seg": {
        "published": (
            told(
                '```json[{"bbox_2d": [310,360,567,586], "positive_points": [[434, 474], [450, 460]]}, '
                '{"bbox_2d": [10,200,100,320], "positive_points": [[50, 250], [90, 300]]}]```'
            ),
            (p(310, 360, 567, 586, at=((434, 474), (450, 460))), p(10, 200, 100, 320, at=((50, 250), (90, 300)))),
        ),
        "negatives": (
            told('[{"bbox_2d": [1,2,3,4], "negative_points": [[8,9],[7,6]]}]'),
            (p(1, 2, 3, 4, off=((8, 9), (7, 6))),),
        ),
        "empty": (told("```json[]```"), ()),
        "single-object": (told('{"bbox_2d": [1,2,3,4]}'), (p(1, 2, 3, 4),)),
        "no-think": ('<answer>[{"bbox_2d": [1,2,3,4]}]</answer>', (p(1, 2, 3, 4),)),
        "unfenced-untagged": ('[{"bbox_2d": [1,2,3,4]}]', (p(1, 2, 3, 4),)),
        "prose-after": (told('[{"bbox_2d": [1,2,3,4]}]') + " There [it] is.", (p(1, 2, 3, 4),)),
        "cut-off": ('<answer>[{"bbox_2d": [1,2,3,4]}, {"bbox_2d": [5,6', (p(1, 2, 3, 4),)),
        "cut-off-in-the-first": ('<answer>[{"bbox_2d": [1,2,3', "cut off"),
        "outside": (told('[{"bbox_2d": [900,700,950,750]}]'), "outside the 840 x 600 frame"),
        "malformed-number": (told('[{"bbox_2d": [1,2,3px,4]}]'), "where a number was expected"),
        "a-peers-keys": (told('[{"bbox": [1,2,3,4], "point_2d": [1,2]}]'), "a list without a box or points"),
        "a-peers-point": (told('[{"bbox_2d": [1,2,30,40], "point_2d": [15,20]}]'), (p(1, 2, 30, 40),)),
        "bare-boxes": (told("[[1,2,3,4]]"), "a list without a box or points"),
        "a-bare-box": (told("[1,2,3,4]"), "a list without a box or points"),
        "floats": (told('[{"bbox_2d": [1.5,2,3.25,4.0]}]'), (p(1.5, 2, 3.25, 4),)),
        "points-only": (told('[{"positive_points": [[1,2],[3,4]]}]'), (p(at=((1, 2), (3, 4))),)),
        "hostile": (told(HOSTILE), "no list of instances"),
        "hostile-number": (told(f'[{{"bbox_2d": [{HOSTILE}, 2, 3, 4]}}]'), "breaks off at instance 1"),
    },
    "seg-zero": {
        "published": (
            "<think> thinking process here </think>"
            "<answer>{'bbox': [10,100,200,210], 'points_1': [30,110], 'points_2': [35,180]}</answer>",
            (p(10, 100, 200, 210, at=((30, 110), (35, 180))),),
        ),
        "double-quotes": (
            told('{"bbox": [10,100,200,210], "points_1": [30,110], "points_2": [35,180]}'),
            (p(10, 100, 200, 210, at=((30, 110), (35, 180))),),
        ),
        "key-bbox_2d": (
            told('{"bbox_2d": [10,100,200,210], "points_1": [30,110], "points_2": [35,180]}'),
            (p(10, 100, 200, 210, at=((30, 110), (35, 180))),),
        ),
        "points-in-their-order": (
            told("{'points_2': [3,4], 'points_1': [1,2], 'bbox': [0,0,9,9]}"),
            (p(0, 0, 9, 9, at=((1, 2), (3, 4))),),
        ),
        "several": (
            told("[{'bbox': [1,2,3,4], 'points_1': [2,3]}, {'bbox': [5,6,7,8], 'points_1': [6,7]}]"),
            (p(1, 2, 3, 4, at=((2, 3),)), p(5, 6, 7, 8, at=((6, 7),))),
        ),
        "empty": (told("[]"), ()),
        "empty-object": (told("{}"), "an object without a box or points"),
        "no-think": ("<answer>{'bbox': [1,2,3,4]}</answer>", (p(1, 2, 3, 4),)),
        "untagged": ("It is {'bbox': [1,2,3,4], 'points_1': [2,3]}", (p(1, 2, 3, 4, at=((2, 3),)),)),
        "fenced": (told("```json\n{'bbox': [1,2,3,4]}\n```"), (p(1, 2, 3, 4),)),
        "prose-after": (told("{'bbox': [1,2,3,4]}") + " {'bbox': 5} I hope this helps.", (p(1, 2, 3, 4),)),
        "draft-in-the-thought": (
            "<think> {'bbox': [9,9,10,10]} </think><answer>{'bbox': [1,2,3,4]}</answer>",
            (p(1, 2, 3, 4),),
        ),
        "cut-off": ("<think>x</think><answer>{'bbox': [10,100,200,210], 'points_1': [30,1", "cut off"),
        "outside": (told("{'bbox': [850,10,900,20], 'points_1': [860,15]}"), "outside the 840 x 600 frame"),
        "one-point-outside": (
            told("{'bbox': [1,2,3,4], 'points_1': [2,3], 'points_2': [2,601]}"),
            (p(1, 2, 3, 4, at=((2, 3),)),),
        ),
        "malformed-number": (told("{'bbox': [1,2,x,4]}"), '"x" in its `bbox` where a number'),
        "point-of-three": (told("{'bbox': [1,2,3,4], 'points_1': [1,2,3]}"), "a point [x, y] was expected"),
        "wrong-key": (told("{'box': [1,2,3,4]}"), "an object without a box or points"),
        "our-points": (told("{'positive_points': [[1,2],[3,4]]}"), "an object without a box or points"),
        "two-boxes": (told("{'bbox': [1,2,3,4], 'bbox_2d': [1,2,3,5]}"), "one box in its `bbox` and another in its"),
        "floats": (told("{'bbox': [1.5,2,3,4.25], 'points_1': [2.0,3.5]}"), (p(1.5, 2, 3, 4.25, at=((2, 3.5),)),)),
        "points-only": (told("{'points_1': [30,110], 'points_2': [35,180]}"), (p(at=((30, 110), (35, 180))),)),
        "hostile": (told(HOSTILE), "no list of instances"),
        "hostile-value": (told(f"{{'bbox': [1,2,3,4], 'points_1': {HOSTILE}}}"), "breaks off"),
    },
    "visionreasoner": {
        "published": (
            "<think> thinking process here </think>"
            '<answer>[{"bbox_2d": [10,100,200,210], "point_2d": [30,110]}, '
            '{"bbox_2d": [225,296,706,586], "point_2d": [302,410]}]</answer>',
            (p(10, 100, 200, 210, at=((30, 110),)), p(225, 296, 706, 586, at=((302, 410),))),
        ),
        "empty": (told("[]"), ()),
        "single-object": (told('{"bbox_2d": [1,2,3,4], "point_2d": [2,3]}'), (p(1, 2, 3, 4, at=((2, 3),)),)),
        "single-quotes": (told("[{'bbox_2d': [1,2,3,4], 'point_2d': [2,3]}]"), (p(1, 2, 3, 4, at=((2, 3),)),)),
        "no-think": ('<answer>[{"bbox_2d": [1,2,3,4]}]</answer>', (p(1, 2, 3, 4),)),
        "fenced": (told('```json\n[{"bbox_2d": [1,2,3,4]}]\n```'), (p(1, 2, 3, 4),)),
        "untagged": ('[{"bbox_2d": [1,2,3,4]}]', (p(1, 2, 3, 4),)),
        "prose-after": (told('[{"bbox_2d": [1,2,3,4]}]') + "\nThat is all.", (p(1, 2, 3, 4),)),
        "cut-off": ('<answer>[{"bbox_2d": [1,2,3,4], "point_2d": [2,3]}, {"bbo', (p(1, 2, 3, 4, at=((2, 3),)),)),
        "cut-off-in-the-first": ('<answer>[{"bbox_2d": [1,2,3,4], "poi', "cut off"),
        "one-outside": (
            told('[{"bbox_2d": [1,2,3,4]}, {"bbox_2d": [900,1,950,2], "point_2d": [910,1]}]'),
            (p(1, 2, 3, 4),),
        ),
        "all-outside": (told('[{"bbox_2d": [900,1,950,2]}]'), "outside the 840 x 600 frame"),
        "malformed-number": (told('[{"bbox_2d": [1,2,3,4], "point_2d": [2,"y"]}]'), '"y" in its `point_2d`'),
        "point-in-a-list": (told('[{"bbox_2d": [1,2,3,4], "point_2d": [[2,3]]}]'), "a point [x, y] was expected"),
        "wrong-key": (told('[{"bbox": [1,2,3,4]}]'), "a list without a box or points"),
        "null-point": (told('[{"bbox_2d": [1,2,3,4], "point_2d": null}]'), (p(1, 2, 3, 4),)),
        "floats": (told('[{"bbox_2d": [1.5,2,3,4], "point_2d": [2.25,3]}]'), (p(1.5, 2, 3, 4, at=((2.25, 3),)),)),
        "point-only": (told('[{"point_2d": [2,3]}]'), (p(at=((2, 3),)),)),
        "hostile": (told(f"[{HOSTILE}]"), "no list of instances"),
        "hostile-point": (told(f'[{{"bbox_2d": [1,2,3,4], "point_2d": {HOSTILE}}}]'), "breaks off at instance 1"),
    },
    "remotereasoner": {
        "one-box": (told("[[100, 200, 300, 400]]"), (p(100, 200, 300, 400),)),
        "published": (told("[[10, 20, 30, 40], [50, 60, 70, 80]]"), (p(10, 20, 30, 40), p(50, 60, 70, 80))),
        "a-flat-box": (told(" [100, 200, 300, 400] "), (p(100, 200, 300, 400),)),
        "flat-boxes-in-a-row": (told("[10, 20, 30, 40], [50, 60, 70, 80]"), (p(10, 20, 30, 40), p(50, 60, 70, 80))),
        "a-row-then-a-list": (told("[10, 20, 30, 40], [[50, 60, 70, 80]]"), (p(50, 60, 70, 80),)),
        "two-answers": (told("[10, 20, 30, 40] or rather [50, 60, 70, 80]"), (p(50, 60, 70, 80),)),
        "many": (
            told(str([[n, n, n + 9, n + 9] for n in range(200)])),
            tuple(p(n, n, n + 9, n + 9) for n in range(200)),
        ),
        "empty": (told("[]"), ()),
        "no-think": ("<answer>[[1,2,3,4]]</answer>", (p(1, 2, 3, 4),)),
        "no-tags": ("[[1,2,3,4]]", (p(1, 2, 3, 4),)),
        "no-answer-tags": ("<think>at [5,5]</think>\n[[1,2,3,4]]", (p(1, 2, 3, 4),)),
        "a-flat-box-in-prose": ("The ship at [100, 200, 300, 400] is grey.", "no answer"),
        "drafts-in-the-thought": (
            "<think>at [9,9,10,10], [[7,7,8,8]]</think><answer>[[1,2,3,4]]</answer>",
            (p(1, 2, 3, 4),),
        ),
        "fenced": (told("```json\n[[1,2,3,4]]\n```"), (p(1, 2, 3, 4),)),
        "tuples": (told("[(1,2,3,4), (5,6,7,8)]"), (p(1, 2, 3, 4), p(5, 6, 7, 8))),
        "prose-after": (told("[[1,2,3,4]]") + " in [pixels]", (p(1, 2, 3, 4),)),
        "cut-off": ("<think>x</think><answer>[[1,2,3,4],[5,6,7", (p(1, 2, 3, 4),)),
        "cut-off-in-the-first": ("<think>x</think><answer>[[1,2,3", "cut off"),
        "cut-off-flat": ("<think>x</think><answer>[1,2,3", "cut off"),
        "one-outside": (told("[[1,2,3,4],[900,1,950,9]]"), (p(1, 2, 3, 4),)),
        "all-outside": (told("[900,1,950,9]"), "outside the 840 x 600 frame"),
        "malformed-number": (told("[[1,2,3,left]]"), '"left" in its `box` where a number was expected'),
        "malformed-flat": (told("[1,2,3,nan]"), "not a finite number"),
        "three-numbers": (told("[[1,2,3]]"), "a list without a box or points"),
        "three-numbers-in-the-second": (told("[[1,2,3,4],[1,2,3]]"), "a list of four numbers was expected"),
        "polygon": (told("[[1,2,3,4,5,6]]"), "a list without a box or points"),
        "no-comma": (told("[[1,2,3,4] [5,6,7,8]]"), "breaks off at instance 2"),
        "malformed-costs-all": (told("[[1,2,3,4], [5,6 7,8], [9,10,11,12]]"), "breaks off at instance 2"),
        "broken-then-whole": (told("[[1,2,3,4] [5,6,7,8]] no: [[9,10,11,12]]"), (p(9, 10, 11, 12),)),
        "a-word-among-boxes": (told("[[1,2,3,4], and so on]"), 'Instance 2 is "and'),
        "wrong-key": (told('[{"bbox_2d": [1,2,3,4]}]'), "a list without a box or points"),
        "floats": (told("[[1.5, 2, 3.25, 4.0]]"), (p(1.5, 2, 3.25, 4),)),
        "a-point": (told("[[1,2]]"), "a list without a box or points"),
        "without-area": (told("[[5,5,5,9]]"), "neither a box with an area"),
        "words": (told("No target was found."), "no list of instances"),
        "hostile": (told(HOSTILE), "no list of instances"),
        "hostile-flat": (told(f"[{HOSTILE},2,3,4]"), "no list of instances"),
        "hostile-second": (told(f"[[1,2,3,4], [{HOSTILE},2,3,4]]"), "breaks off at instance 2"),
    },
    "qwen2.5-vl": {
        "published": (
            '```json\n[\n\t{"bbox_2d": [139, 368, 315, 554], "label": "small cake"},\n'
            '\t{"bbox_2d": [366, 379, 536, 549], "label": "small cake"}\n]\n```',
            (p(139, 368, 315, 554), p(366, 379, 536, 549)),
        ),
        "points": (
            '```json\n[\n\t{"point_2d": [394, 105], "label": "a pin"},\n\t{"point_2d": [1, 2], "label": "b"}\n]\n```',
            (p(at=((394, 105),)), p(at=((1, 2),))),
        ),
        "box-and-point": (
            '[{"bbox_2d": [1,2,30,40], "point_2d": [15,20], "label": "ship"}]',
            (p(1, 2, 30, 40, at=((15, 20),)),),
        ),
        "empty": ("```json\n[]\n```", ()),
        "empty-unfenced": ("There are no ships in the image.\n[]", ()),
        "empty-in-prose": ("The list [] holds no ships, since there are none.", "no answer"),
        "single-object": ('```json\n{"bbox_2d": [1,2,3,4], "label": "ship"}\n```', (p(1, 2, 3, 4),)),
        "unfenced": ('[{"bbox_2d": [1,2,3,4], "label": "ship"}]', (p(1, 2, 3, 4),)),
        "prose-around": (
            'Here are the boxes:\n```json\n[{"bbox_2d": [1,2,3,4], "label": "ship"}]\n```\nThere is 1 ship [sic].',
            (p(1, 2, 3, 4),),
        ),
        "tagged": (told('[{"bbox_2d": [1,2,3,4], "label": "ship"}]'), (p(1, 2, 3, 4),)),
        "key-bbox": ('```json\n[{"bbox": [1,2,3,4], "label": "ship"}]\n```', (p(1, 2, 3, 4),)),
        "label-with-brackets": ('[{"label": "a [1,2] ``` ship", "bbox_2d": [1,2,3,4]}]', (p(1, 2, 3, 4),)),
        "cut-off": ('```json\n[\n\t{"bbox_2d": [1,2,3,4], "label": "ship"},\n\t{"bbox_2d": [5, 6', (p(1, 2, 3, 4),)),
        "cut-off-in-the-first": ('```json\n[\n\t{"bbox_2d": [1, 2, 3', "cut off"),
        "one-outside": ('[{"bbox_2d": [1,2,3,4]}, {"bbox_2d": [1,601,3,640]}]', (p(1, 2, 3, 4),)),
        "all-outside": ('[{"bbox_2d": [841,1,990,2]}]', "outside the 840 x 600 frame"),
        "malformed-number": ('[{"bbox_2d": [1,2,"three",4]}]', '"three" in its `bbox_2d`'),
        "wrong-key": ('[{"box_2d": [1,2,3,4], "label": "ship"}]', "a list without a box or points"),
        "bare-boxes": ("[[1,2,3,4]]", "no answer"),
        "xml-points": ('<points x1="284" y1="305" alt="ship">ship</points>', "no answer"),
        "floats": ('[{"bbox_2d": [1.5,2,3,4.75]}]', (p(1.5, 2, 3, 4.75),)),
        "prose": ("I cannot find any ship.", "no answer"),
        "hostile": (f"```python\n{HOSTILE}\n```", "no answer"),
        "hostile-number": (f'[{{"bbox_2d": [{HOSTILE},2,3,4]}}]', "breaks off at instance 1"),
    },
    "qwen3-vl": {
        "published": (
            '```json\n[\n\t{"bbox_2d": [74, 361, 324, 808], "label": "plate/dish"},\n'
            '\t{"bbox_2d": [739, 440, 999, 901], "label": "plate/dish"}\n]\n```',
            (p(74, 361, 324, 808), p(739, 440, 999, 901)),
        ),
        "more-keys": (
            '[{"bbox_2d": [1,2,3,4], "label": "vehicle", "type": "car", "color": "white"}]',
            (p(1, 2, 3, 4),),
        ),
        "points": (
            '```json\n[\n\t{"point_2d": [346, 328], "label": "person", "role": "referee"}\n]\n```',
            (p(at=((346, 328),)),),
        ),
        "empty": ("```json\n[]\n```", ()),
        "empty-unfenced": ("[]", ()),
        "single-object": ('{"bbox_2d": [734, 0, 999, 243]}', (p(734, 0, 999, 243),)),
        "thinking": (
            'I see [{"bbox_2d": [5,5,6,6]}] perhaps.\n</think>\n\n```json\n[{"bbox_2d": [1,2,3,4]}]\n```',
            (p(1, 2, 3, 4),),
        ),
        "unfenced": ('[{"bbox_2d": [1,2,3,4], "label": "ship"}]', (p(1, 2, 3, 4),)),
        "prose-after": ('```json\n[{"bbox_2d": [1,2,3,4]}]\n```\nDone [1].', (p(1, 2, 3, 4),)),
        "cut-off": ('```json\n[{"bbox_2d": [1,2,3,4], "label": "a"}, {"bbox_2d"', (p(1, 2, 3, 4),)),
        "cut-off-in-the-first": ('```json\n[{"bbox_2d": [1,', "cut off"),
        "partly-outside": ('[{"bbox_2d": [900, 900, 1020, 1010]}]', (p(900, 900, 1000, 1000),)),
        "all-outside": ('[{"bbox_2d": [1100, 1100, 1200, 1200]}]', "outside the 1000 x 1000 frame"),
        "malformed-number": ('[{"bbox_2d": [1,2,3,4.x]}]', '"4.x" in its `bbox_2d`'),
        "wrong-key": ('[{"bounding_box": [1,2,3,4]}]', "a list without a box or points"),
        "floats": ('[{"bbox_2d": [1.5,2,3,4]}]', (p(1.5, 2, 3, 4),)),
        "label-alone": ('[{"bbox_2d": [1,2,3,4]}, {"label": "ship"}]', "Instance 2 has neither"),
        "hostile": (HOSTILE, "no answer"),
        "hostile-label": (f'[{{"bbox_2d": [1,2,3,4], "label": {HOSTILE}}}]', "breaks off at instance 1"),
    },
}  # fmt: skip

TABLE = [(DIALECTS[name], what, *row) for name, rows in ROWS.items() for what, row in rows.items()]
IDS = [f"{dialect.name}-{what}" for dialect, what, *_ in TABLE]


def frame_of(dialect: Dialect) -> tuple[int, int]:
    return FRAME if dialect.coordinates == "frame" else (1000, 1000)


@pytest.mark.parametrize("dialect, what, text, said", TABLE, ids=IDS)
def test_reads_or_refuses(dialect: Dialect, what: str, text: str, said: tuple[Prompt, ...] | str) -> None:
    if not isinstance(said, str):
        assert dialect.parse(text, frame_of(dialect)).prompts == said
        return
    with pytest.raises(AnswerError) as caught:
        dialect.parse(text, frame_of(dialect))
    assert said in caught.value.why
    assert caught.value.why.endswith(".") and "\n" not in caught.value.why and caught.value.text == text


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_nothing_is_evaluated(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    for module, name in ((os, "system"), (builtins, "eval"), (builtins, "exec"), (ast, "literal_eval")):
        monkeypatch.setattr(module, name, lambda *given, **_: ran.append(given))
    for what, (text, _) in ROWS[dialect.name].items():
        if what.startswith("hostile"):
            with pytest.raises(AnswerError):
                dialect.parse(text, frame_of(dialect))
    assert not ran


def test_every_dialect_has_a_table() -> None:
    assert ROWS.keys() == DIALECTS.keys() == models.SPACES_BY_DIALECT.keys()
    for rows in ROWS.values():
        assert len(rows) >= 12
        assert {"empty", "floats", "hostile", "malformed-number", "cut-off"} <= rows.keys()


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_usual_form_warns_of_nothing(dialect: Dialect) -> None:
    for what in ("published", "empty"):
        text, _ = ROWS[dialect.name][what]
        assert dialect.parse(text, frame_of(dialect), STRATEGIES["box+2"]).warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "warning"),
    [
        ("visionreasoner", '[{"bbox_2d": [1,2,3,4]}]', "does not stand in <answer>"),
        ("visionreasoner", told('{"bbox_2d": [1,2,3,4]}'), "no list"),
        ("seg-zero", told("{'bbox': [1,2,3,4], 'score': 1}"), 'Unknown keys were ignored: "score".'),
        ("seg-zero", told("{'bbox': [3,4,1,2]}"), "corners swapped"),
        ("remotereasoner", "[[1,2,3,4]]", "does not stand in <answer>"),
        ("remotereasoner", told("[[1,2,3,4],[1,2"), "cut off"),
        ("remotereasoner", told("[[1,2,3,4],[900,2,950,9]]"), "Instance 2 lies outside"),
        ("qwen3-vl", '[{"bbox_2d": [1,2,3,4], "label": "a", "type": "b"}]', 'Unknown keys were ignored: "type".'),
    ],
)
def test_what_is_not_usual_is_a_warning(name: str, text: str, warning: str) -> None:
    assert warning in " ".join(DIALECTS[name].parse(text, FRAME).warnings)


def test_only_ours_is_held_to_counts() -> None:
    text = told('[{"bbox_2d": [1,2,3,4]}]')
    assert "0 positive points where 2 were asked for" in OURS.parse(text, FRAME, STRATEGIES["box+2"]).warnings[0]
    assert DIALECTS["visionreasoner"].parse(text, FRAME, STRATEGIES["box+2"]).warnings == ()


def test_ours_is_read_as_ever() -> None:
    assert OURS.keys == OUR_KEYS == Keys()
    assert OUR_KEYS.pointing == {"bbox_2d", "positive_points", "negative_points"}
    for text, _ in ROWS["think2seg"].values():
        for strategy in (None, STRATEGIES["box+2+neg"]):
            try:
                read, said = answer.parse(text, FRAME, strategy), OURS.parse(text, FRAME, strategy)
            except AnswerError:
                continue
            assert read == said and read.warnings == said.warnings


# Where it is ------------------------------------------------------------------------------------------------------


def test_frames_and_thousandths_come_to_the_same_pixels() -> None:
    """One box of a 2,000 x 500 picture, in pixels of what each processor saw or in thousandths."""
    source, corners = (2000, 500), (500, 100, 1000, 200)
    for dialect, frame in ((DIALECTS["qwen2.5-vl"], (1988, 504)), (DIALECTS["qwen3-vl"], (1000, 1000))):
        written = [c * frame[i % 2] / source[i % 2] for i, c in enumerate(corners)]
        (read,) = dialect.parse(json.dumps([{"bbox_2d": written, "label": "ship"}]), frame).prompts
        assert read.moved(frame, source).box == pytest.approx(corners)


def test_a_peers_square_is_moved_into_the_picture() -> None:
    text, _ = ROWS["seg-zero"]["published"]
    (read,) = DIALECTS["seg-zero"].parse(text, (840, 840)).prompts
    moved = read.moved((840, 840), (1680, 420))
    assert moved.box == (20, 50, 400, 105)
    assert moved.positive == ((60, 55), (70, 90))


# As it streams ----------------------------------------------------------------------------------------------------

Story = tuple[list[ThoughtGrew | PromptClosed], tuple[Prompt, ...] | str, tuple[str, ...]]


def read(reader: Reader, pieces: Iterable[str]) -> Story:
    """The events, neighbouring thoughts joined; the prompts or the reason; the warnings."""
    events: list[ThoughtGrew | PromptClosed] = []
    for piece in pieces:
        for event in reader.feed(piece):
            last = events[-1] if events else None
            if isinstance(event, ThoughtGrew) and isinstance(last, ThoughtGrew):
                events[-1] = ThoughtGrew(last.delta + event.delta)
            else:
                events.append(event)
    try:
        said = reader.close()
    except AnswerError as error:
        return events, error.why, ()
    assert "".join(e.delta for e in events if isinstance(e, ThoughtGrew)) == said.thought
    return events, said.prompts, said.warnings


@pytest.mark.parametrize("dialect, what, text, said", TABLE, ids=IDS)
def test_one_character_at_a_time_is_the_same(
    dialect: Dialect, what: str, text: str, said: tuple[Prompt, ...] | str
) -> None:
    frame = frame_of(dialect)
    events, prompts, warnings = read(dialect.reader(frame), [text])
    assert read(dialect.reader(frame), text) == (events, prompts, warnings)
    live: list[Prompt] = []
    for event in events:
        if isinstance(event, PromptClosed):
            assert event.index in (0, len(live))
            live[event.index :] = [event.prompt]
    assert isinstance(prompts, str) or not prompts or tuple(live) == prompts


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(DIALECTS.values())),
    st.lists(st.sampled_from([*(row[2] for row in TABLE), "<", "[[", "[1,2,3,4]", ", ", "``", '"']), max_size=3),
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_every_cut_is_the_same(dialect: Dialect, parts: list[str], places: list[int]) -> None:
    """Any texts in any dialect, its own or not."""
    text = "".join(parts)
    ends = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(ends)]
    assert read(dialect.reader(FRAME), pieces) == read(dialect.reader(FRAME), [text])


def test_bare_boxes_come_the_moment_they_close() -> None:
    text = told("[[10, 20, 30, 40], [50, 60, 70, 80]]")
    reader = DIALECTS["remotereasoner"].reader(FRAME)
    come = [
        (at, event.index) for at, c in enumerate(text) for event in reader.feed(c) if isinstance(event, PromptClosed)
    ]
    assert come == [(text.index("40]") + 2, 0), (text.index("80]") + 2, 1)]


@pytest.mark.parametrize("unit", ["[", "[[1,", "[1,2,3,4]", "[[1,2,3,4]", "[[1,2,3,4],", "[1,2,3,4] [[", "[[],"])
@pytest.mark.parametrize("before", ["", "<answer>"], ids=["bare", "answer"])
def test_bare_boxes_are_read_in_linear_time(unit: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work = 0

    def counted(self: ValueReader, c: str, take=ValueReader.take) -> object:  # type: ignore[no-untyped-def]
        nonlocal work
        work += 1
        return take(self, c)

    monkeypatch.setattr(ValueReader, "take", counted)
    text = (before + unit * 8000)[:8000]
    read(DIALECTS["remotereasoner"].reader(FRAME), [text])
    assert work <= 8 * len(text)


# As it is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_ours_is_asked_as_ever(strategy) -> None:  # type: ignore[no-untyped-def]
    assert OURS.messages("Where do ships load?", strategy) == answer.messages("Where do ships load?", strategy)
    assert strategy.name in OURS.asks


@pytest.mark.parametrize("dialect", PEERS, ids=lambda d: d.name)
def test_a_peer_has_one_turn_around_one_image(dialect: Dialect) -> None:
    asked = [dialect.messages("Where do {question} <image> load?", s) for s in STRATEGIES.values()]
    assert all(chat == asked[0] for chat in asked)
    assert len(dialect.asks) == 1 and dialect.asks[0] in STRATEGIES
    *system, user = asked[0]
    assert [turn["role"] for turn in system] == ["system"] * bool(dialect.system) and user["role"] == "user"
    assert sum(part["type"] == "image" for part in user["content"]) == 1
    said = "".join(part.get("text", "") for part in user["content"])
    assert said.lower().count("where do {question} <image> load") == 1
    assert "  " not in said.replace("\n   - ", "")


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("seg-zero", "bcf5d12a6adc10e1"),
        ("visionreasoner", "65a195ae766fdb81"),
        ("remotereasoner", "cc9490287393d450"),
        ("qwen2.5-vl", "d5ad23ebd639ec38"),
        ("qwen3-vl", "199454d9fe6ea344"),
    ],
)
def test_a_peers_turn_stays_word_for_word(name: str, digest: str) -> None:
    """The digests are of the turns that the authors' own code builds from this question."""
    user = DIALECTS[name].messages("Where do Ships load?.", STRATEGIES["box"])[-1]["content"]
    turn = "".join(part.get("text", "<image>") for part in user)
    assert hashlib.sha256(turn.encode()).hexdigest()[:16] == digest


def test_a_peers_question_is_changed_as_its_authors_do() -> None:
    def words(name: str) -> str:
        return str(DIALECTS[name].messages("Where do Ships load?.", STRATEGIES["box"])[-1]["content"][-1]["text"])

    assert words("seg-zero").startswith("Please find 'where do ships load?' with bbox and points.Compare the")
    assert words("visionreasoner").startswith('Please find "where do ships load" with bboxs and points.Compare the')
    assert words("remotereasoner") == "\nText description: Where do Ships load?."
    assert words("qwen2.5-vl").startswith('Locate "Where do Ships load?.", report the bboxes')


@pytest.mark.parametrize("name", ["seg-zero", "visionreasoner"])
def test_the_example_in_a_turn_is_read_by_its_dialect(name: str) -> None:
    dialect = DIALECTS[name]
    text = dialect.messages("ships", STRATEGIES["box+2"])[-1]["content"][-1]["text"]
    read = dialect.parse(text[text.index("<think> thinking") :], (840, 840))
    assert read.prompts and read.warnings == () and read.thought == "thinking process here"


def test_remote_reasoner_sees_the_picture_between_its_words() -> None:
    system, user = DIALECTS["remotereasoner"].messages("the ship", STRATEGIES["box"])
    assert "conversation between User and Assistant" in system["content"][0]["text"]
    before, image, after = user["content"]
    assert before["text"].endswith("for the following input:\n\n") and "[[x1,y1,x2,y2]]" in before["text"]
    assert image == {"type": "image"}
    assert after == {"type": "text", "text": "\nText description: the ship"}


# Names and entries ------------------------------------------------------------------------------------------------


def test_dialects_are_found_by_name() -> None:
    assert find_dialect("think2seg") is OURS and find_dialect("Qwen3-VL").coordinates == "thousandths"
    with pytest.raises(QueryError, match=r"'klingon'.*think2seg, seg-zero, .*qwen3-vl\."):
        find_dialect("klingon")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_names_its_source(dialect: Dialect) -> None:
    assert "arXiv" in dialect.about or "cookbook" in dialect.about
    assert (dialect.coordinates, dialect.resize) == models.SPACES_BY_DIALECT[dialect.name]


def test_an_entry_is_spoken_to_in_a_dialect() -> None:
    entry = models.find_prompter("Qwen2.5-VL-3B")
    assert entry.dialect == "think2seg" and spoken(entry, None) is entry and spoken(entry, "think2seg") == entry
    peer = spoken(entry, "qwen3-vl")
    assert (peer.dialect, peer.coordinates, peer.resize) == ("qwen3-vl", "thousandths", None)
    assert (peer.name, peer.source) == (entry.name, entry.source)
    # Ours fits any model: it does not change what the model writes its numbers in.
    ours = spoken(peer, "think2seg")
    assert (ours.dialect, ours.coordinates, ours.resize) == ("think2seg", "thousandths", None)
    with pytest.raises(QueryError, match="no dialect called 'klingon'"):
        spoken(entry, "klingon")


def test_a_sidecar_says_the_dialect(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (tmp_path / models.SIDECAR).write_text('{"dialect": "remotereasoner"}')
    entry = models.find_prompter(str(tmp_path))
    assert (entry.dialect, entry.coordinates, entry.resize) == ("remotereasoner", "frame", None)
    # What its own sidecar says of sizes stays when the dialect is named again.
    (tmp_path / models.SIDECAR).write_text('{"dialect": "seg-zero", "resize": [560, 560], "max_new_tokens": 9}')
    entry = models.find_prompter(str(tmp_path))
    assert (entry.dialect, entry.resize, entry.max_new_tokens) == ("seg-zero", (560, 560), 9)
    assert spoken(entry, "seg-zero") == entry
    with pytest.raises(ModelError, match=r"think2seg\.json.*\"klingon\".*visionreasoner"):
        (tmp_path / models.SIDECAR).write_text('{"dialect": "klingon"}')
        models.find_prompter(str(tmp_path))


def test_an_answer_is_an_answer_in_every_dialect() -> None:
    for dialect in DIALECTS.values():
        text, _ = ROWS[dialect.name]["published"]
        assert isinstance(dialect.parse(text, frame_of(dialect)), Answer)
