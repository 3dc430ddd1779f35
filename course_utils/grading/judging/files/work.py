"""What a marker sees beside a manual item: the student's own text, code and figures, bounded.

    case.item.kind == "manual"; work_for(case)   # [Work("text", ...), Work("image", ...)]

Passages are found by the headings of the starter's notebooks; what the starter has too is left out.
Where nothing is found, a line says so: an empty place on the marking page would look like a fault.
"""

import base64
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from course_utils import kit
from course_utils.assignments.folder import Folder, json_object
from course_utils.assignments.week05 import ANALYSIS, QUESTIONS, RECORDS, TRAINING
from course_utils.errors import CourseError
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK05, reading
from course_utils.grading.judging.files.reports import reports_of
from course_utils.grading.judging.files.week05 import ANSWERS
from course_utils.grading.results import Work
from course_utils.lab import analysis, parameters

MOST_TEXT, MOST_PASSAGE = 24_000, 6_000  # characters of an item, of one passage of it
MOST_PICTURES, LARGEST_PICTURE = 4, 300_000  # of an item; characters of its data: address
MOST_WORKS = 60
DRAWN = 5  # records that are read for `records_right`
PIPELINE = "finetuning_pipeline.ipynb"
PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
ENDINGS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
PART = re.compile(r"^[^\S\n]*#{1,3}[^\S\n]*part[^\S\n]*(\d+)\b", re.I | re.M)

# Files beside the notebook's section of the item's part.
FILES = {
    "model_choice": ("reports/model_comparison/*.md",),
    "hyperparameters": ("configs/lora_config.yaml",),
    "error_analysis": ("reports/human_review/*.md",),
    "readme": ("README.md",),
    "data_sources": ("README.md", "data/README.md"),
    "records_right": ("README.md",),
    "qlora": ("run/bonus_qlora/*", "reports/*qlora*", "reports/*qlora*/*"),
    "multi_task": ("run/bonus_multi_task/*", "reports/*multi*task*", "reports/*multi*task*/*"),
    "distributed": ("reports/*distributed*", "reports/*distributed*/*"),
    "instruction_tuning": ("reports/*instruction*", "reports/*instruction*/*"),
    "benchmark": ("reports/*benchmark*", "reports/*benchmark*/*"),
    "own_sweep": ("sweep/*", "sweep/*/*", "figures/*sweep*"),
}
ONLY_FILES = {"readme"}  # what the notebook says besides is another item's
ANSWERED = {"mechanism": ("what",), "effects": ("increase", "decrease"), "choices": ("choice",)}
# Pages of a report that an item is about, by what stands on them.
ABOUT = {
    "records_right": re.compile(r"\b(wrote|written|checked|drafted|source)\b", re.I),
    "questions_read": re.compile(r"\b(expected|asked|answers?|mistakes?|base model)\b", re.I),
    "report_content": re.compile(r"\b(experiments?|compar\w+|loss|settings|curves?)\b", re.I),
    "reflection": re.compile(r"\b(limits?|reflect\w*|assistants?|ten times|must not)\b", re.I),
}


def work_for(case: Case) -> list[Work]:
    """What the student wrote or drew for a manual item; one line where nothing was found."""
    week05 = case.assignment == WEEK05
    try:
        with reading(case, ANALYSIS if week05 else PIPELINE):
            found = _bounded(_week05(case) if week05 else _week09_10(case))
    except CourseError as error:  # a broken notebook: its own check says so, with the cure
        return [_text("Nothing can be shown", f"{error.message}. {error.cure}")]
    if case.item.part == "bonus":  # nobody waits for a bonus that was not tried
        return found
    return found or [_text("Nothing found", f"Looked at: {_looked_at(case)}.")]


def _looked_at(case: Case) -> str:
    """Where an item's work is looked for."""
    places = list(FILES.get(case.item.id, ()))
    if case.assignment == WEEK05:
        places += [ANALYSIS] if case.item.id in ANSWERED else ["the report"]
    elif case.item.part != "bonus" and case.item.id not in ONLY_FILES:
        places.insert(0, f"the section “Part {case.item.part}” of {PIPELINE}")
    return ", ".join(places)


def _bounded(works: Iterable[Work]) -> list[Work]:
    """The first works within the limits; a last line says what was left out."""
    found: list[Work] = []
    letters, pictures, left = 0, 0, 0
    for work in works:
        picture = work.kind == "image"
        full = pictures >= MOST_PICTURES if picture else letters >= MOST_TEXT
        if full or len(found) >= MOST_WORKS:
            left += 1
            continue
        found.append(work)
        pictures += picture
        letters += 0 if picture else len(work.content)
    if left:
        found.append(_text("Not shown", f"{left} further passages or figures: open the submission"))
    return found


def _text(title: str, content: str, kind: str = "text", most: int = MOST_PASSAGE) -> Work:
    return Work(kind=kind, title=_clean(title)[:120], content=_cut(_clean(content), most))


def _clean(text: str) -> str:
    """Text that can be written as UTF-8: a notebook may hold halves of a pair."""
    return text.encode("utf-8", "replace").decode()


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[:most]}\n… ({len(text) - most:,} further characters)"


# --- Weeks 9-10 ---------------------------------------------------------------------------------


def _week09_10(case: Case) -> Iterator[Work]:
    if case.item.id not in ONLY_FILES and case.item.part != "bonus":
        yield from _section(case, int(case.item.part))
    yield from _files(case)


def _section(case: Case, part: int) -> Iterator[Work]:
    """Own text, own code, then outputs and figures, of one part of the notebook."""
    if PIPELINE not in case.folder.files or case.folder.size_problem(PIPELINE):
        return
    cells = _cells(json_object(case.folder.json(PIPELINE)), part)
    given = _starter_cells()
    own = [(n, kind, source) for n, kind, source, _ in cells if _plain(source) not in given]
    code = [(n, cell) for n, kind, _, cell in cells if kind == "code"]
    outputs = [(n, output) for n, cell in code for output in cell.get("outputs", ())]
    texts = [(n, text) for n, output in outputs if (text := _printed(output))]
    pictures = [(n, address) for n, output in outputs if (address := _picture(output))]
    for kind in ("markdown", "code"):
        for number, cell_kind, source in own:
            if cell_kind == kind and source.strip():
                shown = "text" if kind == "markdown" else "code"
                yield _text(f"{PIPELINE}, cell {number}", source, shown)
    for number, address in pictures:
        yield Work(kind="image", content=address, title=f"cell {number}, figure")
    for number, text in texts:
        yield _text(f"cell {number}, output", text, "code", MOST_PASSAGE // 3)


def _cells(content: Mapping[str, Any], part: int) -> list[tuple[int, str, str, dict]]:
    """(number from 1, kind, source, cell) of the part's section."""
    found, current = [], 0
    for number, cell in enumerate(content["cells"], start=1):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and (heading := PART.search(source)):
            current = int(heading[1])
        if current == part:
            found.append((number, cell["cell_type"], source, cell))
    return found


@cache
def _starter_cells() -> frozenset[str]:
    """The cells of the starter's notebook, without their spacing."""
    path = kit.ASSIGNMENTS / "week09_10_manufacturing" / "starter" / PIPELINE
    if not path.is_file():
        return frozenset()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return frozenset(_plain("".join(cell["source"])) for cell in cells)


def _plain(source: str) -> str:
    return " ".join(source.split())


def _printed(output: Mapping[str, Any]) -> str:
    """What a cell printed or showed as text; "" for a figure."""
    if output.get("output_type") == "stream":
        return "".join(output.get("text", ()))
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}"
    data = output.get("data", {})
    return "" if PICTURES.keys() & data.keys() else "".join(data.get("text/plain", ()))


def _picture(output: Mapping[str, Any]) -> str:
    """The data: address of a saved figure; "" for none, for a large one, for what is no image."""
    for kind in PICTURES:
        content = "".join(output.get("data", {}).get(kind, ()))
        if content:
            return _address(kind, "".join(content.split()))
    return ""


def _address(kind: str, content: str) -> str:
    """An image is what it begins with, whatever it is called."""
    if len(content) > LARGEST_PICTURE:
        return ""
    try:
        raw = base64.b64decode(content, validate=True)
    except ValueError:
        return ""
    return f"data:{kind};base64,{content}" if raw.startswith(PICTURES[kind]) else ""


# --- Files --------------------------------------------------------------------------------------


def _files(case: Case) -> Iterator[Work]:
    """Texts, then pictures, of the files that belong to the item."""
    patterns = FILES.get(case.item.id, ())
    names = [
        name
        for name in sorted(case.folder.files)
        if any(_matches(name, pattern) for pattern in patterns)
        and not case.folder.size_problem(name)
    ]
    for name in names:
        yield from _readable(case.folder, name)
    for name in names:
        kind = ENDINGS.get(PurePosixPath(name).suffix.lower())
        if kind:
            raw = base64.b64encode(case.folder.bytes_of(name)).decode()
            if address := _address(kind, raw):
                yield Work(kind="image", content=address, title=_clean(name)[:120])


def _matches(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern from its first part on: README.md is the folder's own."""
    path = PurePosixPath(name)
    return len(path.parts) == pattern.count("/") + 1 and path.match(pattern)


def _readable(folder: Folder, name: str) -> Iterator[Work]:
    kinds = {".md": "text", ".txt": "text", ".yaml": "code", ".yml": "code", ".json": "code"}
    kind = kinds.get(PurePosixPath(name).suffix.lower())
    if kind is None:
        return
    try:
        yield _text(name, folder.text(name), kind)
    except CourseError as error:
        yield _text(name, error.message)


# --- Week 5 -------------------------------------------------------------------------------------


def _week05(case: Case) -> Iterator[Work]:
    name = case.item.id
    if name in ANSWERED:
        yield from _answers(case, ANSWERED[name])
        return
    if name == "records_right":
        yield from _drawn_records(case)
    if name == "questions_read":
        yield from _asked(case)
    if name in ABOUT:
        yield from _pages(case, ABOUT[name])
    if name == "own_sweep":
        yield from _commands(case)
    yield from _files(case)


def _answers(case: Case, asked: tuple[str, ...]) -> Iterator[Work]:
    """The answers to these questions in all sections; the figures of the sections behind them."""
    if ANALYSIS not in case.folder.files or case.folder.size_problem(ANALYSIS):
        return
    sections = analysis.read_sections(json_object(case.folder.json(ANALYSIS)))
    pictures = []
    for name in parameters.PARAMETERS:
        if name not in sections:
            yield _text(name, "This section is not there.")
            continue
        section = sections[name]
        told = [
            f"{parameters.QUESTIONS[question]}\n{section.answers.get(question, '').strip()}"
            for question in asked
        ]
        yield _text(name, "\n\n".join(told), most=MOST_TEXT // len(parameters.PARAMETERS))
        outputs = (output for cell in section.code for output in cell.get("outputs", ()))
        pictures += [(name, address) for o in outputs if (address := _picture(o))]
    if "what" not in asked:
        for name, address in pictures:
            yield Work(kind="image", content=address, title=name)


def _drawn_records(case: Case) -> Iterator[Work]:
    """Five records, drawn with the grader's seed."""
    for number, row in _drawn(_lines(case, RECORDS), case.seed):
        fields = ("instruction", "context", "answer", "source", "group")
        told = "\n".join(f"{name}: {row[name]}" for name in fields if row.get(name))
        yield _text(f"{RECORDS}, line {number}", told)


def _drawn(rows: list[tuple[int, dict]], seed: int) -> list[tuple[int, dict]]:
    drawn = random.Random(f"{seed}/records_right").sample(rows, min(DRAWN, len(rows)))
    return sorted(drawn, key=lambda row: row[0])


def _asked(case: Case) -> Iterator[Work]:
    """Each question with what was expected and what both models answered."""
    base: list[Any] = []
    if ANSWERS in case.folder.files and not case.folder.size_problem(ANSWERS):
        content = _json(case.folder, ANSWERS)
        rows = content.get("answers") if isinstance(content, dict) else None
        base = rows if isinstance(rows, list) else []
    for at, (number, row) in enumerate(_lines(case, QUESTIONS)):
        told = "\n".join(f"{name}: {row.get(name, '')}" for name in
                         ("instruction", "context", "expected", "answer"))  # fmt: skip
        other = base[at].get("base_answer") if at < len(base) and isinstance(base[at], dict) else ""
        yield _text(f"{QUESTIONS}, line {number}", f"{told}\nbase model: {other or 'not stored'}")


def _lines(case: Case, name: str) -> list[tuple[int, dict]]:
    """(line, object) of a file of JSON lines, those that can be read."""
    if name not in case.folder.files or case.folder.size_problem(name):
        return []
    found = []
    for number, line in enumerate(case.folder.text(name).split("\n"), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            found.append((number, row))
    return found


def _pages(case: Case, about: re.Pattern[str]) -> Iterator[Work]:
    """The report's pages that speak of the item; all of them, where none does."""
    for report in reports_of(case):
        if report.problem or report.missing:
            yield _text(report.name, report.problem or report.missing)
        pages = list(enumerate(report.pages, start=1))
        fitting = [(n, text) for n, text in pages if about.search(text)] or pages
        fitting.sort(key=lambda page: -len(about.findall(page[1])))
        for number, text in fitting:
            yield _text(f"{report.name}, page {number}", text, most=MOST_PASSAGE // 2)


def _commands(case: Case) -> Iterator[Work]:
    """The commands and losses of the runs in sweep/."""
    names = [n for n in sorted(case.folder.files) if re.fullmatch(rf"sweep/.*{TRAINING}", n)]
    told = []
    for name in names:
        content = {} if case.folder.size_problem(name) else _json(case.folder, name)
        content = content if isinstance(content, dict) else {}
        told.append(f"{name}: {content.get('command')} → {content.get('eval_loss')}")
    if told:
        yield _text("sweep/: commands and validation losses", "\n".join(told), "code")


def _json(folder: Folder, name: str) -> Any:
    try:
        return folder.json(name)
    except CourseError:
        return None
