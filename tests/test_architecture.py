"""Who may import whom. One-way arrows between the rooms, and a light `import think2seg`, checked on the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "think2seg"

# A room may import the rooms named here (and itself), wherever in the file the import stands.
ROOMS: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "strategy": {"types", "errors"},
    "answer": {"types", "errors", "strategy"},
    "images": {"types", "errors", "geo"},
    "geo": {"types", "errors"},
    "overlay": {"types"},
    "metrics": set(),
    "consistency": {"types", "errors", "strategy", "dialect"},
    "record": {"types"},
    "export": {"types", "errors", "geo", "images", "overlay", "record"},
    "datasets": {"types", "errors", "images"},
    "models": {"errors"},
    "dialect": {"types", "errors", "strategy", "answer", "models"},
    "weights": {"errors", "models"},
    "machine": set(),
    "prompter": {"types", "errors", "answer", "strategy", "dialect", "models", "weights", "machine"},
    "views": {"types", "answer"},
    "tiles": {"types", "errors", "strategy", "answer", "dialect", "prompter", "views"},
    "agreement": {"types", "errors", "strategy", "dialect", "prompter"},
    "baselines": {"types", "errors"},
    "segmenter": {"types", "errors", "models", "weights", "machine"},
    "zoom": {"types", "errors", "segmenter", "views"},
    "pipeline": {
        "types", "errors", "strategy", "answer", "dialect", "images", "overlay", "metrics", "record", "models",
        "weights", "machine", "prompter", "tiles", "agreement", "segmenter", "zoom",
    },
    "compare": {
        "types", "errors", "strategy", "images", "overlay", "metrics", "datasets", "prompter", "segmenter", "pipeline",
    },
    "votes": {
        "types", "errors", "strategy", "images", "metrics", "prompter", "segmenter", "pipeline", "compare",
    },
    "evaluation": {
        "types", "errors", "strategy", "dialect", "images", "overlay", "metrics", "record", "models", "weights",
        "datasets", "prompter", "segmenter", "pipeline",
    },
    "studio": {
        "types", "errors", "strategy", "answer", "dialect", "images", "geo", "overlay", "record", "export", "models",
        "weights", "prompter", "tiles", "segmenter", "zoom", "pipeline", "compare", "votes", "consistency",
    },
    "__main__": {
        "types", "errors", "strategy", "answer", "dialect", "images", "geo", "overlay", "record", "export", "models",
        "weights", "datasets", "prompter", "tiles", "agreement", "segmenter", "zoom", "baselines", "pipeline",
        "compare", "consistency", "evaluation",
    },
    "__init__": {"errors", "pipeline", "types"},
}  # fmt: skip

# Files that are a room's back room, by the room they belong to.
BACK_ROOMS = {
    "answer_json": "answer", "answer_reader": "answer", "rasters": "images", "spelling": "prompter",
    "pictures_once": "prompter", "shared_prefix": "prompter", "heat": "overlay",
    "sam2_nano": "segmenter", "sam2_encoder": "segmenter", "sam2_decoder": "segmenter",
    "mirrored": "segmenter", "pump": "pipeline",
    "comparison": "compare", "plate": "compare", "comparison_command": "__main__", "terminal": "__main__",
    "evaluation_commands": "__main__", "export_command": "__main__",
}  # fmt: skip

# What a room may take from outside the standard library; every other room: numpy only.
OUTSIDE: dict[str, set[str]] = {
    "types": {"numpy"},
    "errors": set(),
    "strategy": set(),
    "answer": set(),
    "images": {"numpy", "PIL", "rasterio", "cv2"},
    "geo": {"numpy", "rasterio", "pyproj"},
    "overlay": {"numpy", "cv2", "PIL"},
    "metrics": {"numpy"},
    "consistency": set(),
    "record": {"numpy", "PIL", "pycocotools"},
    "export": {"numpy", "PIL", "rasterio", "shapely", "pyogrio"},
    "datasets": {"numpy", "cv2", "PIL", "pycocotools"},
    "models": set(),
    "dialect": set(),
    "weights": {"torch", "huggingface_hub"},
    "machine": {"torch"},
    "prompter": {"torch", "transformers", "PIL", "safetensors"},
    "views": set(),
    "tiles": set(),
    "agreement": {"numpy"},
    "zoom": {"numpy"},
    "segmenter": {"torch", "sam2", "numpy", "cv2", "safetensors"},
    "pipeline": {"numpy", "PIL"},
    "compare": {"numpy", "PIL", "matplotlib"},
    "votes": {"numpy", "scipy"},
    "baselines": {"numpy"},
    "evaluation": {"numpy", "PIL", "cv2", "scipy", "matplotlib", "tqdm", "torch"},
    "studio": {"gradio", "gradio_client", "starlette", "spaces", "numpy", "PIL"},
    "__main__": set(),
    "__init__": set(),
}

NAMES_OF_NOTHING = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc", "tools"}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return BACK_ROOMS.get(top, top)


def imported(path: Path) -> set[str]:
    """The full names of the modules that `path` imports, at any depth of the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively; rooms are named in full"
            names.add(node.module or "")
            if node.module == "think2seg":
                names.update(f"think2seg.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_one_way(path: Path) -> None:
    here = room(path)
    assert here in ROOMS, f"{path.name} is a room that the plan does not know"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "think2seg" and len(parts) > 1:
            other = BACK_ROOMS.get(parts[1], parts[1])
            assert other == here or other in ROOMS[here], f"{here} must not import {other}"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_take_only_what_is_theirs_from_outside(path: Path) -> None:
    for name in imported(path):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top in ("think2seg", "__future__"):
            continue
        assert top in OUTSIDE[room(path)], f"{room(path)} must not import {top}"


def test_the_package_never_imports_the_trainer_or_the_door() -> None:
    for path in files():
        assert not {name.split(".")[0] for name in imported(path)} & {"train", "app", "tests"}


def test_names_are_nouns_of_the_field() -> None:
    for folder in (PACKAGE, ROOT / "train"):
        for path in folder.rglob("*.py"):
            assert path.stem not in NAMES_OF_NOTHING


def test_every_file_says_what_it_is() -> None:
    for path in [*files(), *(ROOT / "train").rglob("*.py"), ROOT / "app.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) or not tree.body, f"{path} opens without a word"


def test_broad_excepts_stand_only_at_doors() -> None:
    for path in files():
        if room(path) in ("studio", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = (
                    {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"BaseException"}
                )
                assert not caught & {"Exception", "BaseException"}, f"{path.name}:{node.lineno} catches everything"


@pytest.mark.parametrize(
    "code",
    ["import think2seg", "import think2seg.__main__", "import think2seg.pipeline", "import think2seg.datasets"],
)
def test_importing_is_light(code: str) -> None:
    """A fresh interpreter, so that nothing an earlier test loaded hides it."""
    heavy = ["torch", "gradio", "trl", "rasterio", "transformers", "sam2", "cv2"]
    check = f"import sys; {code}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
