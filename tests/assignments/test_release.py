"""A release gives nothing away: every way to lose a marker stops it, and nothing is written."""

import json
import re
import shutil

import pytest

from course_utils.assignments import regions, release
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.errors import CourseError

SCRIPT, NOTEBOOK = "scripts/train.py", "finetuning_pipeline.ipynb"
BOTH = {
    "manufacturing": (SCRIPT, NOTEBOOK),
    "parameter_lab": ("README.md", "parameter_analysis.ipynb"),
}
BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(params=ASSIGNMENTS)
def name(request):
    return request.param


@pytest.fixture
def solution(name, tmp_path):
    target = tmp_path / "solution"
    source = ASSIGNMENTS[name].path / "solution"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "run"))
    return target


@pytest.fixture
def stopped(solution, name, tmp_path):
    """The message of a release that is refused; an earlier starter stays as it was."""

    def stop():
        target = tmp_path / "starter"
        shutil.copytree(ASSIGNMENTS[name].path / "starter", target)
        before = files(target)
        with pytest.raises(CourseError) as error:
            release.make_starter(solution, target, name)
        assert files(target) == before
        assert error.value.cure
        return error.value.message

    return stop


def edit(path, change):
    """Change a file's lines; of a notebook those of the first cell that holds a marker."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        path.write_text("\n".join(change(text.split("\n"))), encoding="utf-8")
        return
    content = json.loads(text)
    cell = next(c for c in content["cells"] if BEGIN in "".join(c["source"]))
    cell["source"] = "\n".join(change("".join(cell["source"]).split("\n")))
    path.write_text(json.dumps(content), encoding="utf-8")


def first(lines, what):
    return next(number for number, line in enumerate(lines) if what in line)


def without(lines, *marks, every=False):
    """Lines without the first line that holds each mark, or without all of them."""
    if every:
        return [line for line in lines if not any(mark in line for mark in marks)]
    gone = {first(lines, mark) for mark in marks}
    return [line for number, line in enumerate(lines) if number not in gone]


def instead(lines, mark, text):
    at = first(lines, mark)
    return [*lines[:at], lines[at].replace(mark, text), *lines[at + 1 :]]


def begin_moved_down(lines):
    at = first(lines, BEGIN)
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def marker_behind_words(lines):
    at = first(lines, BEGIN)
    words = "config = read_config(folder, strictly=True)"
    return [*lines[:at], f"{words} {lines[at].strip()}", *lines[at + 1 :]]


def a_second_begin(lines):
    at = first(lines, END)
    return [*lines[:at], lines[first(lines, BEGIN)], *lines[at:]]


def closed_at_once(lines):
    start, end = first(lines, BEGIN), first(lines, END)
    return [*lines[: start + 1], lines[end], *lines[start + 1 : end], *lines[end + 1 :]]


LOST = {
    "begin lost": (lambda t: without(t, BEGIN), "END SOLUTION without BEGIN SOLUTION"),
    "end lost": (lambda t: without(t, END), "is still open|without END SOLUTION"),
    "both lost": (lambda t: without(t, BEGIN, END), r"lists \d+ lines? of"),
    "all lost": (lambda t: without(t, BEGIN, END, every=True), r"the markers take out \d+"),
    "begin misspelt": (lambda t: instead(t, BEGIN, "BEGIN SOLUTON"), "looks like one"),
    "end misspelt": (lambda t: instead(t, END, "EN SOLUTION"), "looks like one"),
    "both misspelt": (
        lambda t: instead(instead(t, BEGIN, "BEGINN SOLUTION"), END, "END SOLUTIONS"),
        "looks like one",
    ),
    "small letters": (
        lambda t: instead(instead(t, BEGIN, "begin solution"), END, "end solution"),
        "looks like one",
    ),
    "one word": (lambda t: instead(t, BEGIN, "BEGIN_SOLUTION"), "looks like one"),
    "the other way round": (lambda t: instead(t, BEGIN, "SOLUTION BEGIN"), "looks like one"),
    "begin moved down": (begin_moved_down, r"the markers take out|with nothing in it"),
    "behind other words": (marker_behind_words, "looks like one"),
    "nested": (a_second_begin, "is still open"),
    "closed at once": (closed_at_once, "a region with nothing in it"),
    "swapped": (
        lambda t: instead(instead(instead(t, BEGIN, "X"), END, BEGIN), "X", END),
        "END SOLUTION without BEGIN SOLUTION",
    ),
}


@pytest.mark.parametrize("number", [0, 1], ids=["text", "notebook"])
@pytest.mark.parametrize("way", LOST)
def test_a_lost_marker_stops_the_release(solution, stopped, name, way, number):
    change, says = LOST[way]
    file = BOTH[name][number]
    edit(solution / file, change)
    message = stopped()
    assert re.search(says, message), message
    assert file in message


@pytest.mark.parametrize("number", [0, 1], ids=["text", "notebook"])
def test_a_problem_names_file_and_line_and_cure(solution, stopped, name, number):
    file = BOTH[name][number]
    edit(solution / file, LOST["begin lost"][0])
    [place] = [line for line in stopped().splitlines() if "without BEGIN" in line]
    assert place.strip().startswith(f"{file}, ")
    assert "line " in place


def test_all_problems_are_told_at_once(solution, stopped, name):
    for file in BOTH[name]:
        edit(solution / file, LOST["begin misspelt"][0])
    (solution / "grading_notes.md").write_text("Ada wrote this.\n", encoding="utf-8")
    message = stopped()
    assert all(file in message for file in (*BOTH[name], "grading_notes.md"))
    assert message.count("Cure: ") >= 5


def test_a_new_file_is_nobodys_to_hand_out(solution, stopped):
    (solution / "grading_notes.md").write_text("Ada wrote this.\n", encoding="utf-8")
    assert "grading_notes.md: it is new" in stopped()


def test_a_picture_is_named_and_no_traceback(solution, stopped):
    (solution / "figure.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    assert "figure.png: it is new" in stopped()


def test_a_listed_file_that_is_no_text_is_named(solution, stopped, name):
    (solution / BOTH[name][0]).write_bytes(b"\xff\xfe\x00")
    assert f"{BOTH[name][0]}: it is no text" in stopped()


def test_a_notebook_that_is_none_is_named(solution, stopped, name):
    (solution / BOTH[name][1]).write_text("[]", encoding="utf-8")
    assert f"{BOTH[name][1]}: it is no text, or no notebook" in stopped()


def test_a_file_that_is_gone_is_named(solution, stopped, name):
    (solution / BOTH[name][0]).unlink()
    assert f"{BOTH[name][0]}: assignment.yaml lists it, and it is not there" in stopped()


def test_a_link_is_followed_into_the_starter_only_if_it_is_listed(solution, stopped, tmp_path):
    (tmp_path / "secret.txt").write_text("hidden records", encoding="utf-8")
    (solution / "notes.txt").symlink_to(tmp_path / "secret.txt")
    assert "notes.txt: it is new" in stopped()


def test_a_new_region_is_listed_first(solution, stopped, name):
    extra = [
        "## Another part",
        "",
        "<!-- ### BEGIN SOLUTION -->",
        "Words.",
        "<!-- ### END SOLUTION -->",
    ]
    edit(solution / "README.md", lambda lines: [*lines, *extra])
    assert "'Another part'" in stopped()


@pytest.mark.parametrize("number", [0, 1], ids=["text", "notebook"])
def test_a_line_of_the_solution_outside_its_region_is_found(solution, stopped, name, number):
    def copied(lines):
        at = first(lines, BEGIN)
        line = next(own for own in lines[at + 1 :] if release.telling([own]))
        return [*lines, line]

    edit(solution / BOTH[name][number], copied)
    assert "is a line of the solution" in stopped()


def test_an_answer_that_was_saved_in_an_output_does_not_reach_the_starter(solution, name, tmp_path):
    path = solution / BOTH[name][1]
    content = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "the solved answer"}]
    path.write_text(json.dumps(content), encoding="utf-8")
    release.make_starter(solution, tmp_path / "starter", name)
    assert "the solved answer" not in (tmp_path / "starter" / BOTH[name][1]).read_text("utf-8")


def test_the_list_has_every_region_and_file_of_the_committed_solutions(name):
    about = ASSIGNMENTS[name]
    for file, wanted in about.solution.regions.items():
        text = (about.path / "solution" / file).read_text(encoding="utf-8")
        assert regions.read_regions(file, text).counts() == wanted


@pytest.mark.parametrize(
    "line",
    [
        "The solution of this equation ends at the beginning of section 2.",
        "# 3. What the reference solution gets",
        "model.end()",
        "one_solution = 3",
        "The end.",
    ],
)
def test_prose_and_code_are_no_markers(line):
    assert not regions.looks_like_a_marker(line)
