"""Training rows: the trained model is asked token for token as the evaluated one, and right answers come from masks."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import checkpoints
import numpy as np
import pytest
import torch
from transformers import AutoProcessor
from trl import GRPOTrainer
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from think2seg import answer, models, prompter
from think2seg.datasets import Sample, load
from think2seg.dialect import spoken
from think2seg.errors import QueryError
from think2seg.strategy import STRATEGIES
from think2seg.types import Query
from train import data
from train.cold_start import asked_of, completion, parts, synthesised, thought
from train.nano.prompter_pictures import Asked, thing
from train.nano.prompter_text import CLOSE, Writer, load_tokenizer

BOX2 = STRATEGIES["box+2"]
SCENES = load("scenes", None, "train", questions="all", limit=4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Checkpoints by name; the tiny one squeezes its pictures to a size that its processor changes again."""
    tiny = checkpoints.write(tmp_path_factory.mktemp("tiny"), checkpoints.tiny())
    (tiny / models.SIDECAR).write_text(json.dumps({"coordinates": "frame", "resize": [150, 99]}))
    return {"nano": Path(models.find_prompter("nano").source), "tiny": tiny}


@pytest.fixture(scope="module", params=["nano", "tiny"])
def model(request, folders):
    """(entry, what evaluates, the processor that trains)"""
    entry = models.find_prompter(str(folders[request.param]))
    evaluated = prompter.TransformersPrompter(entry, folders[request.param], device="cpu")
    return entry, evaluated, AutoProcessor.from_pretrained(folders[request.param], padding_side="left")


def odd_sample(question: str = "the “ponds” {x}") -> Sample:
    """A picture of an odd size with a block on it."""
    image = np.random.default_rng(3).integers(0, 255, (211, 347, 3), dtype=np.uint8)
    truth = np.zeros((211, 347), dtype=np.bool_)
    truth[50:120, 200:290] = True
    return Sample("odd", "odd", question, lambda: (image, truth), {"level": "semantic"})


def assert_asked_alike(got, entry, evaluated, samples, strategy) -> None:
    """`got`, what the trainer feeds, is what the evaluator feeds, to the token and the pixel."""
    queries = [Query(sample.load()[0], sample.question) for sample in samples]
    wanted = evaluated._inputs(queries, strategy)
    for i in range(len(samples)):
        ids = got["input_ids"][i]
        ids = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
        assert ids == wanted["input_ids"][i][wanted["attention_mask"][i].bool()].tolist()
    assert torch.equal(got["pixel_values"], wanted["pixel_values"])
    assert torch.equal(got["image_grid_thw"], wanted["image_grid_thw"])


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))
def test_grpo_asks_as_the_evaluator_does(model, strategy) -> None:
    """What TRL's GRPO does with a row before it generates (`_tokenize_prompts`)."""
    entry, evaluated, processor = model
    samples = [SCENES[0], SCENES[1], odd_sample()]
    rows = data.prompt_rows(samples, entry, strategy, processor)[:]
    prompts = [
        prepare_multimodal_messages(prompt, images=[image])
        for prompt, image in zip(rows["prompt"], rows["image"], strict=True)
    ]
    trainer: Any = SimpleNamespace(
        processing_class=processor, tools=None, environment_factories=None, chat_template=None, chat_template_kwargs={}
    )
    trainer._is_vlm = True
    ids, _images, fields = GRPOTrainer._tokenize_prompts(trainer, prompts)
    got = {name: torch.as_tensor(fields[name]) for name in ("pixel_values", "image_grid_thw")}
    assert_asked_alike({"input_ids": ids, **got}, entry, evaluated, samples, strategy)


def test_supervised_rows_are_asked_alike_and_answered(model) -> None:
    entry, evaluated, processor = model
    rows = data.prompt_rows(SCENES[:3], entry, BOX2, processor, answered=True)
    texts = [row["completion"][0]["content"] for row in rows]
    collate = DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True)
    batch = collate([rows[i] for i in range(3)])
    asked = [ids[(labels == -100) & mask.bool()] for ids, labels, mask in zip(
        batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True)]  # fmt: skip
    assert_asked_alike({**batch, "input_ids": asked}, entry, evaluated, SCENES[:3], BOX2)
    for labels, text in zip(batch["labels"], texts, strict=True):
        learnt = processor.tokenizer.decode(labels[labels != -100], skip_special_tokens=False)
        assert learnt == text + "<|im_end|>\n"


def test_the_frame_is_what_the_processor_resizes_to(model) -> None:
    entry, evaluated, processor = model
    sample = odd_sample()
    for resize in (entry.resize, None):
        asked = replace(entry, resize=resize)
        evaluated._entry = asked
        row = data.prompt_rows([sample], asked, BOX2, processor)[0]
        inputs = evaluated._inputs([Query(sample.load()[0], "x")], BOX2)
        assert row["frame"] == list(evaluated._frames(inputs, 1)[0])
        assert row["image"].size == row["mask"].size == (resize or (347, 211))
    evaluated._entry = entry
    thousandths = replace(entry, coordinates="thousandths")
    assert data.prompt_rows([sample], thousandths, BOX2, processor)[0]["frame"] == [1000, 1000]


def test_rows_hold_what_the_rewards_need(folders) -> None:
    entry = models.find_prompter("nano")
    processor = AutoProcessor.from_pretrained(folders["nano"])
    row = data.prompt_rows(SCENES, entry, BOX2, processor, rows=[2, 0, 2])[2]
    image, truth = SCENES[2].load()
    assert row["image"].mode == "RGB" and row["mask"].mode == "L"
    assert np.array_equal(np.asarray(row["mask"]) > 0, truth) and np.array_equal(np.asarray(row["image"]), image)
    assert {*np.unique(row["mask"])} <= {0, 255}
    assert (row["strategy"], row["sample_id"], row["question"]) == ("box+2", SCENES[2].id, SCENES[2].question)
    assert all(isinstance(turn["content"], str) for turn in row["prompt"])


def test_rows_are_made_when_they_are_read_and_once_while_they_are_kept(folders) -> None:
    reads: Counter[str] = Counter()

    def counted(sample: Sample) -> Sample:
        def read():
            reads[sample.id] += 1
            return sample.read()

        return replace(sample, read=read)

    processor = AutoProcessor.from_pretrained(folders["nano"])
    samples = [counted(sample) for sample in SCENES[:3]]
    rows = data.prompt_rows(samples, models.find_prompter("nano"), BOX2, processor, rows=[0, 1] * 1000)
    assert not reads and len(rows) == 2000
    for _ in range(3):  # as a group, and as every backward pass of a generation, asks for them
        rows[[0, 0, 0, 1, 1, 1]]
    assert reads == {SCENES[0].id: 1, SCENES[1].id: 1}


def test_a_dialect_that_the_trainer_would_ask_otherwise_is_refused() -> None:
    entry = models.find_prompter("nano")
    assert data.turns("the ponds", spoken(entry, "visionreasoner"), STRATEGIES["box+2"])
    with pytest.raises(QueryError, match="middle of the user's turn"):
        data.turns("the ponds", spoken(entry, "remotereasoner"), STRATEGIES["box"])


# --- which row comes when ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "wanted"), [(0.3, 0.3), (0.0, 0.0), (None, 0.4), (0.05, 0.05)])
def test_every_stretch_of_a_run_has_its_share_without_a_target(share, wanted) -> None:
    missing = [i % 5 < 2 for i in range(100)]
    rows = data.order(missing, share=share, seed=1, rows=400)
    without = np.array([missing[i] for i in rows])
    assert len(rows) == 400 and abs(without.mean() - wanted) < 0.01
    for start in range(0, 400, 20):
        assert abs(without[start : start + 20].sum() - 20 * wanted) <= 1


def test_an_epoch_asks_each_question_with_a_target_once() -> None:
    missing = [False] * 70 + [True] * 10
    rows = data.order(missing, share=0.3, seed=1, epochs=2)
    counts = Counter(rows)
    assert all(counts[i] == 2 for i in range(70)) and len(rows) == 200
    assert all(counts[i] == 6 for i in range(70, 80))
    first, second = ([i for i in rows if i < 70][half * 70 : half * 70 + 70] for half in (0, 1))
    assert sorted(first) == sorted(second) == list(range(70)) and first != second


def test_the_order_hangs_on_the_seed_alone() -> None:
    missing = [i % 5 < 2 for i in range(50)]
    one, same, other = (data.order(missing, share=0.3, seed=seed, rows=60) for seed in (1, 1, 2))
    assert one == same != other
    assert data.order(missing, share=0.3, seed=1, rows=20) == one[:20]  # a longer run begins as a shorter one


def test_a_share_that_cannot_be_had_is_an_error_with_a_way_out() -> None:
    with pytest.raises(QueryError, match="no question without a target.*no_target_share to 0"):
        data.order([False] * 4, share=0.3, seed=0)
    with pytest.raises(QueryError, match="from 0 to less than 1; it is 1"):
        data.order([False, True], share=1.0, seed=0)
    assert sorted(data.order([False] * 4, share=0.0, seed=0)) == [0, 1, 2, 3]


def test_what_has_no_target_is_told_by_its_level_or_its_mask() -> None:
    told = odd_sample()
    nothing = Sample("n", "n", "q", lambda: (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.bool_)))
    said: list[str] = []
    assert data.absent([told, nothing, replace(nothing, id="m"), *SCENES[:9]], said.append)[:3] == [False, True, True]
    assert said == ["Looking for pictures without a target: reading 1 of them once."]
    for sample, missing in zip(SCENES, data.absent(SCENES), strict=True):
        assert missing == (not sample.load()[1].any())


# --- answers from masks -----------------------------------------------------------------------------------------------


def blocks(*corners: tuple[int, int, int, int], size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), dtype=np.bool_)
    for x1, y1, x2, y2 in corners:
        mask[y1:y2, x1:x2] = True
    return mask


def test_boxes_are_tight_and_instances_go_from_left_to_right() -> None:
    truth = blocks((60, 10, 90, 50), (5, 20, 25, 30), (40, 40, 42, 42))  # the last one is a crumb
    found = synthesised(truth, STRATEGIES["box"], np.random.default_rng(0))
    assert [prompt.box for prompt in found] == [(5, 20, 25, 30), (60, 10, 90, 50)]
    assert [p.box for p in synthesised(truth, STRATEGIES["box"], np.random.default_rng(0), most=1)] == [
        (60, 10, 90, 50)
    ]


def test_corners_that_touch_make_one_part_and_a_lone_crumb_stays() -> None:
    assert len(parts(blocks((10, 10, 20, 20), (20, 20, 30, 30)))) == 1
    assert len(parts(blocks((10, 10, 12, 12)))) == 1
    assert parts(blocks()) == []
    assert synthesised(blocks(), BOX2, np.random.default_rng(0)) == ()


def test_objects_that_touch_stay_apart_where_their_own_masks_are_given() -> None:
    masks = [blocks((10, 10, 20, 20)), blocks((20, 10, 30, 20))]
    assert len(synthesised(masks[0] | masks[1], BOX2, np.random.default_rng(0))) == 1
    assert [p.box for p in synthesised(masks, BOX2, np.random.default_rng(0))] == [(10, 10, 20, 20), (20, 10, 30, 20)]


def test_points_lie_deep_inside_and_apart() -> None:
    (prompt,) = synthesised(blocks((10, 40, 90, 60)), STRATEGIES["box+4"], np.random.default_rng(0))
    assert all(abs(y - 50) <= 1 for _x, y in prompt.positive[:2])
    xs = sorted(x for x, _y in prompt.positive)
    assert all(b - a >= 8 for a, b in pairwise(xs))
    ring = blocks((10, 10, 90, 90)) & ~blocks((25, 25, 75, 75))
    (prompt,) = synthesised(ring, BOX2, np.random.default_rng(0))
    assert all(ring[int(y), int(x)] for x, y in prompt.positive)


def test_negative_points_lie_just_outside_and_in_no_other_target() -> None:
    truth = blocks((30, 30, 50, 50), (53, 30, 80, 50))
    for seed in range(20):
        for prompt in synthesised(truth, STRATEGIES["box+2+neg"], np.random.default_rng(seed)):
            assert len(prompt.negative) == 2
            x1, y1, x2, y2 = prompt.box
            for x, y in prompt.negative:
                assert not truth[int(y), int(x)]
                assert x1 - 10 <= x <= x2 + 10 and y1 - 10 <= y <= y2 + 10
    (whole,) = synthesised(blocks((0, 0, 100, 100)), STRATEGIES["box+2+neg"], np.random.default_rng(0))
    assert whole.negative == () and whole.box == (0, 0, 99, 99)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))
def test_a_right_answer_reads_back_with_the_counts_that_were_asked_for(strategy) -> None:
    for sample in SCENES:
        _image, truth = sample.load()
        read = answer.parse(completion(sample, truth, (336, 336), strategy), (336, 336), strategy)
        assert not read.warnings and read.nothing_here == (not truth.any())
        for prompt in read.prompts:
            assert all(truth[int(y), int(x)] for x, y in prompt.positive)
        assert completion(sample, truth, (336, 336), strategy) == completion(sample, truth, (336, 336), strategy)


def test_scenes_are_answered_in_the_bundled_prompters_own_tokens() -> None:
    """With boxes alone, whose choice is no matter of taste, the whole answer is what `train.nano` writes."""
    words = load_tokenizer(Path(models.find_prompter("nano").source))
    writer = Writer(words)
    for sample in SCENES:
        scene, asked = asked_of(sample)
        things = [thing(o.category, o.mask, 0, 0) for o in scene.objects]
        question = Asked(asked.text, asked.kind, asked.category, asked.targets, asked.reasons)
        wanted = writer.answer(question, things, STRATEGIES["box"]).ids
        text = completion(sample, sample.load()[1], (336, 336), STRATEGIES["box"])
        assert [*writer.encode(text), writer.end] == wanted
        # With points: the pieces of JSON that are single tokens there, numbers and commas, and nothing else.
        text = completion(sample, sample.load()[1], (336, 336), STRATEGIES["box+2+neg"])
        ids = writer.encode(text)
        spelt = ids[ids.index(words.get_added_vocab()[CLOSE]) :]
        assert {*spelt} <= {*words.get_added_vocab().values(), *writer.numbers, *writer.encode(",")}


def test_an_answer_of_another_set_counts_its_parts_in_plain_words() -> None:
    sample = odd_sample("Where would a swimmer go?")
    text = completion(sample, sample.load()[1], (347, 211), BOX2)
    assert asked_of(sample) is None
    assert "I see 1 place: one at the right." in text
    assert re.search(r'"bbox_2d": \[200,50,290,120\], "positive_points": \[\[\d+,\d+\],\[\d+,\d+\]\]', text)
    assert "nothing to mark" in thought((), 0, (10, 10))


def test_an_answer_is_written_in_the_frame_that_the_prompter_sees() -> None:
    sample = odd_sample()
    read = answer.parse(completion(sample, sample.load()[1], (1000, 1000), BOX2), (1000, 1000))
    x1, y1, x2, y2 = read.prompts[0].box
    assert np.allclose([x1, y1, x2, y2], [200 / 0.347, 50 / 0.211, 290 / 0.347, 120 / 0.211], atol=1)
