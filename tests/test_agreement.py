"""An answer that the model's other answers agree with: which one it is, as it streams, stopped, and in a batch."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from test_pipeline import Boxes

from think2seg import prompter as prompters
from think2seg.__main__ import main
from think2seg.agreement import GRID, MOST, Agreed, agreed, chosen, covered
from think2seg.answer import render
from think2seg.errors import ModelError, QueryError
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter, Sampling, Writing
from think2seg.strategy import find_strategy
from think2seg.types import Answer, Completion, Finished, Prompt, PromptFound, Query

IMAGE = np.full((50, 100, 3), 90, dtype=np.uint8)
QUERY = Query(IMAGE, "the roofs")
FRAME = (100, 50)
BOX, POINTS = find_strategy("box"), find_strategy("points")
UNREADABLE = "<think> Hm. </think> I would rather not."


def text(*boxes: tuple[int, int, int, int], thought: str = "I see roofs.") -> str:
    instances = ", ".join(f'{{"bbox_2d": {list(box)}}}' for box in boxes)
    return f"<think> {thought} </think>\n<answer>```json[{instances}]```</answer>"


LEFT, NEAR_LEFT, RIGHT = (0, 0, 40, 50), (4, 0, 40, 50), (60, 0, 100, 50)
NOTHING = text()


class Crowd:
    """Writes `greedy` without sampling and the `drawn` texts with it, one a row; it can be made to wait in a batch."""

    name, about = "crowd", "A script."

    def __init__(self, greedy: str, *drawn: str, waits: float = 0.0, fails: Exception | None = None) -> None:
        self.greedy, self.drawn, self.waits, self.fails = greedy, drawn, waits, fails
        self.batches: list[tuple[int, Sampling | None]] = []
        self.let_go = threading.Event()

    def write(self, query, strategy, *, stop, deadline, sampling=None) -> Writing:
        said = self.greedy if sampling is None else self.drawn[0]
        return ReplayPrompter(said, FRAME).write(query, strategy, stop=stop, deadline=deadline)

    def complete(self, queries, strategy, *, sampling=None) -> list[Completion]:
        self.batches.append((len(queries), sampling))
        if sampling is None:
            return [Completion(self.greedy, FRAME) for _ in queries]
        self.let_go.wait(self.waits)
        if self.fails is not None:
            raise self.fails
        return [Completion(said, FRAME) for said in self.drawn[: len(queries)]]


def which(*texts: str, strategy=BOX) -> int:
    return chosen([Completion(one, FRAME) for one in texts], strategy)


def test_the_place_that_most_point_at_wins() -> None:
    assert which(text(RIGHT), text(LEFT), text(NEAR_LEFT)) == 1
    assert which(text(LEFT), text(RIGHT), text(NEAR_LEFT)) == 0
    assert which(text(LEFT, RIGHT), text(LEFT), text(LEFT), text(NEAR_LEFT)) == 1


def test_among_equals_the_first_and_so_the_greedy_one() -> None:
    assert which(text(LEFT), text(RIGHT)) == 0
    assert which(text(LEFT), text(LEFT), text(RIGHT), text(RIGHT)) == 0


def test_nothing_here_is_an_answer_like_any_other() -> None:
    assert which(text(LEFT), NOTHING, NOTHING) == 1
    assert which(NOTHING, text(LEFT), text(NEAR_LEFT)) == 1
    assert which(NOTHING, NOTHING, text(LEFT)) == 0


def test_what_cannot_be_read_is_neither_chosen_nor_asked() -> None:
    assert which(UNREADABLE, text(LEFT)) == 1
    assert which(UNREADABLE, UNREADABLE, UNREADABLE, text(RIGHT)) == 3
    assert which(UNREADABLE, UNREADABLE) == 0


def test_points_without_a_box_are_places_too() -> None:
    def points(*at: tuple[int, int]) -> str:
        return render(Answer("", (Prompt(None, at),)))

    here, beside, there = points((10, 10), (20, 10)), points((10, 11), (20, 11)), points((80, 40), (90, 40))
    assert which(there, here, beside, strategy=POINTS) == 1


def test_what_a_box_covers() -> None:
    def cells(*boxes: tuple[float, float, float, float], frame=(256, 128)):
        return covered(Answer("", tuple(Prompt(box) for box in boxes)), frame)

    assert cells().shape == (64, GRID) and not cells().any()
    assert cells(frame=(10, 1000)).shape == (GRID, 1)
    some = cells((20, 10, 40, 30))
    assert some.sum() == 100 and some[5:15, 10:20].all()
    assert cells((20, 10, 40, 30), (30, 10, 50, 30)).sum() == 150  # the overlap once
    assert cells((20.1, 10, 20.2, 30)).sum() == 10  # thinner than a cell
    assert cells((255.9, 127.9, 256, 128))[-1, -1]  # at the rim
    assert cells((0, 0, 256, 128)).all()


def test_a_batch_is_answered_in_the_models_own_words() -> None:
    crowd = Crowd(text(RIGHT), text(LEFT, thought="Left."), text(NEAR_LEFT), text(RIGHT), NOTHING)
    found = Agreed(crowd, 3).complete([QUERY, QUERY], BOX)
    assert [one.text for one in found] == [text(RIGHT)] * 2  # two against two, and the two are one
    found = Agreed(crowd, 2).complete([QUERY], BOX)
    assert [one.text for one in found] == [text(LEFT, thought="Left.")]
    assert crowd.batches[0] == (2, None) and [n for n, _ in crowd.batches] == [2, 3, 3, 1, 2]
    assert len({one for _, one in crowd.batches}) == 2  # each query is drawn for by the same seed


def test_a_draw_is_drawn_once_and_compared_with_nothing() -> None:
    crowd, drawn = Crowd(text(RIGHT), text(LEFT), text(LEFT)), Sampling(1.0, 3)
    assert [one.text for one in Agreed(crowd, 2).complete([QUERY], BOX, sampling=drawn)] == [text(LEFT)]
    assert crowd.batches == [(1, drawn)]
    writing = Agreed(crowd, 2).write(QUERY, BOX, stop=threading.Event(), deadline=None, sampling=drawn)
    assert "".join(writing.pieces) == text(LEFT) and len(crowd.batches) == 1


def test_the_first_answer_is_shown_at_once_and_replaced_by_the_agreed_one() -> None:
    crowd = Crowd(text(RIGHT, thought="Right."), text(LEFT, thought="Left."), text(NEAR_LEFT))
    events = list(Pipeline(Agreed(crowd, 2), Boxes(), strategy="box").steps(IMAGE, "the roofs"))
    found = [event.prompt.box for event in events if isinstance(event, PromptFound)]
    assert found == [RIGHT, LEFT]
    result = events[-1].result
    assert [p.box for p in result.answer.prompts] == [LEFT] and len(result.masks) == 1
    assert result.completion.text == text(RIGHT, thought="Right.") + "\n" + text(LEFT, thought="Left.")
    assert result.answer.thought.split() == ["Right.", "Left."]
    assert result.prompter == "crowd, agreed of 3"


def test_an_answer_that_the_others_agree_with_stays_as_it_was_written() -> None:
    for greedy in (text(LEFT), NOTHING):
        result = Pipeline(Agreed(Crowd(greedy, greedy, text(RIGHT)), 2), Boxes(), strategy="box")(IMAGE, "the roofs")
        assert result.completion.text == greedy


def test_an_unreadable_first_answer_is_mended() -> None:
    result = Pipeline(Agreed(Crowd(UNREADABLE, text(LEFT)), 1), Boxes(), strategy="box")(IMAGE, "the roofs")
    assert [p.box for p in result.answer.prompts] == [LEFT]


def test_stopped_while_it_draws_the_first_answer_stands_at_once() -> None:
    crowd, stop = Crowd(text(RIGHT), text(LEFT), text(LEFT), waits=30.0), threading.Event()
    began = time.monotonic()
    try:
        for event in Pipeline(Agreed(crowd, 2), Boxes(), strategy="box").steps(IMAGE, "the roofs", stop=stop):
            if isinstance(event, PromptFound):
                threading.Timer(0.3, stop.set).start()
            if isinstance(event, Finished):
                assert [p.box for p in event.result.answer.prompts] == [RIGHT]
        assert time.monotonic() - began < 10
    finally:
        crowd.let_go.set()


def test_stopped_before_nothing_is_drawn() -> None:
    crowd, stop = Crowd(text(RIGHT), text(LEFT)), threading.Event()
    writing = Agreed(crowd, 1).write(QUERY, BOX, stop=stop, deadline=None)
    pieces = [next(writing.pieces)]
    stop.set()
    assert len("".join([*pieces, *writing.pieces])) < len(text(RIGHT)) and crowd.batches == []


def test_the_deadline_holds_while_it_draws() -> None:
    crowd = Crowd(text(RIGHT), text(LEFT), waits=30.0)
    try:
        result = Pipeline(Agreed(crowd, 1), Boxes(), strategy="box", deadline_s=0.5)(IMAGE, "the roofs")
    finally:
        crowd.let_go.set()
    assert [p.box for p in result.answer.prompts] == [RIGHT] and any("cut off" in w for w in result.answer.warnings)


def test_a_draw_that_fails_is_told() -> None:
    crowd = Crowd(text(RIGHT), fails=ModelError("no memory"))
    with pytest.raises(ModelError, match="no memory"):
        Pipeline(Agreed(crowd, 1), Boxes(), strategy="box")(IMAGE, "the roofs")


def test_only_so_many_samples_are_offered() -> None:
    crowd = Crowd(text(LEFT))
    assert agreed(crowd, 0) is crowd and isinstance(agreed(crowd, MOST), Agreed)
    for wrong in (-1, MOST + 1):
        with pytest.raises(QueryError, match=f"{wrong} came"):
            agreed(crowd, wrong)


@pytest.mark.parametrize(
    "words", [["segment", "PICTURE", "roofs"], ["evaluate", "--dataset", "scenes", "--out", "OUT"]]
)
def test_the_command_line_refuses_what_is_not_offered(words: list[str], tmp_path, capsys) -> None:
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "picture.png")
    said = [{"PICTURE": str(tmp_path / "picture.png"), "OUT": str(tmp_path / "out")}.get(w, w) for w in words]
    assert main([*said, "--prompter", "nano", "--segmenter", "nano", "--agree", "-1"]) == 2
    assert "-1 came" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_an_evaluation_says_that_it_agreed(tmp_path) -> None:
    import json

    words = ["evaluate", "--dataset", "scenes", "--limit", "2", "--prompter", "nano", "--segmenter", "nano"]
    assert main([*words, "--agree", "2", "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["models"]["prompter"]["agree"] == 2


def test_the_bundled_prompter_agrees_with_itself_twice_the_same() -> None:
    from think2seg.datasets.scenes import scene

    query = Query(scene(5, 336).image, "the buildings")
    nano = Agreed(prompters.load("nano"), 3)
    ((first,), (again, _)) = (nano.complete(asked, find_strategy("box+2")) for asked in ([query], [query, query]))
    assert first == again
