"""Rows that begin alike are read once: the same logits, gradients and texts as one by one, for fewer tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from tests.checkpoints import tiny, write
from think2seg import prompter
from think2seg.prompter import Sampling, TransformersPrompter
from think2seg.shared_prefix import COMMON, PADDING, WIDEST, pack, share_prefix
from think2seg.strategy import find_strategy
from think2seg.types import Query

ASKED = find_strategy("box+2")
LAND, SEA = (np.random.default_rng(seed).integers(0, 255, (300, 400, 3), dtype=np.uint8) for seed in (1, 2))
PICTURE_S_QUESTIONS = [Query(LAND, "the ships"), Query(LAND, "where could a helicopter land?"), Query(LAND, "cars")]
GROUPS = [Query(LAND, "the ships")] * 3 + [Query(SEA, "every building with a flat roof")] * 3
STRANGERS = [Query(LAND, "the ships"), Query(SEA, "the ships")]


@pytest.fixture(scope="module")
def nano() -> TransformersPrompter:
    return prompter.load("nano", device="cpu")


@pytest.fixture
def either(nano: TransformersPrompter) -> Any:
    """A function that runs another the stock way, then sharing: both results, and the tokens that each one read."""
    tower = nano.model.model.language_model
    shared = tower.forward
    read: list[int] = []
    hook = tower.layers[0].register_forward_pre_hook(lambda _m, given: read.append(given[0].shape[:2].numel()))

    def run(what: Callable[[], Any]) -> tuple[Any, Any, list[int], list[int]]:
        read.clear()
        tower.forward = type(tower).forward.__get__(tower)
        stock, stock_read = what(), list(read)
        read.clear()
        tower.forward = shared
        return stock, what(), stock_read, list(read)

    yield run
    hook.remove()
    tower.forward = shared


@pytest.mark.parametrize("queries", [PICTURE_S_QUESTIONS, GROUPS], ids=["questions", "groups"])
def test_logits_are_those_of_every_row_alone_for_half_the_tokens(nano, either, queries) -> None:
    inputs = nano._inputs(queries, ASKED)
    counts = inputs["attention_mask"].bool()
    assert queries is GROUPS or not counts.all()  # padded on the left, each row by another number

    def logits() -> torch.Tensor:
        with torch.no_grad():
            return nano.model(**inputs, use_cache=False).logits[counts]

    stock, shared, read, read_shared = either(logits)
    assert torch.allclose(shared, stock, atol=1e-4)
    assert sum(read_shared) <= 0.5 * sum(read)


@pytest.mark.parametrize("queries", [PICTURE_S_QUESTIONS, GROUPS], ids=["questions", "groups"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
def test_gradients_add_up(nano, either, queries, checkpointing) -> None:
    inputs = nano._inputs(queries, ASKED)
    counts = inputs["attention_mask"].bool()
    learning = dict(nano.model.named_parameters())

    def gradients() -> dict[str, torch.Tensor]:
        try:
            nano.model.requires_grad_(True).zero_grad()
            if checkpointing:
                nano.model.train().gradient_checkpointing_enable()
            nano.model(**inputs).logits[counts].log_softmax(-1)[:, 7].mean().backward()
            return {name: parameter.grad.clone() for name, parameter in learning.items()}
        finally:
            nano.model.gradient_checkpointing_disable()
            nano.model.eval().requires_grad_(False).zero_grad(set_to_none=True)

    stock, shared, _read, _shared = either(gradients)
    assert stock.keys() == shared.keys() == learning.keys()
    for name, gradient in stock.items():
        assert torch.allclose(shared[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max())), name


@pytest.mark.parametrize("sampling", [None, Sampling(1.6, seed=5)], ids=["greedy", "drawn"])
@pytest.mark.parametrize("queries", [PICTURE_S_QUESTIONS, GROUPS], ids=["questions", "groups"])
def test_texts_are_the_same_and_a_beginning_is_kept_once(nano, either, queries, sampling) -> None:
    def texts() -> list[str]:
        return [one.text for one in nano.complete(queries, ASKED, sampling=sampling)]

    stock, shared, read, read_shared = either(texts)
    assert shared == stock and len(read) == len(read_shared) > 30
    if sampling is not None and queries is GROUPS:
        assert len(set(shared[:3])) > 1  # hot enough for the rows of a group to go ways of their own


def test_pictures_that_differ_are_read_as_ever(nano, either) -> None:
    stock, shared, read, read_shared = either(lambda: [one.text for one in nano.complete(STRANGERS, ASKED)])
    assert shared == stock and read == read_shared


def test_the_cache_says_how_long_a_row_is_and_refuses_beams(nano) -> None:
    inputs = nano._inputs(GROUPS, ASKED)
    length = inputs["input_ids"].shape[1]
    with torch.no_grad():
        cache = nano.model(**inputs, use_cache=True).past_key_values
        assert cache.get_seq_length() == length and cache.layers[0].keys.shape[0] == 2
        with pytest.raises(NotImplementedError, match="use no beams"):
            nano.model.generate(**inputs, max_new_tokens=3, num_beams=2)
        static = nano.model.generate(**inputs, max_new_tokens=3, cache_implementation="static")
    assert static.shape == (6, length + 3)


def test_the_published_architecture_reads_once_too(tmp_path, either) -> None:
    write(tmp_path, tiny())
    model = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12, 3, 4], [5, 6, 7, 8, 9, 10, 11, 12, 1, 2]])
    places = torch.arange(10).expand(3, 2, -1)
    with torch.no_grad():
        embeds = model.get_input_embeddings()(ids)
        stock = model.model.language_model(inputs_embeds=embeds, position_ids=places).last_hidden_state
        share_prefix(model)
        out = model.model.language_model(inputs_embeds=embeds, position_ids=places)
    assert torch.allclose(out.last_hidden_state, stock, atol=1e-5)
    assert out.past_key_values.get_seq_length() == 10 and out.past_key_values.layers[0].keys.shape[0] == 1


# --- how rows are laid out --------------------------------------------------------------------------------------------


def rows(*texts: str, before: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings, positions and mask of letters, padded on the left to the longest and `before` further places."""
    length = max(map(len, texts)) + before
    codes = torch.tensor([[0] * (length - len(text)) + [ord(letter) for letter in text] for text in texts])
    mask = (codes > 0).long()
    return codes[..., None].float(), (mask.cumsum(1) - 1).clamp(min=0).expand(3, -1, -1), mask


def laid_out(*texts: str, before: int = 0) -> list[str] | None:
    embeds, places, mask = rows(*texts, before=before)
    packing = pack(embeds, places, mask)
    if packing is None:
        return None
    letters = embeds.flatten()[packing.source]
    assert torch.equal(letters.flatten()[packing.target][mask.bool()], embeds[..., 0][mask.bool()])
    assert ((packing.owner == PADDING) | (letters > 0)).all()
    shown = []
    for letter_row, owner_row in zip(letters.tolist(), packing.owner.tolist(), strict=True):
        names = [
            f"{'' if o == COMMON else o}{chr(int(c))}"
            for c, o in zip(letter_row, owner_row, strict=True)
            if o != PADDING
        ]
        shown.append(" ".join(names))
    return shown


def test_the_beginning_comes_first_and_the_rests_behind_it() -> None:
    assert laid_out("abcdx", "abcdyz", "abcdx") == ["a b c d 0x 1y 1z 2x"]
    assert laid_out("abcdx", "klmnq", "abcdyz", "klmn", before=2) == ["a b c d 0x 1y 1z", "k l m n 0q"]


def test_rows_that_are_all_alike_leave_no_rest() -> None:
    assert laid_out("abcd", "abcd", "abcd") == ["a b c d"]


def test_a_group_grows_no_longer_than_attention_is_worth() -> None:
    found = laid_out(*(f"abcdefgh{k * 4}" for k in "123456"))
    assert found is not None and len(found) > 1
    assert all(len(group.split()) <= WIDEST * 12 for group in found)


def test_what_gains_nothing_is_left_alone() -> None:
    assert laid_out("abcdefgh", "klmnopqr") is None  # nothing in common
    assert laid_out("ab123456", "ab789012") is None  # too little
    embeds, places, mask = rows("abcdef", "abcdeg")
    mask[0, 3] = 0
    assert pack(embeds, places, mask) is None  # a gap
    mask[0] = 0
    assert pack(embeds, places, mask) is None  # a row of nothing
    embeds, places, mask = rows("abcdef", "abcdeg")
    places = places.clone()
    places[0, 1, :] += 1
    assert pack(embeds, places, mask) is None  # the same words, elsewhere
