"""The command line's back room for files: what `segment --out` and `export` write.

It checks what was asked for before anything long begins, and says what was written; errors are the front door's
business.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from think2seg.errors import QueryError, Think2SegError
from think2seg.export import DEFAULT_FORMATS, FORMATS, Revisions, checked_formats, export, remark
from think2seg.geo import Georef
from think2seg.terminal import check_writable
from think2seg.types import Result


def add(commands: Any) -> None:
    """Add `export` to the parser's `commands`."""
    again = commands.add_parser(
        "export", help="write a stored result in other formats; no model is asked", epilog=_list(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    again.add_argument("result", type=Path, metavar="RESULT.json", help="what `segment --out` wrote")
    add_format(again, required=True)
    again.add_argument("--out", type=Path, required=True, metavar="DIR", help="write the files there")
    again.add_argument(
        "--image", metavar="IMAGE", help="the result's image: overlay-png needs it, and where it lies then counts"
    )
    again.set_defaults(run=_export)


def add_format(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add `--format` to a command that has `--out`."""
    default = "" if required else f" (default: {','.join(DEFAULT_FORMATS)})"
    parser.add_argument(
        "--format", action="append", required=required, default=None, metavar="NAME,NAME,…",
        help=f"what to write into --out: {', '.join(FORMATS)}; may be given several times{default}",
    )  # fmt: skip


def _list() -> str:
    width = max(map(len, FORMATS))
    return "formats:\n" + "\n".join(f"  {f.name:<{width}}  {f.file}: {f.about}" for f in FORMATS.values())


def asked_formats(options: argparse.Namespace) -> tuple[str, ...]:
    """The formats of `--format`, or those of `--out` alone; the folder is made. Raises `QueryError`."""
    if options.out is None:
        if options.format is not None:
            raise QueryError("--format says what to write, but not where. Give --out DIR as well.")
        return ()
    formats = DEFAULT_FORMATS if options.format is None else checked_formats(options.format)
    check_writable(options.out)
    return formats


def write(
    result: Result,
    georef: Georef | None,
    formats: Sequence[str],
    out: Path,
    *,
    image: str,
    revisions: Revisions | None,
) -> tuple[list[Path], list[str], list[Think2SegError]]:
    """Write every format that can be written: the files, remarks on them, and what went wrong with the others."""
    files: list[Path] = []
    remarks: list[str] = []
    failed: list[Think2SegError] = []
    for name in formats:
        try:
            files.append(export(result, georef, name, out, image=image, revisions=revisions))
        except Think2SegError as error:
            failed.append(error)
            continue
        said = remark(name, georef)
        remarks += [f"{files[-1].name}: {said}"] if said else []
    return files, remarks, failed


def written(files: Sequence[Path], remarks: Sequence[str]) -> list[str]:
    """What `write` did, in lines."""
    lines = ["Written: " + ", ".join(str(file) for file in files)] if files else []
    return [*lines, *(f"Note: {remark}" for remark in remarks)]


def failure(failed: Sequence[Think2SegError]) -> Think2SegError:
    """One error that says what each of `failed` said."""
    return type(failed[0])(" ".join(dict.fromkeys(str(error) for error in failed)))


def _export(options: argparse.Namespace) -> int:
    from think2seg import images
    from think2seg.export import stored

    formats = asked_formats(options)
    lacking = [name for name in formats if FORMATS[name].needs_image and options.image is None]
    if lacking:
        raise QueryError(f"{', '.join(lacking)} shows the image, and a stored result holds none. Give --image IMAGE.")
    picture = None if options.image is None else images.load(options.image)
    found = stored.opened(options.result, picture)
    files, remarks, failed = write(
        found.result, found.georef, formats, options.out,
        image=found.image, revisions=found.revisions,
    )  # fmt: skip
    if files:
        print("\n".join(written(files, remarks)))
    if failed:
        raise failure(failed)
    return 0
