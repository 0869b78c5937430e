"""Tiles: a prompter asked about parts of a picture answers in the picture's own pixels, once an object."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from think2seg.answer import parse, render
from think2seg.consistency import contradiction
from think2seg.errors import AnswerError, QueryError
from think2seg.pipeline import Pipeline
from think2seg.prompter import Sampling, Writing
from think2seg.strategy import Strategy, find_strategy
from think2seg.tiles import SETTLED, settled, tiled, viewed
from think2seg.types import Answer, Completion, Mask, Prompt, Query
from think2seg.views import View, merged, views

BOX = find_strategy("box")


class Eye:
    """Finds every white rectangle of at least `least` pixels in what it is shown, scaled to a frame of 100 x 100."""

    name, about = "eye", "Sees white."

    def __init__(self, least: float = 3.0, unreadable: Sequence[int] = (), thought: str = "I look.") -> None:
        self.least, self.unreadable, self.thought = least, unreadable, thought
        self.asked = 0

    def text(self, query: Query) -> str:
        self.asked += 1
        if self.asked - 1 in self.unreadable:
            return "<think> Hm. </think> <answer>[{</answer>"
        import cv2

        count, _, stats, _ = cv2.connectedComponentsWithStats((query.image[..., 0] > 128).astype(np.uint8))
        width, height = query.size
        prompts = []
        for x, y, w, h, _ in stats[1:count]:
            box = (x / width * 100, y / height * 100, (x + w) / width * 100, (y + h) / height * 100)
            if min(box[2] - box[0], box[3] - box[1]) >= self.least:
                prompts.append(Prompt(tuple(float(v) for v in box), (((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),)))
        return render(Answer(self.thought, tuple(prompts)))

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        text = self.text(query)
        return Writing((100, 100), (text[k : k + 5] for k in range(0, len(text), 5)))

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        return [Completion(self.text(query), (100, 100)) for query in queries]


def picture(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (400, 300)) -> np.ndarray:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


def asked(prompter, image: np.ndarray) -> Answer:
    (completion,) = prompter.complete([Query(image, "white?")], BOX)
    assert completion.frame == (image.shape[1], image.shape[0])
    return parse(completion.text, completion.frame)


def close(prompt: Prompt, box: tuple[int, int, int, int], by: float = 0.1) -> bool:
    assert prompt.box is not None
    return all(abs(a - b) <= by for a, b in zip(prompt.box, box, strict=True))


def streamed(prompter, image: np.ndarray) -> tuple[str, Answer]:
    writing = prompter.write(Query(image, "white?"), BOX, stop=threading.Event(), deadline=None)
    text = "".join(writing.pieces)
    return text, parse(text, writing.frame)


@pytest.mark.parametrize("size", [(400, 300), (301, 307), (64, 1000)])
@pytest.mark.parametrize("side", [2, 3, 4])
def test_tiles_cover_the_picture_and_overlap(size, side) -> None:
    whole, *rest = views(size, side)
    assert whole.window == (0, 0, *size)
    if not rest:
        assert min(size) < 32 * side
        return
    assert len({v.name for v in rest}) == side * side
    seen = np.zeros((size[1], size[0]), int)
    for view in rest:
        x1, y1, x2, y2 = view.window
        assert 0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1]
        seen[y1:y2, x1:x2] += 1
    assert seen.min() >= 1 and seen.max() >= 4


def test_a_small_object_is_found_by_a_tile_alone() -> None:
    small = (310, 220, 319, 228)  # 2.25 % of the picture's width, 4.1 % of a tile's
    image = picture(small)
    assert Eye().complete([Query(image, "?")], BOX)[0].text.count("bbox") == 0
    (found,) = asked(tiled(Eye(), 2), image).prompts
    assert close(found, small)
    assert found.positive and small[0] < found.positive[0][0] < small[2]


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((20, 20, 60, 60), "seen whole by the picture and one tile"),
        ((190, 140, 210, 160), "in the overlap of all tiles"),
        ((100, 100, 300, 200), "cut by every tile, large"),
        ((150, 130, 230, 170), "larger than the overlap"),
        ((0, 0, 400, 300), "the whole picture"),
        ((0, 140, 400, 150), "a strip through two tiles"),
    ],
)
def test_an_object_comes_once_however_often_it_is_seen(box, why) -> None:
    (found,) = asked(tiled(Eye(), 2), picture(box)).prompts
    assert close(found, box), why


@pytest.mark.parametrize("run", [asked, lambda p, i: streamed(p, i)[1]])
def test_tiles_wait_for_what_the_whole_picture_shows(run) -> None:
    small, large = (310, 220, 319, 228), (20, 20, 60, 60)
    for boxes, least, views_asked, found in (
        ((small,), 0, 5, 1),
        ((small,), 1, 1, 0),
        ((small, large), 1, 5, 2),
        ((small, large), 2, 1, 1),
        ((), 1, 1, 0),
    ):
        eye = Eye()
        answer = run(tiled(eye, 2, least), picture(*boxes))
        assert (eye.asked, len(answer.prompts)) == (views_asked, found), (boxes, least)
    eye = Eye(unreadable=[0])  # what is not known does not keep tiles away
    assert len(run(tiled(eye, 2, 1), picture(small)).prompts) == 1 and eye.asked == 5


def test_in_a_batch_tiles_wait_question_by_question() -> None:
    eye = Eye()
    queries = [Query(picture(*boxes), "?") for boxes in ((), ((20, 20, 60, 60),), ((310, 220, 319, 228),))]
    found = [len(parse(c.text, c.frame).prompts) for c in tiled(eye, 2, 1).complete(queries, BOX)]
    assert found == [0, 1, 0] and eye.asked == 3 + 4


def test_neighbours_stay_apart() -> None:
    boxes = [(20 * k, 20 * j, 20 * k + 14, 20 * j + 14) for k in range(4) for j in range(3)]
    found = asked(tiled(Eye(), 2), picture(*boxes)).prompts
    assert len(found) == 12 and all(any(close(p, b) for p in found) for b in boxes)


def test_nothing_anywhere_is_nothing_here() -> None:
    answer = asked(tiled(Eye(), 2), picture())
    assert answer.nothing_here and answer.thought.splitlines() == [
        "I look.", "Upper left: the same.", "Upper right: the same.", "Lower left: the same.", "Lower right: the same.",
        "Together: nothing.",
    ]  # fmt: skip


def test_streamed_and_batched_say_the_same() -> None:
    image = picture((20, 20, 60, 60), (310, 220, 319, 228))
    text, answer = streamed(tiled(Eye(), 2), image)
    batched = asked(tiled(Eye(), 2), image)
    assert answer == batched
    assert text.count("<answer>") == 2 and text.index("<answer>") < text.index("Upper left")  # the whole picture's, now
    assert text.index("Upper left") < text.index("Lower right") < text.rindex("<answer>")


def test_one_unreadable_view_costs_itself_only() -> None:
    image = picture((20, 20, 60, 60))
    for run in (asked, lambda p, i: streamed(p, i)[1]):
        answer = run(tiled(Eye(unreadable=[1]), 2), image)  # the tile that shows it
        assert len(answer.prompts) == 1 and close(answer.prompts[0], (20, 20, 60, 60))
    batched = asked(tiled(Eye(unreadable=[1]), 2), image)
    assert "\nUpper left: Hm. Its answer cannot be read." in batched.thought


def test_unreadable_everywhere_is_unreadable_and_never_empty() -> None:
    image = picture((20, 20, 60, 60))
    (completion,) = tiled(Eye(unreadable=range(5)), 2).complete([Query(image, "?")], BOX)
    with pytest.raises(AnswerError):
        parse(completion.text, completion.frame)
    with pytest.raises(AnswerError):
        streamed(tiled(Eye(unreadable=range(5)), 2), image)


@pytest.mark.parametrize("thought", ["so </think> <answer>[]</answer>", "<answer>```json[]```</answer>", "x" * 30_000])
def test_a_views_thought_cannot_end_ours(thought: str) -> None:
    class Sly(Eye):
        def text(self, query: Query) -> str:
            return super().text(query).replace("I look.", thought)

    image = picture((310, 220, 319, 228))
    for run in (asked, lambda p, i: streamed(p, i)[1]):
        try:
            answer = run(tiled(Sly(), 2), image)
        except AnswerError:
            continue  # a view that begins its answer in its thought may be unreadable
        assert "<answer" not in answer.thought and "</think" not in answer.thought


def test_a_picture_too_small_to_be_cut_is_asked_about_once() -> None:
    eye = Eye()
    asked(tiled(eye, 2), picture((5, 5, 15, 15), size=(40, 30)))
    assert eye.asked == 1


def test_two_pictures_in_a_batch_stay_apart() -> None:
    first, second = picture((20, 20, 60, 60)), picture((300, 200, 340, 240), size=(500, 400))
    prompter = tiled(Eye(), 2)
    both = prompter.complete([Query(first, "?"), Query(second, "?")], BOX)
    for completion, box in zip(both, ((20, 20, 60, 60), (300, 200, 340, 240)), strict=True):
        (found,) = parse(completion.text, completion.frame).prompts
        assert close(found, box)


def test_points_without_boxes_are_one_object_where_they_meet() -> None:
    size = (400, 300)
    whole, tile = views(size, 2)[:2]
    at = lambda *points: Prompt(None, points)  # noqa: E731
    found = merged([(whole, [at((100, 100), (110, 100))]), (tile, [at((102, 101), (90, 95)), at((30, 30))])], size)
    assert len(found) == 2


def test_a_box_cut_by_its_tile_gives_way_to_the_whole_one() -> None:
    size = (400, 300)
    left, right = View("left", (0, 0, 222, 300)), View("right", (178, 0, 400, 300))
    whole = View("whole", (0, 0, 400, 300))
    prompts = [
        (whole, [Prompt((150, 100, 250, 140))]),
        (left, [Prompt((150, 100, 222, 140))]),
        (right, [Prompt((178, 100, 250, 140))]),
    ]
    assert merged(prompts, size) == (Prompt((150, 100, 250, 140)),)
    assert len(merged(prompts[1:], size)) == 1  # the halves overlap: one of them stays


def test_the_pipeline_takes_it_like_any_prompter() -> None:
    class Fill:
        name, about = "fill", ""

        def encode(self, image) -> None: ...

        def segment(self, image, prompts) -> list[Mask]:
            masks = []
            for i, p in enumerate(prompts):
                pixels = np.zeros(image.shape[:2], bool)
                x1, y1, x2, y2 = (round(v) for v in p.box)
                pixels[y1:y2, x1:x2] = True
                masks.append(Mask(pixels, 1.0, i))
            return masks

    small = (310, 220, 319, 228)
    image = picture(small, (20, 20, 60, 60))
    result = Pipeline(tiled(Eye(), 2), Fill(), strategy="box")(image, "white?")
    assert np.array_equal(result.mask, image[..., 0] > 128)
    assert result.prompter == "eye, 2 x 2 tiles"


def test_stop_and_deadline_end_it_between_views() -> None:
    stop = threading.Event()
    eye = Eye()
    writing = tiled(eye, 4).write(Query(picture((20, 20, 60, 60)), "?"), BOX, stop=stop, deadline=None)
    text = []
    for piece in writing.pieces:
        text.append(piece)
        stop.set()
    assert eye.asked == 1 and len(parse("".join(text), writing.frame).prompts) == 1
    writing = tiled(eye, 4).write(Query(picture(), "?"), BOX, stop=threading.Event(), deadline=0.0)
    assert parse("".join(writing.pieces), writing.frame).nothing_here and eye.asked == 2


@pytest.mark.parametrize(("side", "least"), [(1, 1), (2, -1), (2, 10_000)])
def test_other_numbers_of_objects_are_refused(side, least) -> None:
    with pytest.raises(QueryError, match="Tiles can wait for 0 to|no tiles that could wait"):
        tiled(Eye(), side, least)


@pytest.mark.parametrize("side", [0, -1, 5])
def test_other_numbers_are_refused(side) -> None:
    with pytest.raises(QueryError, match="2 to 4 a side"):
        tiled(Eye(), side)


def test_one_tile_is_the_prompter_itself() -> None:
    eye = Eye()
    assert tiled(eye, 1) is eye


class Plain:
    """An `Eye` that writes one completion at a time, and keeps a processor busy."""

    name, about, tiled = "plain", "Sees white.", True

    def __init__(self) -> None:
        self.eye = Eye()

    def write(self, query: Query, strategy: Strategy, **options) -> Writing:
        return replace(self.eye.write(query, strategy, **options), processors=1)


def test_what_writes_batches_still_does_and_what_does_not_streams() -> None:
    assert hasattr(tiled(Eye(), 2), "complete") and not hasattr(tiled(Plain(), 2), "complete")
    writing = tiled(Plain(), 2).write(Query(picture(), "?"), BOX, stop=threading.Event(), deadline=None)
    assert writing.processors == 1  # the segmenter leaves it alone


@pytest.mark.parametrize("stopped", [False, True])
def test_where_a_processor_is_kept_busy_tiles_are_one_batch(stopped: bool) -> None:
    class Busy(Eye):
        batches: list[int]

        def write(self, query: Query, strategy: Strategy, **options) -> Writing:
            self.batches.append(0)
            return replace(super().write(query, strategy, **options), processors=1)

        def complete(self, queries: Sequence[Query], strategy: Strategy, **options) -> list[Completion]:
            self.batches.append(len(queries))
            return super().complete(queries, strategy, **options)

    image = picture((20, 20, 60, 60), (310, 220, 350, 260), (320, 40, 327, 47))
    eye, stop = Busy(), threading.Event()
    eye.batches = []
    writing = tiled(eye, 2, 2).write(Query(image, "white?"), BOX, stop=stop, deadline=None)
    text = ""
    for piece in writing.pieces:
        text += piece
        if stopped and "</answer>" in text:
            stop.set()
    assert eye.batches == ([0] if stopped else [0, 4])
    answer = parse(text, writing.frame)
    assert len(answer.prompts) == (2 if stopped else 3)
    assert stopped or answer == streamed(tiled(Eye(), 2, 2), image)[1]


def test_a_prompter_is_asked_as_it_says_unless_told_otherwise() -> None:
    eye, plain = Eye(), Plain()
    assert tiled(eye, None) is eye and settled(eye, None) == (1, 0)
    assert tiled(plain, None).name == "plain, 2 x 2 tiles from 2 on" and settled(plain, None) == SETTLED
    assert tiled(plain, 1) is plain and settled(plain, 3, 1) == (3, 1)
    assert viewed(plain, "auto").name == viewed(plain, "tiles").name and viewed(plain, "whole") is plain
    assert viewed(eye, "auto") is eye and viewed(eye, "tiles").name == "eye, 2 x 2 tiles from 2 on"
    with pytest.raises(QueryError, match="no tiles that could wait"):
        tiled(plain, None, 2)


@pytest.mark.parametrize("views", ["", "mosaic", 2, None, ["auto"]])
def test_other_views_are_refused(views) -> None:
    with pytest.raises(QueryError, match="Known: auto, whole, tiles"):
        viewed(Eye(), views)


def test_of_a_tile_only_what_is_new_is_told() -> None:
    class Wordy(Eye):
        def text(self, query: Query) -> str:
            self.thought = f"White is asked for. I see {self.asked}. More anon"
            return super().text(query)

    image = picture((20, 20, 60, 60), (310, 220, 350, 260))
    for run in (asked, lambda p, i: streamed(p, i)[1]):
        assert run(tiled(Wordy(), 2, 2), image).thought.splitlines() == [
            "White is asked for. I see 0. More anon",
            "Upper left: I see 1.", "Upper right: I see 2.", "Lower left: I see 3.", "Lower right: I see 4.",
            "Together: a total of 2 objects.",
        ]  # fmt: skip
        alone = run(tiled(Wordy(), 2, 3), image)
        assert alone.thought == "White is asked for. I see 0. More anon" and len(alone.prompts) == 2


def test_counts_in_the_thoughts_of_tiles_are_not_held_against_the_answer() -> None:
    class Counting(Eye):
        def text(self, query: Query) -> str:
            self.thought = "I see 2 rectangles."
            return super().text(query)

    boxes = [(20, 20, 60, 60), (310, 220, 350, 260), (320, 40, 327, 47)]
    (completion,) = tiled(Counting(), 2, 2).complete([Query(picture(*boxes), "?")], BOX)
    answer = parse(completion.text, completion.frame)
    assert len(answer.prompts) == 3 and "a total of 3 objects" in answer.thought
    assert contradiction(answer.thought, {3}) is None
    assert contradiction("I see 2 rectangles.", {3}) is not None


@pytest.mark.parametrize("stopped", [False, True])
def test_the_whole_pictures_answer_is_there_before_any_tile_is_asked_about(stopped: bool) -> None:
    eye, stop = Eye(), threading.Event()
    image = picture((20, 20, 60, 60), (310, 220, 350, 260), (320, 40, 327, 47))
    writing = tiled(eye, 2, 2).write(Query(image, "?"), BOX, stop=stop, deadline=None)
    text, first = "", None
    for piece in writing.pieces:
        text += piece
        if first is None and "</answer>" in text:
            first = len(parse(text, writing.frame).prompts), eye.asked
            if stopped:
                stop.set()
    assert first == (2, 1)
    assert (len(parse(text, writing.frame).prompts), eye.asked) == ((2, 1) if stopped else (3, 5))
