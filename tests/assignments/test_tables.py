"""Hand-outs say what the rubric says: a changed point or a new bonus changes a table, no more."""

import shutil

import pytest
import yaml

from course_utils.assignments import tables
from course_utils.assignments.definition import ASSIGNMENTS, read_definition
from course_utils.assignments.rubric import load_rubric
from course_utils.errors import CourseError


@pytest.fixture(params=ASSIGNMENTS)
def own(request, tmp_path, monkeypatch):
    """A copy of an assignment's three files, as the assignment itself."""
    source = ASSIGNMENTS[request.param].path
    folder = tmp_path / source.name
    folder.mkdir()
    for name in ("assignment.yaml", "rubric.yaml", "README.md"):
        shutil.copy(source / name, folder)
    monkeypatch.setattr("course_utils.kit.ASSIGNMENTS", tmp_path)
    return read_definition(folder)


def page(about):
    return tables.Page(about.path / "README.md", tables.handout_blocks(about))


def change(about, edit, file="rubric.yaml"):
    path = about.path / file
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return read_definition(about.path)


def changed_lines(before, after):
    old, new = before.splitlines(), after.splitlines()
    return [line for line in new if line not in old], [line for line in old if line not in new]


def test_every_item_stands_in_the_committed_hand_out_once(own):
    text = page(own).now()
    for item in load_rubric(own.path / "rubric.yaml").items:
        by = "computer" if item.kind == "automatic" else "person"
        words = " ".join(item.description.split())
        assert (
            text.count(f"| `{item.id}` | **{item.title}.** {words} | {item.points} | {by} |") == 1
        )
    assert page(own).differs() == []


def test_a_balanced_change_of_points_changes_two_rows(own):
    def edit(content):
        first = content["items"][0]["part"]
        giver, taker = [i for i in content["items"] if i["part"] == first][:2]
        giver["points"] -= 1
        taker["points"] += 1

    before = page(own).now()
    about = change(own, edit)
    [problem] = page(about).differs()
    assert "README.md, line " in problem
    assert "`part 1`" in problem
    assert tables.write([page(about)]) == [about.path / "README.md"]
    new, old = changed_lines(before, page(about).now())
    assert len(new) == len(old) == 2
    assert page(about).differs() == []


def test_a_new_bonus_is_a_row_and_a_number_in_the_first_sentence(own):
    bonus = {"id": "ore_atlas", "part": "bonus", "title": "An atlas", "points": 10}
    bonus |= {"kind": "manual", "description": "Ten ores, drawn.", "rationale": "To see."}

    def edit(content):
        content["items"].append(bonus)
        content["bonus_points"] += 10

    before = page(own).now()
    about = change(own, edit)
    tables.write([page(about)])
    new, _ = changed_lines(before, page(about).now())
    assert "| `ore_atlas` | **An atlas.** Ten ores, drawn. | 10 | person |" in new
    assert len(new) == 3  # the sentence, the head of the table, the row


def test_group_and_late_rule_come_from_assignment_yaml(own):
    def edit(content):
        content["group"] = {"least": 3, "most": 3}
        content["late"] = "Nothing is taken late."

    about = change(own, edit, "assignment.yaml")
    tables.write([page(about)])
    assert "**Late.** Nothing is taken late." in page(about).now()
    assert "A submission is the work of three people" in page(about).now()


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda t: t.replace("<!-- rubric: part 1 -->", ""), "an end without its beginning"),
        (lambda t: t.replace("<!-- rubric: end -->", "", 1), "is still open"),
        (lambda t: t.replace("rubric: part 1", "rubric: part 9"), "there is no block `part 9`"),
        (lambda t: t + t, "stands there 2 times"),
        (lambda t: "# Nothing\n", "stands there 0 times"),
    ],
)
def test_a_lost_mark_is_named_and_nothing_is_written(own, edit, says):
    path = own.path / "README.md"
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(CourseError, match=says) as error:
        tables.write([page(own)])
    assert "README.md" in error.value.message
    assert path.read_bytes() == before
