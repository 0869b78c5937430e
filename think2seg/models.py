"""The registry: a model's name leads to its source, its coordinate space and what it needs.

The coordinate space is a field of the entry and never guessed from the numbers that a model writes. It knows names and
folders, loads nothing and asks no host; where weights lie and whether a model can run here is `weights.py`'s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from think2seg.errors import ModelError

Coordinates = Literal["frame", "thousandths"]
"""`frame`: pixels of the picture as the processor resized it (Qwen2.5-VL). `thousandths`: 0-1000 of each side
(Qwen3-VL)."""

GIB = 1024**3
SIDECAR = "think2seg.json"
"""A small file beside a local checkpoint that says its `dialect`, `coordinates`, `resize` and `max_new_tokens`."""

OUR_DIALECT = "think2seg"
SPACES_BY_DIALECT: dict[str, tuple[Coordinates, tuple[int, int] | None]] = {
    OUR_DIALECT: ("frame", (840, 840)),
    "seg-zero": ("frame", (840, 840)),
    "visionreasoner": ("frame", (840, 840)),
    "remotereasoner": ("frame", None),
    "qwen2.5-vl": ("frame", None),
    "qwen3-vl": ("thousandths", None),
}
"""The known dialects: what each writes its coordinates in, and what its authors resize a picture to. How they are
asked and spelt is `dialect.py`'s."""


@dataclass(frozen=True)
class PrompterEntry:
    """A vision-language model that thinks and points.

    source: a hub repository, or an absolute folder. resize: (width, height) that the picture is resized to before the
    model's own processor sees it, None to leave it. needs: bytes of GPU memory it wants, 0 for a CPU model. dialect:
    whose words it is asked in and answers in, a key of `SPACES_BY_DIALECT`. tiled: whether a person's question is
    asked of tiles of the picture as well, unless told otherwise; only for what was measured to answer better so.
    """

    name: str
    source: str
    about: str
    coordinates: Coordinates = "frame"
    resize: tuple[int, int] | None = (840, 840)
    max_new_tokens: int = 2048
    needs: int = 0
    fetch: int = 0
    dialect: str = OUR_DIALECT
    tiled: bool = False


@dataclass(frozen=True)
class SegmenterEntry:
    """A SAM 2. config: the `sam2` package's configuration name, empty for the bundled ones, which have their own.
    mirrored: it is shown the picture mirrored as well (`mirrored.Mirrored`)."""

    name: str
    source: str
    about: str
    config: str = ""
    checkpoint: str = "model.safetensors"
    needs: int = 0
    fetch: int = 0
    mirrored: bool = False


def _bundled(folder: str) -> str:
    """The absolute path of a bundled model: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "assets" / folder
    return str(inside if inside.is_dir() else package.parent / "assets" / folder)


PROMPTERS: tuple[PrompterEntry, ...] = (
    PrompterEntry(
        "nano",
        _bundled("nano-prompter"),
        "Bundled, 7.1 M parameters, for a CPU: knows twenty kinds of objects, large and single ones best; a toy.",
        tiled=True,
    ),
    PrompterEntry(
        "Think2Seg-RS-3B",
        "RicardoString/Think2Seg-RS-3B",
        "The paper's published 3B checkpoint (Qwen2.5-VL, trained by GRPO from mask IoU alone).",
        needs=10 * GIB,
        fetch=7_500_000_000,
    ),
    PrompterEntry(
        "Think2Seg-RS-7B",
        "RicardoString/Think2Seg-RS-7B",
        "The paper's published 7B checkpoint.",
        needs=20 * GIB,
        fetch=16_600_000_000,
    ),
    PrompterEntry(
        "Qwen2.5-VL-3B",
        "Qwen/Qwen2.5-VL-3B-Instruct",
        "The untrained 3B baseline.",
        needs=10 * GIB,
        fetch=7_500_000_000,
    ),
    PrompterEntry(
        "Qwen2.5-VL-7B",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "The untrained 7B baseline.",
        needs=20 * GIB,
        fetch=16_600_000_000,
    ),
)

SEGMENTERS: tuple[SegmenterEntry, ...] = (
    SegmenterEntry("nano", _bundled("nano-segmenter"), "Bundled, a small SAM 2 for a CPU."),
    SegmenterEntry(
        "nano-fine",
        _bundled("nano-fine-segmenter"),
        "Bundled, nano at 768 pixels and taught exact boxes: for those drawn by hand, in 2.5 times its time.",
    ),
    SegmenterEntry(
        "tiny",
        "facebook/sam2.1-hiera-tiny",
        "SAM 2.1 tiny, 39 M parameters.",
        "configs/sam2.1/sam2.1_hiera_t.yaml",
        "sam2.1_hiera_tiny.pt",
        needs=2 * GIB,
        fetch=156_000_000,
    ),
    SegmenterEntry(
        "small",
        "facebook/sam2.1-hiera-small",
        "SAM 2.1 small, 46 M parameters: the paper's choice, in training and test.",
        "configs/sam2.1/sam2.1_hiera_s.yaml",
        "sam2.1_hiera_small.pt",
        needs=2 * GIB,
        fetch=184_000_000,
    ),
    SegmenterEntry(
        "base-plus",
        "facebook/sam2.1-hiera-base-plus",
        "SAM 2.1 base-plus, 81 M parameters.",
        "configs/sam2.1/sam2.1_hiera_b+.yaml",
        "sam2.1_hiera_base_plus.pt",
        needs=3 * GIB,
        fetch=324_000_000,
    ),
    SegmenterEntry(
        "large",
        "facebook/sam2.1-hiera-large",
        "SAM 2.1 large, 224 M parameters.",
        "configs/sam2.1/sam2.1_hiera_l.yaml",
        "sam2.1_hiera_large.pt",
        needs=4 * GIB,
        fetch=898_000_000,
    ),
)

MIRRORED = "+mirrored"
"""Behind the name of any segmenter: it is shown the picture mirrored as well."""

BUNDLED = (PROMPTERS[0].source, *(e.source for e in SEGMENTERS if not e.config))
"""The folders that come with the package."""

# What a local folder's architecture is known to write; anything else must say it in its sidecar.
_COORDINATES_BY_ARCHITECTURE: dict[str, Coordinates] = {
    "qwen2_5_vl": "frame",
    "qwen3_vl": "thousandths",
    "qwen3_vl_moe": "thousandths",
}


def find_prompter(name: str) -> PrompterEntry:
    """The entry for a registry name, a hub repository of the registry, or a local folder in the hub's layout.

    Raises `ModelError` for a name that is neither.
    """
    for entry in PROMPTERS:
        if name.lower() in (entry.name.lower(), entry.source.lower()):
            return _with_sidecar(entry) if Path(entry.source).is_dir() else entry
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _local_prompter(name, folder.resolve())
    known = ", ".join(e.name for e in PROMPTERS)
    raise ModelError(
        f"There is no prompter called {name!r}, and no folder of that name. Known: auto, {known}; "
        "or give a folder that holds config.json and the weights."
    )


def spoken(entry: PrompterEntry, dialect: str) -> PrompterEntry:
    """`entry` in a known dialect, with the coordinates and resize of that dialect's authors.

    Ours fits any model, so that it leaves them as they are; so does the dialect that the entry has already.
    """
    if dialect in (OUR_DIALECT, entry.dialect):
        return replace(entry, dialect=dialect)
    coordinates, resize = SPACES_BY_DIALECT[dialect]
    return replace(entry, dialect=dialect, coordinates=coordinates, resize=resize)


def find_segmenter(name: str) -> SegmenterEntry:
    """The entry for a registry name, a hub repository of the registry, or a local folder or checkpoint file; with
    `+mirrored` behind it, for the same shown the picture mirrored as well.

    A folder holds one of the published `sam2.1_hiera_*.pt` (or the same as `.safetensors`), or a `config.json` and
    `model.safetensors` like the bundled one. Raises `ModelError`.
    """
    if name.lower().endswith(MIRRORED) and not Path(name).expanduser().exists():
        if name.lower() == "auto" + MIRRORED:
            raise ModelError(f"'auto' chooses by itself; name the segmenter that is to be {MIRRORED[1:]}.")
        plain = find_segmenter(name[: -len(MIRRORED)])
        if plain.mirrored:
            raise ModelError(f"{name!r} says {MIRRORED} twice; once is all there is.")
        about = f"{plain.about} Shown the picture mirrored as well, for four times its time."
        return replace(plain, name=plain.name + MIRRORED, about=about, mirrored=True)
    for entry in SEGMENTERS:
        if name.lower() in (entry.name, entry.source.lower()):
            return entry
    path = Path(name).expanduser()
    folder, wanted = (path.parent, (path.name,)) if path.is_file() else (path, None)
    if folder.is_dir():
        stem_of = {Path(e.checkpoint).stem: e for e in SEGMENTERS if e.config}
        names = wanted or tuple(sorted(p.name for p in folder.iterdir()))
        found = [(n, stem_of[Path(n).stem]) for n in names if Path(n).stem in stem_of and _is_tensors(n)]
        if len(found) == 1:
            file, entry = found[0]
            return replace(entry, source=str(folder.resolve()), checkpoint=file)
        if len(found) > 1:
            raise ModelError(
                f"{name!r} holds several SAM 2 checkpoints ({', '.join(n for n, _ in found)}). Give the file itself."
            )
        if (folder / "config.json").is_file() and (folder / "model.safetensors").is_file():
            about = f"A local small SAM 2 in {folder}."
            return SegmenterEntry(folder.resolve().name, str(folder.resolve()), about)
        raise ModelError(
            f"{name!r} holds no SAM 2 that is known here. It needs one of "
            f"{', '.join(sorted(e.checkpoint for e in SEGMENTERS if e.config))}, or config.json with model.safetensors."
        )
    known = ", ".join(e.name for e in SEGMENTERS)
    raise ModelError(
        f"There is no segmenter called {name!r}, and no such file or folder. Known: auto; {known}, "
        f"each with {MIRRORED} behind it too."
    )


def _is_tensors(name: str) -> bool:
    return name.endswith((".pt", ".safetensors"))


def _local_prompter(name: str, folder: Path) -> PrompterEntry:
    config = read_json(folder / "config.json")
    if config is None:
        raise ModelError(f"The folder {name!r} holds no config.json; a prompter is a folder in the hub's layout.")
    entry = PrompterEntry(folder.name, str(folder), f"A local checkpoint in {folder}.")
    architecture = str(config.get("model_type", ""))
    if architecture in _COORDINATES_BY_ARCHITECTURE:
        return _with_sidecar(replace(entry, coordinates=_COORDINATES_BY_ARCHITECTURE[architecture]))
    entry = _with_sidecar(entry)
    said = read_json(folder / SIDECAR) or {}
    if "coordinates" not in said and entry.dialect == OUR_DIALECT:
        raise ModelError(
            f"{name!r} is of the architecture {architecture!r}, whose coordinates are not known here. Put a file "
            f'{SIDECAR} beside its config.json: {{"coordinates": "frame" or "thousandths", "resize": [840, 840]}}.'
        )
    return entry


def _with_sidecar(entry: PrompterEntry) -> PrompterEntry:
    """`entry` with what the sidecar in its folder says; the entry itself if there is none."""
    path = Path(entry.source) / SIDECAR
    said = read_json(path)
    if said is None:
        return entry
    dialect = said.get("dialect", entry.dialect)
    if not isinstance(dialect, str) or dialect not in SPACES_BY_DIALECT:
        raise ModelError(
            f"{path} names the dialect {json.dumps(dialect)[:60]}, which is not known here. "
            f"Known: {', '.join(SPACES_BY_DIALECT)}."
        )
    entry = spoken(entry, dialect)
    coordinates = said.get("coordinates", entry.coordinates)
    resize = said.get("resize", entry.resize)
    tokens = said.get("max_new_tokens", entry.max_new_tokens)
    sizes_right = resize is None or (
        isinstance(resize, list | tuple) and len(resize) == 2 and all(isinstance(v, int) and v > 0 for v in resize)
    )
    if coordinates not in ("frame", "thousandths") or not sizes_right or not (isinstance(tokens, int) and tokens > 0):
        raise ModelError(
            f'{path} must read {{"coordinates": "frame" or "thousandths", "resize": [width, height] or null, '
            f'"max_new_tokens": a whole number}}; it reads {json.dumps(said)[:200]}.'
        )
    pair = None if resize is None else (int(resize[0]), int(resize[1]))
    return replace(entry, coordinates=coordinates, resize=pair, max_new_tokens=tokens)


def read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} must hold a JSON object; it holds a {type(value).__name__}.")
    return value
