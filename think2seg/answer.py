"""The contract with the language model: what it is asked, how its text is read, and how an answer is written.

The wire format (arXiv 2512.19302); a list without objects means "nothing here":

    <think> … </think>
    <answer>```json[{"bbox_2d": [x1,y1,x2,y2], "positive_points": [[x,y],[x,y]]}, …]```</answer>

There is one reader for the app, the reward and the evaluation, `answer_reader.Reader`; `parse` is that reader fed
with a whole text. What it takes for the answer, and what a fault costs, is told there.

It does not know models, images or SAM.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from think2seg import answer_json
from think2seg.answer_reader import ENDS_THOUGHT, MAX_INSTANCES, MAX_TEXT, PromptClosed, Reader, ThoughtGrew
from think2seg.strategy import SYSTEM_TURN, Strategy
from think2seg.types import Answer, Box, Prompt, Size

__all__ = [
    "MAX_INSTANCES",
    "MAX_TEXT",
    "PromptClosed",
    "Reader",
    "ThoughtGrew",
    "box_iou",
    "messages",
    "parse",
    "render",
    "without_duplicates",
]


def messages(question: str, strategy: Strategy) -> list[dict[str, Any]]:
    """The conversation for one image, in the chat-template format of transformers; the image goes beside it."""
    turn = strategy.user_turn(question)
    return [
        {"role": "system", "content": [{"type": "text", "text": SYSTEM_TURN}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": turn}]},
    ]


def parse(text: str, frame: Size, strategy: Strategy | None = None) -> Answer:
    """Read a whole completion; prompts in pixels of `frame`, (width, height). Raises `AnswerError`.

    With a `strategy`, an instance that has other counts than it asks for is a warning.
    """
    reader = Reader(frame, strategy)
    reader.feed(text)
    return reader.close()


def render(answer: Answer) -> str:
    """The wire format: `parse(render(a), frame) == a` for every answer that lies in `frame`.

    Raises `ValueError` for what could not be read back as it is: a thought with white space at its ends, one that
    holds `</think>` or `<answer>` (there is no way to escape them), a box thinner than `answer_json.THINNEST`, and an
    answer beyond the reader's limits.
    """
    thought = answer.thought
    if thought != thought.strip():
        raise ValueError("A thought with white space at its ends cannot be written and read back; strip it.")
    found = ENDS_THOUGHT.search(thought)
    if found:
        raise ValueError(f"A thought cannot hold {found[0]}, which would end it; it holds one at {found.start()}.")
    if len(answer.prompts) > MAX_INSTANCES:
        raise ValueError(f"An answer holds at most {MAX_INSTANCES} instances; it has {len(answer.prompts)}.")
    for box in (prompt.box for prompt in answer.prompts if prompt.box is not None):
        if min(box[2] - box[0], box[3] - box[1]) < answer_json.THINNEST:
            raise ValueError(f"A box must be {answer_json.THINNEST} pixels wide and high, or it is lost; {box} is not.")
    instances = ", ".join(_instance(prompt) for prompt in answer.prompts)
    text = f"<think> {thought} </think>\n<answer>```json[{instances}]```</answer>"
    if len(text) > MAX_TEXT:
        raise ValueError(f"An answer is at most {MAX_TEXT:,} characters long; it would have {len(text):,}.")
    return text


def _instance(prompt: Prompt) -> str:
    """One object, spaced as in the published example; a key without a value is left out."""
    parts: list[str] = []
    if prompt.box is not None:
        parts.append(f'"{answer_json.BOX}": [{",".join(map(_number, prompt.box))}]')
    for key, points in ((answer_json.POSITIVE, prompt.positive), (answer_json.NEGATIVE, prompt.negative)):
        if points:
            pairs = ", ".join(f"[{_number(x)}, {_number(y)}]" for x, y in points)
            parts.append(f'"{key}": [{pairs}]')
    return "{" + ", ".join(parts) + "}"


def _number(value: float) -> str:
    """Whole numbers without a point, others so that they read back exactly."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes in one frame, 0 to 1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0  # boxes so thin that their areas round to nothing


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def without_duplicates(prompts: Iterable[Prompt], iou: float = 0.5) -> tuple[Prompt, ...]:
    """Of two boxes with an IoU above `iou` the larger stays (arXiv 2512.19302), the earlier of two alike.

    Prompts without a box stay, and the order stays. A box that has gone drives out no other.
    """
    prompts = tuple(prompts)
    boxes = [(i, p.box) for i, p in enumerate(prompts) if p.box is not None]
    boxes.sort(key=lambda numbered: -_area(numbered[1]))  # stable: the earlier of two alike comes first
    kept: list[tuple[int, Box]] = []
    for i, box in boxes:
        if all(box_iou(box, other) <= iou for _, other in kept):
            kept.append((i, box))
    stay = {i for i, _ in kept}
    return tuple(p for i, p in enumerate(prompts) if p.box is None or i in stay)
