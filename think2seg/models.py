"""The registry: a model's name leads to its weights, its coordinate space, and whether it can run here.

Weights are looked for in this order: the folder that was given as the name, the bundled `assets/`, the folder in the
environment variable `THINK2SEG_WEIGHTS` (each checkpoint in a sub-folder of its own, or SAM 2 files side by side), the
hub's cache, and last the hub itself. The coordinate space is a field of the entry and never guessed from the numbers
that a model writes.

It knows where weights are, and not what is in them: it loads no model. torch is asked for the device only.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from think2seg.errors import ModelError

Coordinates = Literal["frame", "thousandths"]
"""`frame`: pixels of the picture as the processor resized it (Qwen2.5-VL). `thousandths`: 0-1000 of each side
(Qwen3-VL)."""

GIB = 1024**3
SIDECAR = "think2seg.json"
"""A small file beside a local checkpoint that says its `coordinates`, `resize` and `max_new_tokens`."""


@dataclass(frozen=True)
class PrompterEntry:
    """A vision-language model that thinks and points.

    source: a hub repository, or an absolute folder. resize: (width, height) that the picture is resized to before the
    model's own processor sees it, None to leave it. needs: bytes of GPU memory it wants, 0 for a CPU model.
    """

    name: str
    source: str
    about: str
    coordinates: Coordinates = "frame"
    resize: tuple[int, int] | None = (840, 840)
    max_new_tokens: int = 2048
    needs: int = 0
    fetch: int = 0


@dataclass(frozen=True)
class SegmenterEntry:
    """A SAM 2. config: the `sam2` package's configuration name, empty for the bundled one, which has its own."""

    name: str
    source: str
    about: str
    config: str = ""
    checkpoint: str = "model.safetensors"
    needs: int = 0
    fetch: int = 0


@dataclass(frozen=True)
class Availability:
    """Whether a model can run here, and why (not), in one plain sentence."""

    runs: bool
    why: str


def _bundled(folder: str) -> str:
    """The absolute path of a bundled model: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "assets" / folder
    return str(inside if inside.is_dir() else package.parent / "assets" / folder)


PROMPTERS: tuple[PrompterEntry, ...] = (
    PrompterEntry(
        "nano",
        _bundled("nano-prompter"),
        "Bundled, 7 M parameters, for a CPU: knows some twenty kinds of objects; a toy beside the others.",
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


def find_segmenter(name: str) -> SegmenterEntry:
    """The entry for a registry name, a hub repository of the registry, or a local folder or checkpoint file.

    A folder holds one of the published `sam2.1_hiera_*.pt` (or the same as `.safetensors`), or a `config.json` and
    `model.safetensors` like the bundled one. Raises `ModelError`.
    """
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
    raise ModelError(f"There is no segmenter called {name!r}, and no file or folder of that name. Known: auto, {known}.")


def _is_tensors(name: str) -> bool:
    return name.endswith((".pt", ".safetensors"))


def _local_prompter(name: str, folder: Path) -> PrompterEntry:
    config = _read_json(folder / "config.json")
    if config is None:
        raise ModelError(f"The folder {name!r} holds no config.json; a prompter is a folder in the hub's layout.")
    entry = PrompterEntry(folder.name, str(folder), f"A local checkpoint in {folder}.")
    architecture = str(config.get("model_type", ""))
    if (folder / SIDECAR).is_file():
        return _with_sidecar(entry)
    if architecture not in _COORDINATES_BY_ARCHITECTURE:
        raise ModelError(
            f"{name!r} is of the architecture {architecture!r}, whose coordinates are not known here. Put a file "
            f'{SIDECAR} beside its config.json: {{"coordinates": "frame" or "thousandths", "resize": [840, 840]}}.'
        )
    return replace(entry, coordinates=_COORDINATES_BY_ARCHITECTURE[architecture])


def _with_sidecar(entry: PrompterEntry) -> PrompterEntry:
    """`entry` with what the sidecar in its folder says; the entry itself if there is none."""
    path = Path(entry.source) / SIDECAR
    said = _read_json(path)
    if said is None:
        return entry
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


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} must hold a JSON object; it holds a {type(value).__name__}.")
    return value


# --- where the weights are --------------------------------------------------------------------------------------------


def local_folder(entry: PrompterEntry | SegmenterEntry) -> Path | None:
    """The folder on this machine that holds the entry's weights, or None; nothing is fetched."""
    if Path(entry.source).is_absolute():
        folder = Path(entry.source)
        return folder if _holds_weights(entry, folder) else None
    given = os.environ.get("THINK2SEG_WEIGHTS")
    if given:
        root = Path(given).expanduser()
        for folder in (root / entry.name, root / entry.source.split("/")[-1], root / entry.source, root):
            if _holds_weights(entry, folder):
                return folder
    return _cached_folder(entry)


def _holds_weights(entry: PrompterEntry | SegmenterEntry, folder: Path) -> bool:
    if isinstance(entry, SegmenterEntry):
        return (folder / entry.checkpoint).is_file()
    if not (folder / "config.json").is_file():
        return False
    index = _read_json(folder / "model.safetensors.index.json")
    if index is not None:
        return all((folder / name).is_file() for name in set(index.get("weight_map", {"": "missing"}).values()))
    return (folder / "model.safetensors").is_file()


def _cached_folder(entry: PrompterEntry | SegmenterEntry) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    file = entry.checkpoint if isinstance(entry, SegmenterEntry) else "config.json"
    found = try_to_load_from_cache(entry.source, file)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return folder if _holds_weights(entry, folder) else None


def weights_folder(entry: PrompterEntry | SegmenterEntry) -> Path:
    """The folder that holds the entry's weights, fetched from the hub (with a progress bar) if need be.

    Raises `ModelError`, naming what was missing and where it was looked for.
    """
    folder = local_folder(entry)
    if folder is not None:
        return folder
    if Path(entry.source).is_absolute():
        raise ModelError(f"The weights of {entry.name!r} are not in {entry.source}: the files are missing or cut short.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    patterns = (
        [entry.checkpoint]
        if isinstance(entry, SegmenterEntry)
        else ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
    )
    try:
        fetched = Path(snapshot_download(entry.source, allow_patterns=patterns))
    except (OSError, ValueError, RuntimeError, HTTPError) as error:  # what the hub client raises, offline included
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"The weights of {entry.name!r} ({entry.source}) are not on this machine and could not be fetched: "
            f"{first_line} Put them into a folder, set THINK2SEG_WEIGHTS to it, or use the bundled 'nano'."
        ) from error
    if not _holds_weights(entry, fetched):
        raise ModelError(f"{entry.source} was fetched to {fetched}, but its weights are not complete. Fetch it again.")
    return fetched


# --- whether it can run here ------------------------------------------------------------------------------------------


def device() -> str:
    """`cuda` if torch sees a CUDA device, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _cuda_bytes() -> int:
    """Bytes free on the first CUDA device; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0
    free, _total = torch.cuda.mem_get_info()
    return int(free)


@lru_cache(maxsize=16)
def _hub_has(repository: str) -> bool:
    """Whether the hub answers for `repository` within three seconds; asked once a process."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    try:
        HfApi().model_info(repository, timeout=3)
    except (OSError, ValueError, RuntimeError, HTTPError):
        return False
    return True




def availability(entry: PrompterEntry | SegmenterEntry, *, ask_hub: bool = True) -> Availability:
    """Whether `entry` can run here, and why (not).

    A model that wants a GPU is said to run on a CPU only if it is a segmenter (slow, but it does). With `ask_hub`
    false, weights that are not on this machine count as missing.
    """
    here = local_folder(entry)
    if here is None and Path(entry.source).is_absolute():
        return Availability(False, f"its files are missing in {entry.source}")
    if isinstance(entry, PrompterEntry) and entry.needs:
        free = _cuda_bytes()
        if not free:
            return Availability(False, f"needs a CUDA GPU with about {entry.needs / GIB:.0f} GiB free; there is none")
        if free < entry.needs:
            return Availability(
                False, f"needs about {entry.needs / GIB:.0f} GiB of GPU memory; {free / GIB:.1f} GiB are free"
            )
    if here is not None:
        slow = isinstance(entry, SegmenterEntry) and entry.needs and not _cuda_bytes()
        return Availability(True, f"weights in {here}" + (", slow on a CPU" if slow else ""))
    size = f"{entry.fetch / 1e9:.1f} GB"
    if ask_hub and _hub_has(entry.source):
        return Availability(True, f"weights will be fetched from the hub at first use ({size})")
    return Availability(False, f"weights are not on this machine, and {entry.source} ({size}) cannot be reached")


def choose_prompter() -> tuple[PrompterEntry, str]:
    """What `auto` means here, and the reason in one sentence: the paper's 3B where it can run, else the bundled nano."""
    wanted = find_prompter("Think2Seg-RS-3B")
    can = availability(wanted)
    if can.runs:
        return wanted, f"auto chose {wanted.name}: a CUDA GPU with room is here, {can.why}."
    return find_prompter("nano"), f"auto chose the bundled nano: {wanted.name} {can.why}."


def choose_segmenter() -> tuple[SegmenterEntry, str]:
    """What `auto` means here: the paper's SAM 2.1 small where a GPU is and its weights can be had, else the nano."""
    wanted = find_segmenter("small")
    if not _cuda_bytes():
        return find_segmenter("nano"), "auto chose the bundled nano: no CUDA GPU is here, and SAM 2.1 small is slow."
    can = availability(wanted)
    if can.runs:
        return wanted, f"auto chose SAM 2.1 small: a CUDA GPU is here, {can.why}."
    return find_segmenter("nano"), f"auto chose the bundled nano: SAM 2.1 small {can.why}."
