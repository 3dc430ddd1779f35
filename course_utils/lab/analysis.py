"""What is still missing in `parameter_analysis.ipynb`: 13 parameters, four answers each, a figure.

    analysis.recorded("learning_rate")       # the measured runs, as a table
    analysis.draw_recorded("learning_rate")  # and as a figure
    analysis.check("learning_rate")          # what this section still lacks
    analysis.check_all()                     # one line for each of the 13
    analysis.show_answers()                  # base, tuned model and cheap rivals, from part B
    analysis.find_gaps(notebook)             # the same for a notebook that was read as JSON

It reads a section's heading (`### learning_rate`) and the four questions below it, wherever the
answers continue. Whether an answer is right is for a person to judge; this only sees that it is
there, in your own words, and that it leans on something measured.
"""

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, drawing, models, records
from course_utils.checks import Verdict
from course_utils.errors import CourseError
from course_utils.files import read_json
from course_utils.lab import own_words, parameters
from course_utils.lab import plots as lab_plots
from course_utils.lab import questions as lab_questions
from course_utils.lab import recorded as lab_recorded
from course_utils.lab.parameters import PARAMETERS, QUESTIONS, text_of
from course_utils.lab.plots import Context
from course_utils.lab.sweeps import VALUES, read_sweep
from course_utils.messages import MORE, Explained, Room, Said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from course_utils.lab.parameters import Value
    from course_utils.lab.plots import Context

MESSAGES = Room(__file__)
NOTEBOOK = "parameter_analysis.ipynb"
ANSWERS = ("answers.json", "held_out_answers.json")
LEAST_WORDS = 12  # different ones: a word that is repeated explains nothing
ALIKE = 0.6  # share of common three-word runs from which an answer counts as a copy
LARGEST = 2_000_000  # characters of text; a notebook with more is no analysis
PLACEHOLDER = re.compile(
    r"YOUR (?:ANSWER|CODE) HERE|\b(?:TODO|TBD|FIXME)\b|lorem ipsum|^[^\S\n]*\.{3}[^\S\n]*$",
    re.I | re.M,
)
EVIDENCE = re.compile(
    r"\d|\b(?:figures?|fig|plots?|panels?|curves?|charts?|tables?|runs?|sweeps?|sliders?)\b", re.I
)
# Other spellings of a heading that a reader would take for the same.
ALSO = {"max_length / max_new_tokens": "max_length", "bf16 / fp16": "precision"}


@dataclass(frozen=True)
class Gap:
    """One thing that a section lacks."""

    parameter: str
    question: str  # a key of QUESTIONS, "figure", or "" for the whole section
    said: Said

    @property
    def message(self) -> str:
        """What was found."""
        return self.said.found

    @property
    def cure(self) -> str:
        """What to do about it."""
        return self.said.cure

    def __str__(self) -> str:
        return f"{self.message}: {self.cure} ({self.said.id})"


@dataclass
class Section:
    """What stands under one parameter's heading."""

    answers: dict[str, str] = field(default_factory=dict)  # question -> text
    code: list[Mapping[str, Any]] = field(default_factory=list)


# --- Reading the notebook -----------------------------------------------------------------------


def read_sections(notebook: Mapping[str, Any]) -> dict[str, Section]:
    """Parameter -> its section; a parameter without a heading has none.

    Raises CourseError for a content that is no notebook, or that is too long to be one.
    """
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if not isinstance(cells, list):
        raise Explained(MESSAGES.say("analysis.no_notebook"))
    sources = ["".join(cell["source"]) for cell in cells]
    if sum(map(len, sources)) > LARGEST:
        raise Explained(MESSAGES.say("analysis.too_long", most=LARGEST))
    sections: dict[str, Section] = {}
    name, level, question = "", 0, ""
    for cell, source in zip(cells, sources, strict=True):
        if cell["cell_type"] == "code" and name:
            sections[name].code.append(cell)
        if cell["cell_type"] != "markdown":
            continue
        for line, is_text in _lines(_without_comments(source)):
            marks, heading = _heading(line) if is_text else (0, "")
            asked, rest = _question(line) if is_text else ("", "")
            if marks and (found := _parameter(heading)):
                name, level, question = found, marks, ""
                sections.setdefault(name, Section())
            elif marks and not asked and marks <= level:  # a deeper one is the student's own
                name, level, question = "", 0, ""
            elif name and asked:
                question = asked
                answers = sections[name].answers
                answers[question] = answers.get(question, "") + rest + "\n"
            elif name and question:
                sections[name].answers[question] += line + "\n"
    return sections


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is text: in a code block `# x` is no heading."""
    fenced = False
    for line in text.splitlines():
        mark = line.lstrip().startswith(("```", "~~~"))
        fenced ^= mark
        yield line, not (fenced or mark)


def _without_comments(text: str) -> str:
    """The text without <!-- ... -->, which no reader sees."""
    kept, place = [], 0
    while (start := text.find("<!--", place)) >= 0:
        kept.append(text[place:start])
        end = text.find("-->", start)
        if end < 0:
            return "".join(kept)
        place = end + 3
    return "".join([*kept, text[place:]])


def _heading(line: str) -> tuple[int, str]:
    """(level, words) of a Markdown heading, without its marks; (0, "") for any other line."""
    stripped = line.strip()
    marks = len(stripped) - len(stripped.lstrip("#"))
    if not 1 <= marks <= 6 or not stripped[marks : marks + 1].isspace():
        return 0, ""
    return marks, stripped[marks:].strip().rstrip("#").strip()


def _parameter(heading: str) -> str:
    """The parameter that a heading names, or ""."""
    plain = re.sub(r"^\d+\s*[.):]?\s+", "", heading.strip("`*_ ")).replace("`", "").strip()
    plain = ALSO.get(plain, plain)
    return plain if plain in PARAMETERS else ""


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


_ASKED = {key: _plain(question) for key, question in QUESTIONS.items()}


def _question(line: str) -> tuple[str, str]:
    """(the question that a line asks, what follows it on the same line), or ("", "")."""
    text = line.strip().strip("#*_>- \t")
    asked, mark, rest = text.partition("?")
    for key, wanted in _ASKED.items():
        if mark and _plain(asked) == wanted:
            return key, rest.strip("*_: \t")
    return "", ""


# --- What is missing ----------------------------------------------------------------------------


def find_gaps(
    notebook: Mapping[str, Any], executed: bool = False, believe_marks: bool = True
) -> list[Gap]:
    """What the 13 sections lack, in their order; empty when all is there.

    With `executed`, a section also needs the figure itself among its outputs, and no error. A
    notebook with the marks of the reference solution is not compared with it, unless
    `believe_marks` is False.
    """
    sections = read_sections(notebook)
    copies = _copies(sections)
    solution = not (believe_marks and own_words.is_reference(notebook))
    for name, section in sections.items():
        for key, answer in section.answers.items():
            if key not in copies[name] and (place := own_words.source_of(answer, solution)):
                told = {"question": QUESTIONS[key], "place": place}
                copies[name][key] = MESSAGES.say("analysis.not_own", **told)
    return [
        gap
        for name in PARAMETERS
        for gap in _gaps_of(name, sections.get(name), copies[name], executed)
    ]


def sections_of_code(notebook: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """The code cells that are not empty, each with the section it stands in ("" for none)."""
    names = {id(c): name for name, own in read_sections(notebook).items() for c in own.code}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [(cell, names.get(id(cell), "")) for cell in cells if "".join(cell["source"]).strip()]


def _gaps_of(
    name: str, section: Section | None, copies: Mapping[str, Said], executed: bool
) -> Iterator[Gap]:
    if section is None:
        yield Gap(name, "", MESSAGES.say("analysis.no_section", name=name))
        return
    for key, question in QUESTIONS.items():
        if problem := _answer_problem(question, section.answers.get(key)):
            yield Gap(name, key, problem)
        elif key in copies:
            yield Gap(name, key, copies[key])
    yield from _without_evidence(name, section.answers)
    if problem := _figure_problem(section.code, executed):
        yield Gap(name, "figure", problem)


def _answer_problem(question: str, answer: str | None) -> Said | None:
    if answer is None:
        return MESSAGES.say("analysis.question_removed", question=question)
    if PLACEHOLDER.search(answer):
        return MESSAGES.say("analysis.placeholder", question=question)
    if not answer.strip():
        return MESSAGES.say("analysis.no_answer", question=question)
    count = len(set(_plain(answer).split()))
    if count < LEAST_WORDS:
        words = f"{count} different word{'' if count == 1 else 's'}"
        values = {"question": question, "words": words, "least": LEAST_WORDS}
        return MESSAGES.say("analysis.too_few_words", **values)
    return None


def _without_evidence(name: str, answers: Mapping[str, str]) -> Iterator[Gap]:
    """An effect, and a choice, that rest on nothing; answers that are missing were named before."""
    written = {key: text for key, text in answers.items() if not _answer_problem("", text)}
    effects = [written[key] for key in ("increase", "decrease") if key in written]
    if len(effects) == 2 and not any(map(EVIDENCE.search, effects)):
        question = QUESTIONS["increase"]
        said = MESSAGES.say("analysis.no_evidence", "effects", question=question)
        yield Gap(name, "increase", said)
    if "choice" in written and not EVIDENCE.search(written["choice"]):
        said = MESSAGES.say("analysis.no_evidence", "choice", question=QUESTIONS["choice"])
        yield Gap(name, "choice", said)


def _figure_problem(code: Iterable[Mapping[str, Any]], executed: bool) -> Said | None:
    written = [cell for cell in code if not _is_check("".join(cell["source"]))]
    if not written:
        return MESSAGES.say("analysis.no_figure")
    if any(PLACEHOLDER.search("".join(cell["source"])) for cell in written):
        return MESSAGES.say("analysis.figure_placeholder")
    outputs = [output for cell in written for output in cell.get("outputs", ())]
    if executed and any(output.get("output_type") == "error" for output in outputs):
        return MESSAGES.say("analysis.cell_error")
    if executed and not any(_is_picture(output) for output in outputs):
        return MESSAGES.say("analysis.figure_not_saved")
    return None


def _is_check(source: str) -> bool:
    """Whether a code cell does nothing but ask for this check (or is empty)."""
    lines = [line for line in source.splitlines() if line.strip() and line.strip()[0] != "#"]
    return all(line.startswith("analysis.check") for line in lines) and "YOUR CODE" not in source


def _is_picture(output: Mapping[str, Any]) -> bool:
    return bool({"image/png", "image/svg+xml", "image/jpeg"} & set(output.get("data", ())))


def _copies(sections: Mapping[str, Section]) -> dict[str, dict[str, Said]]:
    """Parameter -> question -> which earlier answer says it in (nearly) the same words."""
    found: dict[str, dict[str, Said]] = defaultdict(dict)
    seen: list[tuple[str, str, set]] = []
    for name in PARAMETERS:
        for key, answer in (sections[name].answers if name in sections else {}).items():
            words = _plain(answer).split()
            own = set(zip(words, words[1:], words[2:], strict=False))
            if len(set(words)) < LEAST_WORDS:
                continue  # too short, which is said already
            for other, question, theirs in seen:
                if len(own & theirs) >= ALIKE * len(own | theirs):
                    place = "this section" if other == name else other
                    place = f"{place}, “{QUESTIONS[question]}”"
                    told = {"question": QUESTIONS[key], "place": place}
                    found[name][key] = MESSAGES.say("analysis.copied", **told)
                    break
            seen.append((name, key, own))
    return found


# --- In the notebook ----------------------------------------------------------------------------


def own_settings(folder: str | Path = ".") -> dict[str, "Value"]:
    """The values that your training.json was made with; the lab's start values before there is one.

    Raises CourseError for a training.json that train_lora.py did not write.
    """
    path = Path(folder) / "training.json"
    if not path.is_file():
        return parameters.start_values()
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise CourseError(f"{path}: it names no parameters", "train again with train_lora.py")
    return parameters.checked(content["parameters"])


def own_context(folder: str | Path = ".") -> "Context":
    """What the lab's figures need of your own work: lengths of records.jsonl, your training's log.

    What is not there yet stays empty, and the figure says so.
    """
    data, training = Path(folder) / "records.jsonl", Path(folder) / "training.json"
    found: dict[str, Any] = {}
    if data.is_file():
        own = records.read_records(data, "geology")
        tokenizer = models.load_tokenizer(models.EMBEDDED)
        tokens = [chat.tokenize_record(record, tokenizer) for record in own]
        found["records"] = len(own)
        found["lengths"] = [len(row.input_ids) for row in tokens]
        found["prompt_lengths"] = [row.prompt_length for row in tokens]
    if training.is_file():
        found["log"] = read_json(training)["log"]
    return Context(**found)


def about_own(folder: str | Path = ".") -> str:
    """What there is of your own work, and what the figures take where there is nothing yet."""
    data, training = Path(folder) / "records.jsonl", Path(folder) / "training.json"
    placeholder = f"{Context().records:,} records, a placeholder"
    told = f"no records.jsonl yet: the figures count with {placeholder}"
    if data.is_file():
        told = f"records.jsonl: {len(records.read_records(data, 'geology')):,} records"
    values = ", ".join(f"{name} {text_of(value)}" for name, value in own_settings(folder).items())
    where = "training.json" if training.is_file() else "the lab's start values, no training yet"
    return f"{told}\n{where}: {values}"


def draw(name: str, settings: Mapping[str, Any], context: "Context | None" = None) -> "Figure":
    """The lab's figure of a parameter: what follows by arithmetic from these settings."""
    return lab_plots.figure_of(name, dict(settings), context)


def draw_recorded(name: str) -> "Figure":
    """The recorded runs of a parameter: losses, score, time and memory, with the spread.

    Raises CourseError when the kit's sweep files are missing.
    """
    return lab_recorded.plot_recorded(read_sweep(name))


def about_recorded() -> None:
    """Print what the recorded runs have in common: model, records, and the centre's values."""
    try:
        start = read_sweep("start")
        others = [read_sweep(name) for name in VALUES]
    except CourseError as error:
        print(f"{error.message}. {error.cure}")
        return
    about = start.about
    print(f"{about['track']}; {about['base_model']}; {about['train_records']} training records")
    print("centre:", ", ".join(f"{k} {text_of(value)}" for k, value in about["centre"].items()))
    if older := lab_recorded.not_yet(start, others):
        print(older)


def recorded(name: str) -> None:
    """Print the recorded runs of a parameter: for each value the mean over seeds, and the range."""
    try:
        sweep, start = read_sweep(name), read_sweep("start")
    except CourseError as error:
        print(f"{error.message}. {error.cure}")
        return
    print(f"{name:<27} runs" + "".join(f"{title:>26}" for title in COLUMNS.values()))
    groups = lab_recorded.by_value(sweep)
    for value, own in groups.items():
        cells = [_mean_and_range(lab_recorded.measured(own, column)) for column in COLUMNS]
        print(f"{text_of(value):<27} {len(own):>4}" + "".join(f"{cell:>26}" for cell in cells))
    print(lab_recorded.headline(sweep) if groups.keys() - [value] else "no other value was run")
    if older := lab_recorded.not_yet(start, [sweep]):
        print(older)


def show_answers(folder: str | Path = ".") -> None:
    """Print the scores of base model, adapter and cheap rivals, as inference_lora.py stored them.

    Raises CourseError for a file that inference_lora.py did not write.
    """
    paths = [path for name in ANSWERS if (path := Path(folder) / name).is_file()]
    if not paths:
        print(f"no {ANSWERS[0]} yet: part B makes it; run this cell again after inference_lora.py")
    for path in paths:
        content = read_json(path)
        try:
            told = lab_questions.table(content, show=0)
        except (LookupError, TypeError, ValueError, AttributeError):
            message = f"{path}: not what inference_lora.py writes"
            raise CourseError(message, "ask the questions again with it") from None
        print(f"{path.name}:{told}")


COLUMNS = {
    "eval_loss": "validation loss",
    "field_f1": "field F1",
    "cpu_seconds": "processor seconds",
}


def _mean_and_range(values: Sequence[float]) -> str:
    if not values:
        return "diverged"
    low, mean, high = map(
        drawing.plain_number, (min(values), sum(values) / len(values), max(values))
    )
    return f"{mean} ({low} to {high})" if values[1:] else mean


def check(name: str, folder: str | Path = ".") -> Verdict:
    """Print what the section of this parameter still lacks; True when nothing.

    It reads the notebook as it was saved last.
    """
    if name not in PARAMETERS:
        print(f"Not yet: {name} is none of the 13 parameters: {', '.join(PARAMETERS)}")
        return Verdict(False)
    found = _saved(folder)
    if isinstance(found, str):
        print(f"Not yet: {found}")
        return Verdict(False)
    notebook, when = found
    gaps = [gap for gap in find_gaps(notebook) if gap.parameter == name]
    if gaps:
        print(f"Not yet, {name} ({when}):", *(f"  {gap}" for gap in gaps), MORE, sep="\n")
    else:
        print(f"Complete: {name} has its four answers and a figure ({when}).")
    return Verdict(not gaps)


def check_all(folder: str | Path = ".") -> Verdict:
    """Print one line for each of the 13 sections; True when none lacks anything."""
    found = _saved(folder)
    if isinstance(found, str):
        print(f"Not yet: {found}")
        return Verdict(False)
    notebook, when = found
    gaps: dict[str, list[Gap]] = defaultdict(list)
    for gap in find_gaps(notebook):
        gaps[gap.parameter].append(gap)
    for number, name in enumerate(PARAMETERS, start=1):
        own = gaps[name]
        more = f" (and {len(own) - 1} more)" if own[1:] else ""
        print(f"{number:>2} {name:<28} {f'{own[0]}{more}' if own else 'complete'}")
    missing = sum(bool(own) for own in gaps.values())
    verdict = f"{missing} of 13 sections are not complete" if missing else "all 13 are complete"
    print(f"Not yet: {verdict} ({when})." if missing else f"Complete: {verdict} ({when}).")
    return Verdict(not missing)


def _saved(folder: str | Path) -> tuple[Mapping[str, Any], str] | str:
    """(the notebook, when it was saved), or a sentence that says why there is none."""
    if "google.colab" in sys.modules and (notebook := _from_colab()):
        return notebook, "as it stands now"
    path = Path(folder) / NOTEBOOK
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        saved = time.strftime("%H:%M", time.localtime(path.stat().st_mtime))
        read_sections(notebook)
    except OSError:
        said = MESSAGES.say("analysis.not_there", path=path)
        return f"{said.found} {said.cure}"
    except (CourseError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        said = MESSAGES.say("analysis.not_readable", path=path)
        return f"{said.found} {said.cure}"
    return notebook, f"as saved at {saved}"


def _from_colab() -> Mapping[str, Any] | None:
    """The open notebook: on Colab it is no file of this machine."""
    try:
        from google.colab import _message

        return _message.blocking_request("get_ipynb", request="", timeout_sec=10)["ipynb"]
    except Exception:  # outside a browser, or an interface that changed: the file may be there
        return None
