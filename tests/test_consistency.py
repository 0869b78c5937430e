"""When a thought and its answer disagree, and when it is better to say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from think2seg.consistency import contradiction, doubt
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter
from think2seg.types import Mask

# what it is, the thought, how many instances came, what of the thought is quoted (None: nothing is said)
TABLE = [
    ("nano's denial", "I see no airplanes here, so there is nothing to mark.", 2, "I see no"),
    ("nano's ignorance", "Something that I do not know by sight. I see nothing of that kind.", 1, "I see nothing"),
    ("there are no", "There are no storage tanks in this image.", 1, "There are no"),
    ("no … is visible", "No running track is visible.", 3, "No running track is visible"),
    ("no … can be seen", "In this scene no helicopter pads can be seen.", 1, "no helicopter pads can be seen"),
    ("cannot see any", "I cannot see any ships.", 1, "I cannot see any"),
    ("do not find any", "I don't find any ships.", 1, "I don't find any"),
    ("the image shows no", "The image shows no harbour.", 1, "image shows no"),
    ("a denial kept", "I see no airplanes here, so there is nothing to mark.", 0, None),
    ("a denial of something else, beside a count", "There are no clouds. I see 2 planes.", 2, None),
    ("a denial of others", "The bridge is at the top. There are no other bridges.", 1, None),
    ("no doubt", "There is no doubt: the bridge is at the top.", 1, None),
    ("nano's count kept", "I see 2 buildings: one at the upper left, one at the top.", 2, None),
    ("nano's count broken", "I see 2 buildings: one at the upper left, one at the top.", 3, "I see 2 buildings"),
    ("a count and an empty list", "I see 2 buildings: one at the upper left.", 0, "I see 2 buildings"),
    ("one of several", "I pick 1 ground track field: one at the top.", 2, "I pick 1 ground track"),
    ("a count in words", "There are three storage tanks.", 2, "There are three storage tanks"),
    ("only", "The image shows only two ships.", 3, "image shows only two ships"),
    ("a total", "Left and right make a total of 5 planes.", 4, "a total of 5 planes"),
    ("words for numbers kept", "There are Twelve cars.", 12, None),
    ("two counts say nothing", "I see 3 cars and 1 truck. There are two roads.", 1, None),
    ("the same count twice", "I see 2 ships. Indeed there are two ships.", 3, "I see 2 ships"),
    ("about", "There are about 20 planes.", 18, None),
    ("more than", "I see more than 10 airplanes and mark the 10 largest.", 10, None),
    ("or more", "I see 3 or more ships.", 5, None),
    ("a range", "I see 3-5 ships.", 4, None),
    ("a range in words", "There are 3 to 5 ships.", 1, None),
    ("a percentage", "I see 30 % of the field.", 1, None),
    ("a measure", "There are 4 lanes on the road.", 1, None),
    ("metres", "I see 200 metres of runway.", 1, None),
    ("kinds", "There are two kinds of roofs.", 5, None),
    ("a decimal", "I see 2.5 fields.", 2, None),
    ("ordinals", "I see 2nd base.", 1, None),
    ("an article is no count", "I see a court and a pool.", 1, None),
    ("places are no count", "One lies at the left, one at the top, one below.", 3, None),
    ("nothing said", "The bright shape beside the road is a roof.", 1, None),
    ("empty", "", 2, None),
    ("another language", "Ich sehe keine Flugzeuge.", 2, None),
]


@pytest.mark.parametrize(("thought", "number", "quoted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_said_of_a_thought_and_a_number(thought: str, number: int, quoted: str | None) -> None:
    said = contradiction(thought, {number})
    if quoted is None:
        assert said is None
    else:
        objects = {0: "no object", 1: "1 object"}.get(number, f"{number} objects")
        assert said == f"The thought says “{quoted}”, and the answer holds {objects}."


def test_hostile_lengths_are_read_quickly_and_quoted_shortly() -> None:
    assert contradiction("I see " * 50_000 + "no " * 50_000, {1}) is not None
    long = contradiction(f"No {'x' * 39} is here.", {1})
    assert long is not None and len(long) < 160


class Ones:
    name = about = "ones"

    def encode(self, image) -> None:
        return None

    def segment(self, image, prompts):
        return [Mask(np.ones(image.shape[:2], bool), 0.5, i) for i in range(len(prompts))]


@pytest.mark.parametrize(
    ("claimed", "boxes", "said"),
    [
        (2, ["[1, 1, 9, 9]", "[20, 20, 30, 30]"], False),
        (2, ["[1, 1, 9, 9]", "[1, 1, 9, 8]"], False),  # a duplicate was dropped: the model did write two
        (1, ["[1, 1, 9, 9]", "[1, 1, 9, 8]"], False),
        (3, ["[1, 1, 9, 9]", "[1, 1, 9, 8]"], True),
    ],
)
def test_a_result_is_counted_as_it_was_written_and_as_it_is(claimed: int, boxes: list[str], said: bool) -> None:
    instances = ", ".join(f'{{"bbox_2d": {box}}}' for box in boxes)
    text = f"<think> I see {claimed} roofs. </think><answer>```json[{instances}]```</answer>"
    result = Pipeline(ReplayPrompter(text, (40, 40)), Ones(), strategy="box")(np.zeros((40, 40, 3), np.uint8), "roofs")
    assert (doubt(result) is not None) is said
