"""Watching a run: each alarm on a made-up run that shows its trouble, the files over a resume, the page, the curves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_rewards import NOTHING, PROSE, Boxes, batch, box, said

from think2seg.errors import DatasetError
from train import curves as drawing
from train.curves import curves, read_metrics
from train.rewards import Rewards
from train.watching import Alarms, Limits, Watch

Path_ = Callable[[float], float]


def run(steps: int = 300, seed: int = 0, **paths: Path_) -> list[dict[str, Any]]:
    """The lines of a run of 8 questions a step that learns a little; paths: other courses, of the time 0-1."""
    rng = np.random.default_rng(seed)
    lines = []
    for step in range(1, steps + 1):
        u = step / steps

        def at(name: str, healthy: float, u: float = u) -> float:
            return paths[name](u) if name in paths else healthy

        line = {
            "step": step,
            "reward": 2.0,
            "iou": np.clip(at("iou", 0.5 + 0.15 * u) + rng.normal(0, 0.1), 0, 1),
            "parsed": np.clip(at("parsed", 0.97 + 0.03 * u) + rng.normal(0, 0.01), 0, 1),
            "zero_spread": rng.binomial(8, at("zero_spread", 0.35)) / 8,
            "alike": 0.2,
            "tokens": at("tokens", 60 * (1 + 0.2 * u)) + rng.normal(0, 4),
            "truncated": rng.binomial(64, at("truncated", 0.02)) / 64,
            "box_area": at("box_area", 1.4) * np.exp(rng.normal(0, 0.15)),
            "empty": rng.binomial(8, at("empty", 0.1)) / 8,
        }
        absent = rng.binomial(8, 0.3)
        if absent:  # a step without such a question says nothing of it
            right = at("n_acc", 0.8)
            line["n_acc"] = rng.beta(2 * right, 2 * (1 - right), absent).mean()
        lines.append({name: value if name == "step" else float(value) for name, value in line.items()})
    return lines


def heard(lines: list[dict[str, Any]], limits: Limits | None = None) -> list[tuple[str, int, str]]:
    alarms = Alarms(limits or Limits())
    return [(name, line["step"], text) for line in lines for name, text in alarms.hear(line).items()]


def slope(before: float, after: float) -> Path_:
    """Level, a change from 30 % to 70 % of the run, and level again."""
    return lambda u: before + (after - before) * min(1.0, max(0.0, (u - 0.3) / 0.4))


TROUBLES: dict[str, tuple[str, dict[str, Path_], str]] = {
    "groups without spread": ("collapse", {"zero_spread": slope(0.35, 0.97)}, "no spread of reward"),
    "long thoughts": ("length", {"tokens": slope(60, 200)}, r"1\d\d tokens a completion, [56]\d at the start"),
    "cut-off thoughts": ("length", {"truncated": slope(0.02, 0.6)}, "are cut off"),
    "large boxes": ("boxes", {"box_area": slope(1.4, 3.2)}, "Boxes inflate"),
    "always empty": ("empty", {"empty": slope(0.1, 0.9)}, "Always empty"),
    "N-acc falls": ("nothing_here", {"n_acc": slope(0.85, 0.4)}, r"at the start it was 0\.[789]"),
    "format alone": ("format", {"iou": slope(0.55, 0.3), "parsed": lambda u: 1.0}, "at its best"),
}


@pytest.mark.parametrize("trouble", list(TROUBLES))
@pytest.mark.parametrize("seed", [1, 2])
def test_an_alarm_sounds_once_where_its_trouble_begins(trouble: str, seed: int) -> None:
    name, paths, words = TROUBLES[trouble]
    sounded = heard(run(seed=seed, **paths))
    assert [which for which, _step, _text in sounded] == [name]
    ((_name, step, text),) = sounded
    assert 95 <= step <= 210 and re.search(words, text)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_run_is_silent(seed: int) -> None:
    assert heard(run(600, seed=seed)) == []


def test_boxes_that_were_too_small_may_grow_with_the_masks() -> None:
    assert heard(run(seed=3, box_area=slope(0.5, 1.4), iou=slope(0.2, 0.6))) == []


def test_an_alarm_sounds_again_only_after_its_trouble_was_over() -> None:
    shares = [0.6] * 20 + [0.45] * 20 + [0.6] * 20 + [0.1] * 20 + [0.6] * 20
    lines = [{"step": step, "empty": share} for step, share in enumerate(shares, start=1)]
    assert [(name, step) for name, step, _text in heard(lines)] == [("empty", 10), ("empty", 88)]


def test_limits_are_the_runs_own() -> None:
    assert heard(run(seed=5), Limits(length=1.05))[0][0] == "length"


def test_a_start_that_is_dead_is_heard_as_soon_as_there_is_a_window() -> None:
    lines = [{"step": i, "zero_spread": 1.0, "alike": 1.0} for i in range(1, 30)]
    assert [(name, step) for name, step, _text in heard(lines)] == [("collapse", Limits().window)]


# --- the callback -----------------------------------------------------------------------------------------------------


def state(step: int, *, first: bool = True) -> Any:
    return SimpleNamespace(global_step=step, is_world_process_zero=first)


def logs(step: int) -> dict[str, Any]:
    """What TRL logs, but for what is not kept."""
    return {
        "loss": 0.1 * step,
        "reward": 2.5,
        "rewards/mask_iou/mean": 0.5,
        "rewards/mask_iou/std": 0.1,
        "answers/iou": 0.4,
        "answers/n_acc": None,
        "completions/mean_length": 61.0,
        "completions/clipped_ratio": 0.0,
        "kl": float("nan"),
    }


def test_metrics_have_a_line_a_step_and_our_names(tmp_path: Path) -> None:
    watch, args = Watch(), SimpleNamespace(output_dir=str(tmp_path / "run"))
    watch.on_train_begin(args, state(0), None)
    for step in (1, 2):
        watch.on_log(args, state(step), None, logs=logs(step))
    watch.on_log(args, state(2), None, logs={"eval_reward": 1.0, "eval_answers/iou": 0.3, "eval_loss": 0.0})
    watch.on_log(args, state(2), None, logs={"train_runtime": 1.0, "train_loss": 0.1})
    assert read_metrics(tmp_path / "run") == [
        {"step": n, "loss": 0.1 * n, "reward": 2.5, "mask_iou": 0.5, "iou": 0.4, "tokens": 61.0, "truncated": 0.0}
        for n in (1, 2)
    ]
    (evaluation,) = read_metrics(tmp_path / "run" / "metrics-eval.jsonl")
    assert evaluation == {"step": 2, "reward": 1.0, "iou": 0.3, "loss": 0.0}


def test_the_last_steps_of_a_run_are_logged_with_its_summary(tmp_path: Path) -> None:
    """With 10 steps a log and 25 in all, TRL gives the last five together with the run's summary."""
    watch, args = Watch(folder=tmp_path), SimpleNamespace(output_dir="elsewhere")
    watch.on_train_begin(args, state(0), None)
    for step in (10, 20):
        watch.on_log(args, state(step), None, logs=logs(step))
    watch.on_log(args, state(25), None, logs=logs(25) | {"train_runtime": 1.0})
    assert [line["step"] for line in read_metrics(tmp_path)] == [10, 20, 25]


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    args = SimpleNamespace(output_dir=str(tmp_path))
    watch = Watch()
    watch.on_train_begin(args, state(0), None)
    for step in range(1, 8):
        watch.on_log(args, state(step), None, logs=logs(step))
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 8, "lo')  # killed as it wrote
    again = Watch()
    again.on_train_begin(args, state(5), None)
    for step in range(6, 10):
        again.on_log(args, state(step), None, logs=logs(step) | {"reward": 9.0})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert [line["reward"] for line in lines] == [2.5] * 5 + [9.0] * 4
    assert [line["step"] for line in read_metrics(tmp_path / "metrics-aside.jsonl")] == [6, 7]


def test_a_resumed_run_knows_how_it_began_and_what_has_sounded(tmp_path: Path) -> None:
    args = SimpleNamespace(output_dir=str(tmp_path))
    lines = run(seed=7, tokens=slope(60, 200))
    back = {"tokens": "completions/mean_length", "truncated": "completions/clipped_ratio", "reward": "reward"}

    def told(watch: Watch, first: int, last: int) -> None:
        for line in lines[first:last]:
            named = {back.get(name, f"answers/{name}"): value for name, value in line.items() if name != "step"}
            watch.on_log(args, state(line["step"]), None, logs=named)

    said: list[str] = []
    watch = Watch(say=said.append)
    watch.on_train_begin(args, state(0), None)
    told(watch, 0, 100)
    assert said == []
    later = Watch(say=said.append)
    later.on_train_begin(args, state(80), None)
    told(later, 80, 200)
    assert len(said) == 1 and said[0].startswith("Step 1") and "Length" in said[0]
    at = next(line for line in read_metrics(tmp_path) if "alarms" in line)
    assert list(at["alarms"]) == ["length"]
    last = Watch(say=said.append)
    last.on_train_begin(args, state(200), None)
    told(last, 200, 300)
    assert len(said) == 1


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    rewards = Rewards(Boxes())
    rewards.mask_iou(**batch([PROSE]))
    watch, args = Watch(rewards, every=1), SimpleNamespace(output_dir=str(tmp_path))
    watch.on_train_begin(args, state(0, first=False), None)
    watch.on_log(args, state(1, first=False), None, logs=logs(1))
    watch.on_step_end(args, state(1, first=False), None)
    assert not list(tmp_path.iterdir())


# --- the page ---------------------------------------------------------------------------------------------------------

HOSTILE = (
    "<think> </pre><script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31m \u202egnp.exe \ud800 & "
    "</think>\n<answer>```json[{\"bbox_2d\": [10,10,30,30], 'positive_points': [[20,20],[21,20]]}]```</answer>"
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_what_was_written_and_runs_none_of_it(tmp_path: Path) -> None:
    rewards = Rewards(Boxes())
    rows = batch([HOSTILE, PROSE, NOTHING], ids=["<b>a</b>", "<b>a</b>", "c"])
    rows["question"] = ["<script>ask()</script>"] * 3
    rewards.mask_iou(**rows)
    watch, args = Watch(rewards, every=50), SimpleNamespace(output_dir=str(tmp_path))
    watch.on_train_begin(args, state(0), None)
    for step in (49, 50, 51):
        watch.on_step_end(args, state(step), None)
    (path,) = (tmp_path / "samples").iterdir()
    assert path.name == "step-000050.html" and path.stat().st_size < 40_000
    content = path.read_bytes().decode("utf-8")
    page = Tags()
    page.feed(content)
    tags = [tag for tag, _attrs in page.seen]
    assert "script" not in tags and tags.count("img") == tags.count("article") == 3
    assert not any(name.startswith("on") for _tag, attrs in page.seen for name in attrs)
    for tag, attrs in page.seen:
        assert not {"href", "action"} & set(attrs)
        assert tag != "img" or str(attrs["src"]).startswith("data:image/jpeg;base64,")
    assert (
        "<script>alert(1)</script>" in page.text and "<script>ask()</script>" in page.text and "<b>a</b>" in page.text
    )
    assert not {"\x1b", "\u202e"} & set(content)
    assert "mask_iou1.000× 2" in page.text and "Unreadable." in page.text and "4.000" in page.text


def test_a_page_draws_masks_and_truth(tmp_path: Path) -> None:
    import base64
    import io

    rewards = Rewards(Boxes())
    rewards.mask_iou(**batch([said(box(100, 100, 160, 160))], (20, 20, 60, 60), size=200))
    watch, args = Watch(rewards, every=1), SimpleNamespace(output_dir=str(tmp_path))
    watch.on_step_end(args, state(1), None)
    content = (tmp_path / "samples" / "step-000001.html").read_text(encoding="utf-8")
    (held,) = re.findall(r"base64,([\w+/=]+)", content)
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(held))), dtype=int)
    assert drawn.shape == (200, 200, 3)
    assert abs(drawn[40, 40] - 90).max() < 12, "inside the truth the picture is as it was"
    assert abs(drawn[10:70, 10:70] - 90).max() > 70, "the truth has an outline"
    assert (drawn[150, 110] - drawn[150, 110].min()).max() > 40, "the mask is tinted"


# --- curves -----------------------------------------------------------------------------------------------------------


def written(folder: Path, lines: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_curves_of_several_runs_and_their_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [written(tmp_path / f"paper-seed-{n}", run(40 + 10 * n, seed=n)) for n in (1, 2, 3)]
    paths += [written(tmp_path / "mask-only" / f"seed-{n}", run(30, seed=n)) / "metrics.jsonl" for n in (1, 2)]
    labels = {}
    real = drawing._drawn
    monkeypatch.setattr(drawing, "_drawn", lambda runs, smooth: labels.update(runs) or real(runs, smooth))
    curves(paths, tmp_path / "curves.png")
    assert {label: len(seeds) for label, seeds in labels.items()} == {"paper": 3, "mask-only": 2}
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50


def test_seeds_are_brought_together_where_all_of_them_were() -> None:
    one = [{"step": 1, "iou": 0.0}, {"step": 3, "iou": 1.0}, {"step": 9, "iou": 1.0}]
    other = [{"step": 2, "iou": 0.2}, {"step": 3}, {"step": 4, "iou": 0.4}]
    steps, values = drawing._together([one, other], "iou") or pytest.fail("nothing came")
    assert steps.tolist() == [2, 3, 4]
    assert values.tolist() == [[0.5, 1, 1], pytest.approx([0.2, 0.3, 0.4])]
    steps, values = drawing._together([one], "iou", smooth=2) or pytest.fail("nothing came")
    assert values.tolist() == [[0, 0.5, 1]]
    assert drawing._together([[{"step": 3}]], "iou") is None


def test_curves_of_nothing_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.*metrics\.jsonl"):
        curves([tmp_path / "nowhere"], tmp_path / "curves.png")
    with pytest.raises(DatasetError, match="no run"):
        curves([], tmp_path / "curves.png")


def test_the_curves_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "one", run(30))
    assert drawing.main([str(folder), "--out", str(tmp_path / "curves.png")]) == 0
    assert Image.open(tmp_path / "curves.png").format == "PNG" and "curves.png" in capsys.readouterr().out
    assert drawing.main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "none.png")]) == 2
    assert "nowhere" in capsys.readouterr().err
