"""The command line's back room for numbers: `evaluate`, `compare-reports` and `study`.

It puts together what the rooms below offer, says on stderr what happens and prints tables on stdout. Errors are the
front door's business.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from think2seg import datasets
from think2seg.errors import QueryError
from think2seg.evaluation.study import STUDIES
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES

if TYPE_CHECKING:
    from think2seg.datasets import Sample
    from think2seg.evaluation.processes import Processes
    from think2seg.evaluation.report import Report
    from think2seg.prompter import BatchPrompter
    from think2seg.segmenter import Segmenter


def add(commands: Any) -> None:
    """Add the commands to the parser's `commands`."""
    evaluate = commands.add_parser("evaluate", help="score a prompter and a segmenter, or saved masks, on a data set")
    _data_options(evaluate)
    _model_options(evaluate)
    evaluate.add_argument(
        "--segmenter", default="auto", metavar="NAME", help="a name of `models`, filled-box or ellipse (default: auto)"
    )
    evaluate.add_argument(
        "--masks", type=Path, metavar="DIR",
        help="score masks of another system instead: DIR/<sample id>.png or DIR/<image id>.png, > 0 is the answer",
    )  # fmt: skip
    evaluate.add_argument("--json", action="store_true", help="print report.json instead of a table")
    evaluate.set_defaults(run=_evaluate)

    compare = commands.add_parser("compare-reports", help="the paired difference of evaluations of one data set")
    compare.add_argument(
        "reports", nargs="+", metavar="DIR", help="--out folders of evaluations; DIR,DIR,DIR: seeds of one run"
    )
    compare.set_defaults(run=_compare)

    study = commands.add_parser("study", help="vary one thing: segmenters, strategies, negatives or levels")
    study.add_argument("study", choices=tuple(STUDIES), metavar="|".join(STUDIES))
    _data_options(study)
    _model_options(study)
    study.add_argument("--segmenter", default="auto", metavar="NAME", help="for the studies that vary something else")
    study.add_argument(
        "--segmenters", metavar="NAME,NAME,…",
        help="for `study segmenters`: the first is what others are compared with (default: all whose weights are here, "
        "and the two baselines)",
    )  # fmt: skip
    study.set_defaults(run=_study)


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset", required=True, choices=datasets.NAMES, help="the set's layout, or procedural scenes"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="the set's folder; scenes need none")
    parser.add_argument("--split", default="test", help="train, val or test (default: test)")
    parser.add_argument(
        "--questions", choices=("one", "all"), help="of each scene: one, drawn by its seed, or all (default: one)"
    )
    parser.add_argument(
        "--where", action="append", type=_where, default=[], metavar="STRATUM=VALUE,…",
        help="only questions of these strata, such as level=semantic; may be given several times",
    )  # fmt: skip
    parser.add_argument("--limit", type=_positive, metavar="N", help="only N samples, spread evenly over the set")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write, and to go on")
    parser.add_argument("--batch-size", type=_positive, default=8, metavar="N", help="questions at once (default: 8)")
    parser.add_argument(
        "--seeds",
        type=_positive,
        default=1,
        metavar="N",
        help="N > 1: N sampled answers a question (default: 1, greedy)",
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, metavar="T", help="of sampled answers (default: 1, as in training)"
    )


def _model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompter", default="auto", metavar="auto|NAME|DIR", help="a name of `models`, or a folder")
    parser.add_argument("--dialect", metavar="NAME", help="ask and read in a peer's words (default: the checkpoint's)")
    parser.add_argument(
        "--strategy", default=DEFAULT_STRATEGY, choices=tuple(STRATEGIES), help=f"(default: {DEFAULT_STRATEGY})"
    )
    parser.add_argument("--negatives", action=argparse.BooleanOptionalAction, default=True, help="send negative points")
    closer_options(parser)
    parser.add_argument("--device", metavar="cpu|cuda|cuda:N", help="default: a GPU if there is one")


def closer_options(parser: argparse.ArgumentParser, *, measuring: bool = True) -> None:
    """--tiles, --tiles-from, --zoom and --agree, which every command that asks a model for one answer has."""
    tiles_options(parser, measuring=measuring)
    parser.add_argument(
        "--zoom", type=int, default=1, metavar="N",
        help="the segmenter sees N x N overlapping tiles too, where boxes lie inside one (default: 1, no tiles)",
    )  # fmt: skip
    parser.add_argument(
        "--agree", type=int, default=0, metavar="N",
        help="draw N answers more, and take the one that the others agree with most (default: 0, no)",
    )  # fmt: skip


def tiles_options(parser: argparse.ArgumentParser, *, measuring: bool) -> None:
    """--tiles and --tiles-from.

    measuring: whether the command's figures compare models, where by default none is asked otherwise than another.
    """
    default = "1, no" if measuring else "auto, as the prompter is best asked"
    parser.add_argument(
        "--tiles", type=_tiles, default=1 if measuring else None, metavar="auto|N",
        help=f"ask about N x N overlapping tiles too (default: {default})",
    )  # fmt: skip
    parser.add_argument(
        "--tiles-from", type=int, default=0, metavar="K",
        help="tiles only where the whole picture shows K objects or more (default: 0, always)",
    )  # fmt: skip


def _where(text: str) -> tuple[str, tuple[str, ...]]:
    kind, found, values = text.partition("=")
    if not found or not kind or not values:
        raise argparse.ArgumentTypeError(f"must read STRATUM=VALUE or STRATUM=VALUE,VALUE; {text!r} came")
    return kind.strip(), tuple(value.strip() for value in values.split(","))


def _tiles(text: str) -> int | None:
    return None if text == "auto" else _positive(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more; {number} came")
    return number


# --- evaluate ---------------------------------------------------------------------------------------------------------


def _evaluate(options: argparse.Namespace) -> int:
    from think2seg.evaluation.contender import Answering, Contender, SavedMasks
    from think2seg.evaluation.processes import Processes
    from think2seg.evaluation.run import evaluate

    samples = _samples(options)
    processes = Processes.from_environment()
    contender: Contender
    if options.masks is not None:
        if options.seeds > 1:
            raise QueryError("--masks are answers already: they have no --seeds. Leave one of the two out.")
        contender = SavedMasks(options.masks, samples)
        asked: dict[str, Any] = {"models": {"masks": options.masks.name}, "batch_size": options.batch_size}
    else:
        prompter, prompter_said = _prompter(options, processes)
        segmenter, segmenter_said = _segmenter(options.segmenter, _device(options, processes), options.zoom)
        _say(f"prompter: {prompter.about}\nsegmenter: {segmenter.about}", processes)
        contender = Answering(
            prompter, segmenter, strategy=options.strategy, negatives=options.negatives, temperature=options.temperature
        )
        asked = _asked(options) | {"models": {"prompter": prompter_said, "segmenter": segmenter_said}}
    reports = evaluate(
        samples, contender, _settings(options, samples) | asked, options.out,
        batch_size=options.batch_size, seeds=options.seeds, processes=processes,
    )  # fmt: skip
    processes.leave()
    if reports is not None:
        (report,) = reports.values()
        print(json.dumps(report, ensure_ascii=False) if options.json else summary(report, options.out))
    return 0


def summary(report: Report, out: Path) -> str:
    """The main figures as a Markdown table, and where the whole report is."""
    spans = report["intervals"]
    lines = [f"{report['n']} questions on {report['images']} images, {report['unreadable']} unreadable", ""]
    lines += ["| | ours | 95 % | paper's protocol |", "| --- | --- | --- | --- |"]
    for label, name in (("gIoU", "giou"), ("cIoU", "ciou"), ("N-acc", "n_acc"), ("T-acc", "t_acc")):
        lines.append(f"| {label} | {_f(report[name])} | {_span(spans[name])} | {_f(report['paper'].get(name))} |")
    for x, value in report["precision"].items():
        span = _span(spans["precision"][x])
        lines.append(f"| P@{x} | {_f(value)} | {span} | {_f(report['paper']['precision'][x])} |")
    if report["seeds"] is not None:
        over = report["seeds"]["giou"]
        lines += ["", f"gIoU over {report['seeds']['n']} seeds: {_f(over['mean'])} ± {_f(over['deviation'])}"]
    files = ", ".join(str(out / name) for name in ("report.html", "sheet.webp", "report.json", "samples.jsonl"))
    return "\n".join([*lines, "", f"Written: {files}"])


def _f(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _span(interval: Sequence[float | None]) -> str:
    return "–" if interval[0] is None else f"{_f(interval[0])} – {_f(interval[1])}"


# --- compare-reports --------------------------------------------------------------------------------------------------


def _compare(options: argparse.Namespace) -> int:
    from think2seg.evaluation.comparison import over_runs, paired, runs_of, table

    if len(options.reports) < 2:
        raise QueryError("compare-reports needs two or more --out folders; the first is what others are compared with.")
    held = [(said, runs_of(said)) for said in options.reports]
    first, rows_a = held[0]
    print(table([paired(rows_a, rows_b, first, other) for other, rows_b in held[1:]]))
    for line in filter(None, (over_runs(said, rows) for said, rows in held)):
        print(f"\n{line}")
    return 0


# --- study ------------------------------------------------------------------------------------------------------------


def _study(options: argparse.Namespace) -> int:
    from think2seg import record
    from think2seg.dialect import find_dialect
    from think2seg.evaluation import study, study_page
    from think2seg.evaluation.contender import Answering
    from think2seg.evaluation.processes import Processes
    from think2seg.evaluation.row import Row, read_rows
    from think2seg.evaluation.run import evaluate

    if options.study == "levels" and options.questions is None:
        options.questions = "all"  # pairs by picture need both levels of each
    samples = _samples(options)
    processes = Processes.from_environment()
    device = _device(options, processes)
    prompter, prompter_said = _prompter(options, processes)
    varied: dict[str, Any] = {}
    if options.study == "segmenters":
        varied = {name: _segmenter(name, device, options.zoom) for name in _segmenter_names(options.segmenters)}
        segmenter, segmenter_said = next(iter(varied.values()))
        segmenter_said = {name: said for name, (_s, said) in varied.items()}
    else:
        segmenter, segmenter_said = _segmenter(options.segmenter, device, options.zoom)
    asks = find_dialect(str(prompter_said["dialect"])).asks
    opened = {name: (lambda found=found: found[0]) for name, found in varied.items()}
    rows: dict[str, list[Row]] = {}
    for asked in study.plan(options.study, opened, options.strategy, asks):
        _say(f"asking for “{asked.strategy}”", processes)
        options.strategy = asked.strategy
        said = _asked(options) | {"models": {"prompter": prompter_said, "segmenter": segmenter_said}}
        contender = Answering(
            prompter, segmenter, strategy=asked.strategy, negatives=options.negatives, variants=asked.variants,
            temperature=options.temperature,
        )  # fmt: skip
        out = options.out / asked.folder
        settings = _settings(options, samples) | said | {"study": options.study}
        evaluate(
            samples, contender, settings, out, batch_size=options.batch_size, seeds=options.seeds, processes=processes
        )
        if processes.first:
            for variant in asked.variants:
                label = ", ".join(filter(None, (asked.folder, variant.name)))
                rows[label] = list(read_rows(out / variant.name / "samples.jsonl"))
    processes.leave()
    if processes.first:
        found = study.outcome(options.study, rows)
        text = study_page.markdown(found)
        content = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
        record.write_atomically(options.out / "study.json", content.encode())
        record.write_atomically(options.out / "study.md", text.encode())
        record.write_atomically(options.out / "study.png", study_page.plot(found))
        print(
            text + f"\nWritten: {options.out / 'study.md'}, {options.out / 'study.json'}, {options.out / 'study.png'}"
        )
    return 0


def _segmenter_names(said: str | None) -> list[str]:
    if said is not None:
        names = [name.strip() for name in said.split(",") if name.strip()]
        if len(set(names)) != len(names):
            raise QueryError(f"--segmenters names one twice: {said}.")
        return names
    from think2seg import models, weights
    from think2seg.baselines import BASELINES

    here = [e.name for e in models.SEGMENTERS if weights.availability(e, ask_hub=False).runs]
    return [*here, *BASELINES]


# --- what both share --------------------------------------------------------------------------------------------------


def _samples(options: argparse.Namespace) -> tuple[Sample, ...]:
    questions, where = options.questions or "one", dict(options.where)
    if not where or options.dataset == "scenes":  # of scenes the limit spares drawing them
        found = datasets.load(options.dataset, options.root, options.split, questions=questions, limit=options.limit)
        return datasets.chosen(found, where) if where else found
    found = datasets.load(options.dataset, options.root, options.split)
    return datasets.spread(datasets.chosen(found, where), options.limit)


def _prompter(options: argparse.Namespace, processes: Processes) -> tuple[BatchPrompter, dict[str, Any]]:
    from think2seg import agreement, models, tiles, weights, zoom
    from think2seg import prompter as prompters
    from think2seg.dialect import spoken

    tiles.check(options.tiles, options.tiles_from)
    zoom.check(options.zoom)
    agreement.check(options.agree)
    name = options.prompter
    found = weights.choose_prompter()[0] if name == "auto" else models.find_prompter(name)
    entry = spoken(found, options.dialect)
    opened = prompters.load(name, device=_device(options, processes), dialect=options.dialect)
    side, least = tiles.settled(opened, options.tiles, options.tiles_from)
    closer = {"tiles": side} if side > 1 else {}
    closer |= {"tiles_from": least} if least else {}
    closer |= {"agree": options.agree} if options.agree else {}
    asked = agreement.agreed(tiles.tiled(opened, side, least), options.agree)
    return asked, weights.identity(entry) | {"dialect": entry.dialect} | closer


def _segmenter(name: str, device: str | None, zoom_side: int) -> tuple[Segmenter, dict[str, Any]]:
    from think2seg import models, weights, zoom
    from think2seg import segmenter as segmenters
    from think2seg.baselines import BASELINES

    zoom.check(zoom_side)
    if name in BASELINES:
        if zoom_side != 1:
            raise QueryError(f"{name!r} looks at no picture, so it cannot look closer; leave --zoom out.")
        return BASELINES[name], {"name": name, "source": "baseline", "revision": "no model"}
    entry = weights.choose_segmenter()[0] if name == "auto" else models.find_segmenter(name)
    closer = {} if zoom_side == 1 else {"zoom": zoom_side}
    return zoom.zoomed(segmenters.load(name, device=device), zoom_side), weights.identity(entry) | closer


def _device(options: argparse.Namespace, processes: Processes) -> str | None:
    return options.device or processes.device()


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """How the prompter is asked, for the run's settings."""
    return {
        "strategy": options.strategy,
        "negatives": options.negatives,
        "seeds": options.seeds,
        "temperature": options.temperature if options.seeds > 1 else None,
        "batch_size": options.batch_size,
    }


def _settings(options: argparse.Namespace, samples: Sequence[Sample]) -> dict[str, Any]:
    """What decides the figures, the questions included, as a digest."""
    from think2seg.evaluation.provenance import commit, digest

    return {
        "dataset": options.dataset,
        "split": options.split,
        "questions": options.questions or "one",
        "where": {kind: list(values) for kind, values in options.where} or None,
        "limit": options.limit,
        "samples": len(samples),
        "digest": digest(samples),
        "commit": commit(),
    }


def _say(text: str, processes: Processes) -> None:
    if processes.first:
        sys.stderr.write(text + "\n")
