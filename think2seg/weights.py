"""Where a model's weights lie, and whether it can run here.

Weights are looked for in this order: the folder that was given as the name, the bundled `assets/`, the folder in the
environment variable `THINK2SEG_WEIGHTS` (each checkpoint in a sub-folder of its own, or SAM 2 files side by side), the
hub's cache, and last the hub itself.

It knows where weights are, and not what is in them: it loads no model, and asks torch for the device only.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from think2seg import models
from think2seg.errors import ModelError


def folder_here(entry: models.PrompterEntry | models.SegmenterEntry) -> Path | None:
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


def _holds_weights(entry: models.PrompterEntry | models.SegmenterEntry, folder: Path) -> bool:
    if isinstance(entry, models.SegmenterEntry):
        return (folder / entry.checkpoint).is_file()
    if not (folder / "config.json").is_file():
        return False
    index = models.read_json(folder / "model.safetensors.index.json")
    if index is not None:
        return all((folder / name).is_file() for name in set(index.get("weight_map", {"": "missing"}).values()))
    return (folder / "model.safetensors").is_file()


def _cached_folder(entry: models.PrompterEntry | models.SegmenterEntry) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    file = entry.checkpoint if isinstance(entry, models.SegmenterEntry) else "config.json"
    found = try_to_load_from_cache(entry.source, file)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return folder if _holds_weights(entry, folder) else None


def folder_of(entry: models.PrompterEntry | models.SegmenterEntry) -> Path:
    """The folder that holds the entry's weights, fetched from the hub (with a progress bar) if need be.

    Raises `ModelError`, naming what was missing and where it was looked for.
    """
    folder = folder_here(entry)
    if folder is not None:
        return folder
    if Path(entry.source).is_absolute():
        raise ModelError(f"The weights of {entry.name!r} are not in {entry.source}: files are missing.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    patterns = (
        [entry.checkpoint]
        if isinstance(entry, models.SegmenterEntry)
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


def revision(entry: models.PrompterEntry | models.SegmenterEntry, folder: Path) -> str:
    """What exactly the weights in `folder` are: the hub's commit where they lie in its cache, else a digest of them."""
    if folder.parent.name == "snapshots":
        return folder.name
    names = [entry.checkpoint] if isinstance(entry, models.SegmenterEntry) else []
    files = [folder / name for name in names] or sorted(folder.glob("*.safetensors"))
    stamps = [file.stat() for file in files]
    return _digest(tuple((str(f), s.st_size, s.st_mtime_ns) for f, s in zip(files, stamps, strict=True)))


@lru_cache(maxsize=16)
def _digest(stamped: tuple[tuple[str, int, int], ...]) -> str:
    """A digest of files, each given with its size and time of change, so that it is worked out once."""
    digest = hashlib.sha256()
    for file, _size, _changed in stamped:
        with Path(file).open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"


def identity(entry: models.PrompterEntry | models.SegmenterEntry) -> dict[str, Any]:
    """Which weights exactly a model has: its name, source and revision. Raises `ModelError` if they are not there."""
    local = Path(entry.source).is_absolute()
    source = "bundled" if entry.source in models.BUNDLED else "a local folder" if local else entry.source
    return {"name": entry.name, "source": source, "revision": revision(entry, folder_of(entry))}


def identities(prompter: str, segmenter: str) -> dict[str, dict[str, Any]]:
    """The `identity` of the two models that these names or folders open, under `prompter` and `segmenter`.

    A name as a result has it may say after a comma how the model was asked, which is left out here. One that is not
    known (a baseline, a recorded answer), or whose weights are not on this machine, has neither source nor revision:
    None. Nothing is fetched.
    """
    found: dict[str, dict[str, Any]] = {}
    for role, name, find in (
        ("prompter", prompter, models.find_prompter),
        ("segmenter", segmenter, models.find_segmenter),
    ):
        found[role] = {"name": name, "source": None, "revision": None}
        for said in dict.fromkeys((name, name.partition(", ")[0])):
            try:
                entry = find(said)
                if folder_here(entry) is not None:
                    found[role] = identity(entry)
                break
            except ModelError:
                continue
    return found


# --- whether it can run here ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Availability:
    """Whether a model can run here, and why (not), in one plain sentence."""

    runs: bool
    why: str


def best_device() -> str:
    """`cuda` if torch sees a CUDA device, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _cuda_bytes() -> int:
    """Bytes free on the first CUDA device; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0
    try:
        free, _total = torch.cuda.mem_get_info()
    except RuntimeError:  # a GPU that is lent later: its size is known by now, and all of it will be free
        free = torch.cuda.get_device_properties(0).total_memory
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


def availability(entry: models.PrompterEntry | models.SegmenterEntry, *, ask_hub: bool = True) -> Availability:
    """Whether `entry` can run here, and why (not).

    A model that wants a GPU is said to run on a CPU only if it is a segmenter (slow, but it does). With `ask_hub`
    false, weights that are not on this machine count as missing.
    """
    here = folder_here(entry)
    if here is None and Path(entry.source).is_absolute():
        return Availability(False, f"its files are missing in {entry.source}")
    if isinstance(entry, models.PrompterEntry) and entry.needs:
        free, wanted = _cuda_bytes(), entry.needs / models.GIB
        if not free:
            return Availability(False, f"needs a CUDA GPU with about {wanted:.0f} GiB free; there is none")
        if free < entry.needs:
            return Availability(
                False,
                f"needs about {wanted:.0f} GiB of GPU memory; {free / models.GIB:.1f} GiB are free",
            )
    if here is not None:
        slow = isinstance(entry, models.SegmenterEntry) and entry.needs and not _cuda_bytes()
        where = "bundled" if entry.source in models.BUNDLED else f"weights in {here}"
        return Availability(True, where + (", slow on a CPU" if slow else ""))
    size = f"{entry.fetch / 1e9:.1f} GB"
    if ask_hub and _hub_has(entry.source):
        return Availability(True, f"weights will be fetched from the hub at first use ({size})")
    return Availability(False, f"weights are not on this machine, and {entry.source} ({size}) cannot be reached")


def choose_prompter() -> tuple[models.PrompterEntry, str]:
    """What `auto` means here, and why, in a sentence: the paper's 3B where it can run, else the bundled nano."""
    wanted = models.find_prompter("Think2Seg-RS-3B")
    can = availability(wanted)
    if can.runs:
        return wanted, f"auto chose {wanted.name}: a CUDA GPU with room is here, {can.why}."
    return models.find_prompter("nano"), f"auto chose the bundled nano: {wanted.name} {can.why}."


def choose_segmenter() -> tuple[models.SegmenterEntry, str]:
    """What `auto` means here: the paper's SAM 2.1 small where a GPU is and its weights can be had, else the nano."""
    wanted = models.find_segmenter("small")
    if not _cuda_bytes():
        return models.find_segmenter(
            "nano"
        ), "auto chose the bundled nano: no CUDA GPU is here, and SAM 2.1 small is slow."
    can = availability(wanted)
    if can.runs:
        return wanted, f"auto chose SAM 2.1 small: a CUDA GPU is here, {can.why}."
    return models.find_segmenter("nano"), f"auto chose the bundled nano: SAM 2.1 small {can.why}."
