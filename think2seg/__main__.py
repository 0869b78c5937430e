"""The command line: `python -m think2seg segment | export | compare | models | evaluate | …`.

A door: it maps events to a terminal and errors to exit codes. Thoughts and progress go to stderr, results to stdout.
Exit 0 also for "nothing here"; 2 for bad input or an answer that cannot be read; 3 for a model that cannot run here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from think2seg import comparison_command, consistency, evaluation_commands, export_command
from think2seg.errors import AnswerError, ModelError, Think2SegError
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES, find_strategy
from think2seg.terminal import plain as _plain
from think2seg.terminal import say as _say
from think2seg.types import Finished, MaskReady, PromptFound, Result, Thinking


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except AnswerError as error:
        came = " ".join(error.text.split())
        _say(f"think2seg: the answer cannot be read. {error.why}")
        _say(f"It reads: {came[:400]}{'…' if len(came) > 400 else ''}" if came else "The prompter wrote nothing.")
        return 2
    except ModelError as error:
        _say(f"think2seg: {error}")
        return 3
    except Think2SegError as error:
        _say(f"think2seg: {error}")
        return 2
    except KeyboardInterrupt:
        _say("think2seg: stopped.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m think2seg",
        description="Ask an aerial image a question, in plain words; get a thought, prompts and masks.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    segment = commands.add_parser("segment", help="answer one question about one image")
    segment.add_argument("image", metavar="IMAGE", help="PNG, JPEG, WebP, BMP, TIFF or GeoTIFF")
    segment.add_argument("question", metavar="QUESTION", help='plain words, such as "where could a helicopter land?"')
    segment.add_argument(
        "--prompter", default="auto", metavar="auto|NAME|DIR", help="a name of `models`, or a folder (default: auto)"
    )
    segment.add_argument(
        "--segmenter",
        default="auto",
        metavar="NAME",
        help="nano, nano-fine, tiny, small, base-plus, large, or one of them with +mirrored behind it (default: auto)",
    )
    segment.add_argument(
        "--strategy",
        default=DEFAULT_STRATEGY,
        metavar="NAME",
        help=f"what each instance is pointed at with: {', '.join(STRATEGIES)} (default: {DEFAULT_STRATEGY})",
    )
    segment.add_argument(
        "--negatives",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="send negative points to the segmenter, if the strategy has any (default: yes)",
    )
    evaluation_commands.closer_options(segment, measuring=False)
    segment.add_argument("--out", type=Path, metavar="DIR", help="write result.json, mask.png and overlay.png there")
    export_command.add_format(segment, required=False)
    segment.add_argument("--json", action="store_true", help="print the result as exactly one JSON document")
    segment.set_defaults(run=_segment)

    export_command.add(commands)

    models = commands.add_parser("models", help="list the known models, and whether they can run here")
    models.set_defaults(run=_models)

    comparison_command.add(commands)
    evaluation_commands.add(commands)
    return parser


def _segment(options: argparse.Namespace) -> int:
    from think2seg import images, pipeline, weights
    from think2seg.export import stored, subject

    formats = export_command.asked_formats(options)
    pipeline.checked_question(options.question)
    find_strategy(options.strategy)
    picture = images.load(options.image)  # before any model: a bad file should not cost a minute
    line = pipeline.load(
        options.prompter, options.segmenter, strategy=options.strategy, negatives=options.negatives,
        tiles=options.tiles, tiles_from=options.tiles_from, zoom=options.zoom, agree=options.agree,
    )  # fmt: skip
    _say(f"prompter: {line.prompter.about}\nsegmenter: {line.segmenter.about}\n")
    models = tuple(
        opened if asked == "auto" else asked
        for asked, opened in ((options.prompter, line.prompter.name), (options.segmenter, line.segmenter.name))
    )
    aside = ThreadPoolExecutor(1)  # a digest of large weights takes seconds, which the answer takes anyway
    identities = aside.submit(weights.identities, *models)
    aside.shutdown(wait=False)
    result: Result | None = None
    try:
        for event in line.steps(picture, options.question):
            if isinstance(event, Thinking):
                sys.stderr.write(_plain(event.delta))
            elif isinstance(event, PromptFound):
                _say(f"\n  object {event.index + 1}: prompt found", end="")
            elif isinstance(event, MaskReady):
                _say(f"\n  object {event.mask.prompt + 1}: mask of {event.mask.area} pixels", end="")
            elif isinstance(event, Finished):
                result = event.result
            sys.stderr.flush()
    finally:
        _say("")
    assert result is not None
    files, remarks, failed = export_command.write(
        result, picture.georef, formats, options.out, image=options.image, revisions=identities.result()
    )
    if options.json:
        whole = subject.Subject(result, options.image, picture.georef, identities.result())
        print(subject.json_file(stored.document(whole)).decode(), end="")
    else:
        print("\n".join([_summary(result), *export_command.written(files, remarks)]))
    if failed:
        raise export_command.failure(failed)
    return 0


def _summary(result: Result) -> str:
    lines: list[str] = []
    if result.nothing_here:
        lines.append("Nothing here: the prompter found nothing that answers the question.")
    else:
        pixels = int(result.mask.sum())
        share = pixels / result.mask.size
        objects = "1 object" if len(result.masks) == 1 else f"{len(result.masks)} objects"
        lines.append(f"{objects}, {pixels} pixels ({share:.1%} of the image).")
        for number, (sent, mask) in enumerate(zip(result.sent, result.masks, strict=True), start=1):
            box = "no box" if sent.box is None else "box " + " ".join(f"{v:.0f}" for v in sent.box)
            lines.append(f"  {number}. {box}, {mask.area} pixels, score {mask.score:.2f}")
    said_otherwise = consistency.doubt(result)
    warnings = [*result.answer.warnings, *([said_otherwise] if said_otherwise else [])]
    lines += [f"Note: {_plain(warning)}" for warning in warnings]
    lines.append(f"{result.prompter} + {result.segmenter}, {result.strategy}, {result.timing.total_s:.1f} s")
    return "\n".join(lines)


def _models(_options: argparse.Namespace) -> int:
    from think2seg import models, weights

    for title, entries, choose in (
        ("Prompters", models.PROMPTERS, weights.choose_prompter),
        ("Segmenters", models.SEGMENTERS, weights.choose_segmenter),
    ):
        print(title)
        for entry in entries:
            can = weights.availability(entry)
            print(f"  {entry.name:<16} {'runs here' if can.runs else 'cannot run here'}: {can.why}")
            print(f"  {'':<16} {entry.about}")
        print(f"  {'auto':<16} {choose()[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
