"""Training on the stock trainers: what moves, what a killed run ends with, what two processes make, what is left.

Everything runs on a CPU with the bundled nano and a few short completions. Started by `torchrun`, this file is the
two-process run itself (`main`).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file
from transformers import TrainerCallback
from trl import GRPOConfig, SFTConfig

from think2seg import models, prompter, segmenter
from think2seg.datasets import load as load_set
from think2seg.errors import QueryError
from think2seg.pictures_once import see_once
from think2seg.strategy import STRATEGIES
from think2seg.types import Query
from train import grpo, policy, resuming, sft
from train.settings import GrpoSettings, Settings, read

ROOT = Path(__file__).parent.parent
COMMON = {
    "model_name_or_path": "nano", "limit": 2, "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
    "report_to": "none", "disable_tqdm": True, "logging_steps": 1, "lr_scheduler_type": "constant",
    "learning_rate": 1e-4, "seed": 3, "save_steps": 2, "save_total_limit": 2,
}  # fmt: skip
GRPO = COMMON | {
    "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 56, "temperature": 1.3,
    "watch_every": 0, "max_steps": 5,
}  # fmt: skip
SFT = COMMON | {"per_device_train_batch_size": 4, "max_steps": 4}
LORA = {"use_peft": True, "lora_r": 4, "beta": 0.01, "lora_dropout": 0.0}


def command(settings: dict[str, Any]) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(kind: Any, settings: dict[str, Any], folder: Path, **given: Any) -> tuple[Any, policy.Policy]:
    ours, theirs = (GrpoSettings, GRPOConfig) if kind is grpo else (Settings, SFTConfig)
    own, args, model = read((ours, theirs), command(settings | {"output_dir": folder}))
    loaded = policy.load(
        model, freeze_vision=own.freeze_vision, share_pictures=own.share_pictures, share_prompts=own.share_prompts
    )
    return kind.build(own, args, loaded, **given), loaded


def tensors_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


def digest(tensors: dict[str, torch.Tensor]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def losses(folder: Path) -> dict[int, float]:
    """By step, from the run's last checkpoint."""
    last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return {line["step"]: line["loss"] for line in history if "loss" in line}


# --- what moves -------------------------------------------------------------------------------------------------------


def test_grpo_moves_all_that_is_trained_and_never_sam(tmp_path) -> None:
    sam = segmenter.load("nano")._predictor.model
    frozen = digest(dict(sam.state_dict()))
    trainer, loaded = built(grpo, GRPO | {"max_steps": 2, "save_strategy": "no"}, tmp_path)
    before = tensors_of(loaded.model)
    trainer.train()
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())
    assert [name for name, tensor in tensors_of(loaded.model).items() if torch.equal(tensor, before[name])] == []
    assert digest(dict(sam.state_dict())) == frozen and not any(p.requires_grad for p in sam.parameters())
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_reward_can_do_without_any_model_of_masks(tmp_path) -> None:
    once = {"max_steps": 1, "save_strategy": "no", "segmenter": "ellipse", "watch_every": 1}
    trainer, _loaded = built(grpo, GRPO | once | {"max_completion_length": 120, "temperature": 0.5}, tmp_path)
    trainer.train()
    (line,) = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert 0 < line["mask_iou"] < 1


def test_supervised_training_moves_all_and_learns(tmp_path) -> None:
    trainer, loaded = built(sft, SFT | {"save_strategy": "no"}, tmp_path)
    assert trainer.args.max_length is None and trainer.data_collator.completion_only_loss
    before = tensors_of(loaded.model)
    trainer.train()
    assert [name for name, tensor in tensors_of(loaded.model).items() if torch.equal(tensor, before[name])] == []
    told = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(told) == 4 and told[-1] < 2


def test_a_frozen_vision_tower_stays(tmp_path) -> None:
    settings = SFT | {"freeze_vision": True, "max_steps": 1, "save_strategy": "no"}
    trainer, loaded = built(sft, settings, tmp_path)
    before = tensors_of(loaded.model)
    trainer.train()
    moved = {name for name, tensor in tensors_of(loaded.model).items() if not torch.equal(tensor, before[name])}
    assert moved and moved == {name for name in before if ".visual." not in name}


def test_pictures_that_come_often_are_encoded_once_and_nothing_else_changes(tmp_path) -> None:
    """The loss and every gradient are those of the plain model; the tower saw two pictures of six."""
    trainer, loaded = built(sft, SFT | {"share_pictures": False, "save_strategy": "no"}, tmp_path)
    drawn = [trainer.train_dataset[i] for i in range(16)]
    a, b = drawn[0], next(row for row in drawn if row["image"] != drawn[0]["image"])
    rows = [a, a, b, a, b, b]
    model, batch = loaded.model, trainer.data_collator([dict(row) for row in rows])
    patches: list[int] = []
    model.model.visual.patch_embed.register_forward_hook(lambda _m, given, _out: patches.append(len(given[0])))

    def run() -> tuple[float, dict[str, torch.Tensor]]:
        model.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        return float(loss.detach()), {name: p.grad.clone() for name, p in model.named_parameters()}

    loss, gradients = run()
    see_once(model)
    loss_once, gradients_once = run()
    assert patches == [6 * 576, 2 * 576]
    assert loss_once == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(gradients_once[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max())), name


def test_only_what_was_written_is_scored_and_scores_the_same(tmp_path) -> None:
    trainer, loaded = built(grpo, GRPO | LORA | {"save_strategy": "no"}, tmp_path)
    row = trainer.train_dataset[0]
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "the ships"}]}]
    text = loaded.processor.apply_chat_template(turns, tokenize=False)
    asked = loaded.processor(text=[text] * 2, images=[row["image"]] * 2, return_tensors="pt")
    written = torch.arange(40, 60).repeat(2, 1)
    ids = torch.cat([asked["input_ids"], written], dim=1)
    labels = ids.clone()
    labels[:, :-20] = -100
    given = {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, "fused_lm_head": True,
        "pixel_values": asked["pixel_values"], "image_grid_thw": asked["image_grid_thw"],
        "mm_token_type_ids": torch.nn.functional.pad(asked["mm_token_type_ids"], (0, 20)),
    }  # fmt: skip
    base = trainer.model.get_base_model()
    ours = trainer.model(**given)
    ours.log_probs.sum().backward()
    gradients = {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad()
    base.forward = base.forward.__wrapped__
    trl_s = trainer.model(**given)
    trl_s.log_probs.sum().backward()
    assert ours.log_probs.shape == (2, 20) and trl_s.log_probs.shape == (2, ids.shape[1] - 1)
    assert torch.allclose(ours.log_probs, trl_s.log_probs[:, -20:], atol=1e-5)
    assert torch.allclose(ours.entropy, trl_s.entropy[:, -20:], atol=1e-5)
    for name, parameter in trainer.model.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(gradients[name], parameter.grad, rtol=1e-3, atol=1e-4), name


# --- killed, and started again ----------------------------------------------------------------------------------------


def start(module: str, settings: dict[str, Any]) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, "-m", module, *command(settings)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def killed_after(module: str, settings: dict[str, Any], step: int, pause: float) -> None:
    """Runs the command, and kills it (SIGKILL) a moment after it told the loss of `step`."""
    process = start(module, settings)
    told = []
    assert process.stdout is not None
    for line in process.stdout:
        told.append(line)
        if line.startswith("{'loss'") and sum(one.startswith("{'loss'") for one in told) == step:
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL, "".join(told)[-3000:]
    process.stdout.close()


@pytest.mark.parametrize("extra", [{}, LORA], ids=["full", "lora"])
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path, extra) -> None:
    """To the bit: the exported weights, and the loss of every step that was taken again."""
    settings = GRPO | extra
    luck = random.Random()
    step, pause = luck.randint(1, 4), luck.random() * 0.5
    print(f"killed {pause:.2f} s after step {step}")
    grpo.main(command(settings | {"output_dir": tmp_path / "whole"}))
    cut = settings | {"output_dir": tmp_path / "cut"}
    killed_after("train.grpo", cut, step, pause)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    grpo.main(command(cut))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("cut", "whole"))
    assert digest(one) == digest(other)
    shards = sorted(Path(models.find_prompter("nano").source).glob("*.safetensors"))
    start_weights = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    assert one.keys() == start_weights.keys()  # the hub's names
    moved = {name for name in one if not torch.equal(one[name], start_weights[name].float())}
    if extra:
        assert moved and not any("visual" in name for name in moved)
    else:
        assert moved == one.keys()
        check_export(tmp_path / "whole")
        grpo.main(command(cut))  # once more: there is nothing left to do, and nothing changes
        assert digest(load_file(tmp_path / "cut" / "model.safetensors")) == digest(other)
        with pytest.raises(QueryError, match=r"other settings: learning_rate was 0.0001 and is 0.5"):
            grpo.main(command(cut | {"learning_rate": 0.5}))


def check_export(folder: Path) -> None:
    """The run's folder is a prompter: it loads by its path, says what it was trained as, and writes."""
    said = json.loads((folder / "think2seg.json").read_text())
    assert said == {"dialect": "think2seg", "coordinates": "frame", "resize": [336, 336], "max_new_tokens": 512}
    assert {"chat_template.jinja", "generation_config.json", "processor_config.json", "tokenizer.json"} <= {
        path.name for path in folder.iterdir()
    }
    model = prompter.load(str(folder), device="cpu")
    (sample,) = load_set("scenes", None, "test", limit=1)
    (written,) = model.complete([Query(sample.load()[0], sample.question)], STRATEGIES["box+2"])
    assert written.frame == (336, 336) and written.text.startswith("<think>")
    prompter._loaded.clear()


def test_supervised_training_goes_on_exactly_beyond_its_first_epoch(tmp_path) -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 5:
                raise KeyboardInterrupt

    settings = SFT | {"max_steps": -1, "num_train_epochs": 2, "limit": 1, "questions": "all", "save_steps": 1}
    settings |= {"no_target_share": 0.0, "per_device_train_batch_size": 2}
    sft.main(command(settings | {"output_dir": tmp_path / "whole"}))
    cut = settings | {"output_dir": tmp_path / "cut"}
    trainer, _loaded = built(
        sft,
        cut,
        tmp_path / "cut",
    )
    trainer.add_callback(Stop())
    with pytest.raises(KeyboardInterrupt):
        resuming.go_on(trainer)
    sft.main(command(settings | {"output_dir": tmp_path / "cut"}))
    told = losses(tmp_path / "whole")
    assert len(told) > 5 and losses(tmp_path / "cut") == told
    assert digest(load_file(tmp_path / "cut/model.safetensors")) == digest(
        load_file(tmp_path / "whole/model.safetensors")
    )


def test_a_checkpoint_that_was_being_written_is_not_gone_on_from(tmp_path) -> None:
    for step in (2, 4, 6, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"x" * step)
    for step in (2, 4, 6):
        resuming.mark_whole(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-6" / "model.safetensors").write_bytes(b"x")  # cut short
    (tmp_path / "unfinished-checkpoint-6").mkdir()
    assert resuming.last_whole(tmp_path) == tmp_path / "checkpoint-4"
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint-2", "checkpoint-4", "unfinished-checkpoint-10", "unfinished-checkpoint-6",
        "unfinished-checkpoint-6.1",
    }  # fmt: skip
    (tmp_path / "checkpoint-4" / "model.safetensors").unlink()
    assert resuming.last_whole(tmp_path) == tmp_path / "checkpoint-2"


# --- two processes ----------------------------------------------------------------------------------------------------

TOGETHER = {"max_steps": 2, "save_steps": 2}
SFT_TOGETHER = SFT | TOGETHER | {"per_device_train_batch_size": 4}
GRPO_TOGETHER = GRPO | TOGETHER | {"temperature": 1.0}
SAYINGS = (
    '<think> One. </think>\n<answer>```json[{"bbox_2d": [40,40,200,200], "positive_points": [[99,99],[120,120]]}]```'
    "</answer>",
    "<think> None. </think>\n<answer>```json[]```</answer>",
    '<think> A box. </think>\n<answer>```json[{"bbox_2d": [150,10,330,320]}]```</answer>',
    "I do not know.",
)


def scripted(prompts: list[Any], trainer: Any) -> dict[str, Any]:
    """Rollouts that hang on a completion's place in the whole batch alone, not on who draws them."""
    first = trainer.accelerator.process_index * len(prompts)
    spoken = [SAYINGS[(first + i) % len(SAYINGS)] for i in range(len(prompts))]
    tokenizer = trainer.processing_class.tokenizer
    written = [[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id] for text in spoken]
    return {"prompt_ids": trainer._tokenize_prompts(prompts)[0], "completion_ids": written, "logprobs": None}


def run_both(folder: Path, each: int) -> None:
    """A supervised and a GRPO run of two steps, `each` times smaller a process."""
    for kind, settings, given in ((sft, SFT_TOGETHER, {}), (grpo, GRPO_TOGETHER, {"rollout_func": scripted})):
        name = kind.__name__.removeprefix("train.")
        size = settings["per_device_train_batch_size"] // each
        trainer, loaded = built(kind, settings | {"per_device_train_batch_size": size}, folder / name, **given)
        resuming.go_on(trainer)
        policy.export(trainer, loaded, folder / name)


def test_two_processes_make_what_one_makes_of_the_same_batch(tmp_path) -> None:
    """Supervised losses, and with the same completions GRPO's: they differ in rounding alone, and so do the weights.

    Sampled completions are not the same, by design: the trainer seeds each process for itself.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "TOKENIZERS_PARALLELISM": "false"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    process = subprocess.Popen(
        [*torchrun, __file__, str(tmp_path / "two")],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    run_both(tmp_path / "one", 1)
    output, _none = process.communicate(timeout=200)
    assert process.returncode == 0, output[-3000:]
    for name in ("sft", "grpo"):
        one, two = losses(tmp_path / "one" / name), losses(tmp_path / "two" / name)
        assert len(one) == 2 and two == pytest.approx(one, rel=1e-4, abs=1e-5), name
        first, second = (load_file(tmp_path / of / name / "model.safetensors") for of in ("one", "two"))
        states = sorted(path.name for path in (tmp_path / "two" / name / "checkpoint-2").glob("rng_state*"))
        assert states == ["rng_state_0.pth", "rng_state_1.pth"] and resuming.is_whole(
            tmp_path / "two" / name / "checkpoint-2"
        )
        # Adam begins with the gradient's sign: the rare weight whose gradient is mere rounding may go either way.
        apart = torch.cat([((first[n] - second[n]).abs() > 2e-5).flatten() for n in first]).float().mean()
        assert float(apart) < 0.001, name


def main(folder: str) -> None:
    torch.set_num_threads(1)
    run_both(Path(folder), 2)


# --- settings ---------------------------------------------------------------------------------------------------------


def refused(settings: dict[str, Any], recipe: Path | None = None) -> str:
    given = ([] if recipe is None else ["--config", str(recipe)]) + command(settings)
    with pytest.raises(QueryError) as caught:
        own, args, model = read((GrpoSettings, GRPOConfig), given)
        grpo.check(own, args)
        policy.load(model, freeze_vision=False, share_pictures=True, share_prompts=True)
    return str(caught.value)


def test_settings_that_are_none_are_named_with_the_nearest_that_is(tmp_path) -> None:
    here = {"output_dir": tmp_path}
    assert "no setting called 'lerning_rate'" in refused(here | {"lerning_rate": 1})
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("no_targets_share: 0.1\n")
    assert f"{recipe} names. Did you mean 'no_target_share'?" in refused(here, recipe)
    recipe.write_text("- a\n")
    assert "must hold `name: value` lines; it holds a list" in refused(here, recipe)
    recipe.write_text("a: [\n")
    assert "is no YAML" in refused(here, recipe)
    assert "cannot be read: No such file" in refused(here, tmp_path / "gone.yaml")


def test_settings_that_contradict_each_other_are_refused(tmp_path) -> None:
    here = {"output_dir": tmp_path, "use_cpu": True, "bf16": False}
    assert "do not fit together" in refused(here | {"per_device_train_batch_size": 3, "num_generations": 4})
    between = {"per_device_train_batch_size": 4, "num_generations": 4, "steps_per_generation": 4, "save_steps": 3}
    assert "between two generations (one serves 4 steps)" in refused(here | between)
    assert "save_total_limit below 2" in refused(here | {"save_total_limit": 1})
    assert "save_strategy must be steps" in refused(here | {"save_strategy": "epoch"})
    assert "vllm is not installed" in refused(here | {"use_vllm": True})
    assert "'points' has none" in refused(here | {"segmenter": "ellipse", "strategy": "points"})
    assert "Which model" in refused(here)
    assert "4 bits do not learn" in refused(here | {"model_name_or_path": "nano", "load_in_4bit": True})


def test_vllm_needs_a_word_that_it_was_looked_at(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(grpo, "find_spec", lambda name: name)
    here = {"output_dir": tmp_path, "use_cpu": True, "bf16": False, "use_vllm": True}
    assert "issues/6294" in refused(here)
    own, args, _model = read((GrpoSettings, GRPOConfig), command(here | {"trust_vllm": True}))
    grpo.check(own, args)


def test_the_door_tells_an_error_in_a_sentence(tmp_path, capsys) -> None:
    assert grpo.door(lambda: grpo.main(["--output_dir", str(tmp_path), "--betta", "1"])) == 2
    assert capsys.readouterr().err == (
        "There is no setting called 'betta', which the command line names. Did you mean 'beta'?\n"
    )


@pytest.mark.parametrize("file", sorted((ROOT / "train/recipes/accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_accelerate_configuration_reads(file) -> None:
    read_as = load_config_from_file(str(file))
    assert read_as.num_processes == 2 and read_as.mixed_precision == "bf16"


@pytest.mark.parametrize("recipe", sorted((ROOT / "train/recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_reads_and_can_be_resumed(recipe, tmp_path) -> None:
    """On a machine without a GPU: bfloat16 is not asked of it here."""
    given = ["--config", str(recipe), "--output_dir", str(tmp_path), "--use_cpu", "true", "--bf16", "false"]
    kinds = (Settings, SFTConfig) if recipe.stem.endswith("-sft") else (GrpoSettings, GRPOConfig)
    own, args, model = read(kinds, given)
    assert own.strategy in STRATEGIES and model.model_name_or_path
    if isinstance(own, GrpoSettings):
        grpo.check(own, args)
    else:
        resuming.check_saving(args)


if __name__ == "__main__":
    main(sys.argv[1])
