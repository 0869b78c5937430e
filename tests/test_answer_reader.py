"""The reader as it streams: the same however the text is cut, right on broken texts, and linear in their length."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_answer import ACCEPTED, FRAME, REFUSED, A, B, told

from think2seg.answer import MAX_TEXT, PromptClosed, Reader, ThoughtGrew, parse
from think2seg.answer_json import ValueReader
from think2seg.errors import AnswerError
from think2seg.types import Answer, Prompt

GOOD = [row[0] for row in ACCEPTED.values() if len(row[0]) < 2000]
TEXTS = [row[0] for row in (*ACCEPTED.values(), *REFUSED.values()) if len(row[0]) < 2000]
Story = tuple[list[ThoughtGrew | PromptClosed], Answer | tuple[str, str], tuple[str, ...]]


def read(pieces: Iterable[str]) -> Story:
    """The events, neighbouring thoughts joined; the answer or the refusal; the warnings."""
    reader = Reader(FRAME)
    events: list[ThoughtGrew | PromptClosed] = []
    for piece in pieces:
        for event in reader.feed(piece):
            last = events[-1] if events else None
            if isinstance(event, ThoughtGrew) and isinstance(last, ThoughtGrew):
                events[-1] = ThoughtGrew(last.delta + event.delta)
            else:
                events.append(event)
    try:
        answer = reader.close()
    except AnswerError as error:
        return events, (error.why, error.text), ()
    return events, answer, answer.warnings


def cut(text: str, places: Iterable[int]) -> list[str]:
    ends = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(ends)]


def read_thought(events: Iterable[ThoughtGrew | PromptClosed]) -> str:
    return "".join(e.delta for e in events if isinstance(e, ThoughtGrew))


def check_story(story: Story) -> None:
    """What the events say is what the answer says."""
    events, answer, warnings = story
    if not isinstance(answer, Answer):
        return
    assert read_thought(events) == answer.thought
    live: list[Prompt] = []
    for event in events:
        if isinstance(event, PromptClosed):
            assert event.index in (0, len(live))
            live[event.index :] = [event.prompt]
    if answer.prompts and not any("does not count" in w for w in warnings):
        assert tuple(live) == answer.prompts
    for prompt in answer.prompts:
        xs = [x for x, _ in prompt.positive + prompt.negative] + list((prompt.box or ())[::2])
        ys = [y for _, y in prompt.positive + prompt.negative] + list((prompt.box or ())[1::2])
        assert all(0 <= x <= FRAME[0] for x in xs) and all(0 <= y <= FRAME[1] for y in ys)


def test_prompts_come_the_moment_their_object_closes() -> None:
    reader = Reader(FRAME)
    text = told(f"[{A}, {B}]", "so: <b>")
    come: dict[int, int] = {}
    for at, c in enumerate(text):
        for event in reader.feed(c):
            if isinstance(event, PromptClosed):
                come[event.index] = at
    assert come == {0: text.index(A) + len(A) - 1, 1: text.index(B) + len(B) - 1}


def test_the_thought_comes_as_it_is_written() -> None:
    reader = Reader(FRAME)
    come = [read_thought(reader.feed(piece)) for piece in ("<think> one ", "two <", "b> </thi", "nk> no")]
    assert come == ["one", " two", " <b>", ""]


def test_a_stray_bracket_does_not_hold_the_thought_back() -> None:
    reader = Reader(FRAME)
    assert read_thought(reader.feed('I wrote ["and so on')) == "I wrote"
    assert read_thought(reader.feed(" and on" * 50)) == ' ["and so on' + " and on" * 50


def test_a_new_answer_begins_at_index_0() -> None:
    reader = Reader(FRAME)
    events = reader.feed(f"<answer>[{A}, {B}]</answer> no: <answer>[{B}]</answer>")
    assert [e.index for e in events if isinstance(e, PromptClosed)] == [0, 1, 0]


def test_indices_leave_out_dropped_instances() -> None:
    events = Reader(FRAME).feed(told(f"[{A}, {{'bbox_2d': [900,900,999,999]}}, {B}]"))
    assert [e.index for e in events if isinstance(e, PromptClosed)] == [0, 1]


def test_a_closed_reader_says_the_same_again_and_reads_no_more() -> None:
    reader = Reader(FRAME)
    reader.feed(told(f"[{A}]"))
    assert reader.close() is reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.feed("more")
    refused = Reader(FRAME)
    for _ in range(2):
        with pytest.raises(AnswerError, match="blank"):
            refused.close()


@pytest.mark.parametrize("text", TEXTS)
def test_one_character_at_a_time_is_the_same_as_all_at_once(text: str) -> None:
    whole = read([text])
    assert read(text) == whole
    check_story(whole)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*TEXTS, "<", "</th", "``", "~", "[", "[{", '"', " "]), max_size=3),
    st.lists(st.integers(0, 5000), max_size=12),
)
def test_every_cut_is_the_same(parts: list[str], places: list[int]) -> None:
    text = "".join(parts)
    assert read(cut(text, places)) == read([text])


def test_pieces_longer_than_a_slice_are_the_same() -> None:
    text = told(f"[{A}]", "so [ { `` <thin " * 200)
    whole = read([text])
    assert isinstance(whole[1], Answer)
    for size in (1, 7, 255, 256, 257, 1000):
        assert read(text[i : i + size] for i in range(0, len(text), size)) == whole


JUNK = [
    "[", "]", "{", "}", "(", ")", ",", ":", '"', "'", "\\", "\\u00", "`", "```", "~~~", "<", "</think>", "<think>",
    "<answer>", "</answer>", "[]", "null", "NaN", "1e999", "-", ".", "\x00", "\n", "\ud800", "//",
    '"bbox_2d":', "٣", A, B,
]  # fmt: skip


def mutated(rng: random.Random) -> str:
    text = rng.choice(GOOD)
    for _ in range(rng.randint(1, 5)):
        a, b = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:a] + text[min(b, a + rng.randint(1, 12)) :]
        elif kind == 1:
            text = text[:a] + rng.choice(JUNK) + text[a:]
        elif kind == 2:
            text = text[:a] + text[b:][:9] + text[a:b] + text[b:][9:]
        elif kind == 3:
            text = text[:b]
        elif kind == 4:
            other = rng.choice(TEXTS)
            text = text[:b] + other[rng.randint(0, len(other)) :]
        else:
            text = text[:a] + chr(rng.choice((rng.randrange(128), rng.randrange(0x3000)))) + text[a + 1 :]
    return text[:3000]


def test_ten_thousand_broken_texts_give_an_answer_or_a_refusal() -> None:
    rng = random.Random(2026)
    answers = refusals = 0
    for n in range(10_000):
        text = mutated(rng)
        story = read([text])
        check_story(story)
        if n % 5 == 0:
            assert read(cut(text, [rng.randrange(3000) for _ in range(6)])) == story
        if isinstance(story[1], Answer):
            answers += 1
        else:
            refusals += 1
            assert story[1][1] == text and story[1][0].endswith(".")
    assert answers > 2000 and refusals > 2000


WORST = {
    "brackets": "[", "lists-of-objects": "[{", "numbers": "[1,", "strings": '["', "quotes-in-quotes": "[{\"[{'",
    "tags": "<think",
    "thoughts": "<think><answer></think>", "keys": '[{"a":', "objects": '{"bbox_2d": [1,2,3,4]} ', "empty-lists": "[]",
    "fences": "```[]", "spaces": " ", "answers": "<answer>[]</answer>", "digits": '{"bbox_2d": [1111111111111111111',
    "escapes": '[{"\\u0061', "lone": "[].", "comments": '[//\n{"bbox_2d"',
}  # fmt: skip


@pytest.mark.parametrize("unit", WORST.values(), ids=WORST.keys())
@pytest.mark.parametrize("before", ["", "<answer>", "<think>"], ids=["bare", "answer", "think"])
def test_the_work_is_linear_in_the_text(unit: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work = 0

    def counted_take(self: ValueReader, c: str, take=ValueReader.take) -> object:  # type: ignore[no-untyped-def]
        nonlocal work
        work += 1
        return take(self, c)

    def counted_scan(self: Reader, text: str, scan=Reader._scan) -> None:  # type: ignore[no-untyped-def]
        nonlocal work
        work += len(text)
        scan(self, text)

    def counted_keep(self: Reader, text: str, keep=Reader._keep) -> None:  # type: ignore[no-untyped-def]
        nonlocal work
        work += len(text)
        keep(self, text)

    monkeypatch.setattr(ValueReader, "take", counted_take)
    monkeypatch.setattr(Reader, "_scan", counted_scan)
    monkeypatch.setattr(Reader, "_keep", counted_keep)
    text = (before + unit * 8000)[:8000]
    read([text])
    at_once = work
    work = 0
    read(text)
    # A bracket is tried three deep before a key; a piece may wait in a tail of up to 16 characters.
    assert at_once <= 8 * len(text)
    assert work <= 24 * len(text)


def test_a_long_text_character_by_character() -> None:
    text = told(f"[{', '.join([A] * 200)}]", "so [1] it < is `x` " * 4000)
    assert len(text) > 90_000
    _, answer, _ = read(text)
    assert isinstance(answer, Answer) and len(answer.prompts) == 200
    assert answer == parse(text, FRAME)


def test_no_more_is_read_than_the_limit() -> None:
    reader = Reader(FRAME)
    events = reader.feed("x" * (MAX_TEXT + 5))
    assert sum(len(e.delta) for e in events if isinstance(e, ThoughtGrew)) == MAX_TEXT
    assert reader.feed(told(f"[{A}]")) == []
    with pytest.raises(AnswerError, match="at most"):
        reader.close()
