"""Weeks 9-10, part 1: the records, counted and compared again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import splits, tasks
from course_utils.assignments.checklist import finding_of
from course_utils.assignments.definition import find
from course_utils.assignments.folder import json_object
from course_utils.assignments.week09_10 import MOST_RECORDS, PARTS, read_part
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.grading.cache import sources
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import (
    WEEK09_10,
    advice,
    finding,
    note_stated,
    reading,
    unmet,
    visit_of,
)
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence
from course_utils.records import CheckReport

SUMMARY = "run/data_summary.json"
LEAST_SHARE = 0.1  # of a part's records, for each task


@check(WEEK09_10)
def data_size(case: Case) -> Judgement:
    """All points for enough records that follow the schema; a prompt that returns counts once."""
    reports = readable_parts(case)
    prompts = {part: _prompts(report) for part, report in reports.items()}
    counts = {part: len(own) for part, own in prompts.items()}
    total = len(set().union(*prompts.values()))
    _note_summary(case, {part: written(report) for part, report in reports.items()})
    told = _summary(case).get("kept", "")
    evidence = [
        Evidence(label=f"data/{part}.jsonl", found=f"{counts[part]:,} of {report.lines:,} lines")
        for part, report in reports.items()
    ]
    evidence.append(Evidence(label="records in all", found=f"{total:,}", stated=f"{told}"))
    least = find(case.assignment).thresholds.records
    if total < least:
        few = say("week09_10.judged.too_few_records", count=total, least=least)
        return failed(*evidence, feedback=advise(few))
    return earned(case, 1, *evidence)


@check(WEEK09_10)
def data_valid(case: Case) -> Judgement:
    """All points, where each line of the three files is a record and no prompt returns."""
    evidence, advices = [], []
    for part in PARTS:
        found = finding(case, f"data.{part}")
        evidence.append(Evidence(label=found.path, found=found.message))
        if found.state in ("missing", "wrong"):
            advices.append(advice(found))
    if advices:
        return failed(*evidence, feedback="; ".join(advices))
    return earned(case, 1, *evidence)


@check(WEEK09_10)
def data_no_leak(case: Case) -> Judgement:
    """All points, where no prompt, no near prompt and no group stands in two parts."""
    for part in PARTS:  # a part that is not there leaks nothing, and proves nothing
        if f"data/{part}.jsonl" not in case.folder.files:
            none = say("week09_10.judged.nothing_to_compare", parts=part)
            return unmet(case, f"data.{part}") or failed(feedback=advise(none))
    parts = {part: _records(report) for part, report in readable_parts(case).items()}
    if len(parts) < len(PARTS) or not all(parts.values()):
        empty = ", ".join(part for part in PARTS if not parts.get(part))
        return failed(feedback=advise(say("week09_10.judged.nothing_to_compare", parts=empty)))
    found = _overlap(case, parts)
    stated = _summary(case).get("overlap")
    stated = stated if isinstance(stated, dict) else {}
    evidence = [Evidence(label="pairs compared", found=f"{found['compared']:,}")]
    for name, what in (
        ("exact", "same prompt"),
        ("near", "nearly the same prompt"),
        ("groups", "groups in two parts"),
    ):
        told = stated.get(name, "")
        evidence.append(Evidence(label=what, found=f"{found[name]:,}", stated=f"{told}"[:40]))
        if name in stated:
            note_stated(case, f"{SUMMARY}: overlap, {name}", told, found[name])
    if found["exact"] or found["near"] or found["groups"]:
        leak = finding(case, "data.leak")
        if leak.id == "data.leak":  # and not what it needs: a line that is broken
            evidence.append(Evidence(label="where", found=leak.message))
        counts = {name: found[name] for name in ("exact", "near", "groups")}
        return failed(*evidence, feedback=advise(say("week09_10.judged.leak", **counts)))
    bare = sum(not record.get("group") for own in parts.values() for record in own)
    if bare:
        evidence.append(Evidence(label="records without a group", found=f"{bare:,}"))
    return earned(case, 1, *evidence)


@check(WEEK09_10)
def data_coverage(case: Case) -> Judgement:
    """All points for each task in every part, none below a tenth, and the kinds of document."""
    reports = readable_parts(case)
    problems, evidence = [], []
    thresholds = find(case.assignment).thresholds
    wanted = thresholds.tasks
    documents: Counter[str] = Counter()
    for part in PARTS:
        records = _records(reports[part]) if part in reports else []
        counts = Counter(tasks.task_of(record) for record in records)
        documents.update(record["document"] for record in records if record.get("document"))
        found = ", ".join(f"{task} {counts[task]:,}" for task in wanted)
        evidence.append(Evidence(label=f"data/{part}.jsonl", found=found if records else "none"))
        few = [t for t in wanted if counts[t] < max(1, LEAST_SHARE * len(records))]
        if few:
            lacking = {"part": part, "tasks": ", ".join(few), "share": LEAST_SHARE}
            problems.append(say("week09_10.judged.coverage", "tasks", **lacking))
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(documents.items()))
    evidence.append(Evidence(label="kinds of document", found=kinds or "none"))
    if len(documents) < thresholds.documents:
        kinds_named = {
            "documents": len(documents),
            "least": thresholds.documents,
            "share": LEAST_SHARE,
        }
        problems.append(say("week09_10.judged.coverage", "documents", **kinds_named))
    if problems:
        return failed(*evidence, feedback=advise(*problems))
    return earned(case, 1, *evidence)


def _overlap(case: Case, parts: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """All pairs compared, once for all who hand in the same files: most of a class has one seed."""
    visit = visit_of(case)
    if visit.overlap is None:
        files = [sha256_of(case.folder.path(f"data/{part}.jsonl")) for part in PARTS]
        key = ["overlap", sources(splits), files]
        visit.overlap = case.shared.get(key, lambda: splits.overlap(parts))
    return visit.overlap


# --- Reading ------------------------------------------------------------------------------------


def readable_parts(case: Case) -> dict[str, CheckReport]:
    """The check of each part that is there and can be read; broken lines are left out of it."""
    visit = visit_of(case)
    found = {}
    for part in PARTS:
        finding_of(visit, f"data.{part}")  # reads it once, and refuses what is too large
        name = f"data/{part}.jsonl"
        if name not in case.folder.files or case.folder.size_problem(name):
            continue
        try:
            with reading(case, name):
                report = read_part(visit, part)
        except CourseError:  # no lines at all: its own item says so
            continue
        if len(report.records) <= MOST_RECORDS:
            found[part] = report
    return found


def broken_lines(report: CheckReport) -> set[int]:
    """Numbers of the lines that are no record; one that stands twice is one, a blank no line."""
    return {error.line for error in report.errors} - {line for line, _ in report.records}


def written(report: CheckReport) -> int:
    """How many records were written into the file, readable or not."""
    return len(report.records) + len(broken_lines(report) - {0})  # 0: the file as a whole


def _records(report: CheckReport) -> list[dict[str, Any]]:
    return [record for _, record in report.records]


def _prompts(report: CheckReport) -> set[tuple[str, ...]]:
    return {splits.prompt_key(record, "manufacturing") for _, record in report.records}


def _summary(case: Case) -> Mapping[str, Any]:
    """What run/data_summary.json says; nothing where it can not be read."""
    if SUMMARY not in case.folder.files or case.folder.size_problem(SUMMARY):
        return {}
    try:
        return json_object(case.folder.json(SUMMARY))
    except CourseError:
        return {}


def _note_summary(case: Case, counts: Mapping[str, int]) -> None:
    """The stated counts beside the lines: a broken or returning one is `data_valid`'s matter."""
    parts = _summary(case).get("parts")
    for part, count in counts.items():
        if isinstance(parts, dict) and part in parts:
            note_stated(case, f"{SUMMARY}: records in {part}", parts[part], count)
