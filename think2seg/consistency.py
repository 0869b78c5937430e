"""Whether a thought and its answer say the same: that there is nothing, and how many there are.

A few plain English patterns, made to be silent rather than wrong: what hedges ("about", "at least"), contradicts itself
or speaks in other ways is passed over. It knows words, numbers and the one reader; no model, no page.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from think2seg.dialect import find_dialect
from think2seg.errors import AnswerError
from think2seg.strategy import find_strategy
from think2seg.types import Result

_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
_NUMBERS = {word: value for value, word in enumerate(_WORDS.split())}
_NUMBER = rf"(?P<number>\d{{1,4}}|{'|'.join(_NUMBERS)})"
# What says that the next number counts what was found. "One at the left, one at the top" says no such thing.
_FINDS = (
    r"(?:\bI (?:can |could |now |also )?(?:see|find|found|count|counted|identify|identified|detect|detected|pick|mark|"
    r"spot|locate)|\bthere (?:are|is|were|was)|\b(?:image|picture|scene|photo|photograph|view) (?:shows?|contains?|has|"
    r"holds?)|\b(?:a )?total of|\bcounting)"
)
_NO_COUNT = r"[.,]\d| or more| or | to |\s?[-–]\s?\d|\s?%| percent|st\b|nd\b|rd\b|th\b"
_COUNT = re.compile(
    rf"{_FINDS}:? (?:exactly |only |just |a total of |in total |all )?{_NUMBER}\b(?!{_NO_COUNT})"
    r"(?P<what>(?: [^\W\d_][\w'’-]*){0,2})",
    re.IGNORECASE,
)
# Words after a number that make it a measure, not a count.
_MEASURES = re.compile(
    r"\s(?:pixels?|px|met(?:er|re)s?|m|km|feet|degrees?|percent|times?|sides?|lanes?|corners?|quarters?|halves|"
    r"thirds?|kinds?|types?|rows?|columns?|groups?|clusters?|of)\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"\bthere (?:is|are|was|were) (?:no|none|nothing|not any)\b(?! (?:doubt|need|question|other|more|further)\b)"
    r"|\bI (?:can |could |do )?(?:see|find|found|detect|identify) (?:no|none|nothing)\b(?! (?:other|more|further)\b)"
    r"|\bI (?:cannot|can ?not|can't|could not|couldn't|do not|don't|did not|didn't) (?:see|find|detect|identify) any\b"
    r"(?! (?:other|more|further)\b)"
    r"|\bnothing (?:here|to (?:mark|find|segment)|of that kind|matches|(?:in|on) (?:the|this) (?:image|picture))\b"
    r"|\bno [\w' -]{1,40}? (?:is|are|was|were|can be) (?:here|visible|present|seen|found|there|shown)\b"
    r"|\b(?:image|picture|scene) (?:shows?|contains?|has) (?:no|none|nothing)\b",
    re.IGNORECASE,
)


def contradiction(thought: str, counts: Collection[int]) -> str | None:
    """One plain sentence if `thought` says "nothing" and the answer has instances, or names a number that it has not;
    None otherwise.

    counts: how many instances the answer holds, in every way that one may count them (as written, and without
    duplicates). The sentence quotes the thought: untrusted text.
    """
    most = max(counts)
    claims = [found for found in _COUNT.finditer(thought) if not _MEASURES.match(found["what"])]
    numbers = {_value(found["number"]) for found in claims}
    denial = _NOTHING.search(thought)
    if denial and most and not numbers - {0}:
        return f"The thought says “{_quoted(denial[0])}”, and the answer holds {_instances(most)}."
    if len(numbers) == 1 and not denial and numbers.isdisjoint(counts):
        return f"The thought says “{_quoted(claims[0][0])}”, and the answer holds {_instances(most)}."
    return None


def doubt(result: Result) -> str | None:
    """`contradiction` of a result's thought and answer, as it was written and as duplicates have left it."""
    completion = result.completion
    counts = {len(result.answer.prompts)}
    reader = find_dialect(completion.dialect).reader(completion.frame, find_strategy(result.strategy))
    try:
        reader.feed(completion.text)
        counts.add(len(reader.close().prompts))
    except AnswerError:  # a result made by hand; what it holds is all there is to count
        pass
    return contradiction(result.answer.thought, counts)


def _value(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word.lower()]


def _quoted(text: str) -> str:
    return " ".join(text.split())[:80]


def _instances(number: int) -> str:
    return "no object" if number == 0 else "1 object" if number == 1 else f"{number} objects"
