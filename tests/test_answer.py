"""What is read as which answer, what is refused and why, and that what is written is read back."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from think2seg.answer import MAX_INSTANCES, MAX_TEXT, box_iou, messages, parse, render, without_duplicates
from think2seg.answer_json import THINNEST
from think2seg.errors import AnswerError
from think2seg.strategy import STRATEGIES, SYSTEM_TURN
from think2seg.types import Answer, Prompt

FRAME = (840, 600)

A = '{"bbox_2d": [310,360,567,586], "positive_points": [[434, 474], [450, 460]]}'
B = '{"bbox_2d": [10,200,100,320], "positive_points": [[50, 250], [90, 300]]}'
AS = Prompt((310, 360, 567, 586), ((434, 474), (450, 460)))
BS = Prompt((10, 200, 100, 320), ((50, 250), (90, 300)))


def told(answer: str, thought: str = "thought") -> str:
    return f"<think> {thought} </think>\n<answer>```json{answer}```</answer>"


def boxed(*corners: float) -> Prompt:
    return Prompt(tuple(corners))


# id: (text, prompts, thought, a part of a warning; "" for no warning at all; None where it does not matter)
ACCEPTED: dict[str, tuple[str, tuple[Prompt, ...], str, str | None]] = {
    # The tags
    "published-format": (told(f"[{A}, {B}]"), (AS, BS), "thought", ""),
    "empty-list": (told("[]"), (), "thought", ""),
    "empty-list-spaced": (told("[ \n ]"), (), "thought", ""),
    "no-think-end": (f"<think>thought<answer>[{A}]</answer>", (AS,), "thought", "not closed with </think>"),
    "no-think-begin": (f"thought</think><answer>[{A}]</answer>", (AS,), "thought", ""),
    "no-think": (f"<answer>[{A}]</answer>", (AS,), "", ""),
    "no-answer-tags": (f"<think>thought</think>[{A}]", (AS,), "thought", "does not stand in <answer>"),
    "no-answer-end": (f"<think>thought</think><answer>[{A}]", (AS,), "thought", ""),
    "no-tags-a-list": (f"[{A}, {B}]", (AS, BS), "", "does not stand in <answer>"),
    "no-tags-empty-list": ("[]", (), "", "does not stand in <answer>"),
    "no-tags-text-around": (f"I see it: [{A}] as [1,2] shows.", (AS,), "I see it:", None),
    "no-tags-empty-list-last": ("Nothing of the kind: [].\n", (), "Nothing of the kind:", None),
    "no-tags-fence": (f"Here:\n```json\n[{A}]\n```\nDone.", (AS,), "Here:", None),
    "no-tags-empty-fence": ("No ship.\n```json\n[]\n```\nSorry.", (), "No ship.", None),
    "tags-upper-case": (f"<THINK>thought</THINK><ANSWER>[{A}]</ANSWER>", (AS,), "thought", ""),
    "tags-spaced": (f"< think >thought</ think>< answer >[{A}]</answer >", (AS,), "thought", ""),
    "text-before": (f"Sure! <think>thought</think><answer>[{A}]</answer>", (AS,), "Sure!\nthought", ""),
    "text-between": (f"<think>thought</think> So: <answer>[{A}]</answer>", (AS,), "thought", ""),
    "text-after": (told(f"[{A}]") + " I hope this helps [1]! {ok}", (AS,), "thought", ""),
    "text-in-answer": (f"<think>thought</think><answer>It is [1] {{x}} [{A}], see?</answer>", (AS,), "thought", ""),
    "markdown-around": (f"<think>thought</think>\n**Answer**\n> <answer>**[{A}]**</answer>", (AS,), "thought", ""),
    "thought-after-answer": (f"<answer>[{A}]</answer><think>thought</think>", (AS,), "thought", ""),
    "think-end-after-answer": (f"<think>thought<answer>[{A}]</answer></think>", (AS,), "thought", None),
    "two-thoughts": (f"<think>a</think> x <think>b</think><answer>[{A}]</answer>", (AS,), "a\nb", ""),
    "answer-tag-in-thought": (
        f"<think>in <answer> tags</think><answer>[{A}]</answer>",
        (AS,),
        "in <answer> tags",
        "",
    ),
    "think-tag-in-thought": (f"<think>a <think> b</think><answer>[{A}]</answer>", (AS,), "a <think> b", ""),
    "thought-keeps-crlf-and-nul": (told(f"[{A}]", "a\r\n\x00b"), (AS,), "a\r\n\x00b", ""),
    # The fence
    "no-fence": (f"<think>thought</think><answer>[{A}]</answer>", (AS,), "thought", ""),
    "fence-JSON": (f"<answer>```JSON\n[{A}]\n```</answer>", (AS,), "", ""),
    "fence-python": (f"<answer>```python\n[{A}]\n```</answer>", (AS,), "", ""),
    "fence-tildes": (f"<answer>~~~\n[{A}]\n~~~</answer>", (AS,), "", ""),
    "fence-unclosed": (f"<answer>```json\n[{A}]</answer>", (AS,), "", ""),
    "fence-one-backtick": (f"<answer>`[{A}]`</answer>", (AS,), "", ""),
    # Several lists
    "two-answers": (f"<answer>[{A}]</answer> No: <answer>[{B}]</answer>", (BS,), "", ""),
    "two-answers-second-empty": (f"<answer>[{A}]</answer> No: <answer>[]</answer>", (), "", ""),
    "two-answers-in-one-tag": (f"<answer>[{A}] or rather [{B}]</answer>", (BS,), "", ""),
    "two-answers-second-cut-off": (f"<answer>[{A}]</answer><answer>[{B}, {B[:20]}", (AS,), "", "does not count"),
    "two-answers-second-broken": (f"<answer>[{A}]</answer><answer>[{{'bbox_2d': [1 2", (AS,), "", "does not count"),
    "two-answers-untagged-after-tagged": (f"<answer>[{A}]</answer> It was [{B}] and []", (AS,), "", ""),
    "two-answers-untagged": (f"[{A}]\nNo, better:\n[{B}]", (BS,), "", None),
    "two-answers-empty-list-in-a-sentence": (f"<answer>[{A}] without `x` []</answer>", (AS,), "", ""),
    "draft-in-thought": (told(f"[{A}]", f"perhaps [{B}]"), (AS,), f"perhaps [{B}]", ""),
    "draft-in-thought-then-empty": (told("[]", f"perhaps [{B}]"), (), f"perhaps [{B}]", ""),
    "draft-without-think": (f"x [{B}] y</think><answer>[{A}]</answer>", (AS,), f"x [{B}] y", ""),
    "draft-in-answer-tags": (
        f"<think>x <answer>[{B}</answer> y</think>[{A}]",
        (AS,),
        f"x <answer>[{B}</answer> y",
        None,
    ),
    "numbers-in-prose": (f"At [310, 360] and {{x}} there is [{A}]", (AS,), "At [310, 360] and {x} there is", None),
    "stray-quote-hides-no-list": (f"He said ['so [{A}]", (AS,), "He said ['so", None),
    "empty-list-then-answer": (f"Not [] but [{A}]", (AS,), "Not [] but", None),
    "empty-list-just-before-answer": (f"Not [] [{A}]", (AS,), "Not []", None),
    # The list
    "one-object": (f"<answer>{A}</answer>", (AS,), "", "is no list"),
    "objects-in-a-row": (f"<answer>{A},\n{B}</answer>", (AS, BS), "", "is no list"),
    "tuple-of-objects": (f"<answer>({A}, {B})</answer>", (AS, BS), "", "is no list"),
    "cut-off-in-a-number": (f"<answer>[{A}, {{'bbox_2d': [10,20", (AS,), "", "cut off"),
    "cut-off-in-a-key": (f"<answer>[{A}, {{'bbo", (AS,), "", "cut off"),
    "cut-off-before-the-bracket": (f"<answer>[{A}, {B}", (AS, BS), "", "cut off"),
    "cut-off-by-the-fence": (f"<answer>```json[{A}, {{'bbox_2d':```</answer>", (AS,), "", "cut off"),
    "cut-off-by-the-tag": (f"<answer>[{A}, {B[:-5]}</answer>", (AS,), "", "cut off"),
    "cut-off-row": (f"{A} {B[:-5]}", (AS,), "", "cut off"),
    "trailing-commas": ('<answer>[{"bbox_2d": [1,2,3,4,],},]</answer>', (boxed(1, 2, 3, 4),), "", ""),
    "crlf": (f"<answer>\r\n[\r\n{A},\r\n{B}\r\n]\r\n</answer>\r\n", (AS, BS), "", ""),
    "nul-and-controls": (
        '<answer>[\x00{"bbox_2d"\x07: [1,\x00 2\x1b,3,4\u200b]}]</answer>',
        (boxed(1, 2, 3, 4),),
        "",
        "",
    ),
    "comments": ('[ // two\n{"bbox_2d": [1,2, // x\n3,4]} // one\n]', (boxed(1, 2, 3, 4),), "", None),
    # Keys and values
    "single-quotes": ("<answer>[{'bbox_2d': [1,2,3,4]}]</answer>", (boxed(1, 2, 3, 4),), "", ""),
    "curly-quotes": ("<answer>[{“bbox_2d”: [1,2,3,4]}]</answer>", (boxed(1, 2, 3, 4),), "", ""),
    "escaped-key": ('<answer>[{"\\u0062box\\u005f2d": [1,2,3,4]}]</answer>', (boxed(1, 2, 3, 4),), "", ""),
    "extra-keys": (
        '<answer>[{"label": "a [{ \\" <b> ```", "bbox_2d": [1,2,3,4], "z": {"y": [[true]]}}]</answer>',
        (boxed(1, 2, 3, 4),),
        "",
        'Unknown keys were ignored: "label", "z".',
    ),
    "key-twice": (
        '<answer>[{"bbox_2d": [9,9,10,10], "bbox_2d": [1,2,3,4]}]</answer>',
        (boxed(1, 2, 3, 4),),
        "",
        "twice",
    ),
    "null-box": (
        '<answer>[{"bbox_2d": null, "positive_points": [[1,2]]}]</answer>',
        (Prompt(None, ((1, 2),)),),
        "",
        "",
    ),
    "None-points": ("<answer>[{'bbox_2d': [1,2,3,4], 'positive_points': None}]</answer>", (boxed(1, 2, 3, 4),), "", ""),
    "no-points": ('<answer>[{"bbox_2d": [1,2,3,4], "positive_points": []}]</answer>', (boxed(1, 2, 3, 4),), "", ""),
    "negative-points": (
        '[{"bbox_2d": [1,2,3,4], "negative_points": [[8,9]]}]',
        (Prompt((1, 2, 3, 4), (), ((8, 9),)),),
        "",
        None,
    ),
    "points-only": ('<answer>[{"positive_points": [[1,2],[3,4]]}]</answer>', (Prompt(None, ((1, 2), (3, 4))),), "", ""),
    "one-bare-point": (
        '<answer>[{"positive_points": [1,2]}]</answer>',
        (Prompt(None, ((1, 2),)),),
        "",
        "one bare point",
    ),
    "tuples": (
        "<answer>[{'bbox_2d': (1, 2, 3, 4), 'positive_points': ((1, 2), (3, 4),)}]</answer>",
        (Prompt((1, 2, 3, 4), ((1, 2), (3, 4))),),
        "",
        "",
    ),
    # Numbers
    "floats": ('<answer>[{"bbox_2d": [1.5, .25, 3.e0, 4E+1]}]</answer>', (boxed(1.5, 0.25, 3, 40),), "", ""),
    "plus-sign": ('<answer>[{"bbox_2d": [+1, 2, 3, 4]}]</answer>', (boxed(1, 2, 3, 4),), "", ""),
    "numbers-in-quotes": ('<answer>[{"bbox_2d": ["1", " 2 ", \'3\', "4.5"]}]</answer>', (boxed(1, 2, 3, 4.5),), "", ""),
    "arabic-indic-digits": ('<answer>[{"bbox_2d": [١٠, ٢٠, ٣٠, ٤٠٫٥]}]</answer>', (boxed(10, 20, 30, 40.5),), "", ""),
    "full-width-digits": (
        '<answer>[{"bbox_2d"： [１０， ２０， ３０， ４０．５]}]</answer>',
        (boxed(10, 20, 30, 40.5),),
        "",
        "",
    ),
    # The frame
    "corners-swapped": ('<answer>[{"bbox_2d": [30,4,1,2]}]</answer>', (boxed(1, 2, 30, 4),), "", "corners swapped"),
    "box-partly-outside": ('<answer>[{"bbox_2d": [-5,2,900,1e9]}]</answer>', (boxed(0, 2, 840, 600),), "", "clipped"),
    "box-on-the-edge": ('<answer>[{"bbox_2d": [0,0,840,600]}]</answer>', (boxed(0, 0, 840, 600),), "", ""),
    "points-on-the-edge": (
        '<answer>[{"positive_points": [[0,0],[840,600]]}]</answer>',
        (Prompt(None, ((0, 0), (840, 600))),),
        "",
        "",
    ),
    "point-outside": (
        '<answer>[{"positive_points": [[1,2],[840.1,2]], "bbox_2d": [1,2,3,4]}]</answer>',
        (Prompt((1, 2, 3, 4), ((1, 2),)),),
        "",
        "1 positive point outside",
    ),
    "box-outside-points-inside": (
        '[{"bbox_2d": [840,0,900,9], "positive_points": [[5,5]]}]',
        (Prompt(None, ((5, 5),)),),
        "",
        "outside",
    ),
    "instance-outside": (f"[{A}, {{'bbox_2d': [900,900,999,999]}}, {B}]", (AS, BS), "", "Instance 2 lies outside"),
    "box-without-area": (
        '[{"bbox_2d": [5,5,5,9], "positive_points": [[5,5]]}]',
        (Prompt(None, ((5, 5),)),),
        "",
        "without area",
    ),
    "most-instances": (told("[" + ",".join([A] * MAX_INSTANCES) + "]"), (AS,) * MAX_INSTANCES, "thought", ""),
}

# id: (text, a part of the reason)
REFUSED: dict[str, tuple[str, str]] = {
    # No answer
    "blank": ("", "blank"),
    "white-space": (" \n\t", "blank"),
    "prose": ("There is no airport here.", 'no answer; it reads "There is no airport here."'),
    "checkbox-is-no-answer": ("- [ ] look for ships\n- [x] look for planes", "no answer"),
    "empty-list-in-a-sentence": ("The list [] is empty, since I see none.", "no answer"),
    "numbers-only": ("[310, 360, 567, 586]", "no answer"),
    "thought-never-ends": (f"<think> so [{A}]", "ends in the thought"),
    "nothing-after-the-thought": (f"<think> so [{A}] </think>", "followed by no answer"),
    "draft-before-think-end": (f"so [{A}] </think>", "followed by no answer"),
    "draft-in-cut-off-answer-tag": (f"<think> so <answer>[{A}, </think> well", "followed by no answer"),
    # Not a list
    "words-in-answer": ("<answer>No targets found.</answer>", 'reads "No targets found."'),
    "answer-blank": ("<answer> </answer>", "blank"),
    "null": ("<answer>null</answer>", "no list of instances"),
    "a-string": ('<answer>"none"</answer>', "no list of instances"),
    "a-number": ("<answer>5</answer>", "no list of instances"),
    "list-of-numbers": ("<answer>[310,360,567,586]</answer>", "a list without a box or points"),
    "object-without-keys": ('<answer>{"found": false}</answer>', "an object without a box or points"),
    "list-in-an-object": (f'<answer>{{"objects": [{A}]}}</answer>', "an object without a box or points"),
    "no-dialects": ('<answer>[{"box": [1,2,3,4]}]</answer>', "a list without a box or points"),
    # Cut off
    "cut-off-at-the-tag": ("<think>x</think><answer>", "cut off"),
    "cut-off-at-the-bracket": ("<think>x</think><answer>```json[", "cut off"),
    "cut-off-in-the-first": (f"<answer>[{A[:-2]}", "cut off"),
    "cut-off-in-the-first-then-the-tag": (f"<answer>[{A[:-2]}</answer>", "cut off"),
    # An instance
    "neither-box-nor-points": (f"<answer>[{A}, {{'label': 'x'}}]</answer>", "Instance 2 has neither"),
    "negative-points-alone": ('[{"negative_points": [[1,2]]}]', "Instance 1 has neither"),
    "empty-object-among-others": (f"<answer>[{{}}, {A}]</answer>", "Instance 1 has neither"),
    "box-thinner-than-any-pixel": ('[{"bbox_2d": [0,0,5e-324,5]}]', "neither a box with an area"),
    "box-without-area-alone": ('[{"bbox_2d": [5,5,5,5]}]', "neither a box with an area"),
    "number-among-objects": (f"<answer>[{A}, 5]</answer>", 'Instance 2 is "5"'),
    "string-among-objects": (f"<answer>[{A}, 'and so on']</answer>", 'Instance 2 is "and so on"'),
    "ellipsis": (f"<answer>[{A}, ...]</answer>", 'Instance 2 is "..."'),
    "malformed-costs-all": (f"<answer>[{A}, {{'bbox_2d': [1,2,3]}}, {B}]</answer>", "Instance 2 has"),
    "no-comma-between-objects": (f"<answer>[{A} {B}]</answer>", "breaks off at instance 2"),
    "broken-number-then-more": (f"<answer>[{A}, {{'bbox_2d': [1 2,3,4]}}, {B}]</answer>", "breaks off at instance 2"),
    "malformed-before-cut-off": (f"<answer>[{{'bbox_2d': [1,2,3]}}, {A}, {{'bb", "Instance 1 has"),
    "three-numbers": ('[{"bbox_2d": [1,2,3]}]', 'has "[1, 2, 3]" in its `bbox_2d` where a list of four numbers'),
    "five-numbers": ('[{"bbox_2d": [1,2,3,4,5]}]', "a list of four numbers"),
    "empty-box": ('[{"bbox_2d": []}]', "a list of four numbers"),
    "corners-as-points": ('[{"bbox_2d": [[1,2],[3,4]]}]', "a list of four numbers"),
    "box-as-text": ('[{"bbox_2d": "1,2,3,4"}]', "a list of four numbers"),
    "one-number-a-point": ('[{"positive_points": [[1]]}]', "a point [x, y]"),
    "three-numbers-a-point": ('[{"positive_points": [[1,2,3]]}]', "a point [x, y]"),
    "points-flat": ('[{"positive_points": [1,2,3,4]}]', "a point [x, y]"),
    "points-as-objects": ('[{"positive_points": [{"x": 1, "y": 2}]}]', "a point [x, y]"),
    "points-as-number": ('[{"positive_points": 5}]', "a list of points"),
    "bad-negative-points": ('[{"bbox_2d": [1,2,3,4], "negative_points": [["a", 2]]}]', '"a" in its `negative_points`'),
    # Numbers
    "a-word": ('[{"bbox_2d": ["left",2,3,4]}]', '"left" in its `bbox_2d` where a number'),
    "a-bare-word": ('[{"bbox_2d": [left,2,3,4]}]', '"left" in its `bbox_2d` where a number'),
    "unit": ('[{"bbox_2d": ["12px",2,3,4]}]', "where a number was expected"),
    "underscore": ('[{"bbox_2d": [1_0,2,30,4]}]', "where a number was expected"),
    "hexadecimal": ('[{"bbox_2d": [0x10,2,30,4]}]', "where a number was expected"),
    "bool": ('[{"bbox_2d": [true,2,3,4]}]', '"true" in its `bbox_2d`'),
    "null-as-number": ('[{"bbox_2d": [null,2,3,4]}]', '"null" in its `bbox_2d`'),
    "nested-number": ('[{"bbox_2d": [[1],2,3,4]}]', "where a number was expected"),
    "object-as-number": ('[{"bbox_2d": [{"v": 1},2,3,4]}]', '"{v: 1}"'),
    "NaN": ('[{"bbox_2d": [NaN,2,3,4]}]', "not a finite number"),
    "Infinity": ('[{"bbox_2d": [-Infinity,2,3,4]}]', "not a finite number"),
    "inf-in-quotes": ('[{"bbox_2d": ["inf",2,3,4]}]', "not a finite number"),
    "1e999": ('[{"bbox_2d": [1,2,1e999,4]}]', "not a finite number"),
    "many-digits": (f'[{{"bbox_2d": [1,2,{"9" * 5000},4]}}]', "not a finite number"),
    # Spelling
    "no-commas": ('<answer>[{"bbox_2d": [1 2 3 4]}]</answer>', '"2" stands where a comma'),
    "two-commas": ('<answer>[{"bbox_2d": [1,,2,3,4]}]</answer>', "stands where a value or a closing bracket"),
    "wrong-bracket": ('<answer>[{"bbox_2d": [1,2,3,4}]</answer>', "breaks off at instance 1"),
    "no-brace": (f"<answer>[{A[:-1]}]</answer>", "breaks off at instance 1"),
    "no-value": ('<answer>[{"bbox_2d": }]</answer>', "where a value was expected"),
    "expression": ('<answer>[{"bbox_2d": [1+1, __import__("os"), 3, 4]}]</answer>', "breaks off"),
    "bad-escape": ('<answer>[{"bbox_2d": [1,2,3,"\\u00zz"]}]</answer>', "four hexadecimal digits"),
    # The frame and the limits
    "all-outside": ('[{"bbox_2d": [900,1,950,9]}, {"positive_points": [[-1,5]]}]', "outside the 840 x 600 frame"),
    "one-outside": ('[{"positive_points": [[1000,1000]]}]', "with its one instance"),
    "too-many-instances": (told("[" + ",".join([A] * (MAX_INSTANCES + 1)) + "]"), "more than 256 instances"),
    "too-deep": ('<answer>[{"bbox_2d": ' + "[" * 5000, "nested deeper than"),
    "brackets-only": ("<answer>" + "[" * 50_000, "cut off"),
    "objects-too-deep": ('<answer>[{"label": ' + '{"a": ' * 5000, "nested deeper than"),
    "too-long": (told(f"[{A}]", "so " * MAX_TEXT), "characters; at most"),
}


@pytest.mark.parametrize("text, prompts, thought, warning", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_reads(text: str, prompts: tuple[Prompt, ...], thought: str, warning: str | None) -> None:
    answer = parse(text, FRAME)
    assert answer == Answer(thought, prompts)
    if warning == "":
        assert answer.warnings == ()
    elif warning is not None:
        assert warning in " ".join(answer.warnings)
    assert all(w.endswith(".") for w in answer.warnings)


@pytest.mark.parametrize("text, why", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(text: str, why: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse(text, FRAME)
    assert why in caught.value.why
    assert caught.value.why.endswith(".") and "\n" not in caught.value.why and len(caught.value.why) < 220
    assert caught.value.text == text


def test_every_malformed_instance_is_refused_inside_tags_and_outside() -> None:
    bare = [text for text, _ in REFUSED.values() if text.startswith('[{"') and "</" not in text]
    assert len(bare) > 20
    for text in bare:
        with pytest.raises(AnswerError):
            parse(told(text), FRAME)


def test_reason_shows_no_control_characters_and_no_lone_surrogates() -> None:
    with pytest.raises(AnswerError) as caught:
        parse('<answer>[{"bbox_2d": ["\x1b[31m\ud800", 1, 2, 3]}]</answer>', FRAME)
    assert caught.value.why.isprintable()
    caught.value.why.encode()


def test_refusal_survives_another_process() -> None:
    with pytest.raises(AnswerError) as caught:
        parse("no", FRAME)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.why, again.text) == (caught.value.why, "no")


def test_other_counts_than_asked_for_are_warnings() -> None:
    text = told('[{"bbox_2d": [1,2,3,4], "positive_points": [[1,2]]}, ' + A + "]")
    assert parse(text, FRAME).warnings == ()
    assert parse(text, FRAME, STRATEGIES["box+2"]).warnings == (
        "Prompt 1 has 1 positive points where 2 were asked for.",
    )
    points_only = parse(text, FRAME, STRATEGIES["points"]).warnings
    assert sum("a box that was not asked for" in w for w in points_only) == 2


def test_ten_megabytes_are_refused_in_bounded_time() -> None:
    with pytest.raises(AnswerError, match="10,000,009 characters"):
        parse("<answer>[" + "[]{},'\"<` " * 1_000_000, (840, 840))


def test_messages_are_the_published_turns_around_one_image() -> None:
    strategy = STRATEGIES["box+2"]
    system, user = messages("Where do ships load?", strategy)
    assert system == {"role": "system", "content": [{"type": "text", "text": SYSTEM_TURN}]}
    assert user["role"] == "user"
    assert user["content"] == [
        {"type": "image"},
        {"type": "text", "text": strategy.user_turn("Where do ships load?")},
    ]


# Writing ---------------------------------------------------------------------------------------------------------


def test_writes_the_published_format() -> None:
    assert render(Answer("thinking process here", (AS, BS))) == (
        "<think> thinking process here </think>\n"
        '<answer>```json[{"bbox_2d": [310,360,567,586], "positive_points": [[434, 474], [450, 460]]}, '
        '{"bbox_2d": [10,200,100,320], "positive_points": [[50, 250], [90, 300]]}]```</answer>'
    )
    assert render(Answer("none", ())) == "<think> none </think>\n<answer>```json[]```</answer>"
    assert '[{"positive_points": [[1.5, 2]], "negative_points": [[3, 4]]}]' in render(
        Answer("", (Prompt(None, ((1.5, 2),), ((3, 4),)),))
    )


@pytest.mark.parametrize(
    "answer",
    [
        Answer("ends </think> early", ()),
        Answer("in < ANSWER > tags", ()),
        Answer(" white space", ()),
        Answer("white space\n", ()),
        Answer("many", (AS,) * (MAX_INSTANCES + 1)),
        Answer("long" * MAX_TEXT, ()),
    ],
    ids=["think-end", "answer-tag", "space-before", "space-after", "too-many", "too-long"],
)
def test_does_not_write_what_it_could_not_read_back(answer: Answer) -> None:
    with pytest.raises(ValueError):
        render(answer)


def _coordinates(limit: int) -> st.SearchStrategy[float]:
    return st.one_of(st.integers(0, limit), st.floats(0, limit, allow_subnormal=True)).map(float)


@st.composite
def _prompts(draw: st.DrawFn) -> Prompt:
    xs, ys = _coordinates(FRAME[0]), _coordinates(FRAME[1])
    points = st.lists(st.tuples(xs, ys), max_size=4).map(tuple)
    box = None
    x1, x2 = sorted((draw(xs), draw(xs)))
    y1, y2 = sorted((draw(ys), draw(ys)))
    if x2 - x1 >= THINNEST and y2 - y1 >= THINNEST and draw(st.booleans()):
        box = (x1, y1, x2, y2)
    positive = draw(points)
    if box is None and not positive:
        positive = ((draw(xs), draw(ys)),)
    return Prompt(box, positive, draw(points))


_THOUGHTS = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(["<think>", "</answer>", "</think", "</think>", "<answer>", "```json", "<", A, "[]", "\n"]),
    ),
    max_size=6,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(_THOUGHTS, st.lists(_prompts(), max_size=4))
def test_what_is_written_is_read_back(thought: str, prompts: list[Prompt]) -> None:
    answer = Answer(thought, tuple(prompts))
    try:
        text = render(answer)
    except ValueError:
        lower = thought.lower()
        assert thought != thought.strip() or "</think>" in lower or "<answer>" in lower
        return
    again = parse(text, FRAME)
    assert again == answer and again.warnings == ()
    assert parse(f"before {text} after", FRAME).prompts == answer.prompts


# Duplicates ------------------------------------------------------------------------------------------------------


def test_box_iou_by_hand() -> None:
    assert box_iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert box_iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert box_iou((0, 0, 1, 1), (5, 5, 6, 6)) == 0.0
    assert 0.0 <= box_iou((0, 0, 1e-200, 1e-200), (0, 0, 1e-200, 1e-200)) <= 1.0


def test_of_two_alike_the_larger_stays() -> None:
    small, large = boxed(0, 0, 10, 9), boxed(0, 0, 10, 10)
    assert without_duplicates((small, large)) == (large,)
    assert without_duplicates((large, small)) == (large,)


def test_half_is_not_more_than_half() -> None:
    half = (boxed(0, 0, 10, 10), boxed(0, 0, 10, 5))
    assert without_duplicates(half) == half
    assert without_duplicates(half, iou=0.4) == half[:1]


def test_of_two_equal_the_first_stays() -> None:
    first, second = Prompt((0, 0, 4, 4), ((1, 1),)), Prompt((0, 0, 4, 4), ((2, 2),))
    assert without_duplicates((first, second)) == (first,)


def test_a_box_that_has_gone_drives_out_no_other() -> None:
    largest, middle, least = boxed(0, 0, 10, 10), boxed(0, 0, 10, 6), boxed(0, 2.5, 10, 6)
    assert box_iou(middle.box, least.box) > 0.5 >= box_iou(largest.box, least.box)
    assert without_duplicates((least, middle, largest)) == (least, largest)


def test_prompts_without_a_box_stay_and_so_does_the_order() -> None:
    points = Prompt(None, ((1, 1),))
    far = boxed(100, 100, 110, 110)
    given_in = (points, boxed(0, 0, 10, 9), points, far, boxed(0, 0, 10, 10))
    assert without_duplicates(given_in) == (points, points, far, boxed(0, 0, 10, 10))
    assert without_duplicates(()) == ()
