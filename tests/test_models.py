"""The registry: names lead to entries, folders to weights, and a model that cannot run says why."""

from __future__ import annotations

import json

import pytest

from think2seg import models, weights
from think2seg.errors import ModelError


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """An empty cache and no hub: nothing may be asked of another host."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("THINK2SEG_WEIGHTS", raising=False)


@pytest.mark.parametrize("name", ["nano", "Think2Seg-RS-3B", "think2seg-rs-7b", "Qwen/Qwen2.5-VL-3B-Instruct"])
def test_prompters_are_found_by_name_or_repository(name: str) -> None:
    entry = models.find_prompter(name)
    assert name.lower() in (entry.name.lower(), entry.source.lower())


@pytest.mark.parametrize(
    "name", ["nano", "nano-fine", "tiny", "small", "base-plus", "large", "facebook/sam2.1-hiera-large"]
)
def test_segmenters_are_found_by_name_or_repository(name: str) -> None:
    entry = models.find_segmenter(name)
    assert name in (entry.name, entry.source)


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(ModelError, match="'medium'.*nano.*Think2Seg-RS-3B"):
        models.find_prompter("medium")
    with pytest.raises(ModelError, match="'medium'.*nano.*base-plus"):
        models.find_segmenter("medium")


def test_a_folder_of_a_known_architecture_needs_no_more(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    assert models.find_prompter(str(tmp_path)).coordinates == "frame"
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    assert models.find_prompter(str(tmp_path)).coordinates == "thousandths"


def test_a_folder_of_an_unknown_architecture_must_say_its_coordinates(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "other_vl"}')
    with pytest.raises(ModelError, match=r"other_vl.*think2seg\.json"):
        models.find_prompter(str(tmp_path))
    (tmp_path / models.SIDECAR).write_text('{"coordinates": "thousandths", "resize": null, "max_new_tokens": 64}')
    entry = models.find_prompter(str(tmp_path))
    assert (entry.coordinates, entry.resize, entry.max_new_tokens) == ("thousandths", None, 64)
    (tmp_path / models.SIDECAR).write_text('{"max_new_tokens": 64}')
    with pytest.raises(ModelError, match="other_vl"):
        models.find_prompter(str(tmp_path))


def test_a_sidecar_leaves_what_it_does_not_say_to_the_architecture(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    for said in ('{"max_new_tokens": 64}', '{"dialect": "think2seg"}'):
        (tmp_path / models.SIDECAR).write_text(said)
        entry = models.find_prompter(str(tmp_path))
        assert (entry.coordinates, entry.resize, entry.dialect) == ("thousandths", (840, 840), "think2seg")


def test_a_sidecars_dialect_brings_its_coordinates_and_size(tmp_path) -> None:
    """A peer's dialect says where its numbers lie, so that an unknown architecture need not."""
    (tmp_path / "config.json").write_text('{"model_type": "other_vl"}')
    (tmp_path / models.SIDECAR).write_text('{"dialect": "qwen3-vl"}')
    entry = models.find_prompter(str(tmp_path))
    assert (entry.dialect, entry.coordinates, entry.resize) == ("qwen3-vl", "thousandths", None)
    (tmp_path / models.SIDECAR).write_text('{"dialect": "qwen3-vl", "coordinates": "frame", "resize": [840, 560]}')
    entry = models.find_prompter(str(tmp_path))
    assert (entry.dialect, entry.coordinates, entry.resize) == ("qwen3-vl", "frame", (840, 560))
    (tmp_path / models.SIDECAR).write_text('{"dialect": "think2seg"}')
    with pytest.raises(ModelError, match="other_vl"):
        models.find_prompter(str(tmp_path))


@pytest.mark.parametrize("dialect", ['"klingon"', "5", "null", '["seg-zero"]'])
def test_an_unknown_dialect_is_refused_with_the_known_ones(tmp_path, dialect: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (tmp_path / models.SIDECAR).write_text(f'{{"dialect": {dialect}}}')
    with pytest.raises(ModelError, match=r"think2seg\.json names the dialect .*seg-zero, visionreasoner"):
        models.find_prompter(str(tmp_path))


def test_the_registry_speaks_our_dialect() -> None:
    assert {entry.dialect for entry in models.PROMPTERS} == {"think2seg"}


@pytest.mark.parametrize(
    "sidecar",
    ["not json", "[]", '{"coordinates": "guess"}', '{"resize": [840]}', '{"resize": "big"}', '{"max_new_tokens": 0}'],
)
def test_a_sidecar_that_makes_no_sense_is_refused(tmp_path, sidecar: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (tmp_path / models.SIDECAR).write_text(sidecar)
    with pytest.raises(ModelError, match=r"think2seg\.json"):
        models.find_prompter(str(tmp_path))


def test_a_folder_without_a_model_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        models.find_prompter(str(tmp_path))
    with pytest.raises(ModelError, match="no SAM 2"):
        models.find_segmenter(str(tmp_path))


def test_a_sam_folder_is_known_by_its_file(tmp_path) -> None:
    (tmp_path / "sam2.1_hiera_base_plus.pt").write_bytes(b"x")
    assert models.find_segmenter(str(tmp_path)).name == "base-plus"
    (tmp_path / "sam2.1_hiera_tiny.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="several"):
        models.find_segmenter(str(tmp_path))
    tiny = models.find_segmenter(str(tmp_path / "sam2.1_hiera_tiny.safetensors"))
    assert (tiny.name, tiny.checkpoint) == ("tiny", "sam2.1_hiera_tiny.safetensors")


def test_weights_are_taken_from_the_given_folder(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = models.find_segmenter("small")
    assert weights.folder_here(entry) is None
    monkeypatch.setenv("THINK2SEG_WEIGHTS", str(tmp_path))
    for folder in (tmp_path, tmp_path / "sam2.1-hiera-small", tmp_path / "small"):
        folder.mkdir(exist_ok=True)
        (folder / entry.checkpoint).write_bytes(b"x")
        assert weights.folder_here(entry) == folder
    assert weights.folder_of(entry) == tmp_path / "small"


def test_a_checkpoint_with_a_missing_shard_is_not_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINK2SEG_WEIGHTS", str(tmp_path))
    folder = tmp_path / "Think2Seg-RS-3B"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model-1.safetensors").write_bytes(b"x")
    assert weights.folder_here(models.find_prompter("Think2Seg-RS-3B")) is None
    (folder / "model-2.safetensors").write_bytes(b"x")
    assert weights.folder_here(models.find_prompter("Think2Seg-RS-3B")) == folder


def test_weights_that_cannot_be_had_name_the_ways_out() -> None:
    with pytest.raises(ModelError, match="small.*THINK2SEG_WEIGHTS.*nano"):
        weights.folder_of(models.find_segmenter("small"))


@pytest.mark.parametrize("offline", [True, False])
def test_a_hub_that_does_not_answer_is_a_reason_and_no_error(monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    """Told to stay offline, or a host that refuses the connection: the client's own errors differ."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    weights._hub_has.cache_clear()
    can = weights.availability(models.find_segmenter("small"))
    assert not can.runs and "cannot be reached" in can.why
    with pytest.raises(ModelError, match="could not be fetched"):
        weights.folder_of(models.find_segmenter("small"))


@pytest.mark.parametrize(
    ("free", "cached", "hub", "chosen", "reason"),
    [
        (0, False, False, "nano", "needs a CUDA GPU"),
        (4 * models.GIB, True, True, "nano", "4.0 GiB are free"),
        (24 * models.GIB, False, False, "nano", "not on this machine"),
        (24 * models.GIB, False, True, "Think2Seg-RS-3B", "will be fetched"),
        (24 * models.GIB, True, False, "Think2Seg-RS-3B", "weights in"),
    ],
)
def test_auto_takes_the_3b_only_where_it_can_run(monkeypatch, tmp_path, free, cached, hub, chosen, reason) -> None:
    monkeypatch.setattr(weights, "_cuda_bytes", lambda: free)
    monkeypatch.setattr(weights, "_hub_has", lambda repository: hub)
    if cached:
        folder = tmp_path / "Think2Seg-RS-3B"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"x")
        monkeypatch.setenv("THINK2SEG_WEIGHTS", str(tmp_path))
    entry, why = weights.choose_prompter()
    assert entry.name == chosen and reason in why


def test_what_is_bundled_can_run_here() -> None:
    assert weights.availability(models.find_prompter("nano")).runs
    # Said without a path: the page shows it to everybody.
    bundled = (models.find_prompter("nano"), *(models.find_segmenter(name) for name in ("nano", "nano-fine")))
    for entry in bundled:
        assert weights.availability(entry).runs
        assert weights.availability(entry).why == "bundled"


def test_which_weights_exactly(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THINK2SEG_WEIGHTS", str(tmp_path))
    known = weights.identities("nano", "nano")
    for role in ("prompter", "segmenter"):
        assert known[role]["name"] == "nano" and known[role]["source"] == "bundled"
        assert known[role]["revision"].startswith("sha256:")
    assert known["prompter"]["revision"] != known["segmenter"]["revision"]
    assert weights.identities("nano, 2 x 2 tiles from 2 on", "nano, zoom 2") == known  # how they were asked aside
    unknown = weights.identities("replay", "small")
    assert unknown["prompter"] == {"name": "replay", "source": None, "revision": None}
    assert unknown["segmenter"] == {"name": "small", "source": None, "revision": None}
    (tmp_path / "sam2.1_hiera_small.pt").write_bytes(b"weights")
    first = weights.identities("replay", "small")["segmenter"]
    assert first["source"] == "facebook/sam2.1-hiera-small" and first["revision"].startswith("sha256:")
    (tmp_path / "sam2.1_hiera_small.pt").write_bytes(b"others!!")
    assert weights.identities("replay", "small")["segmenter"]["revision"] != first["revision"]


def test_a_revision_of_the_hubs_cache_is_its_commit(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "models--facebook--sam2.1-hiera-small" / "snapshots" / "abc123"
    folder.mkdir(parents=True)
    (folder / "sam2.1_hiera_small.pt").write_bytes(b"weights")
    monkeypatch.setenv("THINK2SEG_WEIGHTS", str(folder))
    assert weights.identities("replay", "small")["segmenter"]["revision"] == "abc123"


def test_a_gpu_that_is_lent_later_counts_with_all_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def not_yet() -> tuple[int, int]:
        raise RuntimeError("No CUDA GPUs are available")

    class Lent:
        total_memory = 70 * models.GIB

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", not_yet)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _index: Lent)
    assert weights._cuda_bytes() == 70 * models.GIB
