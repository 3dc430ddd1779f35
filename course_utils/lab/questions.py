"""The test questions of week 5: reading them, scoring the answers, showing both models.

Two forms are taken: questions (instruction, context, expected, and answer to be filled in) and
geology records (instruction, context, answer: there the answer is the expected one).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import rival_scores, tasks
from course_utils.errors import CourseError
from course_utils.facts import parse_facts
from course_utils.files import write_text_atomic
from course_utils.lab.runs import trained_with
from course_utils.models import EMBEDDED
from course_utils.records import read_objects, read_records
from course_utils.schemas import is_missing

SIZE_LIMIT = 20_000_000  # bytes
LEAST_FOR_INTERVAL = 5  # questions; with fewer an interval says nothing
SCORES = ("fact_match", "token_f1", "rougeL", "perplexity")


@dataclass(frozen=True)
class Question:
    """One question with the answer that is expected."""

    instruction: str
    context: str
    expected: str
    system: str | None = None  # None: the one used in training
    facts: str = ""
    form: str = ""
    row: Mapping[str, Any] | None = None  # as it stood in the file
    is_record: bool = False  # a geology record: its `answer` is the expected one

    def record(self, system: str) -> dict[str, str]:
        """The question as a geology record, for the model's prompt."""
        own = system if self.system is None else self.system
        return {
            "system": own,
            "instruction": self.instruction,
            "context": self.context,
            "answer": self.expected,
        }

    def scored(self) -> dict[str, str]:
        """The question as the scores take it."""
        return {
            "task": "qa",
            "instruction": self.instruction,
            "input": self.context,
            "output": self.expected,
            "facts": self.facts,
            "form": self.form,
        }


def read_questions(path: str | Path) -> list[Question]:
    """The questions of a file; CourseError names the line, what is wrong and the cure.

    Whether it holds questions or records is decided once, for the whole file: where one line has
    `expected`, `answer` is what the model said, and every line needs its `expected`.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > SIZE_LIMIT:
        raise CourseError(f"{path}: more than {SIZE_LIMIT // 1_000_000} MB", "ask fewer")
    rows = read_objects(path, _EXAMPLE)
    expected = "expected" if any("expected" in row for _, row in rows) else "answer"
    return [_question(path, number, row, expected) for number, row in rows]


_EXAMPLE = (
    'write one question a line: {"instruction": "Which mineral ...?", "context": "", '
    '"expected": "Kaolinite.", "answer": ""}'
)


def _question(path: Path, number: int, row: Mapping[str, Any], expected: str) -> Question:
    for name in ("instruction", expected):
        if not isinstance(row.get(name), str) or not row[name].strip():
            missing = "expected" if name == "answer" else name
            raise CourseError(f"{path}:{number}: `{missing}` is missing or empty", _EXAMPLE)
    row = {name: value for name, value in row.items() if not is_missing(value)}
    for name in ("context", "system", "facts", "form"):
        if not isinstance(row.get(name, ""), str):
            raise CourseError(f"{path}:{number}: `{name}` is not text", "write it in quotes")
    try:
        parse_facts(row.get("facts", ""))
    except CourseError as error:
        raise CourseError(f"{path}:{number}: {error.message}", error.cure) from None
    return question_of(row, expected)


def question_of(row: Mapping[str, Any], expected: str = "expected") -> Question:
    """The question of a row that was checked; `expected` names its field with the right answer."""
    return Question(
        instruction=row["instruction"].strip(),
        context=row.get("context", "").strip(),
        expected=row[expected].strip(),
        system=row.get("system"),
        facts=row.get("facts", ""),
        form=row.get("form", ""),
        row=row,
        is_record=expected == "answer",
    )


def defaults(options: argparse.Namespace) -> tuple[str, str]:
    """(base model, system message): as given, else as training.json beside the adapter says.

    The wrong system message or template at inference looks as if the adapter had no effect.
    """
    trained = trained_with(options.adapter)
    system = options.system if options.system is not None else trained.get("system")
    return options.base_model or trained.get("base_model") or EMBEDDED, str(system or "")


def training_records(options: argparse.Namespace) -> list[dict]:
    """The records that the cheap rivals learn from; [] where there is no such file.

    As given with --records, else as training.json beside the adapter says, else records.jsonl
    beside the questions.
    """
    told = (trained_with(options.adapter).get("data") or {}).get("file")
    beside = options.questions.with_name("records.jsonl")
    trained_on = [Path(str(told)).expanduser()] if told else []
    places = [options.records] if options.records else [*trained_on, beside]
    found = next((path for path in places if path.is_file()), None)
    if options.records and not found:
        raise CourseError(
            f"{options.records}: there is no such file", "name the file that train_lora.py read"
        )
    return read_records(found) if found else []


def rivals(questions: Sequence[Question], records: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What needs no language model: {rival: {"seconds", "answers"}}, fitted in seconds."""
    if not records:
        return {}
    train = [{**record, "task": "qa"} for record in records]
    return rival_scores.measure(train, [question.scored() for question in questions])["qa"]


def against_rivals(
    scored: Sequence[Mapping[str, str]],
    base: Sequence[str],
    tuned: Sequence[str],
    cheap: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The part `rivals` of answers.json: their answers, and the table by form of question."""
    compared = rival_scores.compare(scored, base, tuned, {"qa": cheap})
    return {"cheap": dict(cheap), "table": compared["qa"]}


def fill(path: Path, questions: Sequence[Question], answers: Sequence[str]) -> bool:
    """Write the tuned model's answers into a file of questions; records are left as they are.

    `questions` are those of `read_questions(path)`. A file that holds others by now is left too,
    which is printed: models answer for minutes, and meanwhile somebody may add a question.
    """
    if any(question.is_record for question in questions):
        return False
    if not _holds(path, questions):
        print(
            f"{path}: changed while the models answered, so no answer was filled in and the file "
            "is as you left it. What was read before is answered in the file of answers and "
            "scores; ask again to answer the rest."
        )
        return False
    rows = [
        {**(question.row or {}), "answer": answer}
        for question, answer in zip(questions, answers, strict=True)
    ]
    write_text_atomic(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    return True


def _holds(path: Path, questions: Sequence[Question]) -> bool:
    """Whether the file still holds these questions, with every field, and nothing else."""
    try:
        return read_questions(path) == list(questions)
    except CourseError:  # half written, or gone
        return False


# ---------------------------------------------------------------- scores
def compare(
    questions: Sequence[Question],
    base: Mapping[str, Sequence],
    tuned: Mapping[str, Sequence],
    cheap: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """What answers.json holds: scores of both models, 95 % intervals of the difference, answers.

    `base` and `tuned` hold columns "answers", "nll", "tokens". Fact match is over questions with
    `facts`, token F1 over those whose answer is prose. With fewer than five questions there is no
    interval. With `cheap`, what `rivals` gave, the same against methods without a language model.
    """
    records = [question.scored() for question in questions]
    sides = {"base": base, "tuned": tuned}
    scores = {
        side: tasks.score_task(c["answers"], records, c["nll"], c["tokens"])
        for side, c in sides.items()
    }
    enough = len(questions) >= LEAST_FOR_INTERVAL
    difference = tasks.compare_task(records, base, tuned) if enough else {}
    sides_told = base["answers"], tuned["answers"]
    against = {"rivals": against_rivals(records, *sides_told, cheap)} if cheap else {}
    return {
        "questions": len(questions),
        **scores,
        "difference": {name: difference.get(name) for name in SCORES},
        **against,
        "answers": [_row(q, *pair) for q, *pair in zip(
            questions, base["answers"], tuned["answers"], strict=True)],
    }  # fmt: skip


def _row(question: Question, base: str, tuned: str) -> dict[str, Any]:
    return {
        "instruction": question.instruction,
        "context": question.context,
        "expected": question.expected,
        "answer": tuned,
        "base_answer": base,
        "facts": question.facts,
        "form": question.form,
        "scores": _scores(question, tuned)
        | {f"base_{name}": value for name, value in _scores(question, base).items()},
    }


def _scores(question: Question, answer: str) -> dict[str, float]:
    """Token F1 of one answer, and whether it states the facts where the question names them."""
    match = tasks.main_score(answer, question.scored())
    told = {} if match is None else {"fact_match": match}
    return told | {"token_f1": tasks.token_f1(answer, question.expected)}


def table(content: Mapping[str, Any], show: int = 5) -> str:
    """A few answers and the scores, as text for the terminal."""
    lines = []
    for row in content["answers"][: max(0, show)]:
        lines += ["", f"Q  {row['instruction']}", f"   expected: {row['expected']}"]
        lines += [
            f"   tuned:    {_line(row['answer'])}",
            f"   base:     {_line(row['base_answer'])}",
        ]
    lines += ["", f"{content['questions']} questions          base     tuned    difference, 95 %"]
    for name in SCORES:
        before, after = content["base"].get(name), content["tuned"].get(name)
        if before is None or after is None:
            continue
        gap = content["difference"].get(name)
        told = f"{gap['mean']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]" if gap else "-"
        lines.append(f"{name:<18} {before:>8.3f} {after:>9.3f}    {told}")
    if content.get("rivals"):
        lines += ["", rival_scores.table_text({"qa": content["rivals"]["table"]})]
        lines += rival_scores.each_text(content["rivals"]["table"])
    return "\n".join(lines)


def _line(text: str, limit: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
