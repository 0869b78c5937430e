"""The rewards of GRPO: what each gives, that a completion's own hangs on it alone, and that no text can upset them."""

from __future__ import annotations

import gc
import hashlib
import random
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from think2seg import segmenter
from think2seg.answer import MAX_INSTANCES, MAX_TEXT, render
from think2seg.baselines import BASELINES
from think2seg.datasets import procedural
from think2seg.errors import AnswerError, DatasetError, ModelError, QueryError
from think2seg.evaluation.geometry import true_boxes
from think2seg.metrics import iou
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter
from think2seg.types import Answer, Completion, Mask, Prompt, Query
from train.rewards import MASK_ONLY, WEIGHTS, Rewards, figures

NOTHING = render(Answer("Nothing of it.", ()))
PROSE = "<think> Hm. </think> I would rather not."


def said(*prompts: Prompt) -> str:
    return render(Answer("So it is.", prompts))


def box(x1: float, y1: float, x2: float, y2: float) -> Prompt:
    """A box with the two points that are asked for."""
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return Prompt((x1, y1, x2, y2), ((x, y), (x + 1, y)))


class Boxes:
    """Fills each box, or nothing without one, and remembers what it was asked."""

    name, about = "boxes", "fills boxes"

    def __init__(self, *, blind: bool = False) -> None:
        self.blind = blind
        self.asked: list[tuple[Prompt, ...]] = []

    def encode(self, image: np.ndarray) -> None:
        del image

    def segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Mask]:
        self.asked.append(tuple(prompts))
        masks = []
        for i, prompt in enumerate(prompts):
            pixels = np.zeros(image.shape[:2], dtype=bool)
            if prompt.box is not None and not self.blind:
                x1, y1, x2, y2 = (int(v) for v in prompt.box)
                pixels[y1:y2, x1:x2] = True
            masks.append(Mask(pixels, 0.9, i))
        return masks


def batch(
    texts: Sequence[Any],
    truth: tuple[int, int, int, int] | None = (10, 10, 30, 30),
    *,
    ids: Sequence[str] | None = None,
    strategy: str = "box+2",
    size: int = 64,
    frame: Sequence[int] | None = None,
) -> dict[str, Any]:
    """What TRL hands a reward: one question about a grey picture, a row for each completion."""
    mask = np.zeros((size, size), dtype=np.uint8)
    if truth is not None:
        x1, y1, x2, y2 = truth
        mask[y1:y2, x1:x2] = 255
    n = len(texts)
    return {
        "prompts": [[{"role": "user", "content": "Where is the pool?"}]] * n,
        "completions": [[{"role": "assistant", "content": text}] for text in texts],
        "completion_ids": [[1, 2]] * n,
        "image": [Image.new("RGB", (size, size), (90, 90, 90)) for _ in texts],
        "mask": [Image.fromarray(mask) for _ in texts],
        "frame": [list(frame or (size, size))] * n,
        "strategy": [strategy] * n,
        "sample_id": list(ids or ["one"] * n),
    }


def all_of(rewards: Rewards, rows: dict[str, Any]) -> list[tuple[float, ...]]:
    """(mask_iou, readable, think_answer) by completion."""
    return list(zip(*(function(**rows) for function in rewards.functions()[0]), strict=True))


# --- what each reward gives -------------------------------------------------------------------------------------------


def test_a_baseline_takes_an_answer_without_a_box_for_unreadable_and_goes_on() -> None:
    whole, pointed = said(box(10, 10, 30, 30)), said(Prompt(None, ((15.0, 15.0), (16.0, 16.0))))
    rows = batch([whole, pointed, said(box(10, 10, 30, 30), Prompt(None, ((50.0, 50.0), (51.0, 51.0)))), NOTHING])
    first, *others = all_of(Rewards(BASELINES["ellipse"]), rows)
    assert 0.7 < first[0] < 0.9 and first[1:] == (1, 1)
    assert others == [(0, 0, 1), (0, 0, 1), (0, 1, 1)]


@pytest.mark.parametrize(
    ("text", "truth", "expected"),
    [
        pytest.param(said(box(10, 10, 30, 30)), True, (1, 1, 1), id="the target"),
        pytest.param(said(box(10, 10, 30, 20)), True, (0.5, 1, 1), id="half of it"),
        pytest.param(said(box(10, 10, 30, 20), box(10, 20, 30, 30)), True, (1, 1, 1), id="two halves are a union"),
        pytest.param(said(box(10, 10, 30, 30), box(11, 11, 30, 30)), True, (1, 1, 1), id="a duplicate is dropped"),
        pytest.param(NOTHING, True, (0, 1, 1), id="nothing, where there is a target"),
        pytest.param(PROSE, True, (0, 0, 0), id="unreadable, where there is a target"),
        pytest.param(NOTHING, False, (1, 1, 1), id="nothing, where there is none"),
        pytest.param(said(box(10, 10, 30, 30)), False, (0, 1, 1), id="a false alarm"),
        pytest.param(PROSE, False, (0, 0, 0), id="unreadable is not nothing"),
        pytest.param(said(box(10, 10, 30, 30)).replace("think>", "THINK>"), True, (1, 1, 0), id="other tags"),
        pytest.param("<answer>[]</answer>", False, (1, 1, 0), id="no thought"),
        pytest.param("", True, (0, 0, 0), id="blank"),
    ],
)
def test_what_is_earned(text: str, truth: bool, expected: tuple[float, float, float]) -> None:
    rows = batch([text], (10, 10, 30, 30) if truth else None)
    assert all_of(Rewards(Boxes()), rows) == [expected]


def test_a_list_that_is_not_empty_is_no_nothing_even_where_its_masks_are() -> None:
    rewards = Rewards(Boxes(blind=True))
    assert rewards.mask_iou(**batch([said(box(1, 1, 9, 9)), NOTHING], None)) == [0.0, 1.0]


ONE_POINT = Prompt((10, 10, 30, 30), ((20, 20),))
FOUR_POINTS = Prompt((10, 10, 30, 30), ((20, 20), (21, 21), (22, 22), (23, 23)))
NEGATIVES = Prompt((10, 10, 30, 30), ((20, 20), (21, 21)), ((1, 1), (2, 2)))
NO_BOX = Prompt(None, ((20, 20), (21, 21)))


@pytest.mark.parametrize(
    ("strategy", "prompt", "right", "sent"),
    [
        ("box+2", box(10, 10, 30, 30), 1.0, box(10, 10, 30, 30)),
        ("box+2", ONE_POINT, 0.0, ONE_POINT),
        ("box+2", FOUR_POINTS, 0.0, Prompt((10, 10, 30, 30), ((20, 20), (21, 21)))),
        ("box+2", NEGATIVES, 0.0, Prompt((10, 10, 30, 30), ((20, 20), (21, 21)))),
        ("box+2", NO_BOX, 0.0, NO_BOX),
        ("box+4", FOUR_POINTS, 1.0, FOUR_POINTS),
        ("box", FOUR_POINTS, 0.0, Prompt((10, 10, 30, 30))),
        ("box+2+neg", NEGATIVES, 1.0, NEGATIVES),
        ("points", NO_BOX, 1.0, NO_BOX),
    ],
)
def test_wrong_counts_cost_readable_alone(strategy: str, prompt: Prompt, right: float, sent: Prompt) -> None:
    """The strategy cuts what it can, and the mask of what is sent is what counts."""
    sam = Boxes()
    ((score, readable, _tags),) = all_of(Rewards(sam), batch([said(prompt)], strategy=strategy))
    assert readable == right and sam.asked == [(sent,)]
    assert score == (0.0 if sent.box is None else 1.0)


def test_negative_points_can_stay_at_home() -> None:
    sam = Boxes()
    Rewards(sam, negatives=False).mask_iou(**batch([said(NEGATIVES)], strategy="box+2+neg"))
    assert sam.asked == [(Prompt(NEGATIVES.box, NEGATIVES.positive),)]


def test_a_peer_is_not_held_to_counts() -> None:
    """VisionReasoner has one point for each object, whatever is asked."""
    text = '<think>a</think><answer>[{"bbox_2d": [10,10,30,30], "point_2d": [20,20]}]</answer>'
    assert all_of(Rewards(Boxes(), dialect="visionreasoner"), batch([text])) == [(1, 1, 1)]
    assert all_of(Rewards(Boxes()), batch([text]))[0][1] == 0


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<think> a </think>\n<answer>```json[]```</answer>", True),
        ("  <think>a</think> \n\n <answer>b</answer>\n", True),
        ("<think></think><answer></answer>", True),
        ("So: <think>a</think><answer>b</answer>", False),
        ("<think>a</think> so <answer>b</answer>", False),
        ("<think>a</think><answer>b</answer> Done.", False),
        ("<think>a</think><answer>b</answer><answer>c</answer>", False),
        ("<think>a</think></think><answer>b</answer>", False),
        ("<answer>b</answer><think>a</think>", False),
        ("<think>a<answer>b</answer></think>", False),
        ("<think>a</think><answer>b", False),
        ("<think>" + "a" * MAX_TEXT + "</think><answer>b</answer>", False),
    ],
)
def test_tags(text: str, right: bool) -> None:
    assert Rewards(Boxes()).think_answer(**batch([text])) == [float(right)]


def test_completions_may_be_plain_strings() -> None:
    rows = batch([said(box(10, 10, 30, 30)), PROSE])
    plain = rows | {"completions": [turns[0]["content"] for turns in rows["completions"]]}
    assert all_of(Rewards(Boxes()), plain) == all_of(Rewards(Boxes()), rows)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_functions_and_weights_come_in_one_order() -> None:
    functions, weights = Rewards(Boxes()).functions()
    assert [f.__name__ for f in functions] == list(WEIGHTS) == ["mask_iou", "readable", "think_answer"]
    assert weights == [2, 1, 1]
    assert Rewards(Boxes(), weights=MASK_ONLY).functions()[1] == [2, 0, 0]
    assert Rewards(Boxes(), weights={"readable": 0.5}).functions()[1] == [2, 0.5, 1]


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_each_weight_weighs_its_own(name: str) -> None:
    rewards = Rewards(Boxes(), weights=dict.fromkeys(WEIGHTS, 0.0) | {name: 3.0})
    rewards.mask_iou(**batch([said(box(10, 10, 30, 20))]))  # half right, readable, in tags
    ((_row, scored),) = rewards.shown
    assert scored.total == 3 * {"mask_iou": 0.5, "readable": 1, "think_answer": 1}[name]


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ({"iou": 1.0}, "'iou'.*mask_iou"),
        ({"mask_iou": float("nan")}, "nan"),
        ({"mask_iou": -1.0}, "-1"),
        (dict.fromkeys(WEIGHTS, 0.0), "above"),
    ],
)
def test_weights_that_are_none(weights: dict[str, float], named: str) -> None:
    with pytest.raises(QueryError, match=named):
        Rewards(Boxes(), weights=weights)


# --- one reading and one segmentation ---------------------------------------------------------------------------------


def test_a_batch_is_computed_once_and_let_go() -> None:
    sam = Boxes()
    rewards = Rewards(sam)
    rows = batch([said(box(10, 10, 30, 30)), said(box(0, 0, 9, 9))])
    logged: list[str] = []
    rows["log_metric"] = lambda name, value: logged.append(name)
    first = all_of(rewards, rows)
    assert len(sam.asked) == 2 and logged.count("answers/iou") == 1
    held = weakref.ref(rows["mask"][0])
    assert all_of(rewards, rows) == first
    assert len(sam.asked) == 4 and logged.count("answers/iou") == 2  # a new step, though it looks the same
    del rows
    gc.collect()
    assert held() is None


def test_a_batch_is_not_mistaken_for_another() -> None:
    rewards = Rewards(Boxes())
    rows = batch([said(box(10, 10, 30, 30))])
    assert rewards.mask_iou(**rows) == [1.0]
    rows["completions"][0][0]["content"] = PROSE  # the same list, another text
    assert rewards.readable(**rows) == [0.0]
    other = rows | {"mask": batch([""], None)["mask"], "completions": [NOTHING]}
    assert rewards.mask_iou(**rows | {"completions": [NOTHING]}) == [0.0]
    assert rewards.readable(**other) == [1.0] and rewards.mask_iou(**other) == [1.0]


def test_answers_that_are_alike_are_segmented_once() -> None:
    sam = Boxes()
    alike = said(box(10, 10, 30, 30))
    Rewards(sam).mask_iou(**batch([alike, said(box(0, 0, 9, 9)), alike.replace("So", "Thus"), NOTHING, NOTHING]))
    assert sorted(map(len, sam.asked)) == [0, 1, 1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mask": None}, "`mask`"),
        ({"frame": [[64, 64], [64, 64]]}, "`frame` has 2 rows for 1"),
        ({"frame": [[64]]}, "'one'.*frame"),
        ({"image": [b"png"]}, "'one'.*bytes"),
        ({"mask": [Image.new("L", (5, 5))]}, "64 x 64 and 5 x 5"),
        ({"mask": [Image.new("RGB", (64, 64))]}, "one band"),
    ],
)
def test_a_data_set_that_lacks_something_is_told_in_words(change: dict[str, Any], named: str) -> None:
    with pytest.raises(DatasetError, match=named):
        Rewards(Boxes()).mask_iou(**batch([NOTHING]) | change)


def test_an_unknown_strategy_and_a_sam_that_fails_stop_the_run() -> None:
    class Full(Boxes):
        def segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Mask]:
            raise ModelError("no memory")

    with pytest.raises(QueryError, match="'boxes'"):
        Rewards(Boxes()).mask_iou(**batch([NOTHING], strategy="boxes"))
    with pytest.raises(ModelError):
        Rewards(Full()).mask_iou(**batch([said(box(1, 1, 9, 9))]))


# --- what is logged ---------------------------------------------------------------------------------------------------


def test_figures_worked_out_by_hand() -> None:
    """Two groups of two on a target of 400 pixels, one group of two without one."""
    rewards = Rewards(Boxes())
    half, whole = said(box(10, 10, 30, 20)), said(box(10, 10, 30, 30), box(40, 40, 60, 60))
    rows, none = batch([half, half, whole, PROSE], ids=["a", "a", "b", "b"]), batch([NOTHING, half], None, ids="cc")
    rows = {name: rows[name] + none[name] for name in rows}
    metrics: dict[str, float] = {}
    extra: dict[str, list[Any]] = {}
    rewards.mask_iou(**rows, trainer_state=None, log_metric=metrics.__setitem__, log_extra=extra.__setitem__)
    assert metrics == pytest.approx(
        {
            "answers/iou": (0.5 + 0.5 + 400 / 800 + 0) / 4,
            "answers/n_acc": 0.5,
            "answers/empty": 0.0,
            "answers/parsed": 5 / 6,
            "answers/instances": (1 + 1 + 2 + 0 + 1) / 5,
            "answers/characters": sum(len(turns[0]["content"]) for turns in rows["completions"]) / 6,
            "answers/zero_spread": 1 / 3,
            "answers/alike": 1 / 3,
            "answers/points_inside": (2 + 2 + 2) / 8,
            "answers/box_iou": (0.5 + 0.5 + (1 + 0) / 2) / 3,
            "answers/box_area": 0.5,
        }
    )
    assert extra["sample_id"] == ["a", "a", "b", "b", "c", "c"]
    assert extra["instances"] == [1, 1, 2, 0, 0, 1]
    assert [bool(why) for why in extra["why"]] == [False, False, False, True, False, False]


def test_figures_of_which_nothing_speaks_are_left_out() -> None:
    metrics: dict[str, float] = {}
    Rewards(Boxes()).mask_iou(**batch([PROSE]), log_metric=metrics.__setitem__)
    assert set(metrics) == {f"answers/{name}" for name in ("iou", "empty", "parsed", "characters")}
    assert figures([]) == {}


def test_the_best_and_the_worst_are_kept_to_be_looked_at() -> None:
    rewards = Rewards(Boxes())
    texts = [NOTHING, said(box(10, 10, 30, 30)), said(box(10, 10, 30, 20)), PROSE, NOTHING, NOTHING]
    rewards.mask_iou(**batch(texts, ids=["a", "a", "a", "a", "b", "b"]))
    assert [(row.sample_id, row.completion.text) for row, _scored in rewards.shown] == [
        ("a", texts[1]),
        ("a", PROSE),
        ("b", NOTHING),
    ]
    best, worst = (rewards.result(row) for row, _scored in rewards.shown[:2])
    assert best is not None and best.mask.sum() == 400 and worst is None
    assert rewards.shown[0][0].question == "Where is the pool?"


# --- with the bundled SAM ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nano() -> segmenter.Sam2Segmenter:
    with torch.random.fork_rng():
        return segmenter.load("nano")


class Spy(segmenter.Sam2Segmenter):
    """Remembers each prompt's logits: their last bits tell the company in which it was decoded."""

    digests: dict[Prompt, str]

    def _decode(self, embedding: Any, prompts: Sequence[Prompt]) -> tuple[Any, Any]:
        grids, scores = super()._decode(embedding, prompts)
        self.digests |= {prompt: hashlib.sha256(grid).hexdigest() for prompt, grid in zip(prompts, grids, strict=True)}
        return grids, scores


def spy(sam: segmenter.Sam2Segmenter) -> Spy:
    made = Spy("nano", sam._predictor.model)
    made.digests = {}
    return made


def scenes(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [sample.load() for sample in procedural.load("val", limit=count)]


def guesses(truth: np.ndarray, count: int, seed: int, scale: float = 1.0) -> list[str]:
    """Answers that point near the truth, each otherwise; of one, two and three instances in turn. scale: of a frame."""
    rng = np.random.default_rng(seed)
    boxes = true_boxes(truth) if truth.any() else np.array([[50.0, 50, 120, 120]])
    texts = []
    for i in range(count):
        prompts = []
        for x1, y1, x2, y2 in boxes[: 1 + i % 3]:
            x1, y1, x2, y2 = (round(v, 1) for v in np.array([x1, y1, x2, y2]) + rng.uniform(-8, 8, 4))
            x1, y1 = max(0.0, x1), max(0.0, y1)
            prompts.append(box(*(v * scale for v in (x1, y1, max(x2, x1 + 4), max(y2, y1 + 4)))))
        texts.append(render(Answer(f"Guess {i}.", tuple(prompts))))
    return texts


def scene_rows(image: np.ndarray, truth: np.ndarray, texts: Sequence[str], name: str) -> dict[str, Any]:
    n, size = len(texts), [image.shape[1], image.shape[0]]
    return batch(texts, ids=[name] * n, frame=size) | {
        "image": [Image.fromarray(image) for _ in texts],
        "mask": [Image.fromarray(truth.astype(np.uint8) * 255) for _ in texts],
    }


def test_poison_leaves_every_other_reward_as_it_was_to_the_bit(nano: segmenter.Sam2Segmenter) -> None:
    image, truth = next(pair for pair in scenes(4) if pair[1].any())
    good = guesses(truth, 5, seed=1)
    grid = [Prompt((x, y, x + 9, y + 9)) for y in range(0, 60, 20) for x in range(0, 120, 20)]
    poison = {
        0: '<think> a </think><answer>[{"bbox_2d": [1, 2, "x"',
        2: "",
        3: "<think>" + " pool" * 10_000,
        4: said(*grid, *(box(p.box[0], p.box[1] + 100, p.box[2], p.box[3] + 100) for p in grid if p.box)),
        6: "<answer>" + "[" * 3000 + '\x00{"bbox_2d": [1e999, -1e999, nan, 5]}',
    }
    mixed, places = [], []
    fresh = iter(good)
    for i in range(len(good) + len(poison)):
        if i not in poison:
            places.append(i)
        mixed.append(poison[i] if i in poison else next(fresh))
    clean, poisoned = spy(nano), spy(nano)
    alone = all_of(Rewards(clean), scene_rows(image, truth, good, "a"))
    among = all_of(Rewards(poisoned), scene_rows(image, truth, mixed, "a"))
    assert [among[i] for i in places] == alone
    assert len({score for score, *_ in alone}) == len(good)  # rewards that differ, and not by chance alike
    assert len(clean.digests) >= len(good) and clean.digests.items() <= poisoned.digests.items()
    one_by_one = [all_of(Rewards(nano), scene_rows(image, truth, [text], "a"))[0] for text in good]
    assert one_by_one == alone


def test_a_picture_is_encoded_once_even_where_only_one_embedding_is_kept(nano: segmenter.Sam2Segmenter) -> None:
    sam = segmenter.Sam2Segmenter("nano", nano._predictor.model, keep_bytes=1)
    (first, truth), (second, other) = scenes(2)
    a = scene_rows(first, truth, guesses(truth, 3, seed=2), "a")
    b = scene_rows(second, other, guesses(other, 3, seed=3), "b")
    mixed = {name: [row for pair in zip(a[name], b[name], strict=True) for row in pair] for name in a}
    all_of(Rewards(sam), mixed)
    assert sam.encodings == 2


def test_a_reward_is_what_the_pipeline_and_the_metric_say(nano: segmenter.Sam2Segmenter) -> None:
    """Also in a frame of another size than the picture's."""
    rewards = Rewards(nano)
    line = Pipeline(ReplayPrompter("", (1, 1)), nano)
    compared = 0
    for k, (image, truth) in enumerate(scenes(5)):
        frame = (336, 336) if k % 2 else (1000, 1000)
        texts = [*guesses(truth, 3, seed=10 + k, scale=frame[0] / 336), NOTHING, PROSE]
        found = rewards.mask_iou(**scene_rows(image, truth, texts, str(k)) | {"frame": [list(frame)] * len(texts)})
        for text, reward in zip(texts, found, strict=True):
            query, completion = Query(image, "Where?"), Completion(text, frame)
            try:
                answer = line.read(query, completion)
            except AnswerError:
                assert reward == 0
                continue
            mask = line.segment(query, completion, answer).mask
            assert reward == (iou(mask, truth) if truth.any() else float(answer.nothing_here))
            compared += 0 < reward < 1
    assert compared >= 5


def test_no_random_state_is_touched(nano: segmenter.Sam2Segmenter) -> None:
    image, truth = scenes(1)[0]
    rows = scene_rows(image, truth, [*guesses(truth, 2, seed=4), PROSE], "a")
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    first = all_of(Rewards(nano), rows)
    assert random.getstate() == python and torch.equal(torch.get_rng_state(), tensors)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), arrays, strict=True))
    assert all_of(Rewards(nano), rows) == first


def test_hostile_prompts_do_not_upset_sam(nano: segmenter.Sam2Segmenter) -> None:
    image, truth = scenes(1)[0]
    texts = [
        '<answer>[{"bbox_2d": [0, 0, 5e-324, 5]}]</answer>',
        '<answer>[{"bbox_2d": [335.99999999999994, 0, 336, 336], "positive_points": [[336, 336]]}]</answer>',
        '<answer>[{"positive_points": [[0, 0]], "negative_points": [[0, 0], [336, 0]]}]</answer>',
        '<answer>[{"bbox_2d": [-1e300, -1e300, 1e300, 1e300]}]</answer>',
    ]
    for found in all_of(Rewards(nano), scene_rows(image, truth, texts, "a")):
        assert all(0 <= value <= 1 for value in found)


# --- hostile texts ----------------------------------------------------------------------------------------------------

PIECES = (
    "<think>", "</think>", "<answer>", "</answer>", "```json", "```", "[", "]", "{", "}", '"', "'", ",", ":", "bbox_2d",
    "positive_points", "negative_points", "-", "1e308", "5e-324", "nan", "Infinity", "0.1", "-0", "9" * 20,
    "\x00", "\x1b[31m", "\ud800", "\u202e", "𝟙", "٣", " " * 50, "\n", "//", "\\u00", "null", "true", "[[[[[[[[[[[[[[",
)  # fmt: skip


def mutated(rng: random.Random, text: str) -> str:
    for _ in range(rng.randint(1, 6)):
        at, end = sorted(rng.randint(0, len(text)) for _ in range(2))
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[min(end, at + 12) :]
        elif kind == 2:
            text = text[:at] + text[at:end][:80] * 2 + text[end:]
        else:
            text = (
                text[:at]
                + "".join(rng.choice(PIECES) if c.isdigit() else c for c in text[at : at + 9])
                + text[at + 9 :]
            )
    return text


def test_ten_thousand_mutated_answers_never_raise() -> None:
    rng = random.Random(5)
    seeds = [said(box(10, 10, 30, 30)), said(box(1, 2, 9, 9), NEGATIVES), NOTHING, said(NO_BOX, FOUR_POINTS)]
    rewards = Rewards(Boxes())
    kinds = set()
    for start in range(0, 10_000, 100):
        texts = [mutated(rng, seeds[i % len(seeds)]) for i in range(100)]
        rows = batch(
            texts, None if start % 500 == 0 else (10, 10, 30, 30), frame=(64, 64) if start % 200 else (1000, 7)
        )
        logged: list[float] = []
        for found in all_of(rewards, rows | {"log_metric": lambda name, value, to=logged: to.append(value)}):
            assert all(type(value) is float and 0 <= value <= 1 for value in found)
            kinds.add((found[0] > 0, *found[1:]))
        assert np.isfinite(logged).all()
    assert len(kinds) >= 6  # right, wrong, unreadable, with and without tags: the mutations are not all alike


@pytest.mark.parametrize("said", [[], "", None, [{"role": "assistant"}], [{"role": "assistant", "content": None}], 7])
def test_a_completion_without_text_is_blank(said: Any) -> None:
    rows = batch([PROSE]) | {"completions": [said]}
    assert all_of(Rewards(Boxes()), rows) == [(0, 0, 0)]


def test_a_text_beyond_the_limits_earns_nothing_and_is_quick() -> None:
    many = said(*(Prompt((i % 60, i % 50, i % 60 + 1, i % 50 + 1)) for i in range(MAX_INSTANCES)))
    long = "<think>" + "a" * MAX_TEXT + "</think><answer>[]</answer>"
    more = many.replace("json[", 'json[{"bbox_2d": [1,1,2,2]}, ')
    found = all_of(Rewards(Boxes()), batch([long, more], None))
    assert found == [(0, 0, 0), (0, 0, 1)]
