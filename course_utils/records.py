"""Training records: reading a file, a line-numbered check of it, and a corrected copy.

A data file is UTF-8 JSON lines: one record, as one JSON object, on each line.
Check a file and write a corrected copy:  course data check FILE --write FIXED
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.files import atomic_path
from course_utils.formats import (
    FOREIGN_NAMES,
    Source,
    check_command,
    convert_command,
    open_source,
)
from course_utils.jsonlines import LINE_LIMIT, Row, parse, read_line
from course_utils.schemas import (
    FIX_WORDS,
    SCHEMAS,
    Problem,
    Schema,
    count_of,
    detect_schema,
    field_names,
    only_fields,
    plain_name,
    renaming,
    repair,
    show,
    validate,
)
from course_utils.splits import (
    NEAR,
    check_threshold,
    close_to,
    jaccard,
    near_duplicate_groups,
    near_prompts,
    normalise,
    overlap,
    prompt_key,
    prompt_of,
    split_by_group,
    text_of,
)

# What notebooks and hand-outs call records.NAME, wherever it is written down.
__all__ = [
    "FIX_WORDS",
    "LINE_LIMIT",
    "NEAR",
    "SCHEMAS",
    "CheckReport",
    "Problem",
    "Schema",
    "check_file",
    "close_to",
    "detect_schema",
    "jaccard",
    "near_duplicate_groups",
    "normalise",
    "overlap",
    "read_objects",
    "read_records",
    "repair",
    "require_number",
    "split_by_group",
    "text_of",
    "validate",
    "write_corrected",
    "write_records",
]

# ---------------------------------------------------------------------------------------------
# What the check reports
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line after the check: as parsed if it was right, and as put right if it could be."""

    number: int
    record: dict | None = None
    corrected: dict | None = None
    fixes: tuple[str, ...] = ()


@dataclass
class CheckReport:
    """What `check_file` found; `records` are the (line, record) pairs that follow the schema.

    `lines` counts the lines read; in a file of another kind they are records or rows (`unit`).
    `records` have the fields of the schema only, as every reader gets them. `fixable` holds every
    line that can be written, right or put right; `dropped` says for the others (line -> kind) why
    `write_corrected` leaves them out.
    """

    path: Path
    schema: str
    lines: int = 0
    unit: str = "line"
    records: list[tuple[int, dict]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    fixable: list[Line] = field(default_factory=list)
    dropped: dict[int, str] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        return [p for p in self.problems if p.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [p for p in self.problems if p.severity == "warning"]

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def counts(self) -> dict[str, int]:
        """Number of problems of each kind, most frequent first."""
        return dict(Counter(p.kind for p in self.problems).most_common())

    def summary_lines(self, limit: int = 20) -> list[str]:
        """Plain lines for a terminal: the verdict, up to `limit` problems with cures, the rest."""
        head = (
            f"{self.path}: {count_of(self.lines, self.unit)}, "
            f"{count_of(len(self.records), 'record')} that follow the {self.schema} schema, "
            f"{count_of(len(self.errors), 'error')}, "
            f"{count_of(len(self.warnings), 'warning')}"
        )
        lines = [head]
        # Errors first, and of each kind the first before the second: ten lines of one kind
        # must not hide the only one of another.
        shown = self._spread()[:limit]
        cures: set[str] = set()
        for problem in sorted(shown, key=lambda p: (p.severity, p.line)):
            lines.append(f"  {problem.told(self.unit)}")
            if problem.cure and problem.cure not in cures:
                lines.append(f"    Cure: {problem.cure}")
            cures.add(problem.cure)
        rest = Counter(p.kind for p in self.problems) - Counter(p.kind for p in shown)
        if rest:
            more = ", ".join(f"{n} {kind}" for kind, n in rest.most_common())
            lines.append(f"  and more of the same: {more}")
        return lines

    def _spread(self) -> list[Problem]:
        seen: Counter[str] = Counter()
        ranked = []
        for problem in self.problems:
            seen[problem.kind] += 1
            ranked.append((problem.severity, seen[problem.kind], problem.line, problem))
        return [problem for *_, problem in sorted(ranked, key=lambda row: row[:3])]

    def to_dict(self) -> dict:
        """The report as plain values, for JSON."""
        return {
            "path": str(self.path),
            "schema": self.schema,
            "ok": self.ok,
            "lines": self.lines,
            "records": len(self.records),
            "counts": self.counts,
            "problems": [asdict(problem) for problem in self.problems],
        }


# ---------------------------------------------------------------------------------------------
# One line, one file
# ---------------------------------------------------------------------------------------------


def _check_line(row: Row, schema: str, fixes: set[str]) -> tuple[Line, list[Problem]]:
    """Check one line of a file; `fixes` are those that the file as a whole already had."""
    number = row[0]
    record, text, problems = read_line(row, fixes)
    if record is None:
        return Line(number), problems
    problems += validate(record, schema, number)
    right = all(p.severity == "warning" for p in problems)
    read = only_fields(record, schema) if right else None
    if any(type(value) in (int, float) for value in record.values()):
        # Keep a number's digits as they were written: 2.50 must not become 2.5.
        literal = json.loads(text, strict=False, parse_int=str, parse_float=str)
        fixes |= {"number"} & set(repair(record, schema)[1])
        record = {name: literal.get(name, value) for name, value in record.items()}
    corrected, repaired = repair(record, schema)
    if any(p.kind == "repeated-field" for p in problems) or validate(corrected, schema):
        return Line(number, read), problems
    fixes.update(repaired)
    return Line(number, read, corrected if fixes else read, tuple(sorted(fixes))), problems


def _choose_schema(source: Source, schema: str) -> str:
    """The schema to check against: the given one, or the one most of the first 200 lines follow."""
    if schema not in ("auto", *SCHEMAS):
        raise CourseError(f"schema `{schema}` is not known", f"Use auto, {', '.join(SCHEMAS)}.")
    if schema != "auto":
        return schema
    votes: Counter[str] = Counter()
    strange: tuple[int, dict] | None = None
    for number, _, raw in source.rows():
        text = (raw or b"").decode("utf-8-sig", errors="replace").strip()
        record, _ = parse(number, text, set())
        if record is not None:
            name = detect_schema(record)
            votes.update([name] if name else [])
            strange = strange or ((number, record) if not name else None)
        if number >= 200:
            break
    if not votes and strange:
        raise _neither(source, *strange)
    return votes.most_common(1)[0][0] if votes else "manufacturing"


def _neither(source: Source, number: int, record: Mapping) -> CourseError:
    cure = f"The fields are {field_names()}.{renaming(record)}"
    if {plain_name(name) for name in record} & FOREIGN_NAMES:
        cure += f" Or let it be converted: {convert_command(source.path, 'geology')}"
    return CourseError(
        f"{source.path}:{number}: the fields {', '.join(map(show, record)) or '(none)'} "
        "are of neither schema",
        cure,
    )


def check_file(
    path: str | os.PathLike,
    schema: str = "auto",
    count_tokens: Callable[[dict], int] | None = None,
    max_length: int | None = None,
    against: Sequence[str | os.PathLike] = (),
    near: float | None = NEAR,
    progress: Callable[[str, int, int], None] | None = None,
) -> CheckReport:
    """Check a data file line by line and report every problem with its line and its cure.

    `count_tokens(record)` > `max_length` tokens is reported as too long (both or neither).
    `against`: other parts of the same data; no prompt, near-duplicate or group may be in both.
    `near`: Jaccard similarity from which two prompts are near-duplicates; None: do not search them.
    `progress(what, done, all)` is told how far the two are that take long: tokens and that search.
    Arrays, tables and the like are checked too: what they are is an error, which
    `write_corrected` puts right. Raises CourseError only where there is no line to name.
    """
    if (max_length is None) != (count_tokens is None):
        raise CourseError(
            "the length check needs a limit and a tokenizer", "Give both, or neither of them."
        )
    if near is not None:
        check_threshold(near)
    source = open_source(path)
    report = _check_source(source, _choose_schema(source, schema))
    _check_line_ends(report)
    if count_tokens is not None and max_length is not None:
        _check_lengths(report, count_tokens, max_length, progress)
    _check_duplicates(report)
    others = _read_against(report, against)
    _check_leakage(report, others)
    if near is not None:
        _check_near(report, others, near, progress)
    report.problems.sort(key=lambda p: (p.line, p.severity, p.kind))
    return report


def _check_source(source: Source, schema: str) -> CheckReport:
    """The file as a whole, then line by line; nothing that takes two lines to see."""
    report = CheckReport(source.path, schema, unit=source.unit)
    report.problems += map(source.named, source.problems)
    if source.what:
        message = f"this is {source.what}, not JSON lines"
        report.problems.append(Problem(0, "format", "error", message, source.cure))
    for row in source.rows():
        line, problems = _check_line(row, schema, set(source.fixes))
        report.lines += 1
        report.problems += map(source.named, problems)
        if line.record is not None:
            report.records.append((line.number, line.record))
        if line.corrected is not None:
            report.fixable.append(line)
        elif problems:
            errors = [p.kind for p in problems if p.severity == "error"]
            report.dropped[line.number] = errors[0] if errors else problems[0].kind
    return report


def require_number(report: CheckReport, least: int | None = None) -> CheckReport:
    """Add an error where fewer than `least` records can be used (by default the schema's number).

    Lines with errors, duplicates and conflicts do not count. Returns the report.
    """
    least = SCHEMAS[report.schema].least if least is None else least
    usable = sum(line not in report.dropped for line, _ in report.records)
    if usable < least:
        message = f"{count_of(usable, 'usable record')}; a training file needs at least {least}"
        cure = f"Write {least - usable} more, or correct the lines with errors."
        report.problems.insert(0, Problem(0, "too-few-records", "error", message, cure))
    return report


def _check_line_ends(report: CheckReport) -> None:
    ends = [line.number for line in report.fixable if "crlf" in line.fixes]
    if ends:
        message = f"Windows line ends (CRLF) on {count_of(len(ends), 'line')}"
        cure = "Harmless here, but some tools stumble: save with Unix line ends (LF)."
        report.problems.append(Problem(ends[0], "crlf", "warning", message, cure))


def _check_lengths(
    report: CheckReport,
    count_tokens: Callable[[dict], int],
    max_length: int,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    for i, line in enumerate(report.fixable):
        if progress and i % 100 == 0:
            progress("counting tokens", i, len(report.fixable))
        tokens = count_tokens(line.corrected)
        if tokens > max_length:
            message = f"too long: {tokens} tokens, the limit is {max_length}; the end would be cut"
            cure = f"Shorten the record, split it in two, or set max_length to at least {tokens}."
            report.problems.append(Problem(line.number, "too-long", "error", message, cure))
            report.dropped[line.number] = "too-long"


# ---------------------------------------------------------------------------------------------
# Duplicates in a file and leakage between files
# ---------------------------------------------------------------------------------------------


def _check_duplicates(report: CheckReport) -> None:
    """Same prompt twice: with the same answer a duplicate, with another answer a conflict."""
    answer = SCHEMAS[report.schema].answer
    first: dict[tuple, int] = {}
    first_answer: dict[tuple, int] = {}
    conflicts = set()
    for line in report.fixable:
        key = prompt_key(line.corrected, report.schema)
        pair = (*key, normalise(line.corrected[answer]))
        if pair in first_answer:
            message = f"duplicate: same prompt and answer as {report.unit} {first_answer[pair]}"
            cure = "Keep one of the two; repeated records are learnt by heart."
            problem = Problem(line.number, "duplicate", "error", message, cure)
            report.dropped.setdefault(line.number, "duplicate")
        elif key in first:
            where = f"{report.unit} {first[key]}"
            message = f"conflict: same prompt as {where}, but a different {answer}"
            cure = "Decide which answer is right and remove the other record."
            problem = Problem(line.number, "conflict", "error", message, cure)
            conflicts.add(key)
        else:
            first[key] = first_answer[pair] = line.number
            continue
        first_answer.setdefault(pair, line.number)
        report.problems.append(problem)
    for line in report.fixable:  # no program can know which answer is right: drop them all
        if prompt_key(line.corrected, report.schema) in conflicts:
            report.dropped[line.number] = "conflict"


@dataclass(frozen=True)
class _Place:
    """Where a record stands; `file` is "" for the checked file itself."""

    file: str
    schema: str
    line: int
    record: dict

    @property
    def key(self) -> tuple[str, ...]:
        return prompt_key(self.record, self.schema)


def _read_against(report: CheckReport, against: Sequence[str | os.PathLike]) -> list[_Place]:
    """The readable records of the other files; what could not be compared becomes a warning."""
    places = []
    for source in map(open_source, against):
        if source.path.samefile(report.path):
            raise CourseError(
                f"{source.path}: the file is compared with itself", "Name another part of the data."
            )
        other = _check_source(source, _choose_schema(source, "auto"))
        places += [
            _Place(str(source.path), other.schema, line.number, line.corrected)
            for line in other.fixable
        ]
        fixable = {line.number for line in other.fixable}
        unread = {p.line for p in other.errors if p.line} - fixable
        if unread:
            message = f"{count_of(len(unread), other.unit)} of {source.path} could not be read"
            cure = f"Check that file first: {check_command(source.path)}"
            problem = Problem(0, "against-unread", "warning", f"{message} for the comparison", cure)
            report.problems.append(problem)
    return places


def _check_leakage(report: CheckReport, others: Sequence[_Place]) -> None:
    """Exactly the same prompt, or the same `group`, in another file."""
    prompts = {place.key: place for place in reversed(others)}
    groups = {g: p for p in reversed(others) if (g := p.record.get("group"))}
    shared: dict[str, list[int]] = {}
    for line in report.fixable:
        place = prompts.get(prompt_key(line.corrected, report.schema))
        if place:
            message = f"leakage: the same prompt is in {place.file}, line {place.line}"
            _add_leak(report, line.number, "leakage", message)
        if line.corrected.get("group") in groups:
            shared.setdefault(line.corrected["group"], []).append(line.number)
            report.dropped.setdefault(line.number, "leakage-group")
    for group, lines in shared.items():
        place = groups[group]
        message = (
            f"leakage: group `{show(group)}` ({count_of(len(lines), 'record')} here) is also in "
            f"{place.file}, line {place.line}"
        )
        _add_leak(report, lines[0], "leakage-group", message)


def _add_leak(report: CheckReport, line: int, kind: str, message: str) -> None:
    cure = "Keep it in one part only: a model that has seen the question is not tested by it."
    report.problems.append(Problem(line, kind, "error", message, cure))
    report.dropped.setdefault(line, kind)


def _check_near(
    report: CheckReport,
    others: Sequence[_Place],
    threshold: float,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    """Nearly the same prompt: a warning within the file, leakage when in another file."""
    own = [_Place("", report.schema, line.number, line.corrected) for line in report.fixable]
    first: dict[tuple, _Place] = {}
    for place in (*others, *own):
        first.setdefault(place.key, place)
    places = list(first.values())
    prompts = [prompt_of(place.record, place.schema) for place in places]
    number_others = sum(bool(place.file) for place in places)
    tell = partial(progress, "comparing prompts") if progress else None
    found = near_prompts(prompts, number_others, threshold, tell)
    for (i, leaks), (j, similarity) in found.items():
        here, there = places[i], places[j]
        if leaks:
            message = (
                f"leakage: nearly the same prompt is in {there.file}, line {there.line} "
                f"(similarity {similarity:.2f})"
            )
            _add_leak(report, here.line, "leakage-near", message)
            continue
        if here.record.get("group") and here.record.get("group") == there.record.get("group"):
            continue  # known already, and a split keeps them together
        where = f"{report.unit} {there.line}"
        message = f"nearly the same prompt as {where} (similarity {similarity:.2f})"
        cure = "Give both the same `group`, so that a split keeps them in one part."
        problem = Problem(here.line, "near-duplicate", "warning", message, cure)
        report.problems.append(problem)


# ---------------------------------------------------------------------------------------------
# Reading and writing
# ---------------------------------------------------------------------------------------------


def read_records(path: str | os.PathLike, schema: str = "auto") -> list[dict]:
    """The records of a file; the first error is a CourseError "file:line: ...".

    They have the fields of one schema and no other: what the check calls unknown is dropped here.
    Only what stands on one line counts; duplicates and leakage are for `check_file`.
    """
    source = open_source(path)
    if source.what:
        raise source.refusal()
    schema = _choose_schema(source, schema)
    records = []
    for row in source.rows():
        line, problems = _check_line(row, schema, set())
        _raise_first(source, problems)
        if line.record is not None:
            records.append(line.record)
    return records


def read_objects(path: str | os.PathLike, cure: str = "") -> list[tuple[int, dict]]:
    """(line, object) of any file of JSON lines, such as questions; no schema is asked for.

    `cure`: what to do about a file of another kind, where `course data check` is no help.
    """
    source = open_source(path)
    if source.what:
        raise source.refusal(cure)
    found = []
    for row in source.rows():
        content, _, problems = read_line(row, set())
        _raise_first(source, problems)
        if content is not None:
            found.append((row[0], content))
    return found


def _raise_first(source: Source, problems: Iterable[Problem]) -> None:
    for problem in problems:
        if problem.severity == "error":
            cure = source.named(problem).cure
            raise CourseError(f"{source.path}:{problem.line}: {problem.message}", cure)


def write_records(path: str | os.PathLike, records: Iterable[Mapping]) -> Path:
    """Write JSON lines; the file appears whole or not at all. Returns the path."""
    path = _to_target(path)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for number, record in enumerate(records, start=1):
            file.write(_to_line(path, number, record))
    return path


def _to_target(path: str | os.PathLike) -> Path:
    path = Path(path)
    if path.is_dir() or "\0" in str(path):
        raise CourseError(
            f"{show(str(path), 200)}: a folder, not a file name", "Give the name of a new file."
        )
    return path


def _to_line(path: Path, number: int, record: Mapping) -> str:
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise CourseError(
            f"{path}: record {number} cannot be written as JSON ({show(str(error), 80)})",
            "Use only texts in a record.",
        ) from error
    return text + "\n"


def write_corrected(report: CheckReport, path: str | os.PathLike) -> dict[str, object]:
    """Write the right records and those that could be put right without judgement.

    Returns {"written": records, "fixed": {fix: lines}, "dropped": {kind: lines}}. Left out are
    lines with an error that only a person can decide, duplicates, and both sides of a conflict.
    """
    path = _to_target(path)
    if path.exists() and path.samefile(report.path):
        raise CourseError(f"{path}: this is the checked file itself", "Choose another name.")
    kept = [line for line in report.fixable if line.number not in report.dropped]
    if not kept:
        raise CourseError(
            f"{report.path}: no record is left to write", "Correct the errors by hand first."
        )
    write_records(path, (line.corrected for line in kept))
    return {
        "written": len(kept),
        "fixed": dict(Counter(fix for line in kept for fix in line.fixes).most_common()),
        "dropped": dict(Counter(report.dropped.values()).most_common()),
    }
