"""Asks and scores every question of a set, batch by batch; killed and started again it goes on where it was.

The set is cut into batches once, whatever happens later, and each finished batch is one file in `OUT/parts/`, renamed
into place whole: so nothing is asked twice, nothing is lost, and neither a resume nor the number of processes changes
a figure. The prompter writes one batch while the segmenter fills in the one before and the next is read from disk.
What answers is a `Contender`; it does not know models itself.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from think2seg import record
from think2seg.datasets.samples import Sample
from think2seg.errors import DatasetError
from think2seg.evaluation import page, sheet
from think2seg.evaluation.contender import Contender, Loaded
from think2seg.evaluation.processes import Processes
from think2seg.evaluation.report import Report, report
from think2seg.evaluation.row import read_rows

PARTS = "parts"


@dataclass(frozen=True)
class Batch:
    """Samples `start` to `stop` (exclusive), asked with one seed; None is greedy. `index` counts all batches."""

    index: int
    start: int
    stop: int
    seed: int | None


def batches(samples: int, size: int, seeds: int) -> tuple[Batch, ...]:
    """All batches of a run. seeds: 1 asks once, greedily; N > 1 draws N answers a question, with seeds 0 … N - 1."""
    cut: list[Batch] = []
    for seed in [None] if seeds == 1 else range(seeds):
        for start in range(0, samples, size):
            cut.append(Batch(len(cut), start, min(start + size, samples), seed))
    return tuple(cut)


def evaluate(
    samples: Sequence[Sample],
    contender: Contender,
    settings: dict[str, Any],
    out: Path,
    *,
    batch_size: int = 8,
    seeds: int = 1,
    processes: Processes | None = None,
) -> dict[str, Report] | None:
    """Run, or go on with, the evaluation in the folder `out`; the report of each of the contender's variants.

    settings: whatever decides the figures, as JSON; kept in `out/run.json`, and a folder that holds a run with other
    settings is refused. A finished run is reported anew, under the commit that answered. A variant called "" writes
    into `out` itself, others into folders of their names: `samples.jsonl`, `report.json`, `report.html` and
    `sheet.webp`. None in all processes but the first.

    Raises `DatasetError` (a file, or a folder of another run), and what the contender raises.
    """
    processes = processes or Processes()
    cut = batches(len(samples), batch_size, seeds)
    finished = _finished(out, contender)
    if processes.first:
        settings = _begin(out, settings, finished)
    processes.wait()
    if not finished:
        mine = [batch for batch in cut if batch.index % processes.number == processes.rank]
        _work(samples, contender, mine, out, processes)
        processes.wait()
        if processes.first:
            _merge(out, contender, cut)
    return _reports(out, contender, settings, samples) if processes.first else None


def _begin(out: Path, settings: dict[str, Any], finished: bool) -> dict[str, Any]:
    """Make `out` this run's folder, or see that it is; the settings that it began with. Raises `DatasetError`."""
    path = out / "run.json"
    wanted: dict[str, Any] = json.loads(json.dumps(settings))
    if path.is_file():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} cannot be read: {error}. Give another --out, or delete the folder.") from error
        if finished and isinstance(held, dict):
            wanted["commit"] = held.get("commit")  # newer code may report what older code asked, but not go on with it
        if other := _differences(held, wanted):
            raise DatasetError(f"{out} holds another run: {other}. Give another --out, or delete that folder.")
        return wanted
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} is not empty and holds no run that could go on. Give another --out.")
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    record.write_atomically(path, (json.dumps(wanted, ensure_ascii=False, indent=1) + "\n").encode())
    return wanted


def _differences(held: Any, wanted: dict[str, Any]) -> str:
    """In words, and empty where there are none; a setting that is not there counts as null."""
    if not isinstance(held, dict):
        return "its run.json is no object"
    keys = [key for key in dict.fromkeys([*held, *wanted]) if held.get(key) != wanted.get(key)]
    return "; ".join(f"{key} was {json.dumps(held.get(key))}, now {json.dumps(wanted.get(key))}" for key in keys[:4])


def _work(
    samples: Sequence[Sample], contender: Contender, mine: Sequence[Batch], out: Path, processes: Processes
) -> None:
    """Answer and score the batches that are not there yet."""
    todo = [batch for batch in mine if not _part(out, batch).is_file()]
    total, left = (sum(batch.stop - batch.start for batch in some) for some in (mine, todo))
    with (
        _Bar(total - left, total, processes) as bar,
        ThreadPoolExecutor(1, "think2seg-load") as loader,
        ThreadPoolExecutor(1, "think2seg-score") as scorer,
    ):
        loading = loader.submit(_load, samples, todo[0]) if todo else None
        scoring: tuple[Batch, Future[dict[str, Any]]] | None = None
        for number, batch in enumerate(todo):
            assert loading is not None
            loaded = loading.result()
            loading = loader.submit(_load, samples, todo[number + 1]) if number + 1 < len(todo) else None
            began = time.monotonic()
            begun = contender.begin(loaded, batch.seed)
            asked_s = time.monotonic() - began
            if scoring is not None:
                bar.advance(_finish(out, *scoring))
            scoring = (batch, scorer.submit(_score, contender, loaded, begun, batch, asked_s))
        if scoring is not None:
            bar.advance(_finish(out, *scoring))


def _load(samples: Sequence[Sample], batch: Batch) -> list[Loaded]:
    return [Loaded(sample, *sample.load()) for sample in samples[batch.start : batch.stop]]


def _score(contender: Contender, loaded: list[Loaded], begun: Any, batch: Batch, asked_s: float) -> dict[str, Any]:
    began = time.monotonic()
    rows = contender.end(loaded, begun, batch.seed)
    timing = {"prompter_s": round(asked_s, 4), "segmenter_s": round(time.monotonic() - began, 4)}
    return {"rows": {name: [row.line() for row in held] for name, held in rows.items()}, "timing": timing}


def _part(out: Path, batch: Batch) -> Path:
    return out / PARTS / f"{batch.index:06d}.json"


def _finish(out: Path, batch: Batch, scored: Future[dict[str, Any]]) -> tuple[int, list[float]]:
    """Put a scored batch on disk; how many questions it had, and their IoU in the first variant."""
    held = scored.result()
    record.write_atomically(_part(out, batch), json.dumps(held, ensure_ascii=False).encode())
    first = next(iter(held["rows"].values()))
    return batch.stop - batch.start, [json.loads(line)["iou"] for line in first]


def _finished(out: Path, contender: Contender) -> bool:
    return all((out / name / "samples.jsonl").is_file() for name in contender.variants)


def _merge(out: Path, contender: Contender, cut: Iterable[Batch]) -> None:
    """All parts become one `samples.jsonl` a variant, in the set's order, and go."""
    texts: dict[str, list[str]] = {name: [] for name in contender.variants}
    timing: dict[str, float] = {}
    for batch in cut:
        held = json.loads(_part(out, batch).read_text(encoding="utf-8"))
        for name, some in held["rows"].items():
            texts[name] += some
        for key, seconds in held["timing"].items():
            timing[key] = timing.get(key, 0.0) + seconds
    record.write_atomically(out / "timing.json", json.dumps({k: round(v, 3) for k, v in timing.items()}).encode())
    for name, lines in texts.items():
        (out / name).mkdir(exist_ok=True)
        record.write_atomically(out / name / "samples.jsonl", ("\n".join(lines) + "\n").encode())
    shutil.rmtree(out / PARTS)


def _reports(out: Path, contender: Contender, settings: dict[str, Any], samples: Sequence[Sample]) -> dict[str, Report]:
    """The report of each variant, made from its `samples.jsonl` and written beside it."""
    timing = json.loads((out / "timing.json").read_text(encoding="utf-8"))
    by_id = {sample.id: sample for sample in samples}
    made: dict[str, Report] = {}
    for name, said in contender.variants.items():
        rows = read_rows(out / name / "samples.jsonl")
        made[name] = report(rows, settings | dict(said), timing | _rates(timing, len(rows)))
        text = json.dumps(made[name], ensure_ascii=False, indent=1) + "\n"
        record.write_atomically(out / name / "report.json", text.encode())
        record.write_atomically(out / name / "report.html", page.render(made[name], rows, by_id).encode())
        record.write_atomically(out / name / "sheet.webp", sheet.sheet(rows, by_id))
    return made


def _rates(timing: Mapping[str, float], questions: int) -> dict[str, float]:
    return {f"{key.removesuffix('_s')}_ms_a_question": round(1000 * s / questions, 1) for key, s in timing.items()}


class _Bar:
    """Progress on stderr: questions done, rate, time left, and gIoU so far. Shown by the first process only."""

    def __init__(self, done: int, total: int, processes: Processes) -> None:
        from tqdm import tqdm

        share = f" (process 1 of {processes.number})" if processes.number > 1 else ""
        self._bar = tqdm(
            initial=done, total=total, unit=" questions", desc=f"evaluate{share}", file=sys.stderr,
            disable=not processes.first, dynamic_ncols=True, smoothing=0.1,
        )  # fmt: skip
        self._ious: list[float] = []

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, finished: tuple[int, list[float]]) -> None:
        questions, ious = finished
        self._ious += ious
        self._bar.set_postfix_str(f"gIoU {np.mean(self._ious):.3f}", refresh=False)
        self._bar.update(questions)
