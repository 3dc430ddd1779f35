"""`course explain`: one text for a message, a rubric item and a page."""

import doctest
import json
import re
import sys

import pytest
import typer

from course_utils import kit, messages
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.explaining import bearing_on
from course_utils.assignments.rubric import load_rubric
from course_utils.commands import explain
from course_utils.commands import main as cli
from course_utils.lab import parameters
from course_utils.records import validate
from course_utils.settings import Settings

KNOWN = {key: message for _, key, message in messages.everything()}
ITEMS = {name: load_rubric(ASSIGNMENTS[name].path / "rubric.yaml").items for name in ASSIGNMENTS}


@pytest.fixture
def course(monkeypatch, capsys):
    """Run `course ARGUMENTS` in this process: (exit code, everything printed, on one line)."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code or 0, " ".join((said.out + said.err).split())

    return run


def plain(text):
    return " ".join(text.split())


@pytest.mark.parametrize("name", KNOWN)
def test_a_message_is_printed_with_its_four_parts(course, name):
    code, said = course("explain", name)
    assert code == 0
    for heading, text in KNOWN[name].parts().items():
        assert f"{heading} {plain(text)}" in said


def test_without_an_id_every_message_is_listed_by_room(course):
    code, said = course("explain")
    assert code == 0
    places = [said.index(title) for title in explain.ROOMS.values()]
    assert len(set(places)) == len(places)
    for name in KNOWN:
        assert name in said


def test_the_beginning_of_ids_lists_those_that_begin_so(course):
    code, said = course("explain", "week05.questions")
    assert code == 0
    assert "week05.questions.too_few" in said
    assert "week05.records.too_few" not in said


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("week05.records.to_few", "week05.records.too_few"), ("record_enough", "records_enough")],
)
def test_a_wrong_id_suggests_near_ones(course, wrong, near):
    code, said = course("explain", wrong)
    assert code == 1
    assert f"there is no message '{wrong}'" in said
    assert near in said.partition("did you mean")[2]


def test_nonsense_is_told_where_the_list_is(course):
    assert "course explain lists all" in course("explain", "zzzz")[1]


@pytest.mark.parametrize("assignment", ITEMS)
def test_an_item_of_a_rubric_is_printed_with_points_reason_and_messages(course, assignment):
    for item in ITEMS[assignment]:
        code, said = course("explain", item.id)
        assert code == 0
        assert (
            f"{item.id}: {item.title} {assignment}, part {item.part}: {item.points} points" in said
        )
        assert (
            f"What earns the points {plain(item.description)} Why {plain(item.rationale)}" in said
        )
        for name in bearing_on(item.id, assignment):
            assert name in said


def test_an_item_shows_the_messages_of_its_own_assignment_only():
    own = bearing_on("adapter_matches", "week05")
    assert "week05.training.other_adapter" in own
    assert "adapter.not_lora" in own
    assert not [name for name in own if name.startswith("week09_10.")]


def test_every_automatic_item_that_a_submission_can_fail_has_a_message():
    """Some are decided by running something, which `course submit check` never does."""
    run = {"validation_improves", "baseline_reproduced", "answers_reproduced", "unseen_records"}
    run |= {"tuned_beats_base", "interval", "endpoint_answers"}
    for assignment, items in ITEMS.items():
        for item in items:
            if item.kind == "automatic" and item.id not in run:
                assert bearing_on(item.id, assignment), item.id


def test_the_page_holds_every_message_and_asks_nothing_of_the_network(course, tmp_path):
    page = tmp_path / "messages.html"
    code, said = course("explain", "--html", page)
    assert code == 0
    assert str(page) in said
    text = page.read_text(encoding="utf-8")
    for name in KNOWN:
        assert text.count(f'id="{name}"') == 1
        assert f'href="#{name}"' in text
        assert messages.fragment(name) in text
    assert not re.search(r"""(src|href)=["'](?!#)""", text)


def test_the_page_is_of_all_messages_and_takes_no_id(course, tmp_path):
    code, said = course("explain", "folder.link", "--html", tmp_path / "a.html")
    assert code == 2
    assert "leave the ID out" in said


# --- What cures and examples say can be typed -----------------------------------------------------


def commands(group, names=()):
    """(words, command) of all commands."""
    for name, one in group.commands.items():
        deeper = hasattr(one, "commands")
        yield from commands(one, (*names, name)) if deeper else [((*names, name), one)]


COMMANDS = dict(commands(typer.main.get_command(cli.command_line())))
LINES = [
    (name, line)
    for name, message in KNOWN.items()
    for text in (*message.parts().values(), *map(str, message.values.values()))
    for line in text.splitlines()
]
TYPED = re.compile(r"(?:^|[:;`&] ?|=\S+ |run )course ((?:[a-z-]+ ?)+)([^#`()&;]*)")


def test_every_course_command_in_a_cure_or_an_example_exists_with_its_options():
    typed = [(name, *found) for name, line in LINES for found in TYPED.findall(line)]
    assert len(typed) > 20
    for name, words, rest in typed:
        known = [w for w in COMMANDS if words.split()[: len(w)] == list(w)]
        assert known, (name, words)
        options = {option for own in COMMANDS[known[0]].params for option in own.opts}
        used = re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", f"{words} {rest}")
        assert set(used) <= options, (name, words, rest)


def sources_of(script):
    """What the options of this script are read from: the script itself, and what it shares."""
    shared = ["assignments/scripts.py", "lab/parameters.py", "lab/runs.py", "lab/questions.py"]
    paths = [kit.ROOT / "course_utils" / name for name in shared]
    paths += kit.ASSIGNMENTS.glob(f"*/starter/**/{script}.py")
    return "".join(path.read_text(encoding="utf-8") for path in paths)


def test_every_option_of_a_script_in_a_cure_or_an_example_exists():
    typed = [
        (script, option)
        for _, line in LINES
        for script, rest in re.findall(r"python (?:scripts/)?(\w+)\.py([^#`&]*)", line)
        for option in re.findall(r"(?<= --)[a-z]\w*", rest)
    ]
    assert len(typed) > 10
    for script, option in typed:
        assert (
            option in parameters.SETTABLE
            or f'"--{option}"' in sources_of(script)
            or (option in ("bf16", "fp16"))
        ), (script, option)


def test_every_setting_in_an_example_exists():
    runs = [line for _, line in LINES if "course run" in line]
    names = {name for line in runs for name in re.findall(r"-p (\w+) ", line)}
    assert names
    assert names <= Settings.model_fields.keys()


def test_records_and_questions_in_examples_are_right():
    shown = [json.loads(line) for _, line in LINES if line.startswith('{"')]
    records = [row for row in shown if "answer" in row and "expected" not in row]
    assert len(shown) > 5
    assert records
    for record in records:
        assert validate(record, "geology") == []
    for question in (row for row in shown if "expected" in row):
        assert {"instruction", "context", "expected"} <= question.keys()


def test_the_session_in_an_example_prints_what_it_says():
    """Lines behind >>> are run; the line below is their value."""
    sessions = [m for m in KNOWN.values() if m.example.startswith(">>>")]
    assert len(sessions) >= 2
    for message in sessions:
        test = doctest.DocTestParser().get_doctest(message.example, {}, "example", None, 0)
        assert doctest.DocTestRunner().run(test).failed == 0
