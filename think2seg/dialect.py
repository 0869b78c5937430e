"""Dialects: the same question put to related checkpoints in their own words, and their answers read.

Our published checkpoints are asked and answer in `answer.py`'s words, the dialect `think2seg`. Peers were trained on
other words, other keys and other sizes of the picture; a dialect holds these as data, so that a peer runs in the same
harness. There is still one reader, `answer.Reader`; a dialect only gives it other keys. What costs an answer there
costs it here: a peer's answer that its authors' script would read in part is refused whole.

The turns are interfaces of released checkpoints, taken over word for word from the code that each `about` names, the
sentences without a space between them included. How a peer's authors change the question first (`trims`) is theirs
too. The pictures are another matter: `resize` is the authors' size, but the filter is the prompter's own.

It does not know models, pictures or the reader's inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from think2seg import answer, models
from think2seg.answer import Reader
from think2seg.answer_json import OURS as OUR_KEYS
from think2seg.answer_json import Keys
from think2seg.errors import QueryError
from think2seg.strategy import STRATEGIES, Strategy
from think2seg.types import Answer, Size

_IMAGE, _QUESTION = "<image>", "{question}"


@dataclass(frozen=True)
class Dialect:
    """How one family of checkpoints is asked, and how its answers are spelt.

    about: whose checkpoints they are, and the source of the words. coordinates, resize: as in `models.PrompterEntry`.
    asks: the strategies that it can be asked for; a peer has one way of asking, and the one named is the nearest to
    what it answers. turn: the user turn, with <image> and {question} in their places; empty for ours, which has a turn
    for each strategy. system: the system turn, empty where the checkpoint's own chat template has the say. trims: the
    question is put into lower case and rid of these characters at its ends; empty leaves it as it is.
    """

    name: str
    about: str
    keys: Keys
    coordinates: models.Coordinates
    resize: tuple[int, int] | None
    asks: tuple[str, ...]
    turn: str = ""
    system: str = ""
    trims: str = ""

    def messages(self, question: str, strategy: Strategy) -> list[dict[str, Any]]:
        """The conversation for one image, as `answer.messages`; a peer's is the same for every strategy."""
        if not self.turn:
            return answer.messages(question, strategy)
        if self.trims:
            question = question.lower().strip(self.trims)
        before, _, after = self.turn.partition(_IMAGE)
        user = [{"type": "image"}, {"type": "text", "text": after.replace(_QUESTION, question)}]
        if before:
            user.insert(0, {"type": "text", "text": before})
        system = [{"role": "system", "content": [{"type": "text", "text": self.system}]}] if self.system else []
        return [*system, {"role": "user", "content": user}]

    def reader(self, frame: Size, strategy: Strategy | None = None) -> Reader:
        """The project's reader, given this dialect's keys.

        A peer writes what it writes, whatever the strategy; only ours is held to the counts that it was asked for.
        """
        return Reader(frame, None if self.turn else strategy, self.keys)

    def parse(self, text: str, frame: Size, strategy: Strategy | None = None) -> Answer:
        """Read a whole completion; prompts in pixels of `frame`, (width, height). Raises `AnswerError`."""
        reader = self.reader(frame, strategy)
        reader.feed(text)
        return reader.close()


def _peer(name: str, asks: str, about: str, keys: Keys, turn: str, *, system: str = "", trims: str = "") -> Dialect:
    coordinates, resize = models.SPACES_BY_DIALECT[name]
    return Dialect(name, about, keys, coordinates, resize, (asks,), turn, system, trims)


OURS = Dialect(
    models.OUR_DIALECT,
    "Ours: Think2Seg-RS 3B and 7B (arXiv 2512.19302, appendix), nano, and untrained baselines asked in the same words.",
    OUR_KEYS,
    *models.SPACES_BY_DIALECT[models.OUR_DIALECT],
    asks=tuple(STRATEGIES),
)

_SEG_ZERO = _peer(
    "seg-zero",
    "box+2",
    "Seg-Zero 3B and 7B (arXiv 2503.06520), one object a question: a box and two points; words from its repository, "
    "inference_scripts/infer.py.",
    Keys(box=("bbox", "bbox_2d"), positive=(), point=("points_1", "points_2"), negative=(), listed=False),
    "<image>Please find '{question}' with bbox and points."
    "Compare the difference between objects and find the most closely matched one."
    "Output the thinking process in <think> </think> and final answer in <answer> </answer> tags."
    "Output the one bbox and points of two largest inscribed circles inside the interested object in JSON format."
    "i.e., <think> thinking process here </think>"
    "<answer>{'bbox': [10,100,200,210], 'points_1': [30,110], 'points_2': [35,180]}</answer>",
    trims=".",
)

_VISION_REASONER = _peer(
    "visionreasoner",
    "box+2",
    "VisionReasoner 7B (arXiv 2505.12081), a box and one point for each object; words from its repository, "
    "vision_reasoner/models/vision_reasoner_model.py.",
    Keys(positive=(), point=("point_2d",), negative=()),
    '<image>Please find "{question}" with bboxs and points.'
    "Compare the difference between object(s) and find the most closely matched object(s)."
    "Output the thinking process in <think> </think> and final answer in <answer> </answer> tags."
    "Output the bbox(es) and point(s) inside the interested object(s) in JSON format."
    "i.e., <think> thinking process here </think>"
    '<answer>[{"bbox_2d": [10,100,200,210], "point_2d": [30,110]}, '
    '{"bbox_2d": [225,296,706,786], "point_2d": [302,410]}]</answer>',
    trims='."?!',
)

_REMOTE_REASONER = _peer(
    "remotereasoner",
    "box",
    "RemoteReasoner 7B (arXiv 2507.19280), bare boxes; words from its repository, RemoteReasoner.py, and the system "
    "turn that its training script names (ms-swift, examples/train/grpo/prompt.txt).",
    Keys(box=(), positive=(), negative=(), bare_boxes=True, listed=False),
    "You are an object localization assistant. Your task is to locate the target object(s) in the image "
    "based on the provided text description and output bounding box coordinates. "
    "Please follow these requirements:\n"
    "1. Text comprehension: Carefully analyze the text description to identify the target object.\n"
    "2. Output format:\n"
    "   - If one object exists: Output the bounding box coordinates in the format: [[x1,y1,x2,y2]]\n"
    "   - If no matching object is found: Output an empty list []\n"
    "   - If multi-objects exist: Output the bounding box coordinates in the format: "
    "[[x1,y1,x2,y2],...,[x1,y1,x2,y2]]\n"
    "3. Coordinate requirements:\n"
    "   - Bounding box coordinates should be arranged as [x_min, y_min, x_max, y_max]\n"
    "   - Coordinate values must be integers representing pixel positions\n"
    "4. Output specifications:\n"
    "   - Output the thinking process in <think> </think> and \n final answer (a list of bounding boxes) in "
    "<answer> </answer> tags."
    "Perform the grounding task for the following input:\n"
    "\n<image>\nText description: {question}",
    system="A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The "
    "assistant first thinks about the reasoning process in the mind and then provides the user with the answer. The "
    "reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, "
    "i.e., <think> reasoning process here </think><answer> answer here </answer>",
)

_QWEN_KEYS = Keys(
    box=("bbox_2d", "bbox"), positive=(), point=("point_2d",), negative=(), ignored=("label",), tagged=False
)

_QWEN_2_5 = _peer(
    "qwen2.5-vl",
    "box",
    "Qwen2.5-VL of any size (arXiv 2502.13923), untrained, in its own grounding JSON as in its cookbook "
    "(spatial_understanding.ipynb); the sentence is that of VisionReasoner's baseline (arXiv 2505.12081, "
    "vision_reasoner/models/qwen_vl.py).",
    _QWEN_KEYS,
    '<image>Locate "{question}", report the bboxes coordinates in JSON format.',
)

_QWEN_3 = _peer(
    "qwen3-vl",
    "box",
    "Qwen3-VL of any size, untrained, in its own grounding JSON, in thousandths; words from its cookbook "
    "(2d_grounding.ipynb).",
    _QWEN_KEYS,
    '<image>Locate every instance that belongs to the following categories: "{question}". '
    "Report bbox coordinates in JSON format.",
)

DIALECTS: dict[str, Dialect] = {
    d.name: d for d in (OURS, _SEG_ZERO, _VISION_REASONER, _REMOTE_REASONER, _QWEN_2_5, _QWEN_3)
}
"""All dialects by name."""


def find_dialect(name: str) -> Dialect:
    """The dialect of that name. Raises `QueryError` if there is none."""
    found = DIALECTS.get(name.lower())
    if found is None:
        raise QueryError(f"There is no dialect called {name!r}. Known: {', '.join(DIALECTS)}.")
    return found


def spoken(entry: models.PrompterEntry, name: str | None) -> models.PrompterEntry:
    """`entry` in the dialect `name`, with its coordinates and resize; the entry as it is for None.

    Ours fits any model, so that it leaves coordinates and resize as they are. Raises `QueryError`.
    """
    return entry if name is None else models.spoken(entry, find_dialect(name).name)
