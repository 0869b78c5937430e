"""Samples that vote: the map, the confidences, what cannot be read, stopping; and sampling as it streams."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from test_pipeline import Boxes

from think2seg.errors import ModelError, QueryError
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter, Sampling, Writing
from think2seg.types import Mask
from think2seg.votes import Answered, Asking, Sample, Thought, Voted, Votes, matched, votes

IMAGE = np.full((10, 20, 3), 90, dtype=np.uint8)
FRAME = (20, 10)
UNREADABLE = "<think> Hm. </think> I would rather not."


def text(*boxes: tuple[int, int, int, int]) -> str:
    instances = ", ".join(f'{{"bbox_2d": {list(box)}}}' for box in boxes)
    return f"<think> I see roofs. </think><answer>```json[{instances}]```</answer>"


LEFT, RIGHT, HALF = (0, 0, 8, 10), (12, 0, 20, 10), (0, 0, 4, 10)


class Dice:
    """Writes `greedy` without sampling, and the text of the seed with it."""

    name = "dice"
    about = "a script by seed"

    def __init__(self, greedy: str, *by_seed: str, slow: int | None = None) -> None:
        self.greedy, self.by_seed, self.slow = greedy, by_seed, slow
        self.asked: list[Sampling | None] = []
        self.live = 0

    def write(self, query, strategy, *, stop, deadline, sampling=None) -> Writing:
        self.asked.append(sampling)
        written = self.greedy if sampling is None else self.by_seed[sampling.seed]
        seconds = 0.0
        if sampling is not None and sampling.seed == self.slow:
            written, seconds = "<think> " + "word " * 400, 60.0
        writing = ReplayPrompter(written, FRAME, seconds=seconds).write(query, strategy, stop=stop, deadline=deadline)
        return Writing(FRAME, self._noted(writing.pieces))

    def _noted(self, pieces):
        self.live += 1
        try:
            yield from pieces
        finally:
            self.live -= 1


def run(dice: Dice, **options):
    events = list(votes(dice, Boxes(), IMAGE, "roofs", **{"strategy": "box", **options}))
    assert isinstance(events[-1], Voted)
    return events, events[-1].votes


def test_the_map_is_the_share_of_all_samples_and_the_unreadable_stay_in_it() -> None:
    dice = Dice(text(LEFT, RIGHT), text(LEFT), text(LEFT, RIGHT), UNREADABLE, text())
    events, found = run(dice, number=4, temperature=0.7)
    assert [s and (s.temperature, s.seed) for s in dice.asked] == [None, (0.7, 0), (0.7, 1), (0.7, 2), (0.7, 3)]
    assert found.share.shape == (10, 20) and found.share.dtype == np.float32
    assert (found.share[:, :8] == 0.5).all() and (found.share[:, 12:] == 0.25).all()
    assert (found.share[:, 8:12] == 0).all()
    assert (found.unreadable, found.nothing_here, len(found.samples), found.stopped) == (1, 1, 4, False)
    assert [(c.found, c.samples, c.share, c.vote) for c in found.confidences] == [(2, 4, 0.5, 0.5), (1, 4, 0.25, 0.25)]
    assert [s.seed for s in found.samples] == [0, 1, 2, 3] and found.greedy.seed is None
    assert "rather not" in found.samples[2].thought and found.samples[0].thought == "I see roofs."
    assert [e.number for e in events if isinstance(e, Asking)] == [None, 0, 1, 2, 3]
    assert [e.number for e in events if isinstance(e, Answered)] == [None, 0, 1, 2, 3]
    assert "".join(e.delta for e in events if isinstance(e, Thought) and e.number == 1).strip() == "I see roofs."


def test_seeds_count_up_from_the_first() -> None:
    dice = Dice(text(LEFT), *[text(LEFT)] * 9)
    _events, found = run(dice, number=2, seed=7)
    assert [s.seed for s in found.samples] == [7, 8]


def test_an_answer_that_is_there_is_not_asked_for() -> None:
    dice = Dice(text(LEFT), text(LEFT))
    greedy = Pipeline(dice, Boxes(), strategy="box")(IMAGE, "roofs")
    dice.asked.clear()
    _events, found = run(dice, number=1, greedy=greedy)
    assert found.greedy.result is greedy and None not in dice.asked
    with pytest.raises(QueryError, match="another picture or question"):
        list(votes(dice, Boxes(), IMAGE, "roads", number=1, greedy=greedy))


def test_an_unreadable_greedy_answer_leaves_the_map() -> None:
    _events, found = run(Dice(UNREADABLE, text(LEFT)), number=1)
    assert found.greedy.result is None and found.confidences == () and found.share[:, :8].all()


def test_confidence_needs_the_same_place() -> None:
    nearly, other = (0, 0, 7, 10), (8, 0, 16, 10)
    _events, found = run(Dice(text(LEFT), text(nearly), text(HALF), text(other), text(LEFT)), number=4)
    (confidence,) = found.confidences  # IoU 7/8, 1/2, 0 and 1
    assert confidence.found == 3
    assert confidence.vote == pytest.approx((3 * 4 + 2 * 3 + 1) / 8 / 4)


def mask(*box: int) -> Mask:
    pixels = np.zeros((10, 20), bool)
    if box:
        pixels[box[1] : box[3], box[0] : box[2]] = True
    return Mask(pixels, 0.5, 0)


@pytest.mark.parametrize(
    ("name", "masks", "others", "expected"),
    [
        ("crossed", [mask(*LEFT), mask(*RIGHT)], [mask(*RIGHT), mask(*LEFT)], {0: 1, 1: 0}),
        ("one for two", [mask(*LEFT), mask(*LEFT)], [mask(*LEFT)], {0: 0}),
        ("the better one", [mask(*LEFT)], [mask(*HALF), mask(0, 0, 7, 10)], {0: 1}),
        ("the best for all", [mask(*LEFT), mask(0, 0, 6, 10)], [mask(0, 0, 7, 10), mask(0, 0, 11, 10)], {0: 1, 1: 0}),
        ("too little", [mask(*LEFT)], [mask(0, 0, 3, 10)], {}),
        ("empty masks are nowhere", [mask()], [mask()], {}),
        ("none", [], [mask(*LEFT)], {}),
    ],
)  # fmt: skip
def test_instances_are_matched_one_to_one(name: str, masks, others, expected) -> None:
    assert matched(masks, others) == expected, name


def test_stop_ends_the_sample_and_what_is_there_votes() -> None:
    dice, stop = Dice(text(LEFT), text(LEFT), text(LEFT), slow=1), threading.Event()
    told = []
    for event in votes(dice, Boxes(), IMAGE, "roofs", number=4, strategy="box", stop=stop):
        told.append(event)
        if isinstance(event, Thought) and event.number == 1:
            at = time.monotonic()
            stop.set()
    found = told[-1].votes
    assert time.monotonic() - at < 5 and dice.live == 0
    assert found.stopped and len(found.samples) == 1 and found.share[:, :8].all()
    assert len(dice.asked) == 3  # the greedy one, the first and the one that was stopped


def test_stopped_before_the_first_sample_there_is_no_vote() -> None:
    stop = threading.Event()
    stop.set()
    events, found = run(Dice(text(LEFT)), stop=stop)
    assert found is None and len(events) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"number": 0}, "number of samples"),
        ({"number": 65}, "number of samples"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 9.0}, "at most at 2"),
        ({"seed": -1}, "seed"),
        ({"strategy": "lasso"}, "lasso"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words: str) -> None:
    dice = Dice(text(LEFT))
    with pytest.raises(QueryError, match=words):
        run(dice, **options)
    assert dice.asked == []


def test_a_model_that_cannot_run_ends_it() -> None:
    class Broken(Boxes):
        def segment(self, image, prompts):
            raise ModelError("no memory for masks")

    with pytest.raises(ModelError, match="no memory"):
        list(votes(Dice(text(LEFT)), Broken(), IMAGE, "roofs", strategy="box"))


def test_no_samples_no_confidence() -> None:
    greedy = Pipeline(Dice(text(LEFT)), Boxes(), strategy="box")(IMAGE, "roofs")
    found = Votes((20, 10), Sample(None, greedy), (), 1.0, 3)
    assert found.confidences == () and not found.share.any() and found.stopped


def test_what_is_streamed_is_what_is_drawn_and_the_random_state_stays() -> None:
    """The bundled prompter: a sample that streams is the one that `complete` draws with the same seed."""
    import torch

    from think2seg import prompter as prompters
    from think2seg.datasets.scenes import scene
    from think2seg.strategy import STRATEGIES
    from think2seg.types import Query

    nano = prompters.load("nano")
    made = scene(7, 336)
    query = Query(made.image, next(q.text for q in made.questions if q.kind == "explicit"))
    torch.manual_seed(5)
    expected_next = torch.rand(3)
    torch.manual_seed(5)
    texts = []
    for seed in (0, 1, 0):
        writing = nano.write(
            query, STRATEGIES["box"], stop=threading.Event(), deadline=None, sampling=Sampling(1.5, seed)
        )
        texts.append("".join(writing.pieces))
    assert texts[0] == texts[2] != texts[1]
    (whole,) = nano.complete([query], STRATEGIES["box"], sampling=Sampling(1.5, 0))
    assert whole.text == texts[0]
    assert torch.equal(torch.rand(3), expected_next)
