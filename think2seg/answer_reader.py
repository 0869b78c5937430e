"""Reads a completion as it streams: the thought, each prompt the moment its object closes, and in the end the answer.

Which list is the answer
- In `<answer>` tags, after the thought, or in a text without tags: a list of objects with the wire format's keys, a
  single such object (or several in a row without a list around them), or an empty list. Outside `<answer>` an empty
  list counts only first in a fence or last in the text, so that no "- [ ]" in prose means "nothing here".
- Where `Keys` has bare boxes, a list of them too, and in `<answer>` a single one, or several in a row.
- A list in the thought is a draft, never the answer. `<think>` opens a thought; `</think>` or `<answer>` ends it. A
  `</think>` without `<think>` makes all before it the thought, unless an `<answer>` held a whole list by then.
- Of several the last whole one counts, whole meaning that its list was closed; one in `<answer>` is replaced only by
  another in `<answer>`. One that is cut off or broken replaces none that is whole.
- If none is whole, the whole instances of the last one begun are the answer, provided that it was only cut off.

What a fault costs: an instance cut off at the end, or wholly outside the frame, is dropped with a warning. Any other
malformed instance costs the whole answer, since leaving it out would hide it.

It knows neither what was asked nor how values are spelt (`answer_json.py`). Texts are untrusted: nothing is
evaluated, and the time is linear in their length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from think2seg import answer_json
from think2seg.answer_json import InstanceError, Keys, Step, Value, ValueReader, quoted
from think2seg.errors import AnswerError
from think2seg.strategy import Strategy
from think2seg.types import Answer, Prompt, Size

MAX_INSTANCES: Final = 256
MAX_TEXT: Final = 250_000
"""Characters; a completion of 2,048 tokens has about ten thousand."""

ENDS_THOUGHT: Final = re.compile(r"</\s{0,2}think\s{0,2}>|<\s{0,2}answer\s{0,2}>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)\s{0,2}(think|answer)\s{0,2}>", re.IGNORECASE)
_TAG_BEGUN = re.compile(
    r"</?\s{0,2}(?:t|th|thi|thin|a|an|ans|answ|answe)?|</?\s{0,2}(?:think|answer)\s{0,2}", re.IGNORECASE
)
_STOP = re.compile(r"[<\[{`~]")
_FENCE_HEAD = re.compile(r"(?:```|~~~)[\w+-]{0,20}\s{0,40}")
_AFTER_LONE_LIST = re.compile(r"[\s.`~]*")
_BETWEEN_OBJECTS = re.compile(r"[\s,]*")
_LIST_BEGUN = re.compile(r"(?:(?:```|~~~)\w*)?\s*[\[{]")
_UNKEYED: Final = 256
"""A bracket is given up as an answer's after so many characters without a quoted key."""
_SLICE: Final = 256
"""Long pieces of text are walked in slices, so that going back a few characters stays cheap."""


@dataclass(frozen=True)
class ThoughtGrew:
    """The thought grew by `delta`, untrusted text. All deltas together are the answer's thought."""

    delta: str


@dataclass(frozen=True)
class PromptClosed:
    """The object of instance `index` was closed; `prompt` is in pixels of the reader's frame.

    `index` counts the prompts of one answer from 0, dropped instances not among them; 0 after others says that
    another answer began. Which answer counts is known when the text is over: `Reader.close`.
    """

    index: int
    prompt: Prompt


@dataclass
class _Attempt:
    """One list, or row of objects, that may be the answer."""

    region: int  # the number of the <answer> it stands in, from 1; 0 outside
    bare: bool  # objects (or bare boxes) without a list around them
    values: ValueReader
    follows: _Attempt | None = None  # the row that a bare box just after it goes on
    counted: bool = False  # it is empty or has the wire format's keys, so it is an answer
    count: int = 0  # instances written, dropped ones among them
    prompts: list[Prompt] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    cut: bool = False
    fault: str = ""  # why it cannot be the answer, a sentence

    @property
    def begun(self) -> bool:
        """It is no prose in brackets: a key was read, or in a list a bare box."""
        return self.values.keyed or (self.counted and not self.bare)


class Reader:
    """Reads one completion.

    frame: (width, height), the pixels that its coordinates refer to. strategy: what was asked for; other counts are
    warnings. keys: how instances are spelt.

    However the text is cut into pieces, the events are the same but for where the thought's deltas are cut. If the
    answer is readable, has instances, and no other was begun after it, then the prompts closed since the last index
    0 are the answer's.
    """

    def __init__(self, frame: Size, strategy: Strategy | None = None, keys: Keys = answer_json.OURS) -> None:
        self._frame = frame
        self._strategy = strategy
        self._keys = keys
        self._pointing = keys.pointing
        self._events: list[ThoughtGrew | PromptClosed] = []
        self._pieces: list[str] = []
        self._length = 0
        self._end: Answer | AnswerError | None = None
        # Where in the text it is.
        self._tail = ""  # the beginning of what may be a tag or a fence
        self._thinking = False  # in <think>
        self._answering = False  # in <answer>
        self._thought_over = False  # </think> has come
        self._fenced = False
        self._regions = 0  # how many <answer> have come
        self._answered = False  # an <answer> has come, after the thought
        self._opening = ""  # how the last <answer> begins, for messages
        self._untidy: list[str] = []  # what is wrong with the tags
        # The thought, and text that is part of it if what seemed to end it did not.
        self._thought: list[str] = []
        self._space: list[str] = []  # white space, until something follows it
        self._withheld: list[str] | None = None  # since what seemed to end the thought
        self._head = ""  # a fence's first line, until it is known what it holds
        self._lone: list[str] | None = None  # an empty list in prose, and what follows it
        # The lists.
        self._attempt: _Attempt | None = None  # the one being read
        self._held: list[str] | None = None  # its text, until it counts
        self._held_length = 0
        self._row: _Attempt | None = None  # bare objects that may go on
        self._whole: _Attempt | None = None
        self._unfinished: _Attempt | None = None  # begun after the whole one
        self._other = ""  # what the last list or object was that is no answer

    def feed(self, delta: str) -> list[ThoughtGrew | PromptClosed]:
        """Read on; what that brought, in order. Beyond `MAX_TEXT` characters nothing is read."""
        if self._end is not None:
            raise ValueError("This reader is closed; another text needs another reader.")
        self._events = []
        self._pieces.append(delta)
        room = max(0, MAX_TEXT - self._length)
        self._length += len(delta)
        for start in range(0, min(len(delta), room), _SLICE):
            self._scan(self._tail + delta[start : min(start + _SLICE, room)])
        return self._events

    def close(self) -> Answer:
        """The text is over: the answer, or `AnswerError` with the reason and the whole text."""
        if self._end is None:
            self._finish()
            attempt = self._whole or self._unfinished
            why = self._refusal(attempt)
            if attempt is None or why:
                self._end = AnswerError(why, "".join(self._pieces))
            else:
                self._end = Answer("".join(self._thought), tuple(attempt.prompts), self._warnings(attempt))
        if isinstance(self._end, AnswerError):
            raise self._end
        return self._end

    # Prose, tags and fences ----------------------------------------------------------------------------------

    def _scan(self, text: str) -> None:
        self._tail = ""
        at = 0
        while at < len(text):
            if self._attempt is None:
                at = self._read_prose(text, at)
            else:
                text, at = self._read_values(self._attempt, text, at)

    def _read_prose(self, text: str, at: int) -> int:
        """Read up to and with the next tag, fence or opening bracket; where to go on."""
        if self._thinking:
            found = text.find("<", at)
        else:
            stop = _STOP.search(text, at)
            found = stop.start() if stop else -1
        end = len(text) if found < 0 else found
        if end > at:
            self._prose(text[at:end])
        if found < 0:
            return end
        c = text[found]
        if c == "<":
            tag = _TAG.match(text, found)
            if tag:
                self._tag(tag[0], tag[2].lower(), closing=bool(tag[1]))
                return tag.end()
            if _TAG_BEGUN.fullmatch(text, found):
                self._tail = text[found:]
                return len(text)
            self._prose(c)
        elif c in "`~":
            marks = text[found : found + 3]
            if len(marks) < 3 and marks == c * len(marks):
                self._tail = marks
                return len(text)
            if marks == c * 3:
                self._fence(marks)
                return found + 3
            self._prose(c)
        elif self._is_answered() or (c == "{" and self._broken_here()):
            self._prose(c)
        else:
            self._begin(c)
        return found + 1

    def _is_answered(self) -> bool:
        """A whole list stood in <answer>, which only another <answer> replaces."""
        return self._whole is not None and bool(self._whole.region) and not self._answering

    def _broken_here(self) -> bool:
        """A list broke in this region: an object after it is what is left of the list."""
        broken, region = self._unfinished, self._regions if self._answering else 0
        return broken is not None and not broken.bare and bool(broken.fault) and broken.region == region

    def _prose(self, text: str) -> None:
        """Take text that is neither a tag, a fence nor an answer's."""
        if self._row is not None and not _BETWEEN_OBJECTS.fullmatch(text):
            self._row = None
        if self._lone is not None and not _AFTER_LONE_LIST.fullmatch(text):
            self._drop_lone()
        if self._head:
            if _FENCE_HEAD.fullmatch(self._head + text):
                self._head += text
                return
            self._drop_head()
        self._keep(text)

    def _keep(self, text: str) -> None:
        """Put text where it belongs now: to the thought, or to what may turn out to be the thought's."""
        if self._answering and len(self._opening) < 200:
            self._opening += text[: 200 - len(self._opening)]
        if self._lone is not None:
            self._lone.append(text)
        elif self._withheld is not None:
            self._withheld.append(text)
        elif not (self._thought_over or self._answering):
            self._think(text)

    def _think(self, text: str) -> None:
        """The thought grows. White space waits for what follows it, and is left out at both ends."""
        words = text.lstrip()
        if not words:
            self._space.append(text)
            return
        space = [*self._space, text[: len(text) - len(words)]] if self._thought else []
        kept = words.rstrip()
        self._space = [words[len(kept) :]]
        delta = "".join([*space, kept])
        self._thought.append(delta)
        self._events.append(ThoughtGrew(delta))

    def _drop_head(self) -> None:
        """What the fence holds is no answer: its first line is text like any other."""
        head, self._head = self._head, ""
        if head:
            self._keep(head)

    def _drop_lone(self) -> None:
        """Something follows an empty list in prose: it was part of a sentence."""
        lone, self._lone = self._lone, None
        for piece in lone or ():
            self._keep(piece)

    def _fence(self, marks: str) -> None:
        self._row = None
        self._drop_head()
        self._fenced = not self._fenced
        if self._fenced and self._lone is None and not self._answering:
            self._head = marks
        else:
            self._keep(marks)

    def _tag(self, written: str, name: str, *, closing: bool) -> None:
        if self._thinking and closing == (name == "answer"):
            self._prose(written)  # "<think>" and "</answer>" say nothing in a thought
            return
        self._row = None
        self._drop_head()
        self._drop_lone()
        self._fenced = False
        if name == "think" and closing:
            self._end_thought()
        elif name == "think":
            self._thinking, self._answering, self._thought_over, self._withheld = True, False, False, None
            self._space = ["\n"]  # between this thought and one before it
        elif closing:
            self._answering = False
            self._keep(written)
        else:
            if self._thinking:
                self._untidy.append("The thought was not closed with </think>; <answer> ended it.")
            if self._withheld is None and not self._thought_over:
                self._withheld = []
            self._keep(written)
            self._thinking, self._answering, self._opening, self._other = False, True, "", ""
            self._answered = True
            self._regions += 1

    def _end_thought(self) -> None:
        if self._thinking:
            self._thinking, self._thought_over = False, True
        elif not self._thought_over and not (self._whole is not None and self._whole.region):
            # All so far was the thought, and its lists were drafts.
            withheld, self._withheld, self._answering = self._withheld, None, False
            for piece in withheld or ():
                self._think(piece)
            self._thought_over = True
            self._whole, self._unfinished, self._other, self._answered = None, None, "", False
            self._untidy.clear()

    # Lists and objects ---------------------------------------------------------------------------------------

    def _begin(self, opener: str) -> None:
        self._drop_lone()
        if opener == "{" and self._row is not None:
            self._attempt = self._row
            self._attempt.values = ValueReader(opener)
        else:
            region = self._regions if self._answering else 0
            self._attempt = _Attempt(region, opener == "{", ValueReader(opener), follows=self._row)
        self._row = None
        self._held, self._held_length = [], 0
        self._hold(opener)

    def _hold(self, text: str) -> None:
        """Take an attempt's text: held until it counts."""
        if self._held is None:
            self._keep(text)
        else:
            self._held.append(text)
            self._held_length += len(text)

    def _read_values(self, attempt: _Attempt, text: str, at: int) -> tuple[str, int]:
        """Read on in a list or object; the text to go on with, and where in it."""
        values = attempt.values
        begin = at
        while at < len(text):
            step = values.take(text[at])
            if step is Step.BROKEN or step is Step.CUT:
                if not attempt.begun:
                    return self._no_list(text[begin:at]) + text[at:], 0
                self._hold(text[begin:at])
                self._break_off(attempt, step)
                return text, at
            at += 1
            if self._keys.bare_boxes and not attempt.begun and values.depth == 1 and values.top:
                attempt.counted = isinstance(values.top, list) and answer_json.is_box(values.top[0])
            if not attempt.begun:
                if self._held_length + at - begin > _UNKEYED:
                    return self._no_list(text[begin:at]) + text[at:], 0
            elif values.depth <= 2 and (attempt.counted or values.keys & self._pointing):
                if self._held is not None:
                    self._count(attempt)
                if isinstance(values.top, list):
                    while attempt.count < len(values.top):
                        self._instance(attempt, values.top[attempt.count])
            if step is Step.WHOLE:
                self._hold(text[begin:at])
                self._close_list(attempt)
                return text, at
        self._hold(text[begin:])
        return text, at

    def _release(self) -> str:
        """The text held so far, which is held no longer."""
        held, self._held = self._held, None
        return "".join(held or ())

    def _no_list(self, text: str) -> str:
        """The opening bracket was prose; what followed it, to be read again."""
        self._attempt = None
        held = self._release() + text
        self._prose(held[0])
        return held[1:]

    def _count(self, attempt: _Attempt) -> None:
        """It has the wire format's keys: the thought is over, and a prompt may come."""
        attempt.counted = True
        if attempt is not self._whole:
            self._unfinished = attempt
        self._end_text()

    def _end_text(self) -> None:
        """An answer was found: from here on, text is the thought's only if a </think> comes."""
        if self._withheld is None and not self._thought_over:
            self._withheld = []
        self._drop_head()
        self._keep(self._release())

    def _instance(self, attempt: _Attempt, value: Value) -> None:
        attempt.count += 1
        if attempt.fault:
            return
        if attempt.count > MAX_INSTANCES:
            attempt.fault = f"The answer has more than {MAX_INSTANCES} instances."
            return
        mended: list[str] = []
        try:
            prompt = answer_json.prompt(value, self._frame, mended, self._keys)
        except InstanceError as error:
            attempt.fault = f"Instance {attempt.count} {error}."
            return
        if prompt is None:
            mended = [f"lies outside the {self._frame[0]} x {self._frame[1]} frame and was dropped"]
        else:
            attempt.prompts.append(prompt)
            self._events.append(PromptClosed(len(attempt.prompts) - 1, prompt))
        attempt.warnings += [f"Instance {attempt.count} {clause}." for clause in mended]

    def _close_list(self, attempt: _Attempt) -> None:
        self._leave(attempt)
        values = attempt.values
        if attempt.begun and attempt.counted:
            if attempt.bare:
                self._instance(attempt, values.top)
                self._row = attempt
            self._whole, self._unfinished = attempt, None
        elif answer_json.is_box(values.top) and self._takes_bare_box(attempt):
            row = attempt.follows or attempt
            row.bare = True
            self._count(row)
            self._instance(row, values.top)
            self._row = self._whole = row
            self._unfinished = None
        elif values.top == []:
            self._empty_list(attempt)
        else:
            if attempt.region or values.keyed:
                kind = "an object" if attempt.bare else "a list"
                self._other = f"The answer is {kind} without a box or points: it reads {quoted(values.top)}."
            self._prose(self._release())

    def _takes_bare_box(self, attempt: _Attempt) -> bool:
        """Whether a box alone may be the answer: in <answer>, and not what is left of a list that broke there."""
        left = self._unfinished is not None and self._unfinished.region == attempt.region
        return self._keys.bare_boxes and attempt.region > 0 and not left

    def _empty_list(self, attempt: _Attempt) -> None:
        whole = self._whole
        if attempt.region:
            counts = whole is None or whole.region != attempt.region or whole.count == 0
        else:
            counts = bool(self._head)
        if counts:
            attempt.counted = True
            self._whole, self._unfinished = attempt, None
            self._end_text()
        elif whole is None and self._unfinished is None and not attempt.region:
            self._drop_head()
            self._lone = [self._release()]
        else:
            self._prose(self._release())

    def _break_off(self, attempt: _Attempt, step: Step) -> None:
        """A list or object that had a key ends before its closing bracket."""
        self._leave(attempt)
        where = f"The answer breaks off at instance {attempt.count + 1}: {attempt.values.why}."
        if attempt.counted:
            if step is Step.CUT:
                attempt.cut = True
            else:
                attempt.fault = attempt.fault or where
        else:
            if step is Step.BROKEN:
                self._other = where
            self._prose(self._release())

    def _leave(self, attempt: _Attempt) -> None:
        self._attempt = None
        attempt.keys |= attempt.values.keys
        attempt.repeated |= attempt.values.repeated

    # The end -------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Settle what was still open when the text ended."""
        attempt = self._attempt
        if attempt is not None and attempt.begun:
            self._break_off(attempt, Step.CUT)
        elif attempt is not None:
            self._attempt = None
            self._prose(self._release())
        if not self._tail.startswith("<"):
            self._prose(self._tail)
        if self._lone is not None and self._whole is None and self._unfinished is None:
            self._whole = _Attempt(0, False, ValueReader("["), counted=True)

    def _refusal(self, attempt: _Attempt | None) -> str:
        """Why there is no answer, one sentence; empty if there is one."""
        if self._length > MAX_TEXT:
            return f"The text has {self._length:,} characters; at most {MAX_TEXT:,} are read."
        if attempt is not None:
            if attempt.fault:
                return attempt.fault
            if attempt.count and not attempt.prompts:
                which = "its one instance" if attempt.count == 1 else f"all its {attempt.count} instances"
                return f"The answer lies outside the {self._frame[0]} x {self._frame[1]} frame, with {which}."
            if attempt is self._unfinished and not attempt.prompts:
                return "The answer was cut off before its first instance was whole."
            return ""
        if self._thinking:
            return "The text ends in the thought, before an answer."
        if self._other:
            return self._other
        if self._answered:
            said = self._opening.strip()
            if self._answering and (not said or _LIST_BEGUN.match(said)):
                return "The answer was cut off before its first instance was whole."
            if not said:
                return "The answer is blank."
            return f"The answer holds no list of instances; it reads {quoted(said)}."
        if self._thought_over:
            return "The thought is followed by no answer."
        text = "".join(self._pieces[:1000])[:1000].strip()
        return f"The text holds no answer; it reads {quoted(text)}." if text else "The text is blank."

    def _warnings(self, attempt: _Attempt) -> tuple[str, ...]:
        warnings = list(dict.fromkeys(self._untidy))
        if self._keys.tagged and not attempt.region:
            warnings.append("The answer does not stand in <answer> tags.")
        if self._keys.listed and attempt.bare:
            warnings.append("The answer is no list; its objects were read as one.")
        warnings += attempt.warnings
        if attempt.cut:
            warnings.append("The answer was cut off; its last, unfinished instance was dropped.")
        if self._whole is not None and self._unfinished is not None:
            warnings.append("Another answer was begun but not finished; it does not count.")
        unknown = sorted(attempt.keys - self._pointing.union(self._keys.ignored))
        if unknown:
            names = ", ".join(quoted(key, 30) for key in unknown[:5]) + (", …" if len(unknown) > 5 else "")
            warnings.append(f"Unknown keys were ignored: {names}.")
        if attempt.repeated:
            names = ", ".join(quoted(key, 30) for key in sorted(attempt.repeated)[:5])
            warnings.append(f"A key stood twice in one object, the last one counts: {names}.")
        if self._strategy is not None:
            for n, prompt in enumerate(attempt.prompts, start=1):
                warnings += [f"Prompt {n} has {clause}." for clause in self._strategy.miscounts(prompt)]
        return tuple(warnings)
