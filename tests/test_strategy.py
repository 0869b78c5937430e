"""What is asked word for word, what of an answer is sent, and when an answer need not be asked for again."""

from __future__ import annotations

import itertools
import re

import pytest

from think2seg.answer import parse
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES, SYSTEM_TURN, Strategy
from think2seg.types import Answer, Prompt

PUBLISHED = """\
Please find "Where would a ship be loaded?", identify the target. For each target instance, provide:
1.  `bbox_2d`: A tight bounding box.
2.  `positive_points`: Exactly two points, placed inside the target.
Output your thinking process in <think> </think> tags.
Output the final answer in <answer> </answer> tags with the specified JSON format. If no targets are found, output an empty list.
i.e. <think> thinking process here </think>\x20
<answer>```json[{"bbox_2d": [310,360,567,586], "positive_points": [[434, 474], [450, 460]]}, {"bbox_2d": [10,200,100,320], "positive_points": [[50, 250], [90, 300]]}]```</answer>"""  # noqa: E501

BOX = (10.0, 10.0, 50.0, 50.0)
POINTS = tuple((float(i), float(i + 1)) for i in range(20, 26))
FULL = Prompt(BOX, POINTS, POINTS)

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())


def test_the_published_turns_word_for_word() -> None:
    assert STRATEGIES["box+2"].user_turn("Where would a ship be loaded?") == PUBLISHED
    assert DEFAULT_STRATEGY == "box+2"
    assert SYSTEM_TURN == (
        "You are a remote sensing analysis assistant. Your task is to generate spatial prompts for the Segment "
        "Anything Model (SAM) based on a user's request."
    )


@pytest.mark.parametrize(
    "name, lines",
    [
        ("box", ["1.  `bbox_2d`: A tight bounding box."]),
        ("points", ["1.  `positive_points`: Exactly two points, placed inside the target."]),
        (
            "box+4",
            [
                "1.  `bbox_2d`: A tight bounding box.",
                "2.  `positive_points`: Exactly four points, placed inside the target.",
            ],
        ),
        (
            "box+2+neg",
            [
                "1.  `bbox_2d`: A tight bounding box.",
                "2.  `positive_points`: Exactly two points, placed inside the target.",
                "3.  `negative_points`: Exactly two points, placed outside the target, to separate it from the "
                "background.",
            ],
        ),
    ],
)
def test_the_others_differ_in_the_numbered_lines_and_the_example_only(name: str, lines: list[str]) -> None:
    turn, published = STRATEGIES[name].user_turn("q").split("\n"), STRATEGIES["box+2"].user_turn("q").split("\n")
    assert [line for line in turn if re.match(r"\d\. ", line)] == lines
    rest = [line for line in turn if not re.match(r"\d\. |<answer>", line)]
    assert rest == [line for line in published if not re.match(r"\d\. |<answer>", line)]


@every_strategy
def test_its_example_is_an_answer_to_it(strategy: Strategy) -> None:
    turn = strategy.user_turn("q")
    answer = parse(turn[turn.index("i.e. ") + 5 :], (840, 840), strategy)
    assert answer.thought == "thinking process here"
    assert len(answer.prompts) == 2 and answer.warnings == ()
    assert strategy.counts_right(answer)
    for other in STRATEGIES.values():
        assert other.counts_right(answer) == (other is strategy)


@every_strategy
def test_an_examples_points_lie_where_the_words_say(strategy: Strategy) -> None:
    turn = STRATEGIES[strategy.name].user_turn("q")
    boxes = ((310, 360, 567, 586), (10, 200, 100, 320))
    for prompt, (x1, y1, x2, y2) in zip(parse(turn[turn.index("i.e. ") :], (840, 840)).prompts, boxes, strict=True):
        assert prompt.box in (None, (x1, y1, x2, y2))
        assert all(x1 < x < x2 and y1 < y < y2 for x, y in prompt.positive)
        assert not any(x1 <= x <= x2 and y1 <= y <= y2 for x, y in prompt.negative)


@every_strategy
def test_the_question_stands_in_the_turn_as_it_is(strategy: Strategy) -> None:
    question = 'the "left" {box} \\ 50% ?'
    assert strategy.user_turn(question).startswith(f'Please find "{question}", identify the target.')


@pytest.mark.parametrize(
    "name, sent",
    [
        ("box", Prompt(BOX)),
        ("points", Prompt(None, POINTS[:2])),
        ("box+2", Prompt(BOX, POINTS[:2])),
        ("box+4", Prompt(BOX, POINTS[:4])),
        ("box+2+neg", Prompt(BOX, POINTS[:2], POINTS[:2])),
    ],
)
def test_cut(name: str, sent: Prompt) -> None:
    assert STRATEGIES[name].cut(FULL) == sent
    without = STRATEGIES[name].cut(FULL, negatives=False)
    assert without == Prompt(sent.box, sent.positive)


def test_cut_leaves_none_where_nothing_starts_it() -> None:
    assert STRATEGIES["points"].cut(Prompt(BOX)) is None
    assert STRATEGIES["points"].cut(Prompt(BOX, (), POINTS[:1])) is None
    assert STRATEGIES["box"].cut(Prompt(None, POINTS[:1])) is None
    assert STRATEGIES["box+2"].cut(Prompt(None, POINTS[:1])) == Prompt(None, POINTS[:1])
    assert STRATEGIES["box+4"].cut(Prompt(BOX)) == Prompt(BOX)


def test_can_be_cut_from() -> None:
    can = {(a.name, b.name) for a, b in itertools.product(STRATEGIES.values(), repeat=2) if a.can_be_cut_from(b)}
    assert can == {
        *((name, name) for name in STRATEGIES),
        ("box", "box+2"), ("box", "box+4"), ("box", "box+2+neg"),
        ("points", "box+2"), ("points", "box+4"), ("points", "box+2+neg"),
        ("box+2", "box+4"), ("box+2", "box+2+neg"),
    }  # fmt: skip


@every_strategy
def test_what_can_be_cut_has_the_right_counts(strategy: Strategy) -> None:
    for asked in STRATEGIES.values():
        box = BOX if asked.box else None
        answered = Prompt(box, POINTS[: asked.positives], POINTS[: asked.negatives])
        sent = strategy.cut(answered)
        right = sent is not None and not strategy.miscounts(sent)
        assert right == strategy.can_be_cut_from(asked)


@pytest.mark.parametrize(
    "name, prompt, clauses",
    [
        ("box+2", Prompt(BOX, POINTS[:2]), ()),
        ("box+2", Prompt(None, POINTS[:2]), ("no box where one was asked for",)),
        ("box+2", Prompt(BOX, POINTS[:3]), ("3 positive points where 2 were asked for",)),
        ("box+2", Prompt(BOX, POINTS[:2], POINTS[:1]), ("1 negative points where 0 were asked for",)),
        ("points", Prompt(BOX, POINTS[:2]), ("a box that was not asked for",)),
        ("box+2+neg", Prompt(BOX, POINTS[:2]), ("0 negative points where 2 were asked for",)),
        ("box", Prompt(None, POINTS[:1], POINTS[:1]), (
            "no box where one was asked for",
            "1 positive points where 0 were asked for",
            "1 negative points where 0 were asked for",
        )),
    ],
)  # fmt: skip
def test_miscounts(name: str, prompt: Prompt, clauses: tuple[str, ...]) -> None:
    assert STRATEGIES[name].miscounts(prompt) == clauses
    assert STRATEGIES[name].counts_right(Answer("", (prompt,))) == (not clauses)


@every_strategy
def test_nothing_here_has_the_right_counts(strategy: Strategy) -> None:
    assert strategy.counts_right(Answer("none", ()))


def test_one_wrong_instance_makes_the_counts_wrong() -> None:
    right, wrong = Prompt(BOX, POINTS[:2]), Prompt(BOX, POINTS[:1])
    assert not STRATEGIES["box+2"].counts_right(Answer("", (right, wrong, right)))
