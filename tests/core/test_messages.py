"""A messages.yaml that is wrong is named with its entry; what is said keeps to what is declared."""

import html
import re

import pytest

from course_utils import messages
from course_utils.errors import CourseError
from course_utils.messages import Explained, Message, Room

GOOD = """\
week05.records.too_few:
  values: {count: 19, least: 20}
  found: "{count} records, at least {least} are asked for"
  why: Below that, the validation part says nothing.
  cure: "write {least} or more"
  example: '{"instruction": "..."}'
"""
SEVERAL = GOOD.replace(
    '"{count} records, at least {least} are asked for"',
    '{few: "{count} of {least}", none: no records}',
)


@pytest.fixture
def room(tmp_path):
    """A room whose messages.yaml has this text."""

    def make(text):
        (tmp_path / "messages.yaml").write_text(text, encoding="utf-8")
        return Room(tmp_path / "module.py")

    return make


def test_a_message_is_said_with_its_values(room):
    said = room(GOOD).say("week05.records.too_few", count=3, least=20)
    assert said.found == "3 records, at least 20 are asked for"
    assert said.cure == "write 20 or more"
    error = Explained(said)
    assert (error.message, error.cure, error.id) == (said.found, said.cure, said.id)


def test_in_general_the_declared_values_are_shown(room):
    message = room(GOOD).known["week05.records.too_few"]
    assert list(message.parts()) == list(messages.HEADINGS.values())
    assert message.parts()["What was found"] == "19 records, at least 20 are asked for"
    assert message.parts()["Example"] == '{"instruction": "..."}'


def test_a_message_found_in_several_ways_is_said_by_its_case(room):
    made = room(SEVERAL)
    assert made.say("week05.records.too_few", "none", count=0, least=20).found == "no records"
    assert made.say("week05.records.too_few", "few", count=4, least=20).found == "4 of 20"
    general = made.known["week05.records.too_few"].parts()["What was found"]
    assert general == "19 of 20\nno records"


def test_a_case_may_have_a_cure_of_its_own(room):
    text = SEVERAL.replace("no records}", 'no records}\n  cures: {none: "write the first"}')
    made = room(text)
    assert made.say("week05.records.too_few", "none", count=0, least=20).cure == "write the first"
    assert made.say("week05.records.too_few", "few", count=4, least=20).cure == "write 20 or more"
    with pytest.raises(CourseError, match="cases that `found` has not: one"):
        room(text.replace('{none: "write', '{one: "write')).known  # noqa: B018


def test_braces_in_a_value_stay_what_they_are(room):
    said = room(GOOD).say("week05.records.too_few", count="{least}", least="{0}")
    assert said.found == "{least} records, at least {0} are asked for"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("why:", "reason:", "why"),
        ("  why: Below that, the validation part says nothing.\n", "", "why"),
        ("Below that, the validation part says nothing.", '" "', "`why` is empty"),
        ("{count: 19, least: 20}", "{least: 20}", "different names: count"),
        ("{count: 19, least: 20}", "{count: 19, least: 20, most: 3}", "different names: most"),
        ("{count} records", "{count records", "'{' in field name"),
        ("{count} records", "{count:many} records", "Invalid format specifier"),
        ("found: ", "found: {} # ", "`found` is empty"),
        ("found: ", "found: [1, 2] # ", "found"),
        ("example: ", "example: 3 # ", "example"),
        ("example: ", "colour: red\n  example: ", "colour"),
    ],
)
def test_a_wrong_entry_is_named_with_the_file(room, old, new, problem):
    with pytest.raises(CourseError) as error:
        room(GOOD.replace(old, new)).known  # noqa: B018
    assert "messages.yaml: week05.records.too_few" in error.value.message
    assert problem in error.value.message


@pytest.mark.parametrize("text", ["", "- a", "a: [", "just words"])
def test_a_file_that_is_no_list_of_messages_is_named(room, text):
    with pytest.raises(CourseError, match=r"messages\.yaml: "):
        room(text).known  # noqa: B018


def test_a_name_that_is_not_known_suggests_near_ones():
    known = ["week05.records.too_few", "week05.records.no_source", "folder.link"]
    assert "week05.records.too_few" in messages.suggestion("week05.record.too_few", known)
    assert messages.suggestion("zzzz", known) == "course explain lists all"


def test_a_fragment_is_escaped_and_holds_every_part():
    name = "week05.questions.field"
    message = next(own for _, key, own in messages.everything() if key == name)
    made = messages.fragment(name)
    for line in "\n".join(message.parts().values()).splitlines():
        assert line in html.unescape(made)
    assert f'id="{name}"' in made
    assert '"expected"' not in made  # quotes are escaped too


def test_a_fragment_about_a_finding_holds_what_was_found_and_no_markup_of_it():
    said = messages.Said("folder.link", "<script>alert(1)</script> & more", "mend <it>")
    made = messages.fragment("folder.link", said)
    assert "<script" not in made
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in made
    assert "mend &lt;it&gt;" in made
    assert "data/train.jsonl: a symbolic link" not in made


def test_every_tag_of_a_fragment_is_closed():
    made = messages.fragment("folder.link")
    for tag in set(re.findall(r"<(\w+)", made)):
        assert len(re.findall(rf"<{tag}\b", made)) == made.count(f"</{tag}>")


def test_a_message_is_frozen():
    message = Message(found="a", why="b", cure="c", example="d")
    with pytest.raises(AttributeError):
        message.found = "x"
