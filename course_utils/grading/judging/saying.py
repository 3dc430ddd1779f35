"""What a check says of an item that did not earn all points: its messages stand in messages.yaml.

failed(*evidence, feedback=advise(say("judged.loss_not_fallen", full=0.2)))
"""

from typing import Any

from course_utils.messages import Room, Said

MESSAGES = Room(__file__)


def say(name: str, case: str = "", /, **values: Any) -> Said:
    """A message of this room with its values."""
    return MESSAGES.say(name, case, **values)


def advise(*said: Said) -> str:
    """What was found and what to do, as feedback; what has one cure shares it. "" for nothing."""
    found: dict[tuple[str, str], list[str]] = {}
    for own in said:
        found.setdefault((own.cure, own.id), []).append(own.found)
    return ". ".join(
        f"{'; '.join(texts)}: {cure} (course explain {name})"
        for (cure, name), texts in found.items()
    )
