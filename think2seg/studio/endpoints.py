"""What programs may ask of the studio: `segment`, `refine`, `compare` and `export`, in plain JSON.

They stand beside the page's handlers and share the models, the lines and the limits with them, and nothing else: what
comes is an uploaded file and plain values, what goes out is the document of `record.py`. An agent finds the same four
as MCP tools. A fault of the caller's is told in a sentence, one of ours is logged and never shown.

It knows gradio's way of publishing a function, jobs and the pipeline; no component of the page but the one that owns
the files that are handed out.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from think2seg import compare as comparing
from think2seg import record
from think2seg.compare import Comparison, Panel
from think2seg.errors import ModelError, QueryError, Think2SegError
from think2seg.export import DEFAULT_FORMATS, FORMATS, checked_formats, encoded
from think2seg.images import Picture
from think2seg.pipeline import Pipeline
from think2seg.prompter import Prompter
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES, Strategy, find_strategy
from think2seg.studio.board import OUR_FAULT, PageEvent, Stage
from think2seg.studio.canvas import keep
from think2seg.studio.documents import Document, plain_document, plain_panel
from think2seg.studio.edits import Unasked
from think2seg.studio.intake import asked_document, asked_words, checked_prompts, recorded, uploaded
from think2seg.studio.jobs import Job, Tell, Work
from think2seg.studio.line import EXPORT, SEGMENT, THINK, Line, ordinal
from think2seg.tiles import check_views, viewed
from think2seg.types import (
    Answer,
    Completion,
    Finished,
    MaskReady,
    Prompt,
    PromptFound,
    Query,
    Result,
    Thinking,
    Timing,
)
from think2seg.zoom import OpenSegmenter
from think2seg.zoom import check as check_zoom

_log = logging.getLogger(__name__)

MOST_PANELS = 12
"""Of one comparison, strategies times segmenters."""


@dataclass
class _Progress:
    """What a question has come to: partial answers for those who follow the stream."""

    stage: str = "starting"
    words: list[str] = field(default_factory=list)
    prompts: dict[int, Prompt] = field(default_factory=dict)
    masks: set[int] = field(default_factory=set)
    result: Result | None = None
    started: float = field(default_factory=time.monotonic)

    def take(self, event: PageEvent) -> None:
        if isinstance(event, Stage):
            self.stage = event.words
        elif isinstance(event, Thinking):
            self.stage = "thinking"
            self.words.append(event.delta)
        elif isinstance(event, PromptFound):
            self.stage = "pointing"
            for index in [i for i in self.prompts if i >= event.index]:  # the prompter began anew
                del self.prompts[index]
                self.masks.discard(index)
            self.prompts[event.index] = event.prompt
        elif isinstance(event, MaskReady):
            self.masks.add(event.mask.prompt)
        elif isinstance(event, Finished):
            self.result = event.result

    def told(self) -> Document:
        return {
            "partial": True,
            "stage": self.stage,
            "seconds": round(time.monotonic() - self.started, 1),
            "thought": "".join(self.words),
            "prompts": [record.prompt_document(prompt) for _index, prompt in sorted(self.prompts.items())],
            "masks": len(self.masks),
        }


class Endpoints:
    """The four functions; `publish` them inside of a `gr.Blocks`.

    prompters, segmenters: the names that may be asked for. keeper: the component whose cache owns exported files.
    """

    def __init__(
        self,
        open_prompter: Callable[[str], Prompter],
        open_segmenter: OpenSegmenter,
        prompters: list[str],
        segmenters: list[str],
        keeper: Any,
        line: Line,
    ) -> None:
        self._line = line
        self._open_prompter = open_prompter
        self._open_segmenter = open_segmenter
        self._prompters = prompters
        self._segmenters = segmenters
        self._keeper = keeper

    def publish(self, let_in: int) -> None:
        """Make the four callable at `/segment`, `/refine`, `/compare` and `/export`.

        let_in: questions at once, one of which has the model.
        """
        for function, kind, limit in (
            (self.segment, THINK, let_in),
            (self.refine, SEGMENT, 1),
            (self.compare, THINK, let_in),
            (self.export, EXPORT, 2),
        ):
            gr.api(function, api_name=function.__name__, concurrency_id=kind, concurrency_limit=limit)

    def segment(
        self,
        image: FileData,
        question: str,
        prompter: str = "auto",
        segmenter: str = "auto",
        strategy: str = DEFAULT_STRATEGY,
        negatives: bool = True,
        views: str = "auto",
        zoom: int = 1,
    ) -> Iterator[Document]:
        """Find what a question asks for in an aerial image: a language model thinks and points, SAM 2 makes masks.

        Streams partial answers ("partial": true, with the thought, prompts and number of masks so far); the last one is
        the whole result: question, thought, and an instance for each object with its box, points, score, area in pixels
        and mask (COCO run lengths). No instances means that nothing in the image answers the question.

        Args:
            image: An uploaded picture (PNG, JPEG, WebP, BMP, TIFF or GeoTIFF); addresses are not fetched.
            question: What to find, in plain words.
            prompter: The model that thinks and points, by name.
            segmenter: The size of SAM 2, by name.
            strategy: What is asked of the prompter and sent to SAM: box, points, box+2, box+4 or box+2+neg.
            negatives: Whether negative points are sent.
            views: What the prompter is asked about: whole (the picture), tiles (four tiles of it too, where it shows
                several objects: small ones are found, and it takes longer), or auto, as the prompter is best asked.
            zoom: What SAM sees: 1 for the whole picture; 2, 3 or 4 for so many tiles a side too, which draws outlines
                of small things finer where the boxes are right.

        Returns:
            The result as a JSON document, in pixels of the image.
        """
        progress = _Progress()
        given: list[Picture] = []

        def work(stop: threading.Event, tell: Tell) -> None:
            asked, words = find_strategy(str(strategy)), asked_words(question)
            self._check(prompter, self._prompters, "prompter")
            self._check(segmenter, self._segmenters, "size of SAM")
            check_views(views)
            check_zoom(zoom)
            given.append(uploaded(_path(image)))
            with self._line.turn(stop, _place(tell)):
                tell(Stage("loading the model"))
                writer = viewed(self._open_prompter(prompter), views)
                filler = self._open_segmenter(segmenter, zoom)
                tell(Stage("looking at the picture"))
                pipeline = Pipeline(writer, filler, strategy=asked, negatives=bool(negatives))
                for event in pipeline.steps(given[0], words, stop=stop):
                    tell(event)

        with _in_words():
            yield progress.told()  # gradio closes only what has yielded once
            for batch in Job(work).batches():
                for event in batch:
                    progress.take(event)
                if progress.result is None:
                    yield progress.told()
            assert progress.result is not None
            yield plain_document(progress.result, given[0])

    def refine(
        self,
        image: FileData,
        document: Document | None = None,
        prompts: list[Document] | None = None,
        question: str = "",
        segmenter: str = "auto",
        strategy: str = "",
        negatives: bool = True,
        zoom: int = 1,
    ) -> Iterator[Document]:
        """Run SAM 2 alone, on prompts of an earlier answer or of your own; no vision-language model is asked.

        Args:
            image: The uploaded picture that the prompts are about.
            document: A result of `segment`, whose prompts are sent again; or leave it out and give prompts.
            prompts: Instead of the document's, each {"box": [x1, y1, x2, y2] or null, "positive": [[x, y], …],
                "negative": [[x, y], …]} in pixels of the image.
            question: What the prompts are about, in words; by default the document's.
            segmenter: The size of SAM 2, by name.
            strategy: What is cut from the prompts and sent; by default all of it.
            negatives: Whether negative points are sent.
            zoom: What SAM sees, as for `segment`: 1 to 4 tiles a side.

        Returns:
            The result as a JSON document, in pixels of the image.
        """

        def work(_stop: threading.Event, tell: Tell) -> None:
            self._check(segmenter, self._segmenters, "size of SAM")
            check_zoom(zoom)
            wanted = find_strategy(str(strategy)) if strategy else _WHOLE
            picture = uploaded(_path(image))
            size = (picture.pixels.shape[1], picture.pixels.shape[0])
            held = asked_document(document, size) if document is not None else None
            if held is None and prompts is None:
                raise QueryError("There is nothing to send to SAM. Give the document of an answer, or prompts.")
            sent = checked_prompts(held["instances"] if prompts is None and held else prompts, size)
            words = asked_words(question or (held or {}).get("question") or "the prompts")
            told = {} if held is None else held
            completion = Completion(
                told.get("text", ""), tuple(told.get("frame", size)), told.get("dialect", "think2seg")
            )
            answer = Answer(told.get("thought", ""), sent, tuple(told.get("warnings", ())))
            writer = Unasked(told.get("prompter", "given prompts"))
            started = time.monotonic()
            pipeline = Pipeline(writer, self._open_segmenter(segmenter, zoom), strategy=wanted)
            result = pipeline.segment(
                Query(picture.pixels, words), completion, answer, sent=wanted, negatives=bool(negatives)
            )
            asked = told.get("strategy") or (DEFAULT_STRATEGY if wanted is _WHOLE else wanted.name)
            done = replace(result, strategy=asked, timing=Timing(None, None, time.monotonic() - started))
            given.append(plain_document(done, picture))

        given: list[Document] = []
        yield from self._last(work, given, "SAM is filling in masks")

    def compare(
        self,
        image: FileData,
        question: str,
        strategies: list[str] | None = None,
        segmenters: list[str] | None = None,
        prompter: str = "auto",
        negatives: bool = True,
        views: str = "auto",
        zoom: int = 1,
    ) -> Iterator[Document]:
        """Put prompt strategies and sizes of SAM side by side on one image and question.

        A strategy that can be cut from an answer to another one costs SAM's time only; for the rest the model is asked
        again. Streams partial answers ("partial": true); the last one holds all of them.

        Args:
            image: An uploaded picture.
            question: What to find, in plain words.
            strategies: Names of prompt strategies; by default all five.
            segmenters: Names of sizes of SAM 2; by default "auto" alone.
            prompter: The model that thinks and points, by name.
            negatives: Whether negative points are sent.
            views: What the prompter is asked about, as for `segment`: auto, whole or tiles.
            zoom: What SAM sees, as for `segment`: 1 to 4 tiles a side.

        Returns:
            {"question", "panels"}: for each strategy and size {"strategy", "segmenter", "asked_again", "area_px",
            "prompter_s", "segmenter_s", "document", "error"}, the document being that of `segment`, and null where the
            panel failed, whose error is then told.
        """
        progress = _Progress()
        ended: list[Panel] = []
        found: list[Comparison] = []
        given: list[Picture] = []

        def work(stop: threading.Event, tell: Tell) -> None:
            words = asked_words(question)
            names, sizes = list(strategies or STRATEGIES), list(segmenters or ["auto"])
            if len(names) * len(sizes) > MOST_PANELS:
                raise QueryError(f"{len(names) * len(sizes)} panels were asked for; {MOST_PANELS} are the most.")
            self._check(prompter, self._prompters, "prompter")
            for name in sizes:
                self._check(name, self._segmenters, "size of SAM")
            check_views(views)
            check_zoom(zoom)
            given.append(uploaded(_path(image)))
            with self._line.turn(stop, _place(tell)):
                writer = viewed(self._open_prompter(prompter), views)
                openers = {name: partial(self._open_segmenter, name, zoom) for name in sizes}
                for event in comparing.compare(
                    writer, openers, given[0], words, strategies=[str(name) for name in names],
                    negatives=bool(negatives), stop=stop,
                ):  # fmt: skip
                    if isinstance(event, comparing.Thought):
                        tell(Thinking(event.delta))
                    elif isinstance(event, comparing.Ended):
                        ended.append(event.panel)
                        tell(Stage(f"{len(ended)} of {len(names) * len(sizes)} done"))
                    elif isinstance(event, comparing.Compared):
                        found.append(event.comparison)

        with _in_words():
            yield progress.told() | {"panels": 0}  # gradio closes only what has yielded once
            for batch in Job(work).batches():
                for event in batch:
                    progress.take(event)
                yield progress.told() | {"panels": len(ended)}
            panels = [plain_panel(panel, given[0]) for panel in found[0].panels]
            yield {"question": question.strip(), "panels": panels}

    def export(self, image: FileData, document: Document, formats: list[str] | None = None) -> list[FileData]:
        """Files of a result: for maps (GeoJSON, GeoPackage, GeoTIFF), for training (COCO), as pictures, as JSON.

        Args:
            image: The uploaded picture that the document is about; where it lies on the Earth is taken from it.
            document: A result of `segment` or `refine`.
            formats: Any of json, mask-png, indexed-png, overlay-png, coco, geojson, geopackage and geotiff; by default
                json, mask-png and overlay-png.

        Returns:
            One file for each format, in their order.
        """
        with _in_words():
            names = checked_formats(str(name) for name in formats or DEFAULT_FORMATS)
            picture = uploaded(_path(image))
            result = recorded(document, picture)
            files = [(FORMATS[name].file, encoded(result, picture, name)) for name in names]
            kept: list[Any] = [  # as plain data: gradio gives those an address to fetch them from
                FileData(path=keep(self._keeper, data, name), orig_name=name).model_dump() for name, data in files
            ]
            return kept

    # --- inside ---------------------------------------------------------------------------------------------------

    def _last(self, work: Work, given: list[Document], stage: str) -> Iterator[Document]:
        """Yield partial answers while `work` puts one document into `given`, then that one."""
        progress = _Progress(stage=stage)
        with _in_words():
            yield progress.told()  # gradio closes only what has yielded once
            for batch in Job(work).batches():
                for event in batch:
                    progress.take(event)
                if not given:
                    yield progress.told()
            yield given[0]

    @staticmethod
    def _check(name: object, known: list[str], what: str) -> None:
        """Only names of the page: the registry would take folders of the server as well."""
        if not isinstance(name, str) or name not in known:
            raise ModelError(f"There is no {what} called {str(name)[:60]!r} here. Known: {', '.join(known)}.")


_WHOLE = Strategy("all", "all of it", box=True, positives=10**6, negatives=10**6)
"""Sends whatever a prompt holds."""


def _place(tell: Tell) -> Callable[[int], None]:
    return lambda place: tell(Stage(f"{ordinal(place)} in line"))


@contextmanager
def _in_words() -> Iterator[None]:
    """Errors become sentences for the caller; what is our own fault is logged and not shown."""
    try:
        yield
    except Think2SegError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:
        _log.error("An endpoint of the studio failed", exc_info=error)
        raise gr.Error(OUR_FAULT, print_exception=False) from error


def _path(image: Any) -> str | None:
    """The path in what gradio hands over as a file; it says nothing of whether the file may be read."""
    path = image.get("path") if isinstance(image, dict) else getattr(image, "path", None)
    return path if isinstance(path, str) else None
