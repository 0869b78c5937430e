"""The five prompt strategies as data: what is asked of the prompter, what is sent to SAM, what a valid answer counts.

A strategy has two sides. The *asked* side is the wording of the user turn: an interface of the published checkpoints
(arXiv 2512.19302, appendix), which degrade if it changes by a word. The *sent* side is a cut: of what was answered,
only what the strategy names reaches the segmenter. So an answer to a richer strategy can be sent as a poorer one
without asking again: `can_be_cut_from`.

It knows prompts, and neither models nor the answer's syntax beyond its keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from think2seg.errors import QueryError
from think2seg.types import Answer, Prompt

SYSTEM_TURN = (
    "You are a remote sensing analysis assistant. Your task is to generate spatial prompts for the Segment Anything "
    "Model (SAM) based on a user's request."
)

_BOX_LINE = "`bbox_2d`: A tight bounding box."
_NUMBER_WORDS = {2: "two", 4: "four"}
# The two instances of the published example; the box + 2 strategy uses them word for word.
_EXAMPLE_BOXES = ("[310,360,567,586]", "[10,200,100,320]")
_EXAMPLE_POSITIVES = (
    ("[434, 474]", "[450, 460]", "[400, 500]", "[480, 440]"),
    ("[50, 250]", "[90, 300]", "[40, 280]", "[70, 230]"),
)
_EXAMPLE_NEGATIVES = (("[300, 350]", "[580, 600]"), ("[110, 190]", "[5, 330]"))


@dataclass(frozen=True)
class Strategy:
    """What one instance's prompt is made of: a box or not, and how many positive and negative points."""

    name: str
    label: str
    box: bool
    positives: int
    negatives: int

    def user_turn(self, question: str) -> str:
        """The user turn for `question` (arXiv 2512.19302, appendix), any frame. Raises `QueryError` for `BY_HAND`."""
        if self.name == BY_HAND.name:
            raise QueryError(f"Nobody can be asked “{self.label}”. Choose one of {', '.join(STRATEGIES)}.")
        lines: list[str] = []
        if self.box:
            lines.append(_BOX_LINE)
        if self.positives:
            number = _NUMBER_WORDS[self.positives]
            lines.append(f"`positive_points`: Exactly {number} points, placed inside the target.")
        if self.negatives:
            number = _NUMBER_WORDS[self.negatives]
            lines.append(
                f"`negative_points`: Exactly {number} points, placed outside the target, "
                "to separate it from the background."
            )
        asked = "".join(f"{n}.  {line}\n" for n, line in enumerate(lines, start=1))
        example = ", ".join(self._example(i) for i in range(2))
        return (
            f'Please find "{question}", identify the target. For each target instance, provide:\n'
            f"{asked}"
            "Output your thinking process in <think> </think> tags.\n"
            "Output the final answer in <answer> </answer> tags with the specified JSON format. "
            "If no targets are found, output an empty list.\n"
            "i.e. <think> thinking process here </think> \n"
            f"<answer>```json[{example}]```</answer>"
        )

    def _example(self, i: int) -> str:
        parts: list[str] = []
        if self.box:
            parts.append(f'"bbox_2d": {_EXAMPLE_BOXES[i]}')
        if self.positives:
            parts.append(f'"positive_points": [{", ".join(_EXAMPLE_POSITIVES[i][: self.positives])}]')
        if self.negatives:
            parts.append(f'"negative_points": [{", ".join(_EXAMPLE_NEGATIVES[i][: self.negatives])}]')
        return "{" + ", ".join(parts) + "}"

    def miscounts(self, prompt: Prompt) -> tuple[str, ...]:
        """What of `prompt` is not what was asked, one plain clause each; empty if the counts are right."""
        clauses: list[str] = []
        if self.box != (prompt.box is not None):
            clauses.append("no box where one was asked for" if self.box else "a box that was not asked for")
        for kind, asked, points in (
            ("positive", self.positives, prompt.positive),
            ("negative", self.negatives, prompt.negative),
        ):
            if len(points) != asked:
                clauses.append(f"{len(points)} {kind} points where {asked} were asked for")
        return tuple(clauses)

    def counts_right(self, answer: Answer) -> bool:
        """Whether every instance has exactly what was asked for; true for "nothing here". For rewards."""
        return not any(self.miscounts(prompt) for prompt in answer.prompts)

    def cut(self, prompt: Prompt, *, negatives: bool = True) -> Prompt | None:
        """What of `prompt` is sent to SAM: its box if the strategy has one, at most the first `positives` and
        `negatives` points; no negative points at all with `negatives=False`.

        None if nothing is left to start from (neither a box nor a positive point).
        """
        box = prompt.box if self.box else None
        positive = prompt.positive[: self.positives]
        if box is None and not positive:
            return None
        return Prompt(box, positive, prompt.negative[: self.negatives] if negatives else ())

    def can_be_cut_from(self, asked: Strategy) -> bool:
        """Whether an answer to `asked` holds all that this strategy sends, so that nobody need ask again."""
        return self.box <= asked.box and self.positives <= asked.positives and self.negatives <= asked.negatives


STRATEGIES: dict[str, Strategy] = {
    s.name: s
    for s in (
        Strategy("box", "box only", box=True, positives=0, negatives=0),
        Strategy("points", "points only", box=False, positives=2, negatives=0),
        Strategy("box+2", "box + 2 points", box=True, positives=2, negatives=0),
        Strategy("box+4", "box + 4 points", box=True, positives=4, negatives=0),
        Strategy("box+2+neg", "box + 2 points + 2 negative", box=True, positives=2, negatives=2),
    )
}
"""All strategies by name; `box+2` is the one that the published checkpoints were trained with."""

DEFAULT_STRATEGY = "box+2"

BY_HAND = Strategy("by hand", "by hand", box=True, positives=1_000_000, negatives=1_000_000)
"""What a person drew, sent whole. It names the strategy of a result that no prompter was asked for; none can be."""


def find_strategy(name: str | Strategy) -> Strategy:
    """The strategy of that name. Raises `QueryError` with the names that there are."""
    if isinstance(name, Strategy):
        return name
    if name == BY_HAND.name:
        return BY_HAND
    if name not in STRATEGIES:
        raise QueryError(f"There is no prompt strategy called {name!r}. Known: {', '.join(STRATEGIES)}.")
    return STRATEGIES[name]
