"""NWPU VHR-10's validation part as a set for `think2seg evaluate`: what may be tuned on, so that nothing else is.

    python -m train.nano.photo_set --nwpu DIR --to OUT
    python -m think2seg evaluate --dataset manifest --root OUT --prompter nano --segmenter nano --out REPORT

Two questions, one plain and one implicit, for every class in each of its photos, and for one class that is not there;
true masks are the unions of the annotated polygons, at the photo's own size. Wordings are those of training. The
photos are copied: the folder is as little to be passed on as they are. It knows no model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from think2seg.datasets.segmentations import mask_of
from train.nano.prompter_pictures import NWPU_CLASSES, Photos, question


def write(nwpu: Path, folder: Path) -> int:
    """Writes `manifest.jsonl`, `images/` and `masks/` into `folder`; how many lines it has."""
    photos = Photos(nwpu, "val")
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    lines = []
    for index, (name, photo) in enumerate(zip(photos.names, photos.photos, strict=True)):
        shutil.copyfile(nwpu / "images" / name, folder / "images" / name)
        rng = np.random.default_rng([97, index])
        missing = [c for c in NWPU_CLASSES if c not in photo.classes]
        absent = missing[int(rng.integers(len(missing)))]
        for category in (*sorted(set(photo.classes)), absent):
            rings = [r for r, c in zip(photo.rings, photo.classes, strict=True) if c == category]
            asked = [
                question(rng, kind, category, tuple(range(len(rings))), "", len(rings) > 1, plainly=True).text
                for kind in ("explicit", "implicit")
            ]
            stem = f"{Path(name).stem}__{category.replace(' ', '_')}"
            line = {
                "id": stem, "image": f"images/{name}", "query": asked[0], "reasoning_query": asked[1],
                "class": category, "level": "semantic" if rings else "absent",
            }  # fmt: skip
            if rings:
                height, width = photo.image.shape[:2]
                mask = mask_of([ring.ravel().tolist() for ring in rings], (width, height))
                line["mask"] = f"masks/{stem}.png"
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / line["mask"])
            lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.nano.photo_set", description=__doc__.split("\n")[0])
    parser.add_argument("--nwpu", type=Path, required=True, help="NWPU VHR-10: annotations.json and images/")
    parser.add_argument("--to", type=Path, required=True, help="a folder outside the project")
    options = parser.parse_args(arguments)
    print(f"{write(options.nwpu, options.to)} lines, two questions each: {options.to / 'manifest.jsonl'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
