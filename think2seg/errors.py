"""The errors of Think2Seg, and what each door does with each.

Every error names the thing, what came, and the way out. Doors (the command line, the studio, the reward,
the evaluator) decide what an error costs; rooms only raise.

| error          | studio                          | command line     | reward                 | evaluation          |
| -------------- | ------------------------------- | ---------------- | ---------------------- | ------------------- |
| `AnswerError`  | the thought stays, reason shown | message, exit 2  | 0 for that completion  | counted unreadable  |
| `QueryError`   | message with the way out        | message, exit 2  | n/a                    | stops               |
| `ImageError`   | message with the way out        | message, exit 2  | n/a                    | stops, names file   |
| `GeoError`     | message with the way out        | message, exit 2  | n/a                    | stops, names file   |
| `RecordError`  | message with the way out        | message, exit 2  | n/a                    | n/a                 |
| `DatasetError` | n/a                             | message, exit 2  | stops                  | stops, names file   |
| `ModelError`   | message with the way out        | message, exit 3  | stops                  | stops               |
| anything else  | our bug: traceback in the log   | traceback        | traceback              | traceback           |

It does not know numpy, models or pages: the standard library only.
"""

from __future__ import annotations


class Think2SegError(Exception):
    """The root: every error that a person can do something about."""


class AnswerError(Think2SegError):
    """A prompter's text that cannot be read as prompts.

    `why` is one plain sentence, `text` the whole completion as it came.
    """

    def __init__(self, why: str, text: str) -> None:
        super().__init__(why)
        self.why = why
        self.text = text

    def __reduce__(self) -> tuple[type[AnswerError], tuple[str, str]]:
        return (type(self), (self.why, self.text))


class QueryError(Think2SegError):
    """A question or an option that cannot be used: empty, too long, an unknown strategy."""


class ImageError(Think2SegError):
    """A file that is not a usable picture: truncated, disguised, too large, too thin, empty."""


class GeoError(Think2SegError):
    """A georeference that contradicts itself or cannot be used."""


class RecordError(Think2SegError):
    """A stored result that cannot be read again, or a result that cannot be written out."""


class DatasetError(Think2SegError):
    """A data set, a saved mask or a report that cannot be used: a file missing or broken, sizes that differ."""


class ModelError(Think2SegError):
    """A model that cannot run here: unknown name, weights not there, not enough memory, broken files."""
