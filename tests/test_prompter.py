"""The prompter: checkpoints in the hub's layout stream, stop, and say their frame; text comes out whole."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import replace

import checkpoints
import numpy as np
import pytest
import torch

from think2seg import dialect, machine, models, prompter
from think2seg.errors import ModelError
from think2seg.spelling import Spelling
from think2seg.strategy import STRATEGIES
from think2seg.types import Query

DEFAULT = STRATEGIES["box+2"]


def query(width: int = 64, height: int = 48, question: str = "where are the planes?") -> Query:
    return Query(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8), question)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory):
    return checkpoints.write(tmp_path_factory.mktemp("tiny-qwen"), checkpoints.tiny())


@pytest.fixture
def tiny(tiny_folder) -> prompter.TransformersPrompter:
    entry = replace(models.find_prompter(str(tiny_folder)), resize=(112, 84), max_new_tokens=24)
    return prompter.TransformersPrompter(entry, tiny_folder, device="cpu")


def test_the_published_3b_shape_streams_in_its_real_frame(tmp_path) -> None:
    """The 3B configuration cut to two layers, random weights, in the hub's layout, through the name of a folder."""
    folder = checkpoints.write(tmp_path, checkpoints.published_3b(2))
    model = prompter.load(str(folder))
    try:
        assert model.model.config.text_config.hidden_size == 2048
        assert "bfloat16" in model.about
        stop = threading.Event()
        writing = model.write(query(700, 500), DEFAULT, stop=stop, deadline=None)
        assert writing.frame == (840, 840)
        got = []
        for piece in writing.pieces:
            got.append(piece)
            if len(got) == 3:
                stop.set()
        assert 3 <= len(got) <= 5  # the stop took effect within a token, or two that were on their way
    finally:
        prompter._loaded.clear()


def test_the_frame_is_what_the_processor_really_resized_to(tiny_folder) -> None:
    entry = replace(models.find_prompter(str(tiny_folder)), resize=None, max_new_tokens=1)
    model = prompter.TransformersPrompter(entry, tiny_folder, device="cpu")
    frame = model.write(query(99, 101), DEFAULT, stop=threading.Event(), deadline=None).frame
    assert frame == (112, 112)  # smart_resize: whole multiples of 28, small pictures grow


def test_thousandths_are_the_registrys_word(tiny_folder) -> None:
    entry = replace(models.find_prompter(str(tiny_folder)), coordinates="thousandths", max_new_tokens=1)
    model = prompter.TransformersPrompter(entry, tiny_folder, device="cpu")
    assert model.write(query(), DEFAULT, stop=threading.Event(), deadline=None).frame == (1000, 1000)


def test_streamed_text_is_what_generate_says_at_once(tiny: prompter.TransformersPrompter) -> None:
    """Greedy, whatever the checkpoint's own generation configuration asks for."""
    asked = query()
    pieces = list(tiny.write(asked, DEFAULT, stop=threading.Event(), deadline=None).pieces)
    inputs = tiny._inputs([asked], DEFAULT)
    ids = tiny.model.generate(**inputs, max_new_tokens=24, do_sample=False, repetition_penalty=1.0, temperature=None)
    expected = tiny.processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert "".join(pieces) == expected
    assert len(pieces) > 1


def test_the_model_is_asked_in_the_published_words(tiny: prompter.TransformersPrompter) -> None:
    inputs = tiny._inputs([query(question="the “red” ship?")], DEFAULT)
    text = tiny.processor.tokenizer.decode(inputs["input_ids"][0])
    assert text.startswith("<|im_start|>system\nYou are a remote sensing analysis assistant.")
    assert text.count("<|image_pad|>") == (112 // 28) * (84 // 28)
    assert 'Please find "the “red” ship?", identify the target.' in text
    assert text.endswith("<|im_start|>assistant\n")


def test_a_set_stop_and_a_past_deadline_write_next_to_nothing(tiny: prompter.TransformersPrompter) -> None:
    stop = threading.Event()
    stop.set()
    assert list(tiny.write(query(), DEFAULT, stop=stop, deadline=None).pieces) == []
    late = tiny.write(query(), DEFAULT, stop=threading.Event(), deadline=time.monotonic() - 1)
    assert len(list(late.pieces)) <= 1


def test_closing_the_pieces_frees_the_model(tiny: prompter.TransformersPrompter) -> None:
    pieces = tiny.write(query(), DEFAULT, stop=threading.Event(), deadline=None).pieces
    next(pieces)
    pieces.close()
    assert not tiny._busy.locked()
    assert list(tiny.write(query(), DEFAULT, stop=threading.Event(), deadline=None).pieces)


def test_an_error_while_generating_reaches_the_reader(tiny: prompter.TransformersPrompter, monkeypatch) -> None:
    def broken(**_kwargs):
        raise RuntimeError("the model broke")

    monkeypatch.setattr(tiny.model, "generate", broken)
    with pytest.raises(RuntimeError, match="the model broke"):
        list(tiny.write(query(), DEFAULT, stop=threading.Event(), deadline=None).pieces)
    assert not tiny._busy.locked()


def test_running_out_of_gpu_memory_is_told_in_words(tiny: prompter.TransformersPrompter, monkeypatch) -> None:
    def full(**_kwargs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny.model, "generate", full)
    with pytest.raises(ModelError, match="GPU memory"):
        list(tiny.write(query(), DEFAULT, stop=threading.Event(), deadline=None).pieces)


def test_damaged_weights_are_refused_in_words(tiny_folder, tmp_path) -> None:
    for file in tiny_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 1000 if file.suffix == ".safetensors" else None])
    with pytest.raises(ModelError, match="cannot be loaded"):
        prompter.load(str(tmp_path))


@pytest.mark.parametrize("pause", [0.0, 0.03, 60.0])
@pytest.mark.parametrize("text", ["plain words", "Grüße, 東京, 🚁🛰️ and é", "a\nb\n\n  c", "\ufffd stays"])
def test_spelling_puts_out_every_character_once(tiny: prompter.TransformersPrompter, text: str, pause: float) -> None:
    """Byte by byte, so that most characters come in parts; none is shown before it is whole."""
    out: queue.Queue = queue.Queue()
    spelling = Spelling(tiny.processor.tokenizer, out, pause=pause)
    spelling.put(torch.tensor([[1, 2, 3]]))  # the prompt, which is not text
    for token in tiny.processor.tokenizer.encode(text, add_special_tokens=False):
        spelling.put(torch.tensor([token]))
    spelling.end()
    pieces = list(out.queue)
    assert "".join(pieces) == text
    if "stays" not in text:
        assert not any("\ufffd" in piece for piece in pieces)
    if pause == 60.0:
        assert len(pieces) <= 2  # the first, which waits for nothing, and the rest


def test_replay_stops_at_once_and_can_fail() -> None:
    stop = threading.Event()
    replay = prompter.ReplayPrompter("x" * 400, (10, 10), seconds=60)
    pieces = replay.write(query(), DEFAULT, stop=stop, deadline=None).pieces
    threading.Timer(0.2, stop.set).start()
    assert len("".join(pieces)) < 400
    failing = prompter.ReplayPrompter("text", (10, 10), fail=ModelError("no"))
    with pytest.raises(ModelError, match="no"):
        list(failing.write(query(), DEFAULT, stop=threading.Event(), deadline=None).pieces)


# --- many at once -----------------------------------------------------------------------------------------------------


def test_a_batch_of_any_size_writes_what_each_query_gets_alone(tiny: prompter.TransformersPrompter) -> None:
    """Questions of different lengths, so that there is padding; pictures of different sizes."""
    asked = [
        query(64, 48, "ships"),
        query(90, 30, "where are the " + "very " * 30 + "large planes?"),
        query(30, 90, "?"),
    ]
    alone = ["".join(tiny.write(q, DEFAULT, stop=threading.Event(), deadline=None).pieces) for q in asked]
    together = tiny.complete(asked, DEFAULT)
    assert [c.text for c in together] == alone
    assert [c.frame for c in together] == [(112, 84)] * 3 and {c.dialect for c in together} == {"think2seg"}
    assert tiny.complete([], DEFAULT) == []


def test_pictures_that_are_not_resized_have_each_their_own_frame(tiny_folder) -> None:
    entry = replace(models.find_prompter(str(tiny_folder)), resize=None, max_new_tokens=4)
    model = prompter.TransformersPrompter(entry, tiny_folder, device="cpu")
    asked = [query(99, 101), query(300, 150), query(56, 56)]
    together = model.complete(asked, DEFAULT)
    assert [c.frame for c in together] == [(112, 112), (308, 140), (56, 56)]
    for one, completion in zip(asked, together, strict=True):
        assert "".join(model.write(one, DEFAULT, stop=threading.Event(), deadline=None).pieces) == completion.text


def test_a_draw_is_its_seeds_and_leaves_the_global_state_alone(tiny: prompter.TransformersPrompter) -> None:
    asked = [query(question="ships"), query(question="planes")]
    before = torch.random.get_rng_state()
    drawn = [
        [c.text for c in tiny.complete(asked, DEFAULT, sampling=prompter.Sampling(1.0, seed))] for seed in (1, 1, 2)
    ]
    assert torch.equal(before, torch.random.get_rng_state())
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] != [c.text for c in tiny.complete(asked, DEFAULT)]
    with pytest.raises(ValueError, match="above 0"):
        prompter.Sampling(0.0, 1)


def test_a_dialect_changes_the_words_and_goes_with_the_completion(tiny_folder) -> None:
    entry = dialect.spoken(replace(models.find_prompter(str(tiny_folder)), max_new_tokens=2), "visionreasoner")
    model = prompter.TransformersPrompter(entry, tiny_folder, device="cpu")
    inputs = model._inputs([query(question="the red ship?")], DEFAULT)
    text = model.processor.tokenizer.decode(inputs["input_ids"][0])
    assert 'Please find "the red ship" with bboxs and points.' in text
    (completion,) = model.complete([query()], DEFAULT)
    writing = model.write(query(), DEFAULT, stop=threading.Event(), deadline=None)
    assert completion.dialect == writing.dialect == "visionreasoner"
    assert completion.frame == writing.frame == (840, 840)


# --- processors -------------------------------------------------------------------------------------------------------


def test_a_thread_that_takes_fewer_processors_leaves_the_others_theirs(monkeypatch) -> None:
    """torch hands the number that was set last to new threads, and to those that have not computed yet."""
    before = torch.get_num_threads()
    monkeypatch.setattr(machine, "processors", lambda: 2)
    torch.set_num_threads(2)
    found: dict[str, int] = {}

    def alone() -> None:
        machine.compute_on(1)
        torch.ones(10**6).sum()
        found["one"] = torch.get_num_threads()
        found["no more than there are"] = machine.compute_on(9) or torch.get_num_threads()

    try:
        for name, work in (("", alone), ("new", lambda: found.update(new=torch.get_num_threads()))):
            thread = threading.Thread(target=work, name=name)
            thread.start()
            thread.join()
        assert found == {"one": 1, "no more than there are": 2, "new": 2}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_pictures_that_a_batch_repeats_are_seen_once_and_answered_alike(tiny: prompter.TransformersPrompter) -> None:
    rng = np.random.default_rng(5)
    one, other = (rng.integers(0, 255, (56, 84, 3), np.uint8) for _ in range(2))
    asked = [Query(image, text) for image, text in ((one, "roofs"), (other, "roofs"), (one, "ships"), (one, "roofs"))]
    seen: list[int] = []
    hook = tiny.model.model.visual.patch_embed.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    try:
        together = tiny.complete(asked, DEFAULT)
        alone = [tiny.complete([query], DEFAULT)[0] for query in asked]
    finally:
        hook.remove()
    assert seen[0] == 2 * seen[1]
    assert [completion.text for completion in together] == [completion.text for completion in alone]
