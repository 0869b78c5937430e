"""A stand-in for the package `spaces` as it is on ZeroGPU: calls go to a forked process, pickled both ways.

As in the real one, an exception loses everything but its class's name, and a generator that is closed is only told to
stop when it yields again.
"""

from __future__ import annotations

import inspect
import multiprocessing
import pickle
from collections.abc import Iterator
from functools import wraps
from typing import Any

_fork = multiprocessing.get_context("fork")
calls: list[tuple[str, Any]] = []


def GPU(task: Any = None, *, duration: Any = None) -> Any:  # noqa: N802 - the package's own name
    if task is None:
        return lambda function: GPU(function, duration=duration)
    generator = inspect.isgeneratorfunction(task)

    def work(packed: bytes, results: Any, stop: Any) -> None:
        arguments, options = pickle.loads(packed)
        try:
            if not generator:
                results.put(("value", pickle.dumps(task(*arguments, **options))))
                return
            steps = task(*arguments, **options)
            for value in steps:
                if stop.is_set():
                    steps.close()
                    break
                results.put(("value", pickle.dumps(value)))
            results.put(("end", b""))
        except Exception as error:  # noqa: BLE001 - as the real one
            results.put(("error", type(error).__name__.encode()))

    def started(arguments: Any, options: Any) -> tuple[Any, Any, Any]:
        calls.append((task.__name__, duration))
        results, stop = _fork.Queue(), _fork.Event()
        process = _fork.Process(target=work, args=(pickle.dumps((arguments, options)), results, stop), daemon=True)
        process.start()
        return process, results, stop

    def received(results: Any) -> tuple[str, Any]:
        kind, packed = results.get(timeout=60)
        if kind == "error":
            raise RuntimeError(f"ZeroGPU worker error: {packed.decode()}")
        return kind, pickle.loads(packed) if kind == "value" else None

    @wraps(task)
    def stepwise(*arguments: Any, **options: Any) -> Iterator[Any]:
        process, results, stop = started(arguments, options)
        try:
            while True:
                kind, value = received(results)
                if kind == "end":
                    return
                yield value
        finally:
            stop.set()
            process.join(30)

    @wraps(task)
    def at_once(*arguments: Any, **options: Any) -> Any:
        process, results, _stop = started(arguments, options)
        try:
            return received(results)[1]
        finally:
            process.join(30)

    return stepwise if generator else at_once
