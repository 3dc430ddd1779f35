"""Week 5, part 5: the report. It is opened inside the sandbox; only its text comes back."""

import base64
import importlib.util
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from course_utils import models
from course_utils.assignments.folder import json_object, number_in, show
from course_utils.assignments.week05 import ADAPTER, REPORTS, TRAINING
from course_utils.errors import CourseError
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK05, note_stated, reading, unmet
from course_utils.grading.judging.judgement import Judgement, earned, failed, not_judged
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence

READ = "course_utils.grading.judging.files.report_text:read"
SECONDS = 120  # for one report
LEAST_PAGES = 4
LEAST_DIGITS = 3  # of a loss, as `course report` prints it; or two behind the point
NUMBER = re.compile(r"(?<![\d.,])\d+(?:[.,]\d+)?(?!\d|\.\d)")
INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")  # where a long word may break


@dataclass(frozen=True)
class Report:
    """One report's pages; `problem` says why it does not open, `missing` what we lack to try."""

    name: str
    pages: tuple[str, ...] = ()
    count: int = 0
    problem: str = ""
    missing: str = ""


@check(WEEK05)
def report_opens(case: Case) -> Judgement:
    """All points for a report that opens, has four pages, and names base model and loss."""
    if problem := unmet(case, "report"):
        return problem
    with reading(case, TRAINING):
        base, loss = _told(case)
    judged = [_judge(case, report, base, loss) for report in reports_of(case)]
    scored = [judgement for judgement in judged if judgement.points is not None]
    best = max(scored, key=lambda own: own.points or 0, default=judged[0])
    return best if best.points or len(scored) == len(judged) else judged[0]


def reports_of(case: Case) -> list[Report]:
    """report.pdf and report.pptx, as far as they are there; read once."""
    if "reports" not in case.facts:
        names = [n for n in REPORTS if n in case.folder.files and not case.folder.size_problem(n)]
        case.facts["reports"] = [_read(case, name) for name in names]
    return case.facts["reports"]


def _read(case: Case, name: str) -> Report:
    kind = PurePosixPath(name).suffix[1:]
    if kind == "pdf" and importlib.util.find_spec("pypdf") is None:
        cure = "the grader needs pypdf for it: pip install -r requirements-grading.txt"
        return Report(name, missing=f"{name} could not be read here: {cure}")
    content = base64.b64encode(case.folder.bytes_of(name)).decode()
    limits = case.limits.with_changes(wall=SECONDS)
    request = {"kind": kind, "content": content}
    outcome, answer = case.box.call(READ, request, case.box.place(), limits)
    case.facts[f"outcome of {name}"] = outcome
    if not outcome.verdict.ok:
        return Report(name, problem=f"reading it ended: {outcome.verdict.text}")
    return _report(name, answer)


def _report(name: str, answer: Any) -> Report:
    """What came back, its form checked: a stranger's file was read."""
    problem = answer.get("problem") if isinstance(answer, dict) else "no answer"
    if problem:
        return Report(name, problem=show(problem, 200))
    pages, count = answer.get("pages"), answer.get("count")
    if not isinstance(pages, list) or not isinstance(count, int):
        return Report(name, problem="no answer")
    return Report(name, tuple(str(page) for page in pages), count)


# --- Judging ------------------------------------------------------------------------------------


def _told(case: Case) -> tuple[str, float]:
    """(base model, final validation loss) of training.json."""
    if TRAINING not in case.folder.files or case.folder.size_problem(TRAINING):
        raise CourseError(f"{TRAINING}: not there, or too large", "train with train_lora.py")
    content = json_object(case.folder.json(TRAINING))
    config = f"{ADAPTER}/adapter_config.json"
    name = content.get("base_model")
    if not name and config in case.folder.files and not case.folder.size_problem(config):
        name = json_object(case.folder.json(config)).get("base_model_name_or_path")
    return str(name or ""), number_in(content["eval_loss"], "eval_loss")


def _judge(case: Case, report: Report, base: str, loss: float) -> Judgement:
    if report.missing:
        return not_judged(report.missing)
    if report.problem:
        evidence = Evidence(label=report.name, found=f"does not open ({report.problem})")
        closed = say("week05.judged.report_closed", name=report.name)
        return failed(evidence, feedback=advise(closed))
    text = INVISIBLE.sub("", "\n".join(report.pages))
    named, stated = names_model(text, base), names_loss(text, loss)
    figure = f"{report.name}: validation loss"
    note_stated(case, figure, stated or "not named", f"{loss:.4g}", bool(stated))
    evidence = [
        Evidence(label="pages or slides", found=f"{report.count}"),
        Evidence(
            label="base model", found=show(base, 80), stated="named" if named else "not named"
        ),
        Evidence(label="validation loss", found=f"{loss:.4g}", stated=stated or "not named"),
    ]
    wanted = {
        f"at least {LEAST_PAGES} pages or slides": report.count >= LEAST_PAGES,
        f"the base model's name ({show(base, 80)})": named,
        f"the final validation loss of {TRAINING}": bool(stated),
    }
    lacking = [what for what, done in wanted.items() if not done]
    if lacking:
        lacks = say("week05.judged.report_lacks", name=report.name, lacking=" and ".join(lacking))
        return failed(*evidence, feedback=advise(lacks))
    return earned(case, 1, *evidence)


def names_model(text: str, base: str) -> bool:
    """Whether a text names a model, by its name or its last part; spelling apart."""
    known = [base, base.replace("\\", "/").rstrip("/").rpartition("/")[2]]
    known += [own.hub for own in models.registry().values() if own.name == base and own.hub]
    plain = _letters(text)
    return any(_letters(name) and _letters(name) in plain for name in known)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def names_loss(text: str, loss: float) -> str:
    """The number of a text that is the loss, rounded to three digits or more; "" for none."""
    for found in NUMBER.findall(text):
        decimal = found.replace(",", ".")
        digits, value = len(decimal.partition(".")[2]), float(decimal)
        exact = len(decimal.replace(".", "").lstrip("0")) >= LEAST_DIGITS or digits >= 2
        if (exact and abs(value - loss) <= 0.5001 * 10**-digits) or value == loss:
            return found
    return ""
