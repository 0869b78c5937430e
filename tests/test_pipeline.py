"""The pipeline: events in their order, one change of frame, only SAM again on refine, and nothing left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from think2seg.errors import AnswerError, ImageError, ModelError, QueryError
from think2seg.pipeline import LONGEST_QUESTION, Pipeline
from think2seg.prompter import ReplayPrompter
from think2seg.types import Finished, Mask, MaskReady, Prompt, PromptFound, Thinking

IMAGE = np.full((100, 200, 3), 90, dtype=np.uint8)
FRAME = (100, 100)  # half as wide as the image, and as high
ONE = '{"bbox_2d": [10, 20, 30, 40], "positive_points": [[15, 25], [20, 30]]}'
TWO = '{"bbox_2d": [50, 60, 80, 90], "positive_points": [[60, 70], [70, 80]]}'
THREE = '{"bbox_2d": [5, 70, 25, 95], "positive_points": [[10, 80], [20, 90]]}'


def text(*instances: str, thought: str = "Two of them.") -> str:
    return f"<think> {thought} </think>\n<answer>```json[{', '.join(instances)}]```</answer>"


class Boxes:
    """A segmenter that fills the box (or a 3 x 3 square around the first point), and remembers what it was asked."""

    name = "boxes"
    about = "fills boxes"

    def __init__(self, seconds: float = 0.0) -> None:
        self.encoded = 0
        self.asked: list[list[Prompt]] = []
        self.seconds = seconds

    def encode(self, image: np.ndarray) -> None:
        self.encoded += 1

    def segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Mask]:
        time.sleep(self.seconds)
        self.asked.append(list(prompts))
        masks = []
        for i, prompt in enumerate(prompts):
            pixels = np.zeros(image.shape[:2], dtype=bool)
            x, y = prompt.positive[0] if prompt.positive else (0, 0)
            x1, y1, x2, y2 = (int(v) for v in (prompt.box or (x - 1, y - 1, x + 2, y + 2)))
            pixels[y1:y2, x1:x2] = True
            masks.append(Mask(pixels, 0.9, i))
        return masks


def line(written: str, segmenter: Boxes | None = None, **options) -> Pipeline:
    replay = {k: options.pop(k) for k in ("seconds", "fail") if k in options}
    return Pipeline(ReplayPrompter(written, FRAME, **replay), segmenter or Boxes(), **options)


def test_a_result_is_in_pixels_of_the_source_image() -> None:
    result = line(text(ONE, TWO))(IMAGE, "the two squares")
    assert [p.box for p in result.answer.prompts] == [(20, 20, 60, 40), (100, 60, 160, 90)]
    assert result.answer.prompts[0].positive == ((30, 25), (40, 30))
    assert result.completion.frame == FRAME and result.completion.text == text(ONE, TWO)
    assert [m.area for m in result.masks] == [40 * 20, 60 * 30]
    assert [m.prompt for m in result.masks] == [0, 1]
    assert result.mask.sum() == 40 * 20 + 60 * 30
    assert result.answer.thought == "Two of them."
    assert (result.prompter, result.segmenter, result.strategy) == ("replay", "boxes", "box+2")


def test_events_come_in_their_order_and_end_with_the_result() -> None:
    events = list(line(text(ONE, TWO)).steps(IMAGE, "the squares"))
    kinds = [type(e) for e in events]
    assert kinds[-1] is Finished and kinds.count(Finished) == 1
    assert "".join(e.delta for e in events if isinstance(e, Thinking)).strip() == "Two of them."
    assert [e.index for e in events if isinstance(e, PromptFound)] == [0, 1]
    assert sorted(e.mask.prompt for e in events if isinstance(e, MaskReady)) == [0, 1]
    for i in (0, 1):
        found = next(n for n, e in enumerate(events) if isinstance(e, PromptFound) and e.index == i)
        filled = next(n for n, e in enumerate(events) if isinstance(e, MaskReady) and e.mask.prompt == i)
        assert found < filled


def test_the_first_mask_comes_before_the_answer_is_finished() -> None:
    segmenter = Boxes()
    events = line(text(ONE, TWO, THREE), segmenter, seconds=1.5).steps(IMAGE, "the squares")
    order = [type(e).__name__ for e in events]
    last_found = len(order) - 1 - order[::-1].index("PromptFound")
    assert order.index("MaskReady") < last_found
    assert segmenter.encoded == 1


def test_nothing_here_is_an_answer() -> None:
    segmenter = Boxes()
    result = line(text(thought="No such thing."), segmenter)(IMAGE, "a volcano")
    assert result.nothing_here and not result.mask.any() and result.timing.first_mask_s is None
    assert segmenter.asked == [[]] or segmenter.asked == []


def test_an_unreadable_answer_is_an_error_after_the_thought() -> None:
    events = line("<think> I am not sure. </think> Sorry.").steps(IMAGE, "x")
    thought = ""
    with pytest.raises(AnswerError) as caught:
        for event in events:
            if isinstance(event, Thinking):
                thought += event.delta
    assert "not sure" in thought
    assert "Sorry" in caught.value.text


def test_a_second_answer_replaces_the_first() -> None:
    written = text(ONE, TWO) + " Let me correct that. " + text(THREE)
    events = list(line(written).steps(IMAGE, "x"))
    assert [e.index for e in events if isinstance(e, PromptFound)] == [0, 1, 0]
    result = events[-1].result
    assert [p.box for p in result.answer.prompts] == [(10, 70, 50, 95)]
    assert len(result.masks) == 1


def test_duplicates_go_before_sam_has_the_last_word_and_it_is_said() -> None:
    inner = '{"bbox_2d": [11, 21, 29, 39], "positive_points": [[15, 25], [20, 30]]}'
    result = line(text(inner, ONE, TWO))(IMAGE, "x")
    assert [p.box for p in result.answer.prompts] == [(20, 20, 60, 40), (100, 60, 160, 90)]
    assert [m.prompt for m in result.masks] == [0, 1]
    assert any("overlapped" in w for w in result.answer.warnings)


NEGATIVE = '{"bbox_2d": [10, 20, 30, 40], "positive_points": [[15, 25], [20, 30]], "negative_points": [[5, 5], [9, 9]]}'


@pytest.mark.parametrize(
    ("strategy", "negatives", "sent"),
    [
        ("box+2+neg", True, (True, 2, 2)),
        ("box+2+neg", False, (True, 2, 0)),
        ("box+2", True, (True, 2, 0)),
        ("box", True, (True, 0, 0)),
        ("points", True, (False, 2, 0)),
    ],
)
def test_refine_sends_what_the_strategy_cuts_and_asks_nobody(strategy: str, negatives: bool, sent) -> None:
    segmenter = Boxes()
    pipeline = line(text(NEGATIVE), segmenter, strategy="box+2+neg")
    first = pipeline(IMAGE, "x")
    pipeline.prompter = None  # type: ignore[assignment]
    again = pipeline.refine(first, strategy=strategy, negatives=negatives)
    (prompt,) = again.sent
    assert (prompt.box is not None, len(prompt.positive), len(prompt.negative)) == sent
    assert segmenter.asked[-1] == [prompt]
    assert again.answer == first.answer and again.prompter == "replay"


def test_refine_takes_prompts_moved_by_hand() -> None:
    pipeline = line(text(ONE))
    first = pipeline(IMAGE, "x")
    moved = (Prompt((0, 0, 10, 10)), Prompt((50, 50, 60, 60), ((55, 55),)))
    again = pipeline.refine(first, prompts=moved)
    assert [m.area for m in again.masks] == [100, 100]
    assert again.answer.prompts == moved and first.answer.prompts != moved


def test_a_strategy_that_leaves_nothing_sends_all_and_says_so() -> None:
    result = line(text('{"bbox_2d": [10, 20, 30, 40]}'))(IMAGE, "x", strategy="points")
    assert result.sent[0].box is not None
    assert any("points only" in w for w in result.answer.warnings)


@pytest.mark.parametrize("question", ["", "   \n", "x" * (LONGEST_QUESTION + 1)])
def test_a_question_that_cannot_be_asked_is_refused(question: str) -> None:
    with pytest.raises(QueryError):
        line(text(ONE))(IMAGE, question)


def test_an_unknown_strategy_and_a_file_that_is_not_there_are_refused(tmp_path) -> None:
    with pytest.raises(QueryError, match=r"box\+2"):
        line(text(ONE))(IMAGE, "x", strategy="lasso")
    with pytest.raises(ImageError, match="gone"):
        line(text(ONE))(tmp_path / "gone.png", "x")


@pytest.mark.parametrize("error", [ModelError("no memory"), RuntimeError("a bug")])
def test_an_error_of_the_prompter_comes_through_and_nothing_keeps_running(error: Exception) -> None:
    before = threading.active_count()
    with pytest.raises(type(error), match=str(error)):
        line(text(ONE), fail=error)(IMAGE, "x")
    assert_threads_end(before)


def test_an_error_of_the_segmenter_comes_through() -> None:
    class Broken(Boxes):
        def segment(self, image, prompts):
            raise ModelError("no memory for masks")

    with pytest.raises(ModelError, match="no memory for masks"):
        line(text(ONE), Broken())(IMAGE, "x")

    class Blind(Boxes):
        def encode(self, image):
            raise ModelError("no memory for the picture")

    with pytest.raises(ModelError, match="no memory for the picture"):
        line(text(), Blind())(IMAGE, "x")


def test_closing_the_events_ends_everything() -> None:
    before = threading.active_count()
    events = line(text(ONE, TWO), seconds=60).steps(IMAGE, "x")
    next(events)
    start = time.monotonic()
    events.close()
    assert time.monotonic() - start < 10  # of the 60 s that the text would take
    assert_threads_end(before)


def test_stop_reads_what_was_written() -> None:
    stop = threading.Event()
    found: list[PromptFound] = []
    result = None
    for event in line(text(ONE, TWO, THREE), seconds=6).steps(IMAGE, "x", stop=stop):
        if isinstance(event, PromptFound):
            found.append(event)
            stop.set()
        if isinstance(event, Finished):
            result = event.result
    assert result is not None and 1 <= len(result.masks) < 3
    assert any("cut" in w.lower() for w in result.answer.warnings)


def test_the_deadline_cuts_the_prompter_off_and_says_so() -> None:
    result = line(text(ONE, TWO, THREE), seconds=8, deadline_s=4)(IMAGE, "x")
    assert len(result.masks) < 3
    assert any("4 s" in w for w in result.answer.warnings)


def test_slow_masks_are_not_the_prompters_deadline() -> None:
    result = line(text(ONE), Boxes(seconds=0.5), deadline_s=0.3)(IMAGE, "x")
    assert len(result.masks) == 1 and result.answer.warnings == ()


def assert_threads_end(before: int) -> None:
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before, [t.name for t in threading.enumerate()]
