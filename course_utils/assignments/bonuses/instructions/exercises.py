"""Exercises: a question about an entry of the knowledge base, instructions, and a right answer.

No failure mode, wording or phrase is both in training and in the check.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_utils.assignments.bonuses.instructions.checkers import (
    avoids_word,
)
from course_utils.assignments.bonuses.instructions.kinds import KINDS, PAIRS, Constraint
from course_utils.errors import CourseError
from course_utils.facts import Fact, format_facts
from course_utils.splits import overlap
from course_utils.tracks.knowledge import Equipment, FailureMode, load
from course_utils.tracks.manufacturing.equipment_text import definite, inside, limit_text
from course_utils.tracks.wording import Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("bonuses/instruction_texts")
WORDS = {"train": "words of training", "check": "words of the check"}

TRIES = 60  # a draw whose answer breaks its own instruction (a word in the facts) is drawn again

CHECK_SHARE = 4  # every fourth failure mode of an equipment is for the check only


@dataclass(frozen=True)
class Exercise:
    """A prompt with one or two constraints, and an answer that follows them.

    `record` has the manufacturing schema; `template` names the wordings that were drawn.
    """

    record: dict[str, str]
    constraints: tuple[Constraint, ...]
    template: str

    def follows(self, answer: str) -> list[bool]:
        """For each constraint, whether the answer follows it."""
        return [constraint.follows(answer) for constraint in self.constraints]


@dataclass(frozen=True)
class Topic:
    """A failure mode of one kind of equipment; no topic is in training and in the check."""

    equipment: Equipment
    mode: FailureMode

    @property
    def names(self) -> dict[str, str]:
        return {
            "fault": self.mode.name,
            "the_fault": definite(self.mode.name),
            "component": self.mode.component,
            "machine": self.equipment.name,
        }


def topics(part: str) -> list[Topic]:
    """The failure modes of "train" or "check": every fourth one is for the check only."""
    if part not in ("train", "check"):
        raise CourseError(f"there is no part {part!r}", 'choose "train" or "check"')
    pairs = [(equipment, mode) for equipment in load() for mode in equipment.failure_modes]
    return [
        Topic(equipment, mode)
        for number, (equipment, mode) in enumerate(pairs)
        if (number % CHECK_SHARE == CHECK_SHARE - 1) == (part == "check")
    ]


def instruction_prompts(seed: int, count: int) -> list[Exercise]:
    """Prompts of the check: failure modes, wordings and phrases that no training record has.

    Two kinds of instruction (`trained` is False) are in no training record at all.
    """
    return _exercises("check", seed, count)


def training_exercises(seed: int, count: int) -> list[Exercise]:
    """What to train on, with the constraints; every answer follows its instructions."""
    return _exercises("train", seed, count)


def instruction_records(seed: int, count: int) -> list[dict[str, str]]:
    """The training exercises as manufacturing records, in a drawn order."""
    return [exercise.record for exercise in training_exercises(seed, count)]


def combinations(part: str) -> list[tuple[str, ...]]:
    """The kinds that a prompt of a part may hold: each alone, and the pairs that go together.

    A kind that is in no pair comes three times, or it would be rare.
    """
    singles = [(name,) for name, kind in KINDS.items() if kind.trained or part == "check"]
    alone = [single for single in singles if not any(single[0] in pair for pair in PAIRS)]
    return [*singles, *PAIRS, *alone, *alone]


def _exercises(part: str, seed: int, count: int) -> list[Exercise]:
    """All combinations of kinds in turn, so that each has its share; no prompt twice."""
    if count < 1:
        raise CourseError(f"{count} exercises are asked for", "ask for at least one")
    rng = random.Random(f"{seed}/{part}")
    subjects, kinds = topics(part), combinations(part)
    order: list[tuple[str, ...]] = []
    while len(order) < count:
        order += rng.sample(kinds, len(kinds))
    made: dict[tuple[str, str], Exercise] = {}
    for combination in order[:count]:
        exercise = _new_exercise(combination, subjects, part, rng, made)
        made[exercise.record["instruction"], exercise.record["input"]] = exercise
    return list(made.values())


def _new_exercise(
    kinds: tuple[str, ...], subjects: Sequence[Topic], part: str, rng: random.Random,
    made: Mapping[tuple[str, str], Exercise],
) -> Exercise:  # fmt: skip
    for _ in range(TRIES):
        say = Realiser(rng, f"instruction/{'+'.join(kinds)}")
        exercise = _draw(say, rng.choice(subjects), kinds, part)
        if exercise is None or (exercise.record["instruction"], exercise.record["input"]) in made:
            continue
        if all(exercise.follows(exercise.record["output"])):
            return exercise
    raise CourseError(
        f"no new exercise for {' and '.join(kinds)} after {TRIES} draws",
        "ask for fewer exercises: the knowledge base holds only so many",
    )


STRUCTURED = ("json_keys", "yes_no", "number_with_unit", "bullets", "separated_items",
              "numbered_steps")  # fmt: skip


def _draw(say: Realiser, topic: Topic, kinds: tuple[str, ...], part: str) -> Exercise | None:
    """Question, answer and constraints about one topic; None where the topic does not fit."""
    builders = {
        "json_keys": _json, "yes_no": _yes_no, "number_with_unit": _number, "bullets": _items,
        "separated_items": _items, "numbered_steps": _items,
    }  # fmt: skip
    built = builders.get(kinds[0], _prose)(say, topic, kinds, part)
    if built is None:
        return None
    question, answer, arguments = built
    constraints = tuple(Constraint(kind, arguments.get(kind, {})) for kind in kinds)
    parts = [question]
    for constraint in constraints:
        kind = KINDS[constraint.kind]
        parts.append(say(constraint.kind, kind.wordings[part], **_shown(constraint.arguments)))
    instruction = " ".join(say.order("order", parts))
    record = {
        "instruction": instruction,
        "input": _entry(say, topic, kinds),
        "output": answer,
        "task": "understanding" if "json_keys" in kinds else "qa",
        "document": "equipment_manual",
        "source": f"knowledge base: {topic.equipment.id}",
        "group": f"{topic.equipment.id}/{topic.mode.id}",
    }
    if arguments.get("facts"):
        record["facts"] = format_facts(arguments["facts"])
    return Exercise(record, constraints, say.template)


def _shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in arguments.items()
    }


def _entry(say: Realiser, topic: Topic, kinds: Sequence[str]) -> str:
    """The troubleshooting entry, short: a long one would only cost tokens."""
    mode = topic.mode
    rows = [say("head", SAY["heads"], **topic.names)]
    lines = {
        "symptoms": mode.symptoms,
        "remedies": [f"{one.cause} -> {one.action}" for one in mode.remedies],
    }
    if "number_with_unit" in kinds:
        lines = {
            "checks": [f"{check.name} {limit_text(check)}" for check in mode.checks],
            "causes": mode.causes[:2],
        }
    if "yes_no" in kinds:
        lines = {"symptoms": mode.symptoms, "causes": mode.causes}
    if not set(STRUCTURED).intersection(kinds):  # the prose may name the safety step
        lines["safety"] = [f"{one.safety} (for: {one.action})" for one in mode.remedies]
    for name, items in lines.items():
        rows.append(f"{say(name, SAY['titles'][name])}: {'; '.join(items)}")
    return "\n".join(rows)


Built = tuple[str, str, dict[str, Any]]  # question, answer, arguments by kind


def _json(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built:
    one = topic.mode.remedies[0]
    values = {"fault": topic.mode.name, "component": topic.mode.component,
              "machine": topic.equipment.name, "symptom": topic.mode.symptoms[0],
              "cause": one.cause, "action": one.action}  # fmt: skip
    keys = say.rng.sample(sorted(values), say.rng.choice((2, 3)))
    answer = json.dumps({key: values[key] for key in keys}, ensure_ascii=False)
    return say("question", SAY["structure"]), answer, {"json_keys": {"keys": keys}}


def _yes_no(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built | None:
    """Half of them ask for a cause of another failure mode."""
    yes = say.rng.random() < 0.5
    source = topic if yes else say.rng.choice(topics(part))
    cause = say.rng.choice(source.mode.causes)
    if not yes and cause in topic.mode.causes:
        return None
    answer = say("answer", ("{x}", "{x}."), x="Yes" if yes else "No")
    right, wrong = ("yes", "no") if yes else ("no", "yes")
    facts = [Fact("answer", right, others=(wrong,))]
    return say("question", SAY["whether"], x=cause, **topic.names), answer, {"facts": facts}


def _number(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built | None:
    checks = [check for check in topic.mode.checks if check.unit and check.upper is None]
    if not checks:
        return None
    check = say.rng.choice(checks)
    facts = [Fact("answer", check.value, check.unit)]
    arguments = {"number_with_unit": {"unit": check.unit}, "facts": facts}
    return say("question", SAY["limits"], x=check.name), f"{check.value} {check.unit}", arguments


def _items(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built:
    """Bullets, numbered steps, or items on one line: causes, symptoms or actions."""
    aspect = say.rng.choice(sorted(SAY["aspects"]))
    named = {"causes": "cause", "actions": "action"}
    items = (
        list(dict.fromkeys(getattr(one, named[aspect]) for one in topic.mode.remedies))
        if aspect in named
        else topic.mode.symptoms
    )
    count = say.rng.randint(2, len(items))
    mark = say.rng.choice(SAY["marks"][part])
    items = [item.lower() if "lower_case" in kinds else item for item in items[:count]]
    answer = {
        "bullets": "\n".join(f"- {item}" for item in items),
        "numbered_steps": "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)),
        "separated_items": f" {mark} ".join(items),
    }[kinds[0]]
    arguments: dict[str, Any] = {kinds[0]: {"count": count}}
    if kinds[0] == "separated_items":
        arguments[kinds[0]]["mark"] = mark
    arguments["at_most_words"] = {"count": _word_limit(say, answer)}
    return say("question", SAY["aspects"][aspect], **topic.names), answer, arguments


def _prose(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built | None:
    """One to three sentences on the fault, and what the instructions add to them."""
    word = say.rng.choice(sorted(SAY[WORDS[part]]))
    beginning = say.rng.choice(SAY["beginnings"][part])
    ending = say.rng.choice(SAY["endings"][part])
    fewest = 2 if "sentences" in kinds else 1  # or a prompt would ask for "1 sentences"
    most = 2 if "at_most_words" in kinds else 3
    sentences = _sentences(say, topic, say.rng.randint(fewest, most))
    if "include_word" in kinds:
        sentences.append(SAY.phrase(WORDS[part], word))
    if "ends_with" in kinds:
        sentences.append(ending)
    answer = " ".join(sentences)
    if "begins_with" in kinds:
        answer = f"{beginning} {answer}"
    if "capital_title" in kinds:
        answer = f"{topic.mode.name.upper()}\n{answer}"
    if "lower_case" in kinds:
        answer = answer.lower()
    if "upper_case" in kinds:
        answer = answer.upper()
    arguments = {
        "sentences": {"count": len(sentences)},
        "include_word": {"word": word},
        "begins_with": {"phrase": beginning},
        "ends_with": {"phrase": ending},
        "at_most_words": {"count": _word_limit(say, answer)},
    }
    if "avoid_word" in kinds:
        avoided = _avoidable(topic, answer)
        if not avoided:
            return None
        arguments["avoid_word"] = {"word": say.rng.choice(avoided)}
    return say("question", SAY["describe"], **topic.names), answer, arguments


def _sentences(say: Realiser, topic: Topic, count: int) -> list[str]:
    """Sentences on drawn aspects; cause, action and safety step belong to one remedy."""
    drawn = say.rng.sample(sorted(SAY["prose"]), count)
    one = say.rng.choice(topic.mode.remedies)
    told = {
        "component": "",
        "symptoms": say.rng.choice(topic.mode.symptoms),
        "causes": one.cause,
        "actions": inside(one.action),
        "safety": inside(one.safety),
    }
    return [
        say(aspect, SAY["prose"][aspect], x=told[aspect], component=topic.mode.component)
        for aspect in SAY["prose"]
        if aspect in drawn
    ]


def _word_limit(say: Realiser, answer: str) -> int:
    """A limit close above the answer's own length, so that it means something."""
    return len(answer.split()) + say.rng.randint(0, 4)


def _avoidable(topic: Topic, answer: str) -> list[str]:
    """Words of the fault's, the part's or the machine's name that the answer does without."""
    words = set(re.findall(r"[a-z]{4,}", " ".join(topic.names.values()).lower()))
    return sorted(word for word in words if avoids_word(answer, word))


def prompt_overlap(records: Sequence[Mapping[str, str]], prompts: Sequence[Exercise]) -> dict:
    """What training and check share, counted: {"prompts", "entries", "near_entries", "topics"}.

    "entries" are the texts that are asked about; a topic is a failure mode.
    """
    check = [prompt.record for prompt in prompts]
    found = overlap({"train": list(records), "check": check})
    same = {(r["instruction"], r["input"]) for r in records} & {
        (r["instruction"], r["input"]) for r in check
    }
    return {
        "prompts": len(same),
        "entries": found["exact"],
        "near_entries": found["near"],
        "topics": found["groups"],
    }
