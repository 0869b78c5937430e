"""What a training run is told: our own settings beside the stock trainers', from a recipe and the command line.

`--config` names a recipe in YAML; what follows it on the command line counts more. Names that are none, and settings
that contradict each other, are told in a sentence before anything is loaded. It knows names and numbers, and loads
nothing but the parser.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from trl import ModelConfig, TrlParser

from think2seg.errors import QueryError

LANGUAGE_PROJECTIONS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
"""Where LoRA sits by default: the language model's projections, and not the vision tower's."""


@dataclass
class Settings:
    """What both trainers are told beside their own arguments."""

    dataset: str = field(default="scenes", metadata={"help": "A set that think2seg.datasets knows."})
    data_root: str | None = field(default=None, metadata={"help": "The set's folder; scenes are drawn and take none."})
    split: str = field(default="train", metadata={"help": "The set's split."})
    questions: str = field(default="all", metadata={"help": "one or all of each scene's questions."})
    limit: int | None = field(default=None, metadata={"help": "So many samples (of scenes: scenes), evenly spread."})
    strategy: str = field(default="box+2", metadata={"help": "The prompt strategy that is asked for."})
    no_target_share: float | None = field(
        default=0.3, metadata={"help": "Share of questions without a target, 0 to less than 1; none: the set's own."}
    )
    freeze_vision: bool = field(default=False, metadata={"help": "Leave the vision tower as it is."})
    share_pictures: bool = field(
        default=True, metadata={"help": "Let a Qwen2.5-VL tower see a picture once a batch, however often it comes."}
    )
    share_prompts: bool = field(
        default=True, metadata={"help": "Let Qwen2.5-VL read what rows of a batch begin with alike once."}
    )


@dataclass
class GrpoSettings(Settings):
    """What GRPO is told besides: its reward, and the watch over it."""

    segmenter: str = field(default="nano", metadata={"help": "The reward's frozen SAM 2, or filled-box, ellipse."})
    negatives: bool = field(default=True, metadata={"help": "Whether negative points reach the segmenter."})
    mask_iou: float = field(default=2.0, metadata={"help": "Weight of the final mask's IoU."})
    readable: float = field(default=1.0, metadata={"help": "Weight of an answer that reads as what was asked for."})
    think_answer: float = field(default=1.0, metadata={"help": "Weight of a thought and an answer in their tags."})
    watch_every: int = field(default=50, metadata={"help": "Steps from one page of samples to the next; 0: none."})
    trust_vllm: bool = field(default=False, metadata={"help": "Allow use_vllm, after a look at what it writes."})


def read(kinds: Sequence[type], argv: Sequence[str]) -> tuple[Any, ...]:
    """An instance of each of `kinds` and of TRL's `ModelConfig`, from `argv`.

    Raises `QueryError` for a recipe that cannot be read and a name that is none; a value of the wrong type ends the
    program with argparse's own sentence.
    """
    parser = TrlParser((*kinds, ModelConfig), conflict_handler="resolve")
    parser.set_defaults(
        report_to="tensorboard", remove_unused_columns=False, lora_target_modules=[LANGUAGE_PROJECTIONS]
    )
    given = list(argv)
    known = {name.name for kind in (*kinds, ModelConfig) for name in fields(kind) if name.init}
    if "--config" in given and given.index("--config") + 1 < len(given):
        path = Path(given[given.index("--config") + 1])
        _check(_recipe(path), known | {"env"}, str(path))
    _check([word[2:].partition("=")[0].replace("-", "_") for word in given if word.startswith("--")],
           known | {"config", "help"} | {f"no_{name}" for name in known}, "the command line")  # fmt: skip
    try:
        return tuple(parser.parse_args_and_config(given))
    except (ValueError, TypeError) as error:
        raise QueryError(f"These settings do not fit together: {error}") from error


def _recipe(path: Path) -> dict[str, Any]:
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise QueryError(
            f"The recipe {path} cannot be read: {error.strerror}. Recipes are in train/recipes."
        ) from error
    except yaml.YAMLError as error:
        raise QueryError(f"The recipe {path} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(recipe, dict):
        raise QueryError(f"The recipe {path} must hold `name: value` lines; it holds a {type(recipe).__name__}.")
    return recipe


def _check(names: Any, known: set[str], where: str) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), sorted(known), 1)
            hint = f" Did you mean {near[0]!r}?" if near else " --help lists all."
            raise QueryError(f"There is no setting called {name!r}, which {where} names.{hint}")
