"""The README is true: its Python runs and prints what it says, its options exist, its files are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from think2seg.__main__ import _parser
from think2seg.models import PROMPTERS, SEGMENTERS
from think2seg.strategy import STRATEGIES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for name, body in FENCES if name == language]


def test_the_six_lines_print_what_the_readme_says() -> None:
    (code,) = blocks("python")
    said = FENCES[FENCES.index(("python", code)) + 1][1]  # the plain block that follows
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Masks may differ by a few pixels between machines; words and numbers of the model's own may not.
    assert re.sub(r"\d+ pixels", "N pixels", done.stdout) == re.sub(r"\d+ pixels", "N pixels", said)


def test_the_commands_of_the_readme_are_those_of_the_command_line() -> None:
    usage = next(b for b in blocks("") if "think2seg segment" in b)
    commands = next(a for a in _parser()._actions if a.choices)
    options = {o for a in commands.choices["segment"]._actions for o in a.option_strings if o.startswith("--")}
    assert set(re.findall(r"--[a-z-]+", usage)) == options - {"--help"}
    assert set(re.findall(r"think2seg (\w+)", usage)) == set(commands.choices)


def test_every_name_of_the_registry_is_in_the_readme() -> None:
    for name in [*(e.name for e in PROMPTERS), *(e.name for e in SEGMENTERS), *STRATEGIES]:
        assert f"`{name}`" in README, name


def test_the_make_targets_and_files_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
