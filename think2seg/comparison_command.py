"""The command line's back room for `compare`: strategies × segmenters on one picture, as a plate and a table.

Errors are the front door's business; a panel that fails is told and ends no other.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from think2seg.errors import QueryError
from think2seg.evaluation_commands import tiles_options
from think2seg.strategy import STRATEGIES, find_strategy
from think2seg.terminal import check_writable, plain, say


def add(commands: Any) -> None:
    """Add the command to the parser's `commands`."""
    command = commands.add_parser("compare", help="one question through several strategies and sizes of SAM")
    command.add_argument("image", metavar="IMAGE", help="PNG, JPEG, WebP, BMP, TIFF or GeoTIFF")
    command.add_argument("question", metavar="QUESTION", help="plain words")
    command.add_argument("--prompter", default="auto", metavar="auto|NAME|DIR", help="a name of `models`, or a folder")
    command.add_argument(
        "--strategies", default=",".join(STRATEGIES), metavar="NAME,…", help="which to compare (default: all five)"
    )
    command.add_argument("--segmenters", default="auto", metavar="NAME,…", help="sizes of SAM (default: auto)")
    command.add_argument(
        "--ask-each",
        action="store_true",
        help="ask for every strategy in its own words; cut none from another's answer",
    )
    command.add_argument(
        "--negatives", action=argparse.BooleanOptionalAction, default=True, help="send negative points (default: yes)"
    )
    tiles_options(command, measuring=False)
    command.add_argument(
        "--truth", type=Path, metavar="MASK", help="a PNG, TIFF or BMP of the picture's size; above 0 is the target"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="write plate.png and comparison.csv there"
    )
    command.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    from think2seg import compare as comparing
    from think2seg import images, models, pipeline, plate, prompter, record, segmenter, tiles

    check_writable(options.out)
    tiles.check(options.tiles, options.tiles_from)
    question = pipeline.checked_question(options.question)
    strategies = [find_strategy(name).name for name in _names(options.strategies, "--strategies")]
    sizes = _names(options.segmenters, "--segmenters")
    for size in sizes:
        if size != "auto":
            models.find_segmenter(size)  # an unknown name is a slip of the pen, not a panel
    picture = images.load(options.image)
    truth = None
    if options.truth is not None:
        truth = comparing.truth_mask(options.truth, (picture.pixels.shape[1], picture.pixels.shape[0]))
    writer = tiles.tiled(prompter.load(options.prompter), options.tiles, options.tiles_from)
    say(f"prompter: {writer.about}")
    found: comparing.Comparison | None = None
    for event in comparing.compare(
        writer,
        {size: partial(segmenter.load, size) for size in sizes},
        picture,
        question,
        strategies=strategies,
        negatives=options.negatives,
        ask_each=options.ask_each,
        truth=truth,
    ):
        if isinstance(event, comparing.Began):
            say(f"\n{event.place}: " + ("asking" if event.source is None else f"cut from {event.source}"))
        elif isinstance(event, comparing.Thought):
            sys.stderr.write(plain(event.delta))
            sys.stderr.flush()
        elif isinstance(event, comparing.Ended) and event.panel.error is not None:
            say(f"\n{event.panel.place}: failed. {event.panel.error}")
        elif isinstance(event, comparing.Compared):
            found = event.comparison
    assert found is not None
    say("")
    if all(panel.error is not None for panel in found.panels):
        error = found.panels[0].error
        assert error is not None
        raise error
    files = {"plate.png": record.png(plate.plate(found)), "comparison.csv": plate.table(found).encode()}
    for name, content in files.items():
        record.write_atomically(options.out / name, content)
    for index in range(len(found.panels)):
        agreement = found.mean_agreement(index)
        mean = "" if agreement is None else f", mean agreement {agreement:.3f}"
        print(plain(": ".join(plate.caption(found, index)) + mean))
    print(f"Written: {', '.join(str(options.out / name) for name in files)}")
    return 0


def _names(said: str, option: str) -> list[str]:
    names = [name.strip() for name in said.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise QueryError(f"{option} takes one name or several, each once and with commas between; {said!r} came.")
    return names
