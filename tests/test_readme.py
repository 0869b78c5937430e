"""The README is true: its Python runs and prints what it says, its options exist, its files are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from studio_doubles import TEXTS
from studio_site import running

from think2seg import datasets
from think2seg.__main__ import _parser
from think2seg.baselines import BASELINES
from think2seg.dialect import DIALECTS
from think2seg.evaluation.study import STUDIES
from think2seg.export import FORMATS
from think2seg.models import PROMPTERS, SEGMENTERS
from think2seg.strategy import STRATEGIES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


FENCES = re.findall(r"^```([\w ]*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for name, body in FENCES if name == language]


def test_the_six_lines_print_what_the_readme_says() -> None:
    (code,) = blocks("python")
    said = FENCES[FENCES.index(("python", code)) + 1][1]  # the plain block that follows
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Masks may differ by a few pixels between machines; words and numbers of the model's own may not.
    assert re.sub(r"\d+ pixels", "N pixels", done.stdout) == re.sub(r"\d+ pixels", "N pixels", said)


def test_the_client_lines_run_against_a_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python client")
    monkeypatch.chdir(ROOT)
    with running(tmp_path) as site:
        site.prompter.texts = {"the baseball diamonds": TEXTS["planes"]}
        held: dict[str, Any] = {}
        exec(code.replace("http://localhost:7860", site.url), held)
    assert len(held["found"]["instances"]) == 4 and held["again"]["instances"][0]["box"] == [64, 466, 293, 667]
    assert [Path(f).name for f in held["files"]] == ["mask.png"]


def test_the_commands_of_the_readme_are_those_of_the_command_line() -> None:
    usage = next(b for b in blocks("") if "think2seg segment" in b)
    said = {text.split()[0]: set(re.findall(r"--[a-z-]+", text)) for text in usage.split("python -m think2seg ")[1:]}
    commands = next(a for a in _parser()._actions if a.choices)
    assert set(said) == set(commands.choices)
    for command in ("segment", "export", "compare", "models", "evaluate"):
        actions = commands.choices[command]._actions
        options = {o for a in actions for o in a.option_strings if o.startswith("--")}
        assert said[command] == options - {"--help"}, command


def test_the_guide_to_evaluating_names_what_there_is() -> None:
    guide = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for name in [*datasets.NAMES, *DIALECTS, *BASELINES]:
        assert f"`{name}`" in guide, name
    parser = next(a for a in _parser()._actions if a.choices)
    known = {o for c in ("evaluate", "study") for a in parser.choices[c]._actions for o in a.option_strings}
    commands = re.findall(r"^python -m think2seg (?:evaluate|study).*$", guide, flags=re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        parsed = _parser().parse_args(command.split()[3:])
        assert callable(parsed.run)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", guide)) <= known | {"--nproc"}
    for study in STUDIES:
        assert f"think2seg study {study}" in guide


def test_every_format_of_export_is_in_the_readme_with_its_file() -> None:
    for entry in FORMATS.values():
        assert f"| `{entry.name}` | `{entry.file}` |" in README, entry.name


def test_every_name_of_the_registry_is_in_the_readme() -> None:
    for name in [*(e.name for e in PROMPTERS), *(e.name for e in SEGMENTERS), *STRATEGIES]:
        assert f"`{name}`" in README, name


def test_the_make_targets_and_files_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
