"""Week 5: the log, the loss, the answers and the bonus, computed again with the adapter."""

import argparse
import contextlib
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import tasks
from course_utils.assignments.folder import number_in, show
from course_utils.assignments.week05 import (
    MOST_QUESTIONS,
    RECORDS,
    TRAINING,
    json_lines,
    questions_in_records,
    require_question,
)
from course_utils.errors import CourseError
from course_utils.grading.judging import tolerances
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import (
    WEEK05,
    note_stated,
    reading,
    unmet,
    visit_of,
)
from course_utils.grading.judging.files.week05 import unreadable_records
from course_utils.grading.judging.judgement import Judgement, earned, failed, not_judged, undecided
from course_utils.grading.judging.models.audit import audit, improves
from course_utils.grading.judging.models.common import (
    Losses,
    drawn,
    improvement,
    likeness,
    mean_loss,
    reproduction,
)
from course_utils.grading.judging.models.folds import train_fold
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence
from course_utils.lab import runs
from course_utils.lab.questions import Question, question_of

HELD_OUT, ANSWERS = "held_out.jsonl", "answers.json"
LEAST_HELD_OUT = 40
NEW_TOKENS, BATCH = 64, 16  # of an answer, and questions at once, as inference_lora.py has them
# Tokens of questions and answers of the base model that the bonus keeps at a time. It seldom ends
# by itself, so 60 questions at once took a quarter less of a core than 16 at once; the adapter's
# answers end early, and rows that leave are copied: 35 core seconds in place of 31.
KEPT = 10_000
CHARACTERS = 4  # of English are about a token
MOST_TOKENS, LONGEST_SYSTEM = 256, 4_000  # of an answer; characters of a system message
SAMPLES = 1000  # of the bootstrap
TRAIN = "run python train_lora.py again, and hand in what it writes"


# --- The log and the loss -----------------------------------------------------------------------


@check(WEEK05, needs=("adapter_loads",))
def training_true(case: Case) -> Judgement:
    """All points, where loss and perplexity are those of the adapter on its validation part."""
    if problem := unmet(case, "training") or unreadable_records(case):
        return problem
    told = visit_of(case).training
    loss, stated = (number_in(told[name], name) for name in ("eval_loss", "perplexity"))
    options = _options(case)
    if not math.isclose(math.exp(min(loss, 50)), stated, rel_tol=tolerances.PRINTED):
        return failed(feedback=advise(say("week05.judged.perplexity")))
    if options.eval_data:
        return not_judged("not judged: trained with --eval_data, a file that is not handed in")
    if options.folds:
        return _fold_true(case, options, told)
    held = _validation(case, options)
    found = audit(case, held, told, case.models.model.quantization, case.models.losses)
    note_stated(case, f"{TRAINING}: eval_loss", f"{loss:.4f}", f"{found.found:.4f}", found.agrees)
    evidence = [
        Evidence(
            label="validation loss",
            found=f"{found.found:.4f}",
            stated=f"{loss:.4f}",
            note=f"{found.note}; drawn again with seed {options.seed}",
        ),
        Evidence(
            label="perplexity",
            found=f"{math.exp(min(found.found, 50)):.3f}",
            stated=f"{stated:.3f}",
        ),
    ]
    if found.agrees:
        return earned(case, 1, *evidence)
    return failed(*evidence, feedback=advise(say("week05.judged.loss_differs")))


def _fold_true(case: Case, options: argparse.Namespace, told: Mapping[str, Any]) -> Judgement:
    """One fold is trained again, the one with the fewest tokens to train."""
    with reading(case, TRAINING):
        stated = [number_in(loss, "fold loss") for loss in told["folds"]["losses"]]
    if len(stated) != options.folds:
        differ = say("week05.judged.folds_differ", told=len(stated), asked=options.folds)
        return failed(feedback=advise(differ))
    fold = _trained_fold(case, options)
    if isinstance(fold, Judgement):
        return fold
    number, losses = fold
    found = mean_loss(losses)
    agrees = math.isclose(found, stated[number], rel_tol=tolerances.FOLD)
    label = f"validation loss of fold {number + 1}"
    note_stated(case, f"{TRAINING}: {label}", f"{stated[number]:.4f}", f"{found:.4f}", agrees)
    row = Evidence(
        label=label,
        found=f"{found:.4f}",
        stated=f"{stated[number]:.4f}",
        note=f"trained again; within {tolerances.FOLD:.0%} agrees",
    )
    if agrees:
        return earned(case, 1, row)
    return failed(row, feedback=advise(say("week05.judged.fold_differs", number=number + 1)))


def _trained_fold(case: Case, options: argparse.Namespace) -> tuple[int, Losses] | Judgement:
    """(its number from 0, losses) of the fold with the fewest tokens to train, trained again."""
    parts = runs.split_folds(visit_of(case).records, options)
    number = min(range(len(parts)), key=lambda n: sum(map(_size, parts[n][0])))
    epochs = visit_of(case).settings["num_train_epochs"]
    tokens = sum(map(_size, parts[number][0])) / CHARACTERS * epochs
    if tokens > tolerances.FOLD_TOKENS:
        most = f"at most {tolerances.FOLD_TOKENS:,}"
        return undecided(f"not judged: a fold trains about {tokens:,.0f} tokens, {most} are here")
    return number, train_fold(case, options, number)


def _size(record: Mapping[str, str]) -> int:
    return sum(len(record.get(name, "")) for name in ("system", "instruction", "context", "answer"))


@check(WEEK05, needs=("adapter_loads",))
def validation_improves(case: Case) -> Judgement:
    """All points for a loss at least 10 % lower with the adapter, a third for any drop."""
    if problem := unmet(case, "training") or unreadable_records(case):
        return problem
    options = _options(case)
    if options.folds:
        return _folds_improve(case, options)
    if options.eval_data:
        return not_judged("not judged: trained with --eval_data, a file that is not handed in")
    held = _validation(case, options)
    told, quantization = visit_of(case).training, case.models.model.quantization
    return improves(case, held, case.models.losses, 0.10, 1 / 3, told, quantization)


def _folds_improve(case: Case, options: argparse.Namespace) -> Judgement:
    """With folds no record was kept from the adapter: what a fold's own adapter scored counts."""
    fold = _trained_fold(case, options)
    if isinstance(fold, Judgement):
        return fold
    number, after = fold
    held = runs.split_folds(visit_of(case).records, options)[number][1]
    return improvement(case, case.models.losses(held, tuned=False), after, full=0.10, part=1 / 3)


def _validation(case: Case, options: argparse.Namespace) -> list[dict]:
    """The validation part, drawn again from records.jsonl as train_lora.py draws it."""
    options.data = case.folder.path(RECORDS)
    return runs.read_parts(options)[1]


def _options(case: Case) -> argparse.Namespace:
    """What the command in training.json asked for, besides the 13 parameters."""
    told = visit_of(case).training
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--val_share", type=float, default=0.1)
    parser.add_argument("--folds", type=int)
    parser.add_argument("--eval_data")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--evaluations", type=int, default=5)
    parser.add_argument("--eval_batch_size", type=int, default=8)
    try:
        options, _ = parser.parse_known_args(shlex.split(str(told["command"])))
        seed = told.get("seed", options.seed)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed {show(seed, 20)}")
        if not 0.01 <= options.val_share <= 0.5 or (options.folds or 2) < 2:
            raise ValueError("val_share or folds out of range")
    except (ValueError, argparse.ArgumentError, SystemExit) as error:
        problem = f"{TRAINING}: its command can not be read ({show(error, 80)})"
        raise CourseError(problem, TRAIN) from None
    options.seed = seed
    return options


# --- Answers ------------------------------------------------------------------------------------


@check(WEEK05, needs=("adapter_loads",))
def answers_reproduced(case: Case) -> Judgement:
    """Points by the share of answers that the adapter gives again."""
    if problem := unmet(case, "questions", "questions.answers"):
        return problem
    rows = visit_of(case).questions
    places = sorted(drawn(rows, tolerances.QUESTIONS, case.seed))
    questions = [question_of(rows[i]) for i in places]
    system, tokens = _asked_with(case)
    found = case.models.answers(
        [question.record(system) for question in questions],
        True,
        max_new_tokens=tokens,
        batch_size=BATCH,
    )
    stored = [rows[i]["answer"] for i in places]
    agreeing = [_agree(*three) for three in zip(stored, found, questions, strict=True)]
    same = sum(old.strip() == new for old, new in zip(stored, found, strict=True))
    answered = [bool(text.strip()) for text in stored]
    return reproduction(case, agreeing, same, "your adapter", answered)


def _agree(stored: str, found: str, question: Question) -> bool:
    """The same facts where the question names some, and much the same words in any case."""
    if likeness(stored, found) == 1:
        return True
    told, right = (tasks.main_score(text, question.scored()) for text in (stored, found))
    return told == right and likeness(stored, found) >= tolerances.LIKENESS


def _system(case: Case) -> str:
    """The system message of the training."""
    told = visit_of(case).training or case.models.training
    system = told.get("system")
    return system if isinstance(system, str) else ""


def _asked_with(case: Case) -> tuple[str, int]:
    """(system message, longest answer in tokens) as answers.json states them, within bounds.

    inference_lora.py has options for both, so stored answers may be shorter than its default, or
    asked with another message. What answers.json does not state is the training's, the default.
    """
    content: Any = {}
    if ANSWERS in case.folder.files and not case.folder.size_problem(ANSWERS):
        with contextlib.suppress(CourseError):
            content = case.folder.json(ANSWERS)
    told = content if isinstance(content, Mapping) else {}
    system, tokens = told.get("system"), told.get("max_new_tokens")
    if not isinstance(system, str) or len(system) > LONGEST_SYSTEM:
        system = _system(case)
    if isinstance(tokens, bool) or not isinstance(tokens, int):
        tokens = NEW_TOKENS
    return system, min(max(tokens, 1), MOST_TOKENS)


@check(WEEK05, needs=("adapter_loads",))
def interval(case: Case) -> Judgement:
    """All points for a 95 % interval of the gain above 0, half where only the mean is."""
    import numpy as np

    questions = _held_out(case)
    if isinstance(questions, Judgement):
        return questions
    places = drawn([q.scored() for q in questions], tolerances.HELD_OUT, case.seed)
    asked = [questions[i] for i in places]
    records = [question.record(_system(case)) for question in asked]
    sides = [
        case.models.answers(records, tuned, max_new_tokens=NEW_TOKENS, batch_size=rows)
        for tuned, rows in ((False, at_once(records)), (True, BATCH))
    ]
    before, after = (
        [_worth(text, question) for text, question in zip(answers, asked, strict=True)]
        for answers in sides
    )
    found = tasks.bootstrap_means(np.array(before), np.array(after), SAMPLES, case.seed)
    label = f"gain over the base model, {len(asked)} of {len(questions)} questions"
    text = f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
    facts = sum(bool(question.facts) for question in asked)
    note = f"fact match for {facts}, token F1 for {len(asked) - facts}; paired bootstrap"
    evidence = Evidence(label=label, found=text, note=note)
    if found["low"] > 0:
        return earned(case, 1, evidence)
    if found["mean"] > 0:
        return earned(case, 0.5, evidence, feedback=advise(say("week05.judged.gain_unsure")))
    return failed(evidence, feedback=advise(say("week05.judged.no_gain")))


def at_once(records: Sequence[Mapping[str, str]]) -> int:
    """Questions that the base model answers at a time: as many as fit, were all the longest."""
    longest = max(map(_size, records)) / CHARACTERS + NEW_TOKENS
    return max(BATCH, int(KEPT / longest))


def _worth(answer: str, question: Question) -> float:
    """Fact match where the question names facts, else token F1."""
    match = tasks.main_score(answer, question.scored())
    return tasks.token_f1(answer, question.expected) if match is None else match


def _held_out(case: Case) -> list[Question] | Judgement:
    """The questions of held_out.jsonl that no record holds; or why there is nothing to earn."""
    if HELD_OUT not in case.folder.files:
        return failed(
            feedback=advise(say("week05.judged.held_out", "missing", least=LEAST_HELD_OUT))
        )
    if problem := unreadable_records(case):
        return problem
    if problem := case.folder.size_problem(HELD_OUT):
        large = say("week05.judged.held_out", "large", problem=problem, least=LEAST_HELD_OUT)
        return failed(Evidence(label=HELD_OUT, found=problem), feedback=advise(large))
    with reading(case, HELD_OUT):
        rows = json_lines(case.folder.text(HELD_OUT))
        if len(rows) > MOST_QUESTIONS:
            most = {"most": MOST_QUESTIONS, "least": LEAST_HELD_OUT}
            return failed(feedback=advise(say("week05.judged.held_out", "many", **most)))
        for number, row in rows:
            require_question(number, row)
        exact, near = questions_in_records([row for _, row in rows], visit_of(case).records)
        own = [row for number, (_, row) in enumerate(rows, 1) if number not in {*exact, *near}]
        own = list({(row["instruction"], row.get("context", "")): row for row in own}.values())
        questions = [question_of(row) for row in own]
    if len(questions) < LEAST_HELD_OUT:
        counted = f"{len(questions)} questions that {RECORDS} does not hold"
        few = say("week05.judged.held_out", "few", problem=counted, least=LEAST_HELD_OUT)
        return failed(Evidence(label=HELD_OUT, found=counted), feedback=advise(few))
    return questions
