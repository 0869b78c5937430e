"""Asks the studio as it stands on ZeroGPU, with a stand-in for `spaces`; prints what came of it as JSON.

Run with `tests/fake_spaces` on the path and `SPACES_ZERO_GPU=true`. `doubles` or `app`: whose models answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gradio.utils import get_upload_folder
from studio_doubles import TEXTS, Ellipses, Scripted, png

from think2seg import prompter, segmenter
from think2seg.errors import ModelError
from think2seg.prompter import Writing
from think2seg.strategy import Strategy
from think2seg.types import Mask, Prompt, Query


class OverThere(Scripted):
    """Writes its process's number; `silent` says nothing until it is stopped, and then leaves a file."""

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: object = None,
    ) -> Writing:
        if query.question == "no memory":
            raise ModelError("It ran out of GPU memory.")
        if query.question == "silent":
            return Writing((400, 300), self._waits(stop))
        TEXTS["where"] = f"<think> {os.getpid()} </think>" + TEXTS["planes"].split("</think>")[1]
        return super().write(query, strategy, stop=stop, deadline=deadline)

    def _waits(self, stop: threading.Event) -> Iterator[str]:
        stop.wait(30)
        Path(os.environ["STOPPED"]).write_text("stopped" if stop.is_set() else "late", encoding="ascii")
        yield from ()


class FillsOverThere(Ellipses):
    def segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Mask]:
        Path(os.environ["FILLED"]).write_text(str(os.getpid()), encoding="ascii")
        if len(prompts) and prompts[0].positive and prompts[0].positive[0] == (1.0, 1.0):
            raise ModelError("SAM ran out of GPU memory.")
        return super().segment(image, prompts)


def asked(demo: Any, name: str, **arguments: Any) -> Any:
    """The last thing that an endpoint yields, or its error."""
    function = next(f.fn for f in demo.fns.values() if f.api_name == name)
    try:
        *_early, last = function(**arguments)
        return last
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what came
        return {"error": str(getattr(error, "message", error))}


def main(models: str) -> None:
    if models == "doubles":
        prompter.load = lambda name: OverThere()  # type: ignore[assignment, return-value]
        segmenter.load = lambda name: FillsOverThere(name)  # type: ignore[assignment, return-value]
        from think2seg.studio import build

        demo = build(default_prompter="nano", default_segmenter="nano")
    else:
        sys.argv = ["app.py"]
        import app

        demo = app.demo
    import spaces

    image = {"path": str(png(Path(get_upload_folder()) / "field.png"))}
    models_named = {"prompter": "nano", "segmenter": "nano"}
    told: dict[str, Any] = {"pid": os.getpid()}
    if models == "app":
        told["answer"] = asked(demo, "segment", image=image, question="planes", **models_named)
    else:
        told["where"] = asked(demo, "segment", image=image, question="where", **models_named)
        told["filled"] = int(Path(os.environ["FILLED"]).read_text(encoding="ascii"))
        told["no memory"] = asked(demo, "segment", image=image, question="no memory", **models_named)
        told["sam"] = asked(demo, "refine", image=image, prompts=[{"positive": [[1, 1]]}], segmenter="nano")
        before = len(spaces.calls)
        boxes = [{"box": [60, 80, 180, 160]}, {"box": [500, 400, 600, 500]}]
        told["closer"] = asked(demo, "refine", image=image, prompts=boxes, segmenter="nano", zoom=2)
        told["lent for it"] = len(spaces.calls) - before
        steps = next(f.fn for f in demo.fns.values() if f.api_name == "segment")(image=image, question="silent")
        while next(steps)["stage"] != "looking at the picture":
            pass
        for _heartbeat in range(4):  # by now it is over there, and silent
            next(steps)
        started = time.monotonic()
        steps.close()
        while not Path(os.environ["STOPPED"]).exists() and time.monotonic() - started < 10:
            time.sleep(0.02)
        told["stop_s"] = time.monotonic() - started
        told["stopped"] = Path(os.environ["STOPPED"]).read_text(encoding="ascii")
    told["calls"] = spaces.calls
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
