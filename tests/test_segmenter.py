"""The segmenter: SAM 2.1 at its real size with random weights, its cache, its batches, and what it refuses."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from think2seg import models, sam2_encoder, segmenter, weights
from think2seg.errors import ModelError
from think2seg.types import Prompt

BOX = Prompt((20, 30, 90, 100))
BOX_2 = Prompt((10, 10, 60, 50), ((30, 30), (40, 20)))
BOX_2_NEG = Prompt((50, 40, 110, 90), ((70, 60), (80, 70)), ((5, 5), (100, 10)))
POINTS = Prompt(None, ((64, 64), (70, 60)))


def picture(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> segmenter.Sam2Segmenter:
    """SAM 2.1 small as published, but for its weights, which are random: saved and loaded like the real file."""
    folder = tmp_path_factory.mktemp("weights") / "small"
    folder.mkdir()
    entry = models.find_segmenter("small")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = segmenter._published(entry.config)
    torch.save({"model": model.state_dict()}, folder / entry.checkpoint)
    return segmenter.load(str(folder))


def test_the_published_small_one_loads_from_a_folder_and_segments(small: segmenter.Sam2Segmenter) -> None:
    image = picture(1)
    masks = small.segment(image, [BOX, BOX_2, BOX_2_NEG, POINTS])
    assert small.name == "small" and "46" in small.about
    assert [m.pixels.shape for m in masks] == [(120, 160)] * 4
    assert all(0 <= m.score <= 1 for m in masks)
    assert [m.prompt for m in masks] == [0, 1, 2, 3]


def test_an_image_is_encoded_once(small: segmenter.Sam2Segmenter) -> None:
    image = picture(2)
    before = small.encodings
    small.encode(image)
    small.segment(image, [BOX])
    small.segment(image.copy(), [POINTS])
    assert small.encodings == before + 1


def test_the_stock_predictor_says_the_same(small: segmenter.Sam2Segmenter) -> None:
    """Against `SAM2ImagePredictor.predict`, one prompt at a time, in the same precision."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    image = picture(3)
    stock = SAM2ImagePredictor(small._predictor.model)
    with torch.inference_mode(), small._precision():
        stock.set_image(image)
        for prompt, mask in zip(
            [BOX_2, BOX_2_NEG, POINTS], small.segment(image, [BOX_2, BOX_2_NEG, POINTS]), strict=True
        ):
            expected, scores, _low = stock.predict(
                point_coords=np.array(prompt.positive + prompt.negative),
                point_labels=np.array([1] * len(prompt.positive) + [0] * len(prompt.negative)),
                box=None if prompt.box is None else np.array(prompt.box),
                multimask_output=False,
            )
            different = np.mean(expected[0].astype(bool) != mask.pixels)
            assert different < 0.005  # random weights: logits round 0, and bfloat16 moves the stock masks as much
            assert abs(float(np.clip(scores[0], 0, 1)) - mask.score) < 0.01


@pytest.fixture(scope="module")
def nano() -> segmenter.Sam2Segmenter:
    return segmenter.load("nano")


def test_a_batch_says_what_one_by_one_says(nano: segmenter.Sam2Segmenter) -> None:
    image = picture(4)
    prompts = [BOX_2, BOX, BOX_2_NEG, POINTS, Prompt((1, 1, 20, 20), ((8, 8), (9, 12)))]
    together = nano.segment(image, prompts)
    for index, prompt in enumerate(prompts):
        (alone,) = nano.segment(image, [prompt])
        assert np.mean(alone.pixels != together[index].pixels) < 1e-3
        assert together[index].prompt == index


def test_no_prompts_cost_nothing(nano: segmenter.Sam2Segmenter) -> None:
    before = nano.encodings
    assert nano.segment(picture(5), []) == []
    assert nano.encodings == before


def test_embeddings_are_bounded_and_the_oldest_goes_first(nano: segmenter.Sam2Segmenter) -> None:
    entry = models.find_segmenter("nano")
    one = segmenter.Sam2Segmenter("nano", nano._predictor.model)
    one.encode(picture(6))
    each = one.kept_bytes
    kept = segmenter.Sam2Segmenter(entry.name, nano._predictor.model, keep_bytes=2 * each + 1)
    for seed in (10, 11, 10, 12):  # 11 is the least recently used when 12 comes
        kept.encode(picture(seed))
    assert kept.kept_bytes == 2 * each and kept.encodings == 3
    kept.encode(picture(10))
    assert kept.encodings == 3
    kept.encode(picture(11))
    assert kept.encodings == 4


def test_an_image_of_the_same_bytes_and_another_shape_is_another_image(nano: segmenter.Sam2Segmenter) -> None:
    image = picture(7, 60, 90)
    before = nano.encodings
    nano.encode(image)
    nano.encode(image.reshape(90, 60, 3))
    assert nano.encodings == before + 2


def test_several_threads_get_their_own_masks(nano: segmenter.Sam2Segmenter) -> None:
    pictures = [picture(20 + i) for i in range(4)]
    expected = [nano.segment(p, [BOX_2])[0].pixels for p in pictures]
    fresh = segmenter.Sam2Segmenter("nano", nano._predictor.model)
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(3):
            if not np.array_equal(fresh.segment(pictures[i], [BOX_2])[0].pixels, expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_large_picture_gives_masks_of_its_own_size(nano: segmenter.Sam2Segmenter) -> None:
    image = np.zeros((300, 5000, 3), dtype=np.uint8)
    (mask,) = nano.segment(image, [Prompt((100, 50, 2000, 250))])
    assert mask.pixels.shape == (300, 5000)


def test_weights_of_another_size_are_refused_in_words(tmp_path) -> None:
    torch.save({"model": {"x": torch.zeros(1)}}, tmp_path / "sam2.1_hiera_tiny.pt")
    with pytest.raises(ModelError, match="does not hold the weights"):
        segmenter.load(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_refused_in_words(tmp_path, content: bytes) -> None:
    for name in ("sam2.1_hiera_tiny.pt", "sam2.1_hiera_tiny.safetensors"):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            segmenter.load(str(file))
        file.unlink()


def test_a_pickle_that_would_run_code_is_refused(tmp_path) -> None:
    ran = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    torch.save({"model": Bad()}, tmp_path / "sam2.1_hiera_tiny.pt")
    with pytest.raises(ModelError):
        segmenter.load(str(tmp_path))
    assert not ran.exists()


# --- our decoder and the streamlined encoder against the package's own -----------------------------------------------


@pytest.fixture(scope="module")
def untouched(small: segmenter.Sam2Segmenter):
    """A stock SAM 2.1 small, never streamlined, with `small`'s weights."""
    model = segmenter._published(models.find_segmenter("small").config)
    model.load_state_dict(small._predictor.model.state_dict())
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize(("half", "products"), [(False, False), (False, True), (True, False), (True, True)])
def test_the_streamlined_encoder_makes_the_same_embedding(untouched, half: bool, products: bool) -> None:
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    image = picture(20)
    features = []
    streamlined = segmenter._published(models.find_segmenter("small").config)
    streamlined.load_state_dict(untouched.state_dict())
    sam2_encoder.streamline(streamlined.eval().requires_grad_(False), half=half, products=products)
    for model in (untouched, streamlined):
        predictor = SAM2ImagePredictor(model)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            predictor.set_image(image)
        features.append([predictor._features["image_embed"], *predictor._features["high_res_feats"]])
    for ours, stock in zip(*features, strict=True):
        error = float((ours.float() - stock.float()).norm() / stock.float().norm())
        assert error < (2e-2 if half else 1e-5), error  # bfloat16 alone moves the stock embedding by 1 %


@pytest.mark.parametrize("prompts", [[BOX], [BOX_2], [BOX_2_NEG], [POINTS], [BOX_2] * 11], ids=len)
def test_our_decoder_equals_the_packages_own(untouched, prompts: list[Prompt]) -> None:
    """In float32 to rounding: logits, not only masks. Eleven prompts are more than one batch."""
    image = picture(21)
    moved = [
        Prompt(p.box and tuple(v + i for v in p.box), tuple((x + i, y) for x, y in p.positive), p.negative)
        for i, p in enumerate(prompts)
    ]
    ours = segmenter.Sam2Segmenter("ours", untouched)
    stock = segmenter.Sam2Segmenter("stock", untouched)
    assert ours._decoder is not None
    stock._decoder = None
    found = []
    for one in (ours, stock):
        with torch.inference_mode():
            embedding = one._embedding(image)
            one._predictor._orig_hw = [image.shape[:2]]
            found.append(one._decode(embedding, moved))
    assert np.abs(found[1][0]).max() > 0.1
    assert np.allclose(found[0][0], found[1][0], atol=1e-5)
    assert np.allclose(found[0][1], found[1][1], atol=1e-5)


def test_in_bfloat16_our_decoder_is_no_further_from_float32_than_the_packages(untouched) -> None:
    image = picture(22)
    prompts = [Prompt((x, 10.0, x + 60, 90.0), ((x + 30, 40.0), (x + 20, 60.0))) for x in range(0, 90, 10)]
    exact = segmenter.Sam2Segmenter("exact", untouched)
    far = []
    with torch.inference_mode():
        embedding = exact._embedding(image)
        exact._predictor._orig_hw = [image.shape[:2]]
        truth, _ = exact._decode(embedding, prompts)
    for ours in (True, False):
        half = segmenter.Sam2Segmenter("half", untouched, half=True)
        half._decoder = half._decoder if ours else None
        with torch.inference_mode(), half._precision():
            embedding = half._embedding(image)
            half._predictor._orig_hw = [image.shape[:2]]
            logits, _ = half._decode(embedding, prompts)
        far.append(float(np.sqrt(np.mean((logits - truth) ** 2))))
    assert far[0] < 1.2 * far[1]


def test_nano_s_streamlined_encoder_makes_the_same_embedding(nano: segmenter.Sam2Segmenter) -> None:
    """Its neck goes top-down on every level: what is folded there must be enlarged after it."""
    import json

    from sam2.sam2_image_predictor import SAM2ImagePredictor

    from think2seg.sam2_nano import build_nano, prepare

    folder = weights.folder_of(models.find_segmenter("nano"))
    stock = build_nano(json.loads((folder / "config.json").read_text())).eval().requires_grad_(False)
    stock.load_state_dict(nano._predictor.model.state_dict())
    features = []
    for model in (stock, nano._predictor.model):
        predictor = SAM2ImagePredictor(model)
        prepare(predictor)
        with torch.inference_mode():
            predictor.set_image(picture(23))
        features.append([predictor._features["image_embed"], *predictor._features["high_res_feats"]])
    for ours, theirs in zip(*features, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


def test_our_decoder_is_for_the_published_decoder_alone(nano: segmenter.Sam2Segmenter, untouched) -> None:
    from think2seg.sam2_decoder import fits

    assert fits(untouched) and not fits(nano._predictor.model)
    assert nano._decoder is None
