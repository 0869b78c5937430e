"""The bundled prompter's words: its tokenizer and processor, and the answers that it learns to write.

The tokenizer is byte-level BPE (any text encodes) in which the numbers 0-999 and the names of the categories are
single tokens, and the fixed pieces of the conversation and of the answer's JSON are added tokens. It is trained on this
folder's wordings, not on anyone's text. It knows no pictures and no weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from think2seg.datasets.scene_phrases import COUNTING, EXPLICIT, EXPLICIT_ONE, IMPLICIT, NAMES, REASONS, SPATIAL, split
from think2seg.datasets.scenes import CATEGORIES
from think2seg.strategy import STRATEGIES, SYSTEM_TURN, Strategy
from train.nano import prompter_phrases as phrases
from train.nano.prompter_model import FRAME, MERGE, PATCH
from train.nano.prompter_pictures import Asked, Thing
from train.nano.prompter_words import WORDS

VOCABULARY = 3072
NUMBERS = 1000
MOST = 10
"""Instances that an answer lists at most: the largest ones."""

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
OPEN, CLOSE = "<think> ", " </think>\n<answer>```json["
END = "]```</answer>"
FIRST_BOX, NEXT_BOX, BOX_END = '{"bbox_2d": [', ', {"bbox_2d": [', "]}"
FIRST_POINTS, NEXT_POINTS = '{"positive_points": [[', ', {"positive_points": [['
THEN_POSITIVE, THEN_NEGATIVE, BETWEEN, POINTS_END = (
    '], "positive_points": [[',
    ']], "negative_points": [[',
    "],[",
    "]]}",
)
PIECES = (
    OPEN,
    CLOSE,
    END,
    FIRST_BOX,
    NEXT_BOX,
    BOX_END,
    FIRST_POINTS,
    NEXT_POINTS,
    THEN_POSITIVE,
    THEN_NEGATIVE,
    BETWEEN,
    POINTS_END,
)
_MARK = "\x00"

# A user's text cannot open or close a turn, nor place an image: "<|" is broken up in every text.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['content'] is string -%}{{ message['content'] | replace('<|', '< |') }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' or 'image' in part -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part['type'] == 'video' or 'video' in part -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif 'text' in part -%}{{ part['text'] | replace('<|', '< |') }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)


def turn_pieces() -> tuple[str, ...]:
    """The fixed parts of the system turn and of the strategies' user turns, longest first."""
    found = {SYSTEM_TURN}
    for strategy in STRATEGIES.values():
        before, after = strategy.user_turn(_MARK).split(_MARK)
        cut = after.index("Output your thinking")
        found |= {before, after[cut:]}
        lines = after[:cut].split("\n")
        found |= {line + "\n" for line in lines if line}
    return tuple(sorted(found, key=lambda piece: (-len(piece), piece)))


def plural(category: str) -> str:
    return NAMES[category][0][1]


def corpus() -> Iterator[str]:
    """Every wording for training with every name, the thoughts' words, and the outside things."""
    for n in range(NUMBERS):
        yield from [str(n)] * 1500
    for category in CATEGORIES:
        for name in NAMES[category][0]:
            yield from [f" {name}"] * 3000
        for one, many in NAMES[category]:
            for pool in (EXPLICIT, EXPLICIT_ONE, COUNTING, *SPATIAL.values()):
                for form in split(pool, False):
                    yield form.format(one=one, many=many, n=many, other="bridge")
        for text in split(IMPLICIT[category], False):
            yield from [text] * 8
        yield from [f" since {REASONS[category]}."] * 100
    for words in WORDS.values():
        for one, many in words.names:
            for form in (*phrases.EXPLICIT, *phrases.COUNTING):
                yield form.format(s=one, p=many)
        yield from [text for text in words.implicit for _ in range(8)]
    for word in phrases.OUTSIDE:
        yield from [f" {word}", f" {word}s"] * 6
    yield from [text for text in phrases.OUTSIDE_IMPLICIT for _ in range(6)]
    frequent = " ".join(
        (
            *_PLACES,
            *_WORDS.values(),
            "The question asks for since and I see no nothing to mark here pick more than the largest spread over "
            "the image so there is of that kind, : . something that I do not know by sight",
            "system\nuser\nassistant\n",
        )
    )
    yield from [frequent] * 1000


def tokenizer() -> PreTrainedTokenizerFast:
    """Trains the tokenizer; deterministic."""
    pieces = [*turn_pieces(), *PIECES]
    backend = Tokenizer(models.BPE())
    names = sorted({n for c in CATEGORIES for n in NAMES[c][0]}, key=lambda n: (-len(n), n))
    name = rf" ?\b(?:{'|'.join(names)})\b"
    word = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    # names and numbers first; ByteLevel's own splitting would part the names' words
    splits = [pre_tokenizers.Split(Regex(part), "isolated") for part in (name, r"\d{1,3}", f"{name}|{word}")]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(pieces) - len(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(corpus(), trainer)
    backend.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    backend.add_tokens([AddedToken(p, special=False, normalized=False) for p in pieces])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )
    made.chat_template = CHAT_TEMPLATE
    for text in [str(n) for n in range(NUMBERS)] + [f" {n}" for c in CATEGORIES for n in NAMES[c][0]]:
        if len(made.encode(text, add_special_tokens=False)) != 1:
            raise ValueError(f"The tokenizer splits {text!r}; enlarge VOCABULARY ({VOCABULARY}).")
    return made


def processor(words: PreTrainedTokenizerFast) -> Qwen2_5_VLProcessor:
    """The hub's own processor round our tokenizer; a picture of any size comes to about FRAME x FRAME pixels."""
    size = {"shortest_edge": FRAME * FRAME, "longest_edge": FRAME * FRAME}
    shape = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 1, "size": size}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shape),
        tokenizer=words,
        video_processor=Qwen2VLVideoProcessor(**shape),
        chat_template=CHAT_TEMPLATE,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(folder)


_PLACES = (
    "at the upper left",
    "at the top",
    "at the upper right",
    "at the left",
    "near the centre",
    "at the right",
    "at the lower left",
    "at the bottom",
    "at the lower right",
)
_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


@dataclass
class Lines:
    """Token ids with what each is worth: `weight` of its loss, `number` its value if it is a coordinate (else -1),
    `thing` the index of the object that it speaks of (-1: none, -2: all targets)."""

    ids: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    thing: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int], weight: float, number: int = -1, thing: int = -1) -> None:
        self.ids += ids
        self.weight += [weight] * len(ids)
        self.number += [number] * len(ids)
        self.thing += [thing] * len(ids)


class Writer:
    """Writes questions and their right answers as tokens."""

    def __init__(self, words: PreTrainedTokenizerFast) -> None:
        self._words = words
        self._known: dict[str, list[int]] = {}
        self.numbers = [self._token(str(n)) for n in range(NUMBERS)]
        self.names = [self._token(f" {plural(c)}") for c in CATEGORIES]
        self.end = self._token("<|im_end|>")
        ids = self.encode(
            f"<|im_start|>system\n{SYSTEM_TURN}<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|>"
        )
        self.before_image, self.image = ids[:-1], ids[-1]
        self.after_image = self._token("<|vision_end|>")

    def encode(self, text: str) -> list[int]:
        return list(self._words.encode(text, add_special_tokens=False))

    def _part(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self.encode(text)
        return self._known[text]

    def _token(self, text: str) -> int:
        ids = self.encode(text)
        if len(ids) != 1:
            raise ValueError(f"{text!r} is not one token of this tokenizer.")
        return ids[0]

    def asked(self, question: str, strategy: Strategy) -> list[int]:
        """What follows the image, to the assistant's turn."""
        text = question.replace("<|", "< |")
        return self.encode(strategy.user_turn(text) + "<|im_end|>\n<|im_start|>assistant\n")

    def answer(self, asked: Asked, things: Sequence[Thing], strategy: Strategy) -> Lines:
        """The thought and the prompts, with the closing token."""
        lines = Lines()
        chosen = sorted(asked.targets, key=lambda i: -things[i].area)[:MOST]
        chosen.sort(key=lambda i: (things[i].box[0] + things[i].box[2], things[i].box[1]))
        self._think(lines, asked, [things[i] for i in chosen], len(asked.targets))
        lines.add(self._part(CLOSE), 0.5)
        for position, index in enumerate(chosen):
            self._prompt(lines, things[index], index, strategy, first=position == 0)
        lines.add(self._part(END), 1.0)
        lines.add([self.end], 0.5)
        return lines

    def _think(self, lines: Lines, asked: Asked, things: Sequence[Thing], count: int) -> None:
        lines.add(self._part(OPEN), 0.5)
        lines.add(self._part("The question asks for"), 0.5)
        if asked.category is None:
            lines.add(self._part(" something"), 2.0)
            lines.add(
                self._part(" that I do not know by sight. I see nothing of that kind, so there is nothing to mark."),
                0.5,
            )
            return
        lines.add(self._part(f" {plural(asked.category)}"), 2.0)
        joint = ", since" if asked.kind != "spatial" and not asked.reasons.startswith(("only", "of the")) else ", and"
        lines.add(self._part(f"{joint} {asked.reasons}. I"), 0.5, thing=-2)
        if not count:
            lines.add(self._part(" see no"), 2.0)
            lines.add(self._part(f" {plural(asked.category)} here, so there is nothing to mark."), 0.5)
            return
        singular = NAMES[asked.category][0][0]
        lines.add(self._part(" pick" if asked.kind == "spatial" else " see"), 2.0, thing=-2)
        if count > MOST:
            lines.add(self._part(f" more than {MOST}"), 2.0, thing=-2)
            lines.add(self._part(f" {plural(asked.category)} and mark the {MOST} largest."), 0.5, thing=-2)
            return
        lines.add(self._part(f" {count}"), 2.0, thing=-2)
        lines.add(self._part(f" {singular if count == 1 else plural(asked.category)}"), 0.5, thing=-2)
        if count > max(_WORDS):
            lines.add(self._part(", spread over the image."), 0.5, thing=-2)
            return
        lines.add(self._part(":"), 0.5, thing=-2)
        places: dict[str, int] = {}
        for t in things:
            column = min(2, int((t.box[0] + t.box[2]) / 2 * 3 / FRAME))
            row = min(2, int((t.box[1] + t.box[3]) / 2 * 3 / FRAME))
            where = _PLACES[row * 3 + column]
            places[where] = places.get(where, 0) + 1
        for k, (where, number) in enumerate(places.items()):
            if k:
                lines.add(self._part(","), 0.5, thing=-2)
            lines.add(self._part(f" {_WORDS[number]}"), 1.0, thing=-2)
            lines.add(self._part(f" {where}"), 1.0, thing=-2)
        lines.add(self._part("."), 0.5, thing=-2)

    def _prompt(self, lines: Lines, one: Thing, index: int, strategy: Strategy, first: bool) -> None:
        def piece(text: str, weight: float = 1.0) -> None:
            lines.add(self._part(text), weight, thing=index)

        def values(numbers: Sequence[int]) -> None:
            for k, n in enumerate(numbers):
                if k:
                    piece(",", 0.1)
                lines.add([self.numbers[n]], 1.0, number=n, thing=index)

        def points(wanted: Sequence[tuple[int, int]]) -> None:
            for k, point in enumerate(wanted):
                if k:
                    piece(BETWEEN, 0.5)
                values(point)

        if strategy.box:
            piece(FIRST_BOX if first else NEXT_BOX)
            values(whole_box(one.box))
            piece(THEN_POSITIVE if strategy.positives else BOX_END)
        else:
            piece(FIRST_POINTS if first else NEXT_POINTS)
        if strategy.positives:
            points(one.positive[: strategy.positives])
            if strategy.negatives:
                piece(THEN_NEGATIVE)
                points(one.negative[: strategy.negatives])
            piece(POINTS_END)


def whole_box(box: Sequence[float]) -> tuple[int, int, int, int]:
    """A box in whole pixels 0 ... FRAME - 1, not empty."""
    x1, y1, x2, y2 = (int(np.clip(round(v), 0, FRAME - 1)) for v in box)
    x1, y1 = min(x1, FRAME - 2), min(y1, FRAME - 2)
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)
