"""Instruction following: instructions whose answers a small function can check, before and after.

    prompts = instructions.instruction_prompts(seed=42, count=100)      # held out
    records = instructions.instruction_records(seed=42, count=600)      # to train on
    answers = instructions.answer_prompts(model, tokenizer, prompts, max_new_tokens=80)
    result = instructions.check_answers(answers.texts, prompts, answers.stopped)

The idea is that of IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for Large Language
Models"): no judge, only instructions that can be verified. Kinds, wordings and prompts are the
kit's own. The check sees the form of an answer, not whether it is true.

Show every kind with an example:  python -m course_utils.assignments.bonuses.instructions
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, generation, models, plots
from course_utils.errors import CourseError
from course_utils.facts import Fact, format_facts
from course_utils.files import write_json_atomic, write_text_atomic
from course_utils.metrics import wilson_interval
from course_utils.splits import overlap
from course_utils.tracks.knowledge import Equipment, FailureMode, load
from course_utils.tracks.manufacturing.manuals import limit_text
from course_utils.tracks.wording import Realiser

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedTokenizerBase

NEXT_TURN = re.compile(r"\n?### ?\w+")  # where a model without an end goes on to the next role
TRIES = 60  # a draw whose answer breaks its own instruction (a word in the facts) is drawn again
CHECK_SHARE = 4  # every fourth failure mode of an equipment is for the check only


# ---------------------------------------------------------------- verifiable instructions


def has_json_keys(answer: str, keys: Sequence[str]) -> bool:
    """The whole answer is one JSON object with exactly these keys."""
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", answer, re.DOTALL)
    try:
        found = json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and set(found) == set(keys)


def has_at_most_words(answer: str, count: int) -> bool:
    """The answer has no more than `count` words (what spaces separate)."""
    return len(answer.split()) <= count


def has_bullets(answer: str, count: int) -> bool:
    """The answer is exactly `count` lines that begin with a dash, and nothing else."""
    lines = _lines(answer)
    return len(lines) == count and all(re.match(r"[-*•]\s+\S", line) for line in lines)


def has_numbered_steps(answer: str, count: int) -> bool:
    """The answer is exactly the lines 1. to `count`. and nothing else."""
    numbers = [re.match(r"(\d+)[.)]\s+\S", line) for line in _lines(answer)]
    return [match and int(match[1]) for match in numbers] == list(range(1, count + 1))


def includes_word(answer: str, word: str) -> bool:
    """The word stands in the answer as a whole word; capitals do not matter."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", answer, re.IGNORECASE) is not None


def avoids_word(answer: str, word: str) -> bool:
    """The word does not stand in the answer as a whole word; capitals do not matter."""
    return not includes_word(answer, word)


def is_lower_case(answer: str) -> bool:
    """There is a letter, and no capital letter."""
    return answer.islower()


def is_upper_case(answer: str) -> bool:
    """There is a letter, and no small letter."""
    return answer.isupper()


def begins_with(answer: str, phrase: str) -> bool:
    """The answer begins with the phrase, letter for letter, and goes on after it."""
    return answer.startswith(phrase) and len(answer) > len(phrase)


def ends_with(answer: str, phrase: str) -> bool:
    """The answer ends with the phrase, letter for letter, after something else."""
    return answer.endswith(phrase) and len(answer) > len(phrase)


def has_sentences(answer: str, count: int) -> bool:
    """The answer has exactly `count` sentences; a new line begins a new one too."""
    return len(split_sentences(answer)) == count


def is_yes_or_no(answer: str) -> bool:
    """The answer is the one word yes or no."""
    return re.fullmatch(r"(yes|no)[.!]?", answer, re.IGNORECASE) is not None


def is_number_with_unit(answer: str, unit: str) -> bool:
    """The answer is one number and its unit, nothing else."""
    return re.fullmatch(rf"[-+]?\d+([.,]\d+)*\s*{re.escape(unit)}\.?", answer) is not None


def has_capital_title(answer: str) -> bool:
    """The first line is in capital letters, and a text in ordinary letters follows."""
    title, _, text = answer.partition("\n")
    return title.isupper() and bool(text.strip()) and not text.isupper()


def has_separated_items(answer: str, mark: str, count: int) -> bool:
    """One line of exactly `count` items, with the mark between them."""
    items = answer.split(mark)
    return "\n" not in answer and len(items) == count and all(item.strip() for item in items)


def split_sentences(text: str) -> list[str]:
    """Sentences and lines; a decimal point ends none."""
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part.strip()]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@dataclass(frozen=True)
class Kind:
    """One kind of instruction: the function that verifies it and how a prompt says it.

    The check says it only in the wordings of `for_check`, which training never sees.
    """

    follows: Callable[..., bool]
    for_training: tuple[str, ...]
    for_check: tuple[str, ...]

    @property
    def description(self) -> str:
        return (self.follows.__doc__ or "").strip()

    @property
    def trained(self) -> bool:
        """Whether training records hold this kind; two kinds are for the check alone."""
        return bool(self.for_training)


KINDS: dict[str, Kind] = {
    "json_keys": Kind(
        has_json_keys,
        (
            "Answer with a JSON object that has the keys {keys}.",
            "Give the answer as JSON, keys: {keys}.",
            "Return only JSON with exactly these keys: {keys}.",
            "Write one JSON object and nothing else; its keys are {keys}.",
        ),
        ("Put the answer into a JSON object with {keys} as its keys.",
         "Only a JSON object may stand in the answer. Keys: {keys}."),
    ),
    "at_most_words": Kind(
        has_at_most_words,
        (
            "Use at most {count} words.",
            "The answer may have no more than {count} words.",
            "Stay within {count} words.",
            "Write {count} words or fewer.",
        ),
        ("Keep it to {count} words at most.", "Do not write more than {count} words."),
    ),
    "bullets": Kind(
        has_bullets,
        (
            "Answer with exactly {count} bullet points, each on a line that begins with '- '.",
            "Write {count} bullet points ('- ') and nothing else.",
            "Make a list of {count} lines, each starting with '- '.",
            "Use exactly {count} bullets; begin each with '- '.",
        ),
        ("The answer must be {count} bullet points, one a line, with '- ' in front.",
         "Format: exactly {count} lines that start with '- '."),
    ),
    "include_word": Kind(
        includes_word,
        (
            "Use the word '{word}' in the answer.",
            "The answer must contain the word '{word}'.",
            "Mention the word '{word}'.",
            "Include the word '{word}'.",
        ),
        ("Make sure that the word '{word}' occurs.", "Somewhere, write the word '{word}'."),
    ),
    "avoid_word": Kind(
        avoids_word,
        (
            "Do not use the word '{word}'.",
            "The word '{word}' must not occur in the answer.",
            "Avoid the word '{word}'.",
            "Answer without the word '{word}'.",
        ),
        ("Leave out the word '{word}'.", "Never write the word '{word}'."),
    ),
    "lower_case": Kind(
        is_lower_case,
        (
            "Write everything in lower case.",
            "Use small letters only.",
            "Do not use any capital letter.",
            "The whole answer must be in lower case.",
        ),
        ("Only lower-case letters are allowed.", "Answer in small letters, without capitals."),
    ),
    "begins_with": Kind(
        begins_with,
        (
            "Begin the answer with '{phrase}'.",
            "The first words must be '{phrase}'.",
            "Start with the words '{phrase}'.",
            "Put '{phrase}' in front of the answer.",
        ),
        ("Let the answer open with '{phrase}'.", "Your answer has to start with '{phrase}'."),
    ),
    "ends_with": Kind(
        ends_with,
        (
            "End the answer with '{phrase}'",
            "The last words must be '{phrase}'",
            "Finish with the words '{phrase}'",
            "Put '{phrase}' at the end of the answer.",
        ),
        ("Let the answer close with '{phrase}'", "Your answer has to end with '{phrase}'"),
    ),
    "sentences": Kind(
        has_sentences,
        (
            "Write exactly {count} sentences.",
            "The answer must have {count} sentences, no more and no fewer.",
            "Use {count} sentences.",
            "Answer in exactly {count} sentences.",
        ),
        ("Form {count} sentences, not one more or less.", "Length: exactly {count} sentences."),
    ),
    "yes_no": Kind(
        is_yes_or_no,
        (
            "Answer only yes or no.",
            "Reply with the one word yes or no.",
            "Say just yes or no.",
            "Yes or no? Nothing else.",
        ),
        ("A plain yes or no is enough, write no other word.",
         "The only answers allowed are yes and no."),
    ),
    "number_with_unit": Kind(
        is_number_with_unit,
        (
            "Give only the number and its unit ({unit}).",
            "Answer with the figure in {unit} and nothing else.",
            "Write just the value with the unit {unit}.",
            "The answer is one number followed by {unit}.",
        ),
        ("Reply with nothing but the value in {unit}.",
         "No sentence: only the figure and {unit}."),
    ),
    "capital_title": Kind(
        has_capital_title,
        (
            "Put a title in capital letters on the first line.",
            "The first line must be a title in capitals; the text follows below.",
            "Begin with a heading in capital letters on its own line.",
            "Write a title in capitals, then the text on the next line.",
        ),
        ("Above the text, give a heading in capital letters.",
         "Line one is a title written in capitals, the text comes under it."),
    ),
    "separated_items": Kind(
        has_separated_items,
        (
            "Give {count} items in one line, separated by '{mark}'.",
            "Write {count} items with '{mark}' between them, on one line.",
            "Separate the {count} items with '{mark}'; no line breaks.",
            "One line, {count} items, '{mark}' between the items.",
        ),
        ("Put '{mark}' between the {count} items and keep them on a single line.",
         "Format: {count} items on one line, divided by '{mark}'."),
    ),
    "numbered_steps": Kind(
        has_numbered_steps,
        (),
        ("Number the lines: 1. to {count}., one item each, nothing else.",
         "Answer as a numbered list with exactly {count} items (1., 2., ...)."),
    ),
    "upper_case": Kind(
        is_upper_case,
        (),
        ("Write the whole answer in capital letters.", "Use capital letters only."),
    ),
}  # fmt: skip
# What one prompt may ask for together. The kinds that are never trained stand alone.
PAIRS = (
    ("sentences", "begins_with"), ("sentences", "ends_with"), ("sentences", "lower_case"),
    ("sentences", "include_word"), ("sentences", "avoid_word"), ("bullets", "lower_case"),
    ("bullets", "at_most_words"), ("separated_items", "lower_case"),
    ("separated_items", "at_most_words"), ("begins_with", "ends_with"),
    ("begins_with", "at_most_words"), ("capital_title", "ends_with"),
    ("capital_title", "at_most_words"), ("lower_case", "avoid_word"),
    ("include_word", "at_most_words"),
)  # fmt: skip


def follows(kind: str, answer: str, **arguments: Any) -> bool:
    """Whether an answer follows one instruction; an empty answer follows none."""
    if kind not in KINDS:
        raise CourseError(
            f"there is no kind of instruction {kind!r}", f"choose one of: {', '.join(KINDS)}"
        )
    answer = answer.strip()
    return bool(answer) and KINDS[kind].follows(answer, **arguments)


@dataclass(frozen=True)
class Constraint:
    """One instruction of a prompt: its kind and what it asks for."""

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def follows(self, answer: str) -> bool:
        """Whether an answer follows it."""
        return follows(self.kind, answer, **self.arguments)


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


# ---------------------------------------------------------------- words

BEGINNINGS = {
    "train": ("Finding:", "Note:", "For the shift log:", "Summary:", "Maintenance entry:",
              "To the fitter:", "Diagnosis:", "In short:"),
    "check": ("Message:", "Report of the day:", "For the technician:", "Answer:"),
}  # fmt: skip
ENDINGS = {
    "train": ("Report to the supervisor.", "End of entry.", "Lock and tag first.",
              "Entered by maintenance.", "Ask before the restart.", "Please confirm."),
    "check": ("End of message.", "Tell the control room.", "Signed by the technician."),
}  # fmt: skip
# A word that a prompt asks for, and a sentence in which it makes sense after any fault.
WORD_SENTENCES = {
    "train": {
        "logbook": "Enter it in the logbook.",
        "planner": "Tell the planner about it.",
        "photo": "Take a photo for the file.",
        "shift": "Pass it on at the end of the shift.",
        "record": "Keep a record of it.",
        "colleague": "Tell a colleague before the work begins.",
    },
    "check": {
        "history": "Add it to the history of the machine.",
        "manager": "Inform the manager.",
        "file": "Note it in the file.",
    },
}
MARKS = {"train": ("|", ";", "//"), "check": ("|", ";", "=>")}
ASPECTS = {
    "symptoms": (
        "Which signs point to {fault}?",
        "What is noticed when there is {fault}?",
        "How does {fault} show?",
        "Name the symptoms of {fault}.",
    ),
    "causes": (
        "What may have caused {fault}?",
        "Name possible causes of {fault}.",
        "Why does {fault} happen?",
        "Which reasons for {fault} does the entry give?",
    ),
    "actions": (
        "What should be done about {fault}?",
        "How is {fault} put right?",
        "Name the remedies for {fault}.",
        "Which repair steps belong to {fault}?",
    ),
}
DESCRIBE = (
    "Describe {fault} for the next shift.",
    "Explain {fault} to a new colleague.",
    "Write an entry about {fault} on the {machine}.",
    "Tell the fitter about {fault}.",
    "Summarise what the entry says about {fault}.",
    "What must a technician know about {fault}?",
)
PROSE = {
    "component": ("The fault sits in the {component}.", "The part concerned is the {component}."),
    "symptoms": ("It shows as {x}.", "A typical sign is {x}.", "Operators report {x}."),
    "causes": ("A possible cause is {x}.", "It can come from {x}.", "One reason is {x}."),
    "actions": ("To put it right, {x}.", "As a remedy, {x}.", "To repair it, {x}."),
    "safety": ("Before the work, {x}.", "For safety, {x}."),
}
LIMITS = (
    "What is the limit for the {x}?",
    "Which limit value does the entry give for the {x}?",
    "Look up the limit of the {x}.",
    "With which value must the {x} be compared?",
)
WHETHER = (
    "Does the entry name this cause: {x}?",
    "Is the following among the listed causes: {x}?",
    "According to the entry, can {fault} come from this: {x}?",
    "Check the causes in the entry. Is this one of them: {x}?",
)
STRUCTURE = (
    "Turn the entry into a record.",
    "Extract the entry's data.",
    "What is this entry about?",
    "Note the main points of the entry.",
)
HEADS = (
    "{machine}: {fault}\nComponent: {component}",
    "Machine: {machine}\nFault: {fault}\nPart: {component}",
    "Entry on {fault} ({machine}, {component})",
    "Fault: {fault}\nConcerns: {component} of the {machine}",
)
TITLES = {
    "symptoms": ("Symptoms", "Signs", "Noticed"),
    "causes": ("Causes", "Possible causes", "Origin"),
    "checks": ("Limits", "Measure", "Checks"),
    "actions": ("Actions", "Remedy", "What to do"),
    "safety": ("Safety", "Before work"),
}


# ---------------------------------------------------------------- exercises


@dataclass(frozen=True)
class Topic:
    """A failure mode of one kind of equipment; no topic is in training and in the check."""

    equipment: Equipment
    mode: FailureMode

    @property
    def names(self) -> dict[str, str]:
        return {
            "fault": self.mode.name,
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
        wordings = kind.for_training if part == "train" else kind.for_check
        parts.append(say(constraint.kind, wordings, **_shown(constraint.arguments)))
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
    rows = [say("head", HEADS, **topic.names)]
    lines = {
        "symptoms": mode.symptoms,
        "causes": mode.causes,
        "actions": mode.actions,
        "safety": mode.safety[:1],
    }
    if "number_with_unit" in kinds:
        lines = {
            "checks": [f"{check.name} {limit_text(check)}" for check in mode.checks],
            "causes": mode.causes[:2],
        }
    if "yes_no" in kinds:
        del lines["safety"], lines["actions"]
    for name, items in lines.items():
        rows.append(f"{say(name, TITLES[name])}: {'; '.join(items)}")
    return "\n".join(rows)


Built = tuple[str, str, dict[str, Any]]  # question, answer, arguments by kind


def _json(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built:
    values = {**topic.names, "cause": topic.mode.causes[0], "symptom": topic.mode.symptoms[0],
              "action": topic.mode.actions[0]}  # fmt: skip
    keys = say.rng.sample(sorted(values), say.rng.choice((2, 3)))
    answer = json.dumps({key: values[key] for key in keys}, ensure_ascii=False)
    return say("question", STRUCTURE), answer, {"json_keys": {"keys": keys}}


def _yes_no(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built | None:
    """Half of them ask for a cause of another failure mode."""
    yes = say.rng.random() < 0.5
    source = topic if yes else say.rng.choice(topics(part))
    cause = say.rng.choice(source.mode.causes)
    if not yes and cause in topic.mode.causes:
        return None
    answer = say("answer", ("{x}", "{x}."), x="Yes" if yes else "No")
    facts = [Fact("answer", answer.rstrip(".").lower())]
    return say("question", WHETHER, x=cause, **topic.names), answer, {"facts": facts}


def _number(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built | None:
    checks = [check for check in topic.mode.checks if check.unit and check.upper is None]
    if not checks:
        return None
    check = say.rng.choice(checks)
    facts = [Fact("answer", check.value, check.unit)]
    arguments = {"number_with_unit": {"unit": check.unit}, "facts": facts}
    return say("question", LIMITS, x=check.name), f"{check.value} {check.unit}", arguments


def _items(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built:
    """Bullets, numbered steps, or items on one line: causes, symptoms or actions."""
    aspect = say.rng.choice(sorted(ASPECTS))
    items = list(getattr(topic.mode, aspect))
    count = say.rng.randint(2, len(items))
    mark = say.rng.choice(MARKS[part])
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
    return say("question", ASPECTS[aspect], **topic.names), answer, arguments


def _prose(say: Realiser, topic: Topic, kinds: Sequence[str], part: str) -> Built | None:
    """One to three sentences on the fault, and what the instructions add to them."""
    words, beginnings, endings = WORD_SENTENCES[part], BEGINNINGS[part], ENDINGS[part]
    word = say.rng.choice(sorted(words))
    beginning, ending = say.rng.choice(beginnings), say.rng.choice(endings)
    fewest = 2 if "sentences" in kinds else 1  # or a prompt would ask for "1 sentences"
    most = 2 if "at_most_words" in kinds else 3
    sentences = _sentences(say, topic, say.rng.randint(fewest, most))
    if "include_word" in kinds:
        sentences.append(words[word])
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
    return say("question", DESCRIBE, **topic.names), answer, arguments


def _sentences(say: Realiser, topic: Topic, count: int) -> list[str]:
    drawn = say.rng.sample(sorted(PROSE), count)
    written = []
    for aspect in (aspect for aspect in PROSE if aspect in drawn):
        shown = [""] if aspect == "component" else getattr(topic.mode, aspect)
        x = say.rng.choice(shown[:1] if aspect == "safety" else shown)  # as the entry shows them
        if aspect in ("actions", "safety") and not x[:2].isupper():
            x = x[:1].lower() + x[1:]
        written.append(say(aspect, PROSE[aspect], x=x, component=topic.mode.component))
    return written


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


# ---------------------------------------------------------------- asking and checking


@dataclass(frozen=True)
class Answers:
    """Greedy answers, and whether each ended by itself (EOS) before the token limit."""

    texts: list[str]
    stopped: list[bool]

    def cut(self) -> "Answers":
        """Each answer up to where the model goes on to the next role, as a stop string would."""
        return Answers([cut_at_next_turn(text) for text in self.texts], self.stopped)


def cut_at_next_turn(text: str) -> str:
    """The part of an answer before the first "### role"."""
    return NEXT_TURN.split(text, maxsplit=1)[0].strip()


def use_plain_format(tokenizer: "PreTrainedTokenizerBase", base_model: str) -> str:
    """Ask through the kit's plain format from now on; returns what that means for this model.

    The format (`models.PLAIN_TEMPLATE`) marks the roles in words; an answer ends with EOS.
    """
    had_one = tokenizer.chat_template not in (None, models.PLAIN_TEMPLATE)
    tokenizer.chat_template = models.PLAIN_TEMPLATE
    if not had_one:
        return f"{base_model}, a model without a chat format, asked through a plain text format."
    known = base_model in (models.EMBEDDED, "nano")
    return (
        f"{base_model}, asked through a plain text continuation format in place of its own chat "
        f"template{', a format it was never trained on' if known else ''}. "
        "That stands in for a model without a chat format"
        + ("; it is not a base model, it has had instruction training before."
           if base_model == models.EMBEDDED else ".")
    )  # fmt: skip


def answer_prompts(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Exercise],
    max_new_tokens: int,
    batch_size: int = 16,
    text: str = "answering",
) -> Answers:
    """Greedy answers in the order of the prompts, through the tokenizer's chat template.

    Unlike `generation.generate_answers` it tells which answers stopped by themselves.
    """
    import torch
    from transformers import GenerationConfig

    messages = [chat.record_messages(prompt.record, tokenizer)["prompt"] for prompt in prompts]
    sequences = [chat.prompt_ids(one, tokenizer) for one in messages]
    ends = end_tokens(model, tokenizer)
    config = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends, disable_compile=True,
    )  # fmt: skip
    texts, stopped = [""] * len(prompts), [False] * len(prompts)
    for batch in generation._batches([len(s) for s in sequences], batch_size, text):
        own = [sequences[i] for i in batch]
        ids, mask = generation._padded(own, 0, tokenizer.pad_token_id, model.device)
        with torch.no_grad():
            output = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        for index, row in zip(batch, output[:, ids.shape[1] :].tolist(), strict=True):
            end = next((at for at, token in enumerate(row) if token in ends), None)
            stopped[index] = end is not None
            texts[index] = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
    return Answers(texts, stopped)


def end_tokens(model: Any, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Every token that ends an answer: the model's own and the tokenizer's."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    found = {token for token in (*own, tokenizer.eos_token_id) if token is not None}
    if not found:
        raise CourseError("this model has no end-of-text token", "choose another base model")
    return sorted(found)


def check_answers(
    answers: Sequence[str],
    prompts: Sequence[Exercise],
    stopped: Sequence[bool] | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Shares (0 to 1) with their 95 % intervals, {"mean", "low", "high"}.

    "prompt_level": prompts whose instructions were all followed; "stops"; "kinds" (each with its
    "count"): Wilson's interval. "instruction_level": instructions followed, from a bootstrap over
    prompts, because the two instructions of a prompt share one answer. "new_kinds" and
    "trained_kinds": prompts without and with training on their kinds. "followed" holds the single
    decisions. Raises CourseError when the counts do not fit.
    """
    _check_lengths(answers, prompts, stopped)
    followed = [prompt.follows(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    whole = [all(row) for row in followed]
    trained = [all(KINDS[c.kind].trained for c in prompt.constraints) for prompt in prompts]
    result = {
        "prompts": len(prompts),
        "instructions": sum(map(len, followed)),
        "prompt_level": wilson_interval(sum(whole), len(whole)),
        "instruction_level": _instruction_interval(followed, samples, seed),
        "stops": None if stopped is None else wilson_interval(sum(stopped), len(stopped)),
        "kinds": {},
        "followed": followed,
        "stopped": None if stopped is None else list(stopped),
    }
    for name, wanted in (("trained_kinds", True), ("new_kinds", False)):
        own = [ok for ok, known in zip(whole, trained, strict=True) if known == wanted]
        result[name] = wilson_interval(sum(own), len(own))
    for kind in KINDS:
        own = [
            ok
            for prompt, row in zip(prompts, followed, strict=True)
            for constraint, ok in zip(prompt.constraints, row, strict=True)
            if constraint.kind == kind
        ]
        if own:
            result["kinds"][kind] = {"count": len(own), **wilson_interval(sum(own), len(own))}
    return result


def _check_lengths(
    answers: Sequence[str], prompts: Sequence[Exercise], stopped: Sequence[bool] | None
) -> None:
    if not prompts:
        raise CourseError("there is no prompt to check", "ask for at least one")
    for what, items in (("answers", answers), ("values of `stopped`", stopped)):
        if items is not None and len(items) != len(prompts):
            raise CourseError(
                f"{len(items)} {what} came with {len(prompts)} prompts", "pass one for each prompt"
            )


def _resampled(size: int, samples: int, seed: int) -> Any:
    """How often each of `samples` draws with replacement takes each prompt: (samples, size)."""
    import numpy as np

    draws = np.random.default_rng(seed).integers(0, size, (samples, size))
    return np.stack([np.bincount(draw, minlength=size) for draw in draws])


def _instruction_interval(
    followed: Sequence[Sequence[bool]], samples: int, seed: int
) -> dict[str, float]:
    import numpy as np

    hits = np.array([sum(row) for row in followed])
    counts = np.array([len(row) for row in followed])
    weights = _resampled(len(followed), samples, seed)
    low, high = np.quantile(weights @ hits / (weights @ counts), (0.025, 0.975))
    return {
        "mean": float(hits.sum() / counts.sum()),
        "low": float(low),
        "high": float(high),
    }


def compare_checks(
    before: Mapping[str, Any], after: Mapping[str, Any], samples: int = 1000, seed: int = 0
) -> dict[str, dict[str, float] | None]:
    """After minus before on the same prompts: {"prompt_level", "instruction_level", "stops"}.

    Each {"mean", "low", "high"}: the difference and its 95 % interval from a paired bootstrap
    (Koehn 2004: the same drawn prompts for both). Raises CourseError for different prompts.
    """
    import numpy as np

    shapes = [[len(row) for row in check["followed"]] for check in (before, after)]
    if shapes[0] != shapes[1]:
        raise CourseError("the two checks are of different prompts", "check the same prompts twice")
    weights = _resampled(len(shapes[0]), samples, seed)

    def difference(column: Callable[[Mapping], list[float]], sizes: list[int]) -> dict[str, float]:
        gain = np.array(column(after), float) - np.array(column(before), float)
        drawn = weights @ gain / (weights @ np.array(sizes))
        low, high = np.quantile(drawn, (0.025, 0.975))
        mean = gain.sum() / sum(sizes)
        return {"mean": float(mean), "low": float(low), "high": float(high)}

    ones = [1] * len(shapes[0])
    stops = before["stopped"] is not None and after["stopped"] is not None
    return {
        "prompt_level": difference(lambda c: [all(row) for row in c["followed"]], ones),
        "instruction_level": difference(lambda c: [sum(row) for row in c["followed"]], shapes[0]),
        "stops": difference(lambda c: c["stopped"], ones) if stops else None,
    }


# ---------------------------------------------------------------- report

LEVELS = {
    "prompt_level": "prompts with every instruction followed",
    "instruction_level": "instructions followed",
    "stops": "answers that end by themselves",
}


def finding(difference: Mapping[str, Any], before: Mapping, after: Mapping) -> str:
    """One sentence: what happened to the share of prompts with every instruction followed."""
    gain = difference["prompt_level"]
    change = plots.interval_text(gain, 100, 0)
    verdict = "follows instructions more often" if gain["low"] > 0 else (
        "follows instructions less often" if gain["high"] < 0 else "shows no clear difference"
    )  # fmt: skip
    return (
        f"The tuned model {verdict}: {_share(before['prompt_level'])} of the prompts before, "
        f"{_share(after['prompt_level'])} after ({change} points)"
    )


def summary(check: Mapping[str, Any]) -> str:
    """One line for the terminal: each level with its interval."""
    return ", ".join(f"{text} {_with_interval(check[name])}" for name, text in LEVELS.items())


def _share(interval: Mapping[str, float] | None) -> str:
    return "-" if interval is None else f"{100 * interval['mean']:.0f} %"


def _with_interval(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return "-"
    return f"{_share(interval)} [{100 * interval['low']:.0f}, {100 * interval['high']:.0f}]"


@plots.styled
def plot_checks(before: Mapping, after: Mapping, title: str) -> "Figure":
    """Each kind of instruction before and after, with its 95 % interval, by gain."""
    plots.require(before["kinds"], "no instruction was checked", "ask for at least one prompt")
    kinds = sorted(
        before["kinds"], key=lambda k: after["kinds"][k]["mean"] - before["kinds"][k]["mean"]
    )
    figure, ax = plots.new_figure(10.5, 2.4 + 0.42 * len(kinds))
    styles = {
        "before": {"color": plots.SOFT, "marker": "s", "mfc": "white", "ls": "none", "ms": 7},
        "after": {"color": plots.BLUE, "marker": "o", "ls": "none", "ms": 8},
    }
    for shift, (name, check) in zip(
        (-0.14, 0.14), (("before", before), ("after", after)), strict=True
    ):
        for index, kind in enumerate(kinds):
            one, y = check["kinds"][kind], index + shift
            # At 0 and 1 the interval's end can miss the share by a rounding error.
            span = [[100 * max(0.0, one["mean"] - one["low"])],
                    [100 * max(0.0, one["high"] - one["mean"])]]  # fmt: skip
            label = f"{name} training" if index == 0 else None
            ax.errorbar([100 * one["mean"]], [y], xerr=span, label=label, **styles[name])
    notes = {kind: "" if KINDS[kind].trained else ", never trained" for kind in kinds}
    names = [f"{k.replace('_', ' ')} (n = {before['kinds'][k]['count']}{notes[k]})" for k in kinds]
    ax.set_yticks(range(len(kinds)), names)
    ax.set_xlim(-3, 103)
    ax.set_xlabel("answers that follow the instruction, % (bars: 95 % intervals)")
    plots.add_grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=2)
    plots.state_finding(figure, title)
    return figure


def write_report(result: Mapping[str, Any], folder: Path) -> Path:
    """instruction_tuning.json, .png and .md into a folder; returns the Markdown file."""
    folder = Path(folder)
    write_json_atomic(folder / "instruction_tuning.json", result)
    figure = plot_checks(result["before"], result["after"], result["finding"])
    plots.save_figure(figure, folder / "instruction_tuning.png")
    return write_text_atomic(folder / "instruction_tuning.md", report_text(result))


def report_text(result: Mapping[str, Any]) -> str:
    """The report: finding, table, kinds, examples, how to read it, how it was made."""
    parts = [
        f"# Instruction tuning\n\n{result['finding']}.",
        f"What was tuned: {result['setting']}",
        "![Each kind of instruction before and after](instruction_tuning.png)",
        "\n".join(_level_table(result)),
        "## Each kind of instruction\n\n" + "\n".join(_kind_table(result)),
        "## Three prompts\n\n" + "\n\n".join(map(_example, result["examples"])),
        "## How to read it\n\n" + "\n".join(f"- {line}" for line in READING),
        "## How it was made\n\n" + "\n".join(f"- {line}" for line in _provenance(result)),
    ]
    return "\n\n".join(parts) + "\n"


READING = (
    "Each prompt holds one or two instructions that a small function verifies. Both models get the "
    "same prompts in the same plain format (roles marked in words, no chat template).",
    "Failure modes, wordings and phrases of the check are in no training record; the kinds marked "
    "as never trained are in none either, so they show whether following carries over.",
    '"Cut at the next role" judges only the text before a "### role" line. What remains of the '
    "difference there is not due to stopping alone.",
    "The check sees the form of an answer, not its truth. ROUGE-L against an answer from the "
    "knowledge base says whether content was lost.",
    "Intervals: Wilson for shares, a paired bootstrap over prompts for differences. They tell how "
    "much depends on which prompts were drawn, not what another training run would give.",
)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _level_table(result: Mapping[str, Any]) -> list[str]:
    before, after, rows = result["before"], result["after"], []
    for name, text in LEVELS.items():
        gain = result["difference"][name]
        change = plots.interval_text(gain, 100, 0) if gain else "-"
        cells = [_with_interval(before[name]), _with_interval(after[name]), change]
        rows.append([text, *cells])
    cut = result["cut"]
    for name in ("prompt_level", "instruction_level"):
        cells = [_with_interval(cut[side][name]) for side in ("before", "after")]
        change = plots.interval_text(cut["difference"][name], 100, 0)
        rows.append([f"{LEVELS[name]}, cut at the next role", *cells, change])
    for name, text in (("trained_kinds", "prompts, trained kinds only"),
                       ("new_kinds", "prompts, kinds never trained")):  # fmt: skip
        rows.append([text, _with_interval(before[name]), _with_interval(after[name]), ""])
    rouge = result["rouge_l"]
    rows.append(["ROUGE-L of the answers", *(f"{rouge[s]:.2f}" for s in ("before", "after")), ""])
    return _table(["", "before", "after", "after - before, points [95 %]"], rows)


def _kind_table(result: Mapping[str, Any]) -> list[str]:
    rows = []
    for kind, before in result["before"]["kinds"].items():
        name = kind.replace("_", " ") + ("" if KINDS[kind].trained else " (never trained)")
        after = result["after"]["kinds"][kind]
        cells = [_with_interval(before), _with_interval(after)]
        rows.append([name, KINDS[kind].description, str(before["count"]), *cells])
    return _table(["kind", "what is verified", "n", "before", "after"], rows)


def _example(example: Mapping[str, Any]) -> str:
    def quoted(text: str) -> str:
        text = text if len(text) <= 600 else text[:600] + " [...]"
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
        return f"{fence}text\n{text}\n{fence}"

    marks = {True: "followed", False: "not followed"}
    parts = [quoted(f"{example['instruction']}\n\n{example['input']}")]
    for side in ("before", "after"):
        said = ", ".join(
            f"{kind.replace('_', ' ')}: {marks[ok]}"
            for kind, ok in zip(example["kinds"], example[side]["followed"], strict=True)
        )
        end = "stops" if example[side]["stopped"] else "does not stop"
        parts.append(f"**{side}** ({said}; {end})\n\n{quoted(example[side]['answer'])}")
    return "\n\n".join(parts)


def _provenance(result: Mapping[str, Any]) -> list[str]:
    machine, training = result["hardware"], result["training"]
    device = machine["gpu_name"] or f"{machine['cpu_model']}, threads: {result['threads']}, no GPU"
    libraries = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    shared = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in result["overlap"].items())
    return [
        f"command: `{result['command']}`",
        f"base model: {result['base_model']}, {result['precision']}",
        f"training: {training['records']} records, {training['steps']} steps, "
        f"{training['seconds']:.0f} s, loss {_number_text(training['first_loss'])} to "
        f"{_number_text(training['last_loss'])}, "
        f"{training['trainable_parameters']:,} trainable parameters",
        f"check: {result['before']['prompts']} prompts, greedy, at most "
        f"{result['max_new_tokens']} tokens",
        f"shared by training and check: {shared}",
        f"seed: {result['seed']}",
        f"hardware: {device}, {machine['ram_gb']} GiB RAM",
        f"versions: {libraries}",
    ]


def _number_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def example_rows(
    prompts: Sequence[Exercise], sides: Mapping[str, tuple[Answers, Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Every prompt with its answers before and after, as the JSON file keeps them."""
    rows = []
    for index, prompt in enumerate(prompts):
        row = {name: prompt.record[name] for name in ("instruction", "input", "output")}
        row["kinds"] = [constraint.kind for constraint in prompt.constraints]
        for side, (answers, check) in sides.items():
            row[side] = {
                "answer": answers.texts[index],
                "stopped": answers.stopped[index],
                "followed": check["followed"][index],
            }
        rows.append(row)
    return rows


def choose_examples(rows: Sequence[Mapping[str, Any]], count: int = 3) -> list[Mapping[str, Any]]:
    """One prompt that got better, one that did not, one at random order's start: no best-of."""
    better = [r for r in rows if all(r["after"]["followed"]) and not all(r["before"]["followed"])]
    failed = [r for r in rows if not all(r["after"]["followed"])]
    chosen: list[Mapping[str, Any]] = []
    for pool in (better, failed, rows, rows, rows):
        new = next((row for row in pool if row not in chosen), None)
        if new is not None and len(chosen) < count:
            chosen.append(new)
    return chosen


if __name__ == "__main__":
    shown = training_exercises(0, len(combinations("train"))) + instruction_prompts(0, 40)
    for name, kind in KINDS.items():
        one = next(e for e in shown if e.constraints[0].kind == name)
        print(f"\n{name}: {kind.description}{'' if kind.trained else ' (never trained)'}")
        print(f"  {one.record['instruction']}\n  -> {one.record['output']!r}")
