"""A picture and a question → think → read → segment → a result.

`steps` yields events as they happen: the thought grows, prompts close, masks fill in behind them. The segmenter
encodes the picture while the prompter thinks, and decodes prompts while it still writes. It knows the rooms below and
no door: no page, no terminal.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from think2seg import images, machine
from think2seg.agreement import agreed
from think2seg.agreement import check as check_agreement
from think2seg.answer import PromptClosed, Reader, ThoughtGrew, without_duplicates
from think2seg.dialect import find_dialect
from think2seg.errors import QueryError
from think2seg.prompter import Prompter, Writing
from think2seg.pump import Pump
from think2seg.segmenter import Segmenter
from think2seg.strategy import DEFAULT_STRATEGY, Strategy, find_strategy
from think2seg.tiles import check as check_tiles
from think2seg.tiles import tiled
from think2seg.types import (
    Answer,
    Completion,
    Event,
    Finished,
    Mask,
    MaskReady,
    Prompt,
    PromptFound,
    Query,
    Result,
    Size,
    Thinking,
    Timing,
)
from think2seg.zoom import check as check_zoom
from think2seg.zoom import zoomed

LONGEST_QUESTION = 2000
"""Characters; a question is a sentence or two, and every one of them costs the prompter time."""

Source = str | Path | bytes | Image.Image | NDArray[Any] | images.Picture
"""What a picture can be given as."""


def checked_question(question: str) -> str:
    """`question` without blanks around it. Raises `QueryError` if nothing is left, too much, or what is no text."""
    asked = question.strip()
    if not asked:
        raise QueryError("The question is empty. Ask in plain words what to find, such as “the storage tanks”.")
    if len(asked) > LONGEST_QUESTION:
        raise QueryError(f"The question has {len(asked)} characters; at most {LONGEST_QUESTION} are read. Shorten it.")
    if any("\ud800" <= c <= "\udfff" for c in asked):  # what a terminal makes of bytes that are no UTF-8
        raise QueryError("The question is not valid text: it holds bytes that are no UTF-8. Type it anew.")
    return asked


@dataclass
class _Run:
    """What one question has come to so far."""

    started: float = field(default_factory=time.monotonic)
    text: list[str] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    masks: dict[Prompt, Mask] = field(default_factory=dict)
    first_token_s: float | None = None
    first_mask_s: float | None = None
    written_s: float = 0.0  # when the prompter had ended

    def seconds(self) -> float:
        return time.monotonic() - self.started


class Pipeline:
    """One prompter, one segmenter, and the words between them.

    strategy: what is asked of the prompter and sent to the segmenter, by name. negatives: whether negative points are
    sent. deadline_s: seconds after which the prompter is cut off; what it wrote until then is read.
    """

    def __init__(
        self,
        prompter: Prompter,
        segmenter: Segmenter,
        *,
        strategy: str | Strategy = DEFAULT_STRATEGY,
        negatives: bool = True,
        deadline_s: float = 300.0,
    ) -> None:
        self.prompter = prompter
        self.segmenter = segmenter
        self.strategy = find_strategy(strategy)
        self.negatives = negatives
        self.deadline_s = deadline_s

    def __call__(
        self, image: Source, question: str, *, strategy: str | Strategy | None = None, negatives: bool | None = None
    ) -> Result:
        """The result of one question. Raises `ImageError`, `QueryError`, `AnswerError`, `ModelError`."""
        for event in self.steps(image, question, strategy=strategy, negatives=negatives):
            if isinstance(event, Finished):
                return event.result
        raise AssertionError("steps() ends with Finished or an error")

    def steps(
        self,
        image: Source,
        question: str,
        *,
        strategy: str | Strategy | None = None,
        negatives: bool | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Events until `Finished`: `Thinking`, `PromptFound`, `MaskReady`, prompts and masks in source-image pixels.

        Setting `stop` (an event for this call alone: it is set at the end) stops the prompter within a token, and what
        it wrote until then is read as ever; closing the iterator ends everything. Raises like `__call__`;
        `AnswerError` comes after the last `Thinking`.
        """
        asked = find_strategy(self.strategy if strategy is None else strategy)
        send_negatives = self.negatives if negatives is None else negatives
        query, notes = self.query(image, question)
        run = _Run()
        halt = stop or threading.Event()
        happened: queue.Queue[tuple[str, Any]] = queue.Queue()
        with ExitStack() as at_the_end:
            sam = ThreadPoolExecutor(1, thread_name_prefix="think2seg-sam")
            at_the_end.callback(sam.shutdown, wait=False, cancel_futures=True)
            writing = self.prompter.write(query, asked, stop=halt, deadline=run.started + self.deadline_s)
            pump = Pump(writing, happened)
            at_the_end.callback(pump.close)
            at_the_end.callback(halt.set)  # called first: the prompter ends within a token, and the pump with it
            if writing.processors:
                sam.submit(machine.compute_on, machine.processors() - writing.processors)
            encoding = sam.submit(self.segmenter.encode, query.image)
            reader = find_dialect(writing.dialect).reader(writing.frame, asked)
            busy: Future[list[Mask]] | None = None  # what the segmenter decodes now: `decoding`
            decoding: list[tuple[int, Prompt]] = []
            writes = True
            while writes or run.waiting or busy is not None:
                if busy is None and run.waiting:
                    indices, run.waiting = run.waiting, []
                    cuts = [self._sent(run.prompts[i], asked, send_negatives)[0] for i in indices]
                    busy = sam.submit(self.segmenter.segment, query.image, cuts)
                    decoding = list(zip(indices, cuts, strict=True))
                    busy.add_done_callback(lambda done: happened.put(("masks", done)))
                kind, what = happened.get()
                if kind == "end":
                    what.result()  # raises what the prompter raised
                    writes = False
                    run.written_s = run.seconds()
                    if writing.processors:
                        sam.submit(machine.compute_on, machine.processors())
                elif kind == "piece":
                    run.first_token_s = run.seconds() if run.first_token_s is None else run.first_token_s
                    run.text.append(what)
                    yield from self._read(reader, what, writing, query, run)
                elif kind == "masks":
                    busy = None
                    for (index, cut), mask in zip(decoding, what.result(), strict=True):
                        run.masks[cut] = mask
                        if index < len(run.prompts) and self._sent(run.prompts[index], asked, send_negatives)[0] == cut:
                            run.first_mask_s = run.seconds() if run.first_mask_s is None else run.first_mask_s
                            yield MaskReady(replace(mask, prompt=index))
            encoding.result()
            if run.written_s > self.deadline_s:
                cut_off = f"The prompter was cut off after {self.deadline_s:.0f} s; what it wrote until then was read."
                notes = (*notes, cut_off)
            answer = self._answer(reader, writing.frame, query, notes)
            completion = Completion("".join(run.text), writing.frame, writing.dialect)
            yield Finished(self._result(query, completion, answer, asked, asked, send_negatives, run))

    def read(self, query: Query, completion: Completion, *, strategy: str | Strategy | None = None) -> Answer:
        """What a whole completion says: its prompts in source-image pixels and without duplicates, as `steps` has it.

        strategy: what was asked for. Raises `AnswerError`, `QueryError`.
        """
        asked = find_strategy(self.strategy if strategy is None else strategy)
        reader = find_dialect(completion.dialect).reader(completion.frame, asked)
        reader.feed(completion.text)
        return self._answer(reader, completion.frame, query, ())

    def segment(
        self,
        query: Query,
        completion: Completion,
        answer: Answer,
        *,
        asked: str | Strategy | None = None,
        sent: str | Strategy | None = None,
        negatives: bool | None = None,
        whole: Collection[int] = (),
    ) -> Result:
        """The result of an answer that was read from a completion: the segmenter alone works.

        answer: in source-image pixels, as `read` gives it. asked: what the prompter was asked for; sent: what is cut
        from its prompts for the segmenter, by default the same. whole: indices of prompts that nothing is cut from,
        since a person drew them. Raises `QueryError`, `ModelError`.
        """
        was_asked = find_strategy(self.strategy if asked is None else asked)
        sent_as = was_asked if sent is None else find_strategy(sent)
        send_negatives = self.negatives if negatives is None else negatives
        return self._result(query, completion, answer, was_asked, sent_as, send_negatives, _Run(), whole=whole)

    def refine(
        self,
        result: Result,
        *,
        prompts: tuple[Prompt, ...] | None = None,
        strategy: str | Strategy | None = None,
        negatives: bool | None = None,
    ) -> Result:
        """`result` again through this pipeline's segmenter only; the prompter is not asked.

        prompts: other prompts than the answer's, in source-image pixels. strategy: what is cut from them and sent.
        Raises `QueryError`, `ModelError`.
        """
        asked = find_strategy(result.strategy)
        sent_as = asked if strategy is None else find_strategy(strategy)
        send_negatives = self.negatives if negatives is None else negatives
        answer = result.answer if prompts is None else replace(result.answer, prompts=prompts)
        return self._result(result.query, result.completion, answer, asked, sent_as, send_negatives, _Run(),
                            prompter=result.prompter)  # fmt: skip

    def query(self, image: Source, question: str) -> tuple[Query, tuple[str, ...]]:
        """The query, and what was done to the file to make a picture of it. Raises `ImageError`, `QueryError`."""
        asked = checked_question(question)
        picture = image if isinstance(image, images.Picture) else images.load(image)
        return Query(picture.pixels, asked), picture.notes

    def _read(self, reader: Reader, piece: str, writing: Writing, query: Query, run: _Run) -> Iterator[Event]:
        for read in reader.feed(piece):
            if isinstance(read, ThoughtGrew):
                yield Thinking(read.delta)
            elif isinstance(read, PromptClosed):
                if read.index < len(run.prompts):  # the prompter began anew
                    del run.prompts[read.index :]
                    run.waiting.clear()
                prompt = read.prompt.moved(writing.frame, query.size)
                run.prompts.append(prompt)
                run.waiting.append(read.index)
                yield PromptFound(read.index, prompt)

    @staticmethod
    def _answer(reader: Reader, frame: Size, query: Query, notes: tuple[str, ...]) -> Answer:
        """The final answer, in source-image pixels and without duplicates."""
        read = reader.close()
        warnings = [*notes, *read.warnings]
        kept = without_duplicates(read.prompts)
        if len(kept) < len(read.prompts):
            dropped = len(read.prompts) - len(kept)
            warnings.append(
                f"{dropped} of {len(read.prompts)} boxes overlapped a larger one by more than half; dropped."
            )
        return Answer(read.thought, tuple(p.moved(frame, query.size) for p in kept), tuple(warnings))

    @staticmethod
    def _sent(prompt: Prompt, strategy: Strategy, negatives: bool) -> tuple[Prompt, str | None]:
        """What of `prompt` goes to the segmenter, and a warning if the strategy leaves nothing to send."""
        cut = strategy.cut(prompt, negatives=negatives)
        if cut is not None:
            return cut, None
        return prompt, f"An instance has nothing that “{strategy.label}” sends; all of it was sent instead."

    def _result(
        self,
        query: Query,
        completion: Completion,
        answer: Answer,
        asked: Strategy,
        sent_as: Strategy,
        negatives: bool,
        run: _Run,
        prompter: str | None = None,
        whole: Collection[int] = (),
    ) -> Result:
        cuts = [
            (prompt, None) if i in whole else self._sent(prompt, sent_as, negatives)
            for i, prompt in enumerate(answer.prompts)
        ]
        sent = tuple(cut for cut, _warning in cuts)
        missing = [cut for cut in dict.fromkeys(sent) if cut not in run.masks]
        run.masks.update(zip(missing, self.segmenter.segment(query.image, missing), strict=True))
        if sent and run.first_mask_s is None:
            run.first_mask_s = run.seconds()
        extra = tuple(dict.fromkeys(warning for _cut, warning in cuts if warning))
        fresh = tuple(w for w in extra if w not in answer.warnings)
        return Result(
            query=query,
            completion=completion,
            answer=replace(answer, warnings=answer.warnings + fresh),
            masks=tuple(replace(run.masks[cut], prompt=i) for i, cut in enumerate(sent)),
            sent=sent,
            prompter=self.prompter.name if prompter is None else prompter,
            segmenter=self.segmenter.name,
            strategy=asked.name,
            timing=Timing(run.first_token_s, run.first_mask_s, run.seconds()),
        )


def load(
    prompter: str = "auto",
    segmenter: str = "auto",
    *,
    strategy: str | Strategy = DEFAULT_STRATEGY,
    negatives: bool = True,
    deadline_s: float = 300.0,
    device: str | None = None,
    tiles: int | None = None,
    tiles_from: int = 0,
    zoom: int = 1,
    agree: int = 0,
) -> Pipeline:
    """A pipeline of named models: `load("nano", "nano")` runs anywhere; `auto` takes the best that can run here.

    tiles: above 1, the prompter is also asked about so many tiles a side (`tiles.Tiled`), tiles_from: only where the
    whole picture shows so many objects; 1 for the whole picture alone, None as this prompter is best asked. zoom: the
    segmenter sees so many tiles a side as well (`zoom.Zoomed`); 1 for the whole picture alone. agree: above 0, the
    prompter draws so many answers more, and the one that the others agree with most counts (`agreement.Agreed`).
    Raises `ModelError`, `QueryError`.
    """
    from think2seg import models
    from think2seg import prompter as prompters
    from think2seg import segmenter as segmenters

    asked = find_strategy(strategy)
    check_tiles(tiles, tiles_from)
    check_zoom(zoom)
    check_agreement(agree)
    for name, find in ((prompter, models.find_prompter), (segmenter, models.find_segmenter)):
        if name != "auto":
            find(name)  # a name that is not known should not cost the other's loading
    return Pipeline(
        agreed(tiled(prompters.load(prompter, device=device), tiles, tiles_from), agree),
        zoomed(segmenters.load(segmenter, device=device), zoom),
        strategy=asked,
        negatives=negatives,
        deadline_s=deadline_s,
    )
