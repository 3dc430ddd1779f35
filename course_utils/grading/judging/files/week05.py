"""Week 5: the analysis, the records, the adapter's log, the questions and their scores."""

from collections.abc import Mapping
from typing import Any

from course_utils import splits
from course_utils.assignments import figures
from course_utils.assignments.adapter import ATTENTION
from course_utils.assignments.definition import find
from course_utils.assignments.findings import wrong
from course_utils.assignments.folder import json_object, listed
from course_utils.assignments.week05 import (
    ADAPTER,
    ANALYSIS,
    MOST_QUESTIONS,
    MOST_RECORDS,
    QUESTIONS,
    RECORDS,
    TRAINING,
    json_lines,
    questions_in_records,
    read_own_records,
    require_question,
)
from course_utils.errors import CourseError
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.adapters import layers, ranks
from course_utils.grading.judging.files.common import (
    WEEK05,
    figure_evidence,
    finding,
    note_figures,
    note_stated,
    note_zeros,
    reading,
    unmet,
    visit_of,
)
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence
from course_utils.lab import analysis, parameters
from course_utils.lab.questions import question_of

ANSWERS = "answers.json"
LEAST_GROUPS = 4
REPEATED = {"duplicate", "conflict"}  # kinds of errors in a file whose lines can all be read
NEAR_SHARE = 0.2  # of the questions may nearly be a record, for half the points


# --- Part 1 -------------------------------------------------------------------------------------


@check(WEEK05)
def analysis_complete(case: Case) -> Judgement:
    """A point for each of the 13 sections with four answers and a figure among its outputs."""
    if absent := _absent(case, ANALYSIS, "analysis.notebook"):
        return absent
    with reading(case, ANALYSIS):
        content = json_object(case.folder.json(ANALYSIS))
        # Marks of the solution are no excuse here: who hands it in has written nothing.
        gaps = analysis.find_gaps(content, executed=True, believe_marks=False)
    first = {gap.parameter: gap for gap in reversed(gaps)}
    whole = [name for name in parameters.PARAMETERS if name not in first]
    evidence = [Evidence(label="complete sections", found=f"{len(whole)}: {', '.join(whole)}")]
    evidence += [Evidence(label=name, found=gap.message) for name, gap in sorted(first.items())]
    cures = list(dict.fromkeys(f"{gap.cure} ({gap.said.id})" for gap in first.values()))
    share = len(whole) / len(parameters.PARAMETERS)
    return earned(case, share, *evidence, feedback="; ".join(cures))


# --- Part 2 -------------------------------------------------------------------------------------


@check(WEEK05)
def records_valid(case: Case) -> Judgement:
    """All points, where each line is a record and no question stands twice."""
    if problem := unmet(case, "records"):
        return problem
    if not visit_of(case).records:
        return failed(
            Evidence(label=RECORDS, found="no record"),
            feedback=advise(say("week05.judged.no_records")),
        )
    return earned(case, 1, Evidence(label=RECORDS, found=finding(case, "records").message))


@check(WEEK05)
def records_enough(case: Case) -> Judgement:
    """All points for 20 valid records, those nearly the same as an earlier one left out."""
    records = _records(case)
    if isinstance(records, Judgement):
        return records
    # Question and answer must both be near: "the formula of hematite" and "of goethite" are two.
    pairs = [
        (" ".join(splits.prompt_of(record, "geology")), splits.normalise(record["answer"]))
        for record in records
    ]
    near = splits.near_prompts(pairs, 0, splits.NEAR)
    count = len(records) - len(near)
    evidence = [
        Evidence(label="valid records", found=f"{len(records):,}"),
        Evidence(label="nearly the same as an earlier one", found=f"{len(near):,}"),
    ]
    least = find(case.assignment).thresholds.records
    if count < least:
        few = {"count": count, "least": least, "missing": least - count}
        return failed(*evidence, feedback=advise(say("week05.judged.too_few_records", **few)))
    return earned(case, 1, *evidence)


@check(WEEK05)
def records_varied(case: Case) -> Judgement:
    """A third each: four groups; questions with and without a context; a source everywhere."""
    records = _records(case)
    if isinstance(records, Judgement):
        return records
    groups = {record["group"].strip() for record in records if record.get("group", "").strip()}
    given = sum(bool(record.get("context", "").strip()) for record in records)
    bare = sum(not record.get("source", "").strip() for record in records)
    evidence = [
        Evidence(label="groups", found=f"{len(groups)}"),
        Evidence(label="records with a context", found=f"{given} of {len(records)}"),
        Evidence(label="records without a source", found=f"{bare} of {len(records)}"),
    ]
    problems = []
    if len(groups) < LEAST_GROUPS:
        problems.append(say("week05.judged.alike", "groups", least=LEAST_GROUPS))
    if not 0 < given < len(records):
        problems.append(say("week05.judged.alike", "context"))
    if bare:
        problems.append(say("week05.judged.alike", "source"))
    return earned(case, 1 - len(problems) / 3, *evidence, feedback=advise(*problems))


def _records(case: Case) -> list[dict[str, Any]] | Judgement:
    """The valid records, each question once; a judgement where there is none."""
    if absent := _absent(case, RECORDS, "records"):
        return absent
    with reading(case, RECORDS):
        report = read_own_records(visit_of(case))
    if len(report.records) > MOST_RECORDS:
        raise wrong("records.too_many", most=MOST_RECORDS)
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for _, record in report.records:
        seen.setdefault(splits.prompt_key(record, "geology"), record)
    if not seen:
        return failed(
            Evidence(label=RECORDS, found="no valid record"),
            feedback=advise(say("week05.judged.no_records")),
        )
    return list(seen.values())


def unreadable_records(case: Case) -> Judgement | None:
    """No points, where train_lora.py could not have read records.jsonl either.

    A question that stands twice costs `records_valid`, and no item that rests on the training.
    """
    problem, visit = unmet(case, "records"), visit_of(case)
    kinds = {error.kind for error in visit.report.errors} if visit.report else set()
    return None if kinds and kinds <= REPEATED and visit.records else problem


def _absent(case: Case, name: str, check_name: str) -> Judgement | None:
    """No points, where a file is not there or too large to be opened."""
    if name in case.folder.files and not case.folder.size_problem(name):
        return None
    return unmet(case, check_name)


# --- Part 3 -------------------------------------------------------------------------------------


@check(WEEK05, needs=("adapter_loads",))
def adapter_matches(case: Case) -> Judgement:
    """All points, where rank, alpha, dropout and layers are those of training.json."""
    if problem := unmet(case, "adapter.weights", "training"):
        return problem
    evidence = _compared(case)
    if problem := unmet(case, "training.adapter"):
        return failed(*evidence, feedback=problem.feedback)
    return earned(case, 1, *evidence)


def _compared(case: Case) -> list[Evidence]:
    """What training.json says beside what the adapter's files hold."""
    visit = visit_of(case)
    settings, adapter = visit.settings, visit.adapter
    found = {
        "lora_r, in the tensors": ", ".join(map(str, ranks(visit.shapes))),
        "lora_r": adapter.get("r"),
        "lora_alpha": adapter.get("lora_alpha"),
        "lora_dropout": adapter.get("lora_dropout"),
    }
    evidence = []
    for label, value in found.items():
        stated = settings[label.partition(",")[0]]
        agrees = stated == value or str(stated) == str(value)
        note_stated(case, f"{TRAINING}: {label}", stated, value, agrees)
        evidence.append(Evidence(label=label, found=f"{value}"[:80], stated=f"{stated}"))
    names = layers(visit.shapes)
    with_mlp = not set(names) <= ATTENTION
    stated = settings["include_mlp"]
    texts = [parameters.text_of(value) for value in (stated, with_mlp)]
    note_stated(case, f"{TRAINING}: include_mlp", *texts)
    label = f"include_mlp ({ADAPTER}: {listed(names, 9)})"
    return [*evidence, Evidence(label=label, found=texts[1], stated=texts[0])]


# --- Part 4 -------------------------------------------------------------------------------------


@check(WEEK05)
def questions_complete(case: Case) -> Judgement:
    """All points for five different questions, each complete and answered."""
    rows = _questions(case)
    if isinstance(rows, Judgement):
        return rows
    complete, problems = {}, []
    for number, row in rows:
        try:
            require_question(number, row)
            answer = row.get("answer")
            if not isinstance(answer, str) or not answer.strip():
                raise wrong("week05.questions.no_answer", number=number)
        except CourseError as error:
            problems.append(f"{error.message}: {error.cure}")
            continue
        key = tuple(splits.normalise(row.get(name, "")) for name in ("instruction", "context"))
        complete[key] = number
    count = f"{len(complete)} of {len(rows)} lines"
    evidence = Evidence(label="different questions with an answer", found=count)
    advice = "; ".join(problems[:3])
    least = find(case.assignment).thresholds.questions
    if len(complete) < least:
        more = advise(say("week05.judged.too_few_questions", least=least))
        return failed(evidence, feedback=f"{advice}; {more}" if advice else more)
    return earned(case, 1, evidence, feedback=advice)


@check(WEEK05)
def questions_held_out(case: Case) -> Judgement:
    """All points, where no question is a record; half for one in five that is nearly one."""
    rows = _questions(case)
    if isinstance(rows, Judgement):
        return rows
    asked = [row for number, row in rows if _is_question(number, row)]
    if not asked:
        least = find(case.assignment).thresholds.questions
        return failed(feedback=advise(say("week05.judged.too_few_questions", least=least)))
    records = _records(case)
    if isinstance(records, Judgement):  # nothing to hold out from
        return failed(*records.evidence, feedback=advise(say("week05.judged.no_records")))
    seen, close = questions_in_records(asked, records)
    evidence = [
        Evidence(label="questions compared", found=f"{len(asked)} with {len(records)} records"),
        Evidence(label="questions that are a record", found=_numbers(seen)),
        Evidence(label="questions that nearly are one", found=_numbers(close)),
    ]
    if not seen and not close:
        return earned(case, 1, *evidence)
    known = advise(say("week05.judged.known_questions", same=len(seen), near=len(close)))
    if seen or len(close) > NEAR_SHARE * len(asked):
        return failed(*evidence, feedback=known)
    return earned(case, 0.5, *evidence, feedback=known)


@check(WEEK05)
def scores_true(case: Case) -> Judgement:
    """All points, where both models' scores in answers.json follow from the stored answers."""
    if ANSWERS not in case.folder.files or case.folder.size_problem(ANSWERS):
        found = finding(case, "questions.scores")
        return failed(Evidence(label=ANSWERS, found="not there, or too large"), feedback=found.cure)
    if problem := unmet(case, "questions.answers"):
        return problem
    with reading(case, ANSWERS):
        content = json_object(case.folder.json(ANSWERS))
        if not _same_answers(content, visit_of(case).questions):
            raise wrong("week05.answers.others")
        questions = [question_of(row) for row in visit_of(case).questions]
        stated = list(figures.answer_figures(content, questions))
        differing = note_figures(case, stated, ANSWERS)
    main = [f.right for f in stated if f.where == "tuned" and f.name in ("fact_match", "token_f1")]
    note_zeros(case, main, ANSWERS)
    count = f"{len(stated)}, {len(differing)} differ"
    evidence = [Evidence(label="scores compared", found=count), *figure_evidence(differing)]
    if differing:
        differ = say("week05.judged.scores_differ", count=len(differing))
        return failed(*evidence, feedback=advise(differ))
    return earned(case, 1, *evidence)


def _same_answers(content: Mapping[str, Any], questions: list[dict[str, Any]]) -> bool:
    told = [(row["expected"], row["answer"]) for row in content["answers"]]
    return told == [(row["expected"].strip(), row["answer"]) for row in questions]


def _questions(case: Case) -> list[tuple[int, dict[str, Any]]] | Judgement:
    """(number of the line, question) of test_questions.jsonl, complete or not."""
    if absent := _absent(case, QUESTIONS, "questions"):
        return absent
    rows = json_lines(case.folder.text(QUESTIONS))
    if len(rows) > MOST_QUESTIONS:
        raise wrong("week05.questions.too_many", most=MOST_QUESTIONS)
    return rows


def _is_question(number: int, row: Mapping[str, Any]) -> bool:
    try:
        require_question(number, row)
    except CourseError:
        return False
    return True


def _numbers(numbers: list[int]) -> str:
    return f"{len(numbers)}: no. {', '.join(map(str, numbers[:9]))}" if numbers else "none"
