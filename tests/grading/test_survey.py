"""`course submit check INBOX`: one table of a class, and a CSV; nothing of it is run."""

import csv
import json
import shutil
import zipfile

import pytest
from odd_folders import inbox_too_deep

from course_utils.assignments import handout
from course_utils.commands import main as cli
from course_utils.grading.survey import COLUMNS


@pytest.fixture
def inbox(tmp_path):
    """An untouched starter of each assignment, one of them packed, and what is no submission."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    handout.start("week09_10", inbox / "Zoë Müller")
    handout.start("week05", tmp_path / "my_lab")
    with zipfile.ZipFile(inbox / "doejane_LATE_1234_567_lab.zip", "w") as archive:
        for path in (tmp_path / "my_lab").rglob("*"):
            archive.write(path, f"my_lab/{path.relative_to(tmp_path / 'my_lab')}")
    (inbox / "broken.zip").write_bytes(b"=HYPERLINK(1)")
    trap = "import pathlib; pathlib.Path(__file__).with_name('was_run').touch()\n"
    (inbox / "Zoë Müller" / "scripts" / "train.py").write_text(trap)
    return inbox


def course(monkeypatch, capsys, *words):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.argv", ["course", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return end.value.code or 0, said.out


def test_a_class_is_one_table_and_one_csv(inbox, monkeypatch, capsys):
    code, said = course(monkeypatch, capsys, "submit", "check", inbox)
    assert code == 1
    assert "0 of 3 complete" in said
    path = inbox.with_name("inbox.check.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert tuple(next(iter(rows.values()))) == COLUMNS
    assert rows.keys() == {"Zoë Müller", "doejane", "broken"}
    assert (rows["doejane"]["assignment"], rows["doejane"]["late"]) == ("parameter_lab", "late")
    assert rows["Zoë Müller"]["assignment"] == "manufacturing"
    assert int(rows["Zoë Müller"]["missing"]) > 5
    assert "can't be read" in rows["broken"]["verdict"]
    assert not list(inbox.rglob("was_run"))


def test_the_untouched_starter_is_warned_of(inbox, monkeypatch, capsys):
    _, said = course(monkeypatch, capsys, "submit", "check", inbox, "--json")
    rows = {row["submission"]: row for row in json.loads(said)}
    starter = rows["doejane-1234"]["findings"]
    assert "hollow.starter" in {finding["message_id"] for finding in starter}
    assert rows["broken"]["problem"]


def test_a_table_that_is_something_else_is_not_replaced(inbox, tmp_path, monkeypatch, capsys):
    mine = tmp_path / "grades.csv"
    mine.write_text("name,grade\nAda,100\n")
    assert course(monkeypatch, capsys, "submit", "check", inbox, "--csv", mine)[0] == 1
    assert mine.read_text() == "name,grade\nAda,100\n"


def test_a_table_of_an_earlier_time_is_replaced(inbox, monkeypatch, capsys):
    course(monkeypatch, capsys, "submit", "check", inbox)
    shutil.rmtree(inbox / "Zoë Müller")
    course(monkeypatch, capsys, "submit", "check", inbox)
    assert "Zoë" not in inbox.with_name("inbox.check.csv").read_text(encoding="utf-8-sig")


def test_the_folder_that_one_is_in_has_a_table_beside_it_too(inbox, monkeypatch, capsys):
    monkeypatch.chdir(inbox)
    code, said = course(monkeypatch, capsys, "submit", "check", ".")
    assert code == 1
    assert "0 of 3 complete" in said
    assert inbox.with_name("inbox.check.csv").is_file()


def test_a_submission_that_the_system_cannot_read_has_a_row(tmp_path, monkeypatch, capsys):
    inbox = inbox_too_deep(tmp_path)
    handout.start("week05", inbox / "ada")
    words = ("submit", "check", inbox, "--assignment", "week05", "--json")
    code, said = course(monkeypatch, capsys, *words)
    assert code == 1
    rows = {row["submission"]: row for row in json.loads(said)}
    assert "File name too long" in rows["deep"]["problem"]
    assert rows["ada"]["findings"]


def test_a_single_submission_has_no_table(tmp_path, monkeypatch, capsys):
    handout.start("week05", tmp_path / "lab")
    words = ("submit", "check", tmp_path / "lab", "--csv", tmp_path / "x.csv")
    assert course(monkeypatch, capsys, *words)[0] == 2
