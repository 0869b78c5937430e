"""Evaluations as they run: killed and resumed, by several processes, on saved masks, and what is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_sets
import numpy as np
import pytest
from evaluation_doubles import SCRIPT, TEN, Scripted, answer, sample
from PIL import Image

from think2seg import __main__ as command_line
from think2seg import datasets
from think2seg.baselines import BASELINES
from think2seg.errors import DatasetError, QueryError
from think2seg.evaluation import run, study
from think2seg.evaluation.comparison import paired, rows_of, runs_of
from think2seg.evaluation.contender import Answering, Loaded, SavedMasks, Variant
from think2seg.evaluation.row import read_rows
from think2seg.evaluation.study_page import markdown, plot
from think2seg.prompter import Sampling
from think2seg.types import Prompt

ROOT = Path(__file__).parent.parent
SETTINGS = {"dataset": "ten", "commit": "none", "models": None}


def results(out: Path) -> tuple[str, str, str]:
    """samples.jsonl, and report.json and report.html without their timing."""
    report = json.loads((out / "report.json").read_text())
    report.pop("timing")
    return (out / "samples.jsonl").read_text(), json.dumps(report), (out / "run.json").read_text()


def contender(script=SCRIPT, **options) -> Answering:
    return Answering(Scripted(script), BASELINES["filled-box"], **options)


def driver(out: Path, seconds: float, launcher: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen[bytes]:
    command = [*launcher, str(ROOT / "tests" / "evaluation_driver.py"), str(out), str(seconds)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})


# --- killed, resumed, several processes -------------------------------------------------------------------------------


def test_killed_five_times_and_resumed_it_is_the_same_report(tmp_path) -> None:
    assert driver(tmp_path / "whole", 0).wait() == 0
    chance = random.Random(5)
    killed = 0
    out = tmp_path / "killed"
    parts_seen = 0
    while killed < 5:
        process = driver(out, 0.1)
        deadline = time.monotonic() + 60
        begun = parts_seen if killed else -1  # the first time it may have done nothing yet
        while process.poll() is None and time.monotonic() < deadline:
            if (out / "run.json").is_file() and len(list((out / "parts").glob("*.json"))) > begun:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        if (out / "samples.jsonl").is_file():
            break
        parts_seen = max(parts_seen, len(list((out / "parts").glob("*.json"))))
    assert killed == 5 and parts_seen > 0  # it was killed with work done, and before its end
    assert driver(out, 0).wait() == 0
    assert results(out) == results(tmp_path / "whole")
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert len(read_rows(out / "samples.jsonl")) == 80


def test_two_processes_equal_one(tmp_path) -> None:
    assert driver(tmp_path / "one", 0).wait() == 0
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert driver(tmp_path / "two", 0.02, torchrun).wait() == 0
    assert results(tmp_path / "two") == results(tmp_path / "one")


def test_a_resume_asks_nothing_twice_and_a_finished_run_nothing_at_all(tmp_path) -> None:
    first = Scripted({key: text for key, text in SCRIPT.items() if key != "question 07?"})
    with pytest.raises(KeyError):
        run.evaluate(TEN, Answering(first, BASELINES["filled-box"]), SETTINGS, tmp_path, batch_size=2)
    done = {path.name for path in (tmp_path / "parts").iterdir()}
    assert done and "000003.json" not in done
    second = Scripted(SCRIPT)
    run.evaluate(TEN, Answering(second, BASELINES["filled-box"]), SETTINGS, tmp_path, batch_size=2)
    assert [batch for batch, _ in second.batches] == [
        [s.question for s in TEN[2 * i : 2 * i + 2]] for i in range(5) if f"{i:06d}.json" not in done
    ]
    third = Scripted(SCRIPT)
    again = run.evaluate(TEN, Answering(third, BASELINES["filled-box"]), SETTINGS, tmp_path, batch_size=2)
    assert third.batches == [] and again is not None and again[""]["giou"] == 0.450476


def test_the_size_of_batches_changes_no_figure(tmp_path) -> None:
    for size in (1, 3, 100):
        run.evaluate(TEN, contender(), SETTINGS, tmp_path / str(size), batch_size=size)
    assert results(tmp_path / "1")[:2] == results(tmp_path / "3")[:2] == results(tmp_path / "100")[:2]


def test_a_folder_of_another_run_is_refused_and_left_alone(tmp_path) -> None:
    run.evaluate(TEN, contender(), SETTINGS, tmp_path, batch_size=2)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(DatasetError, match='holds another run: dataset was "ten", now "eleven"'):
        run.evaluate(TEN, contender(), SETTINGS | {"dataset": "eleven"}, tmp_path, batch_size=2)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty"):
        run.evaluate(TEN, contender(), SETTINGS, tmp_path / "full")


def test_newer_code_may_report_a_finished_run_and_not_go_on_with_another(tmp_path) -> None:
    run.evaluate(TEN, contender(), SETTINGS, tmp_path / "whole", batch_size=2)
    again = run.evaluate(TEN, contender(), SETTINGS | {"commit": "newer"}, tmp_path / "whole", batch_size=2)
    assert again is not None and again[""]["commit"] == "none"  # the one that answered
    with pytest.raises(KeyError):
        run.evaluate(TEN, contender({}), SETTINGS, tmp_path / "begun", batch_size=2)
    with pytest.raises(DatasetError, match='commit was "none", now "newer"'):
        run.evaluate(TEN, contender(), SETTINGS | {"commit": "newer"}, tmp_path / "begun", batch_size=2)


def test_a_sample_that_cannot_be_read_stops_and_names_itself(tmp_path) -> None:
    def broken():
        raise DatasetError("picture-3.png cannot be read")

    bad = [*TEN[:4], datasets.Sample("bad", "bad", "x?", broken), *TEN[4:]]
    with pytest.raises(DatasetError, match=r"picture-3\.png"):
        run.evaluate(bad, contender(), SETTINGS, tmp_path, batch_size=1)
    assert not (tmp_path / "samples.jsonl").exists()


# --- what answers -----------------------------------------------------------------------------------------------------


def test_seeds_are_drawn_by_batch_and_reported_apart(tmp_path) -> None:
    prompter = Scripted(lambda question, seed: SCRIPT[question])
    made = run.evaluate(
        TEN, Answering(prompter, BASELINES["filled-box"], temperature=0.7), SETTINGS, tmp_path, batch_size=5, seeds=3
    )
    assert made is not None
    report = made[""]
    assert report["n"] == 30 and report["seeds"]["seeds"] == [0, 1, 2]
    assert report["seeds"]["giou"] == {"each": [0.450476] * 3, "mean": 0.450476, "deviation": 0.0}
    drawn = [sampling for _, sampling in prompter.batches]
    assert len(set(drawn)) == 6 and all(isinstance(s, Sampling) and s.temperature == 0.7 for s in drawn)
    again = Scripted(lambda question, seed: SCRIPT[question])
    loaded = [Loaded(s, *s.load()) for s in TEN[:5]]
    Answering(again, BASELINES["filled-box"], temperature=0.7).begin(loaded, 0)
    assert again.batches[0][1] == drawn[0]  # whoever draws that batch, and whenever


def write_masks(folder: Path, how) -> Path:
    folder.mkdir()
    for s in TEN:
        _image, truth = s.load()
        Image.fromarray(how(truth).astype(np.uint8) * 255).save(folder / f"{s.id}.png")
    return folder


def test_the_truths_own_masks_score_one_everywhere(tmp_path) -> None:
    masks = SavedMasks(write_masks(tmp_path / "masks", lambda truth: truth), TEN)
    made = run.evaluate(TEN, masks, SETTINGS, tmp_path / "out")
    assert made is not None
    report = made[""]
    assert {report[name] for name in ("giou", "ciou", "n_acc", "t_acc")} == {1.0}
    assert set(report["precision"].values()) == set(report["paper"]["precision"].values()) == {1.0}
    assert (report["paper"]["giou"], report["paper"]["ciou"], report["unreadable"]) == (1.0, 1.0, 0)
    assert report["intervals"]["giou"] == [1.0, 1.0]


def test_empty_masks_score_the_share_without_a_target(tmp_path) -> None:
    masks = SavedMasks(write_masks(tmp_path / "masks", np.zeros_like), TEN)
    made = run.evaluate(TEN, masks, SETTINGS, tmp_path / "out")
    assert made is not None
    report = made[""]
    assert (report["giou"], report["ciou"], report["n_acc"], report["t_acc"]) == (0.4, 0.0, 1.0, 0.0)
    assert set(report["precision"].values()) == {0.4}


def test_one_mask_may_serve_all_questions_of_an_image(tmp_path) -> None:
    for s in TEN:
        Image.fromarray(s.load()[1]).save(tmp_path / f"{s.image_id}.png")
    assert len(list(tmp_path.iterdir())) == 6
    made = run.evaluate(TEN, SavedMasks(tmp_path, TEN), SETTINGS, tmp_path / "out")
    assert made is not None and made[""]["giou"] == 1.0


def test_missing_and_odd_masks_are_named(tmp_path) -> None:
    with pytest.raises(DatasetError, match="no folder"):
        SavedMasks(tmp_path / "gone", TEN)
    folder = write_masks(tmp_path / "masks", lambda truth: truth)
    (folder / "07.png").unlink()
    with pytest.raises(DatasetError, match=r"lacks the masks of 1 of 10 questions: 07\.png"):
        SavedMasks(folder, TEN)
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(folder / "07.png")
    with pytest.raises(DatasetError, match=r"07\.png is 10 x 8 pixels.* 10 x 10"):
        run.evaluate(TEN, SavedMasks(folder, TEN), SETTINGS, tmp_path / "out")
    (folder / "07.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DatasetError, match=r"07\.png"):
        run.evaluate(TEN, SavedMasks(folder, TEN), SETTINGS, tmp_path / "out")


def test_one_answer_without_a_box_does_not_end_an_evaluation_of_boxes(tmp_path) -> None:
    pointed = answer(Prompt(None, ((3.0, 3.0), (4.0, 4.0))))
    run.evaluate(TEN, contender(SCRIPT | {"question 03?": pointed}), SETTINGS, tmp_path / "out")
    rows = {row.question: row for row in rows_of(tmp_path / "out")}
    assert "has no box" in rows["question 03?"].why and not rows["question 03?"].count.readable
    assert len(rows) == 10 and sum(row.why is not None and "box" in row.why for row in rows.values()) == 1
    points = Answering(Scripted(lambda question, seed: pointed), BASELINES["filled-box"], strategy="points")
    with pytest.raises(QueryError, match="draws into boxes"):
        run.evaluate(TEN, points, SETTINGS, tmp_path / "none")


# --- reports against each other ---------------------------------------------------------------------------------------


def test_reports_are_compared_by_question(tmp_path, capsys) -> None:
    run.evaluate(TEN, contender(), SETTINGS, tmp_path / "a")
    better = SCRIPT | {"question 07?": SCRIPT["question 01?"], "question 08?": SCRIPT["question 03?"]}
    run.evaluate(TEN[1:], contender(better), SETTINGS, tmp_path / "b")
    found = paired(rows_of(tmp_path / "a"), rows_of(tmp_path / "b" / "report.json"), "a", "b")
    assert (found.only_a, found.only_b, found.difference.n, found.difference.images) == (1, 0, 9, 6)
    assert (found.difference.better, found.difference.worse) == (1, 0)
    assert command_line.main(["compare-reports", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "9 | 6 |" in out and "1 questions of A and 0 of B have no counterpart" in out


def test_seeds_of_a_run_are_compared_together(tmp_path, capsys) -> None:
    run.evaluate(TEN, contender(), SETTINGS, tmp_path / "start")
    better = SCRIPT | {"question 07?": SCRIPT["question 01?"], "question 08?": SCRIPT["question 03?"]}
    run.evaluate(TEN, contender(), SETTINGS, tmp_path / "one")
    run.evaluate(TEN, contender(better), SETTINGS, tmp_path / "two")
    start, both = rows_of(tmp_path / "start"), runs_of(f"{tmp_path / 'one'},{tmp_path / 'two'}")
    alone = paired(start, rows_of(tmp_path / "two"), "start", "two").difference
    found = paired(start, both, "start", "both").difference
    assert (found.n, found.images, found.better, found.worse) == (20, alone.images, alone.better, alone.worse)
    assert found.giou == pytest.approx(alone.giou / 2) and alone.giou > 0
    said = [str(tmp_path / "start"), f"{tmp_path / 'one'},{tmp_path / 'two'}"]
    assert command_line.main(["compare-reports", *said]) == 0
    mean, spread = (alone.giou_a + alone.giou_b) / 2, (alone.giou_b - alone.giou_a) / np.sqrt(2)
    assert f"gIoU {mean:.3f} ± {spread:.3f}" in capsys.readouterr().out
    run.evaluate(TEN, contender(), SETTINGS, tmp_path / "sampled", seeds=2)
    assert command_line.main(["compare-reports", said[0], f"{tmp_path / 'one'},{tmp_path / 'sampled'}"]) == 2
    assert "Only greedy" in capsys.readouterr().err
    assert command_line.main(["compare-reports", said[0], f"{tmp_path / 'one'},{tmp_path / 'gone'}"]) == 2
    assert "gone holds no finished" in capsys.readouterr().err


def test_reports_of_different_sets_are_not_compared(tmp_path, capsys) -> None:
    run.evaluate(TEN[:5], contender(), SETTINGS, tmp_path / "a")
    run.evaluate(TEN[5:], contender(), SETTINGS, tmp_path / "b")
    assert command_line.main(["compare-reports", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "share no question" in capsys.readouterr().err
    assert command_line.main(["compare-reports", str(tmp_path / "a"), str(tmp_path / "gone")]) == 2
    assert "holds no finished evaluation" in capsys.readouterr().err
    (tmp_path / "b" / "samples.jsonl").write_text('{"id": 1}\n')
    assert command_line.main(["compare-reports", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "samples.jsonl, line 1" in capsys.readouterr().err


# --- studies ----------------------------------------------------------------------------------------------------------


def test_a_poorer_strategy_is_cut_from_the_same_answers(tmp_path) -> None:
    plans = study.plan("strategies", {})
    assert [(p.strategy, [v.sent for v in p.variants]) for p in plans] == [
        ("box", ["box"]),
        ("points", ["points"]),
        ("box+2", ["box", "points", "box+2"]),
        ("box+4", ["box", "points", "box+2", "box+4"]),
        ("box+2+neg", ["box", "points", "box+2", "box+2+neg"]),
    ]


class Counting:
    """Marks one pixel for each point it is sent, so that what was sent can be read off the mask."""

    name = "counting"
    about = "counts"

    def encode(self, image):
        return None

    def segment(self, image, prompts):
        from think2seg.types import Mask

        masks = []
        for index, prompt in enumerate(prompts):
            pixels = np.zeros(image.shape[:2], bool)
            pixels.ravel()[: len(prompt.positive) + 10 * len(prompt.negative)] = True
            masks.append(Mask(pixels, 0.5, index))
        return masks


def test_negatives_are_sent_left_out_and_moved(tmp_path) -> None:
    from evaluation_doubles import answer

    from think2seg.types import Prompt

    text = answer(Prompt((2, 2, 6, 6), ((3, 3), (4, 4)), ((1, 1), (8, 8))))
    (asked,) = study.plan("negatives", {})
    prompter = Scripted(dict.fromkeys(SCRIPT, text))
    held = Answering(prompter, Counting(), strategy=asked.strategy, variants=asked.variants)
    run.evaluate(TEN, held, SETTINGS, tmp_path, batch_size=4)
    rows = {v.name: read_rows(tmp_path / v.name / "samples.jsonl") for v in asked.variants}
    assert {name: int(r[0].prediction.sum()) for name, r in rows.items()} == {"without": 2, "with": 22, "perturbed": 22}
    moved = [row.prompts[0].negative for row in rows["perturbed"]]
    reach = study.PERTURBATION * np.hypot(4, 4)
    for first, second in moved:
        for now, was in ((first, (1, 1)), (second, (8, 8))):
            gone = np.hypot(now[0] - was[0], now[1] - was[1])
            assert 0 < gone <= reach + 0.01 and min(now) >= 0 and max(now) <= 9
    assert len(set(moved)) == 10  # each question's own draw
    assert rows["with"][0].prompts[0].negative == ((1, 1), (8, 8))
    found = study.outcome("negatives", rows)
    assert [e["label"] for e in found["entries"]] == ["without", "with", "perturbed"]
    assert found["entries"][1]["difference"]["n"] == 10


def test_levels_are_paired_by_picture(tmp_path) -> None:
    (asked,) = study.plan("levels", {})
    run.evaluate(TEN, contender(variants=asked.variants), SETTINGS, tmp_path)
    found = study.outcome("levels", {"all": read_rows(tmp_path / "all" / "samples.jsonl")})
    assert [(e["label"], e["n"]) for e in found["entries"]] == [("semantic", 4), ("instance", 2), ("absent", 4)]
    # Pictures A (1 against 1/3) and D (0 against 0) have both.
    d = found["entries"][1]["difference"]
    assert (d["by"], d["n"], d["giou"], d["better"], d["worse"]) == ("picture", 2, -0.333333, 0, 1)
    text = markdown(found)
    assert "paired over 2 pictures that have both" in text and "nan" not in text.lower().replace("instance", "")
    assert plot(found).startswith(b"\x89PNG")


def test_segmenters_fill_in_the_same_prompts(tmp_path) -> None:
    opened = {name: (lambda shape=shape: shape) for name, shape in BASELINES.items()}
    (asked,) = study.plan("segmenters", opened, "box")
    prompter = Scripted(SCRIPT)
    run.evaluate(
        TEN, Answering(prompter, BASELINES["ellipse"], strategy="box", variants=asked.variants), SETTINGS, tmp_path
    )
    assert len(prompter.batches) == 2  # asked once, whatever the number of segmenters
    reports = {name: json.loads((tmp_path / name / "report.json").read_text()) for name in BASELINES}
    assert reports["filled-box"]["giou"] == 0.450476 > reports["ellipse"]["giou"] > 0
    assert reports["ellipse"]["settings"]["variant_segmenter"] == "ellipse"


def test_studies_that_cannot_be_are_refused() -> None:
    with pytest.raises(QueryError, match="two or more"):
        study.plan("segmenters", {"ellipse": lambda: BASELINES["ellipse"]})
    with pytest.raises(QueryError, match="Known: segmenters"):
        study.plan("weather", {})
    with pytest.raises(QueryError, match="no negative points"):
        study.plan("negatives", {}, asks=("box",))


def test_a_baseline_draws_into_boxes_only() -> None:
    from think2seg.types import Prompt

    image = np.zeros((10, 10, 3), np.uint8)
    box, ellipse = (BASELINES[n].segment(image, [Prompt((2, 2, 8, 6))])[0].pixels for n in ("filled-box", "ellipse"))
    assert box.sum() == 24 and 14 <= ellipse.sum() <= 24 and not ellipse[2, 2] and ellipse[4, 5]
    with pytest.raises(QueryError, match="without one"):
        BASELINES["ellipse"].segment(image, [Prompt(None, ((1, 1),))])


# --- the command line -------------------------------------------------------------------------------------------------


def shell(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "think2seg", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_real_pair_from_a_shell_batched_as_one_by_one(tmp_path, capsys) -> None:
    """nano and nano on scenes: the same answers in a batch of four as alone, and a report beside them."""
    options = ["evaluate", "--dataset", "scenes", "--limit", "4", "--prompter", "nano", "--segmenter", "nano"]
    done = shell(*options, "--out", str(tmp_path / "four"), "--batch-size", "4")
    assert "4 questions on 4 images" in done.stdout and "gIoU" in done.stdout
    assert command_line.main([*options, "--out", str(tmp_path / "one"), "--batch-size", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 4
    four, one = (read_rows(tmp_path / name / "samples.jsonl") for name in ("four", "one"))
    assert [row.text for row in four] == [row.text for row in one]
    assert [row.iou for row in four] == [row.iou for row in one]
    report = json.loads((tmp_path / "four" / "report.json").read_text())
    assert report["models"]["prompter"]["source"] == "bundled"
    assert report["models"]["prompter"]["revision"].startswith("sha256:")
    assert (tmp_path / "four" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "four" / "sheet.webp").read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["evaluate", "--dataset", "earthreason"], 2, "needs its root"),
        (["evaluate", "--dataset", "risbench", "--root", "GONE"], 2, "GONE is no folder"),
        (["evaluate", "--dataset", "scenes", "--split", "exam"], 2, "no split 'exam'"),
        (["evaluate", "--dataset", "scenes", "--limit", "2", "--masks", "GONE"], 2, "GONE is no folder"),
        (["evaluate", "--dataset", "scenes", "--limit", "2", "--prompter", "medium"], 3, "no prompter called"),
        (["evaluate", "--dataset", "scenes", "--limit", "2", "--prompter", "nano", "--dialect", "elvish"], 2, "elvish"),
        (["study", "segmenters", "--dataset", "scenes", "--limit", "2", "--prompter", "nano", "--segmenters", "nano"],
         2, "two or more"),
        (["evaluate", "--dataset", "scenes", "--limit", "2", "--where", "mood=good"], 2, "There are: class, kind"),
        (["evaluate", "--dataset", "scenes", "--limit", "2", "--where", "level=high"], 2, "level is 'high'"),
        (["compare-reports", "GONE"], 2, "two or more"),
    ],
)  # fmt: skip
def test_bad_input_says_what_came_and_the_way_out(tmp_path, capsys, arguments, code, words) -> None:
    out = [] if arguments[0] == "compare-reports" else ["--out", str(tmp_path / "out")]
    assert command_line.main([*arguments, *out]) == code
    printed = capsys.readouterr()
    assert words in printed.err and printed.out == ""


@pytest.mark.parametrize("name", fake_sets.WRITERS)
def test_every_layout_from_the_command_line(name: str, tmp_path, capsys) -> None:
    """The truth's own masks, saved under the samples' ids, score 1; a set that lost a file is refused by its name."""
    root, masks = tmp_path / "set", tmp_path / "masks"
    expected = fake_sets.WRITERS[name](root)
    for one in expected:
        path = masks / f"{one.id}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(fake_sets.truth(one.drawing)).save(path)
    options = [
        "evaluate",
        "--dataset",
        name,
        "--root",
        str(root),
        "--masks",
        str(masks),
        "--out",
        str(tmp_path / "out"),
    ]
    assert command_line.main([*options, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["n"], report["giou"], report["ciou"], report["unreadable"]) == (len(expected), 1.0, 1.0, 0)
    assert report["settings"]["models"] == {"masks": "masks"}
    lost = next(p for p in sorted(root.rglob("*")) if p.suffix in (".png", ".tif", ".p"))
    lost.unlink()
    assert command_line.main([*options[:-1], str(tmp_path / "again")]) == 2
    printed = capsys.readouterr()
    assert lost.stem in printed.err and "Traceback" not in printed.err and printed.out == ""


def test_where_chooses_by_strata_in_order() -> None:
    assert [s.id for s in datasets.chosen(TEN, {"level": ["instance"]})] == ["02", "08"]
    assert [s.id for s in datasets.chosen(TEN, {"level": ["instance", "absent"]})] == [
        "02",
        "03",
        "04",
        "05",
        "08",
        "09",
    ]
    with pytest.raises(DatasetError, match="No sample is all of"):
        datasets.chosen(
            [*TEN, sample("11", "F", None, level="absent", mood="x")], {"level": ["instance"], "mood": ["x"]}
        )


def test_a_variant_is_told_in_its_report() -> None:
    assert Variant("sent box", sent="box", negatives=False).said() == {
        "variant": "sent box", "sent": "box", "negatives": False,
    }  # fmt: skip
