"""submission.yaml: who hands in and with which starter; whatever it holds, a remark, no error."""

import pytest

from course_utils.assignments import handout, submitted
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.findings import Warn
from course_utils.assignments.folder import scan

LAB = ASSIGNMENTS["parameter_lab"]


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / submitted.FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
        return scan(tmp_path)

    return write


def warned(folder, about=LAB):
    with pytest.raises(Warn) as error:
        submitted.judge(folder, about)
    return error.value.id, error.value.message


def test_group_and_members_are_told(written):
    folder = written("group: Bauxite\nmembers: [Ada Lovelace, Grace Hopper]\n")
    assert submitted.judge(folder, LAB) == "Bauxite: Ada Lovelace, Grace Hopper"


def test_numbers_stand_for_names_where_marking_is_blind(written):
    assert submitted.judge(written("members: [30417, 30522]"), LAB) == "30417, 30522"


@pytest.mark.parametrize("number", ["0012345", "12_34", "1:30", "1.50", "No", "~"])
def test_a_number_or_a_name_is_read_as_it_stands(written, number):
    """YAML reads these as 5349, 1234, 90, 1.5, false and nothing."""
    assert submitted.read_submitted(written(f"members: [{number}]")).names == [number]


def test_a_key_that_stands_twice_is_told_and_loses_nobody(written):
    id_, said = warned(written("members: [Ada]\nmembers: [Grace]\n"))
    assert id_ == "submission.unreadable"
    assert "members stands twice" in said


def test_nobody_is_named(written, tmp_path):
    assert warned(scan(tmp_path))[0] == "submission.missing"
    assert warned(written('group: ""\nmembers: []\n'))[0] == "submission.nobody"


def test_a_fresh_copy_names_nobody_yet_and_no_other_starter(tmp_path):
    folder = scan(handout.start("parameter_lab", tmp_path / "mine"))
    assert warned(folder)[0] == "submission.nobody"


def test_a_group_of_another_size_is_a_remark(written):
    id_, said = warned(written("members: [a, b, c, d, e]"))
    assert id_ == "submission.group"
    assert "5 members" in said
    assert "two to four people" in said
    assert warned(written("members: [a, b]"), ASSIGNMENTS["manufacturing"])[0] == id_


def test_another_starter_is_named_with_both_kits(tmp_path):
    folder = handout.start("parameter_lab", tmp_path / "mine")
    path = folder / submitted.FILE
    text = path.read_text().replace("members: []", "members: [Ada, Grace]")
    path.write_text(text)
    assert submitted.judge(scan(folder), LAB) == "Ada, Grace"
    own = submitted.fingerprint(LAB.path / "starter", LAB)
    path.write_text(text.replace(own, "0123456789ab"))
    id_, said = warned(scan(folder))
    assert id_ == "submission.starter"
    assert "0123456789ab" in said
    assert own in said


@pytest.mark.parametrize(
    "text",
    [
        "members: Ada",
        "members: [Ada, Ada]",
        "members: ['']",
        "members: [[Ada]]",
        "members: [!!python/object/apply:os.system ['true']]",
        "group: 7",
        "colour: red",
        "- Ada",
        "members: [",
        b"\xff\xfe",
        "group: x" + "y" * 20_000,
        "a: &a [*a]",
        "[" * 3_000,
        "",
    ],
)
def test_what_cannot_be_read_is_a_remark(written, text):
    assert warned(written(text))[0] in ("submission.unreadable", "submission.nobody")


def test_a_name_cannot_write_on_the_terminal(written):
    assert "\x1b" not in submitted.judge(written('members: ["a\\e[31m", "b"]'), LAB)
