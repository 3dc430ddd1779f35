"""What the printed checklist says: equal findings once, each with the message that explains it."""

import io
import json
import string

import pytest
from submissions import check, edit_json, replace

from course_utils import messages
from course_utils.assignments import handout, week05
from course_utils.assignments.findings import Finding, SubmissionReport
from course_utils.console import console
from course_utils.messages import HEADINGS, MORE

KNOWN = {key: message for _, key, message in messages.everything()}


def report(*findings):
    return SubmissionReport(folder=None, findings=findings, titles={1: "Part 1"})


def wrong(subject="", path="a.ipynb", message="has no answer", message_id="analysis.no_answer"):
    return Finding("id", 1, "wrong", path, message, "write it", message_id, subject)


def rendered(shown, width=200):
    printer = console(record=True, width=width, file=io.StringIO())
    printer.print(shown.render())
    return printer.export_text()


def test_equal_findings_are_one_line_that_names_them_all():
    shown = report(wrong("lora_r"), wrong("lora_alpha"), wrong("precision"))
    assert shown.lines() == [
        "Part 1",
        "  wrong    a.ipynb: lora_r, lora_alpha, precision: has no answer",
        "           Cure: write it (analysis.no_answer)",
        "",
        "Not complete yet: 3 wrong",
        MORE,
    ]


def test_findings_that_differ_in_anything_stay_apart():
    shown = report(wrong("a"), wrong("b", message="is short"), wrong("c", message_id="x.y"))
    assert len(list(shown.rows(1))) == 3


def test_equal_findings_of_several_files_name_each_file_once():
    row = next(report(wrong(path="a"), wrong(path="b"), wrong(path="a")).rows(1))
    assert row.paths == ["a", "b"]


def test_thirteen_empty_sections_are_one_line(tmp_path):
    shown = week05.check_submission(handout.start("week05", tmp_path / "mine"))
    lines = [line for line in shown.lines() if "has its placeholder still" in line]
    assert len(lines) == 1
    for name in week05.parameters.PARAMETERS:
        assert name in lines[0]
    assert shown.counts["wrong"] == 14  # one for each section, and the report


def test_as_json_each_section_stands_for_itself_and_names_its_message(tmp_path):
    shown = week05.check_submission(handout.start("week05", tmp_path / "mine"))
    rows = json.loads(json.dumps(shown.to_dict()))["findings"]
    sections = [row for row in rows if row["message_id"] == "analysis.placeholder"]
    assert [row["subject"] for row in sections] == list(week05.parameters.PARAMETERS)


def test_where_all_is_right_nothing_is_offered_to_be_explained(complete):
    assert MORE not in check(complete).lines()


# --- The same text as `course explain` ----------------------------------------------------------


def agree(finding):
    """The cure that was found is the one that `course explain` shows, but for its values."""
    message = KNOWN[finding.message_id]
    cure = message.parts()[HEADINGS["cure"]]
    if not messages.placeholders(message.cure):
        assert finding.cure == cure
    for words, *_ in string.Formatter().parse(message.cure):
        assert words in finding.cure


def broken(folder):
    """Many faults at once, in every part."""
    (folder / "README.md").write_text("# My work\n\nIt works.\n")
    (folder / "scripts" / "evaluate.py").write_text("if True\n")
    replace(folder / "configs" / "lora_config.yaml", "r: 4", "r: 16")
    replace(folder / "reports" / "training_log.txt", "1.5000", "0.1000")
    edit_json(folder / "run" / "data_summary.json", lambda s: s["parts"].update(train=9))
    edit_json(folder / "run" / "evaluation.json", lambda e: e.update(test_records=3))
    (folder / "requirements.txt").write_text("the newest trl please\n")
    (folder / "old.zip").write_bytes(b"PK")
    (folder / "run" / "baseline.json").unlink()


def test_every_finding_that_is_not_ok_has_a_message_whose_cure_it_prints(folder):
    broken(folder)
    shown = check(folder)
    bad = [finding for finding in shown.findings if finding.state != "ok"]
    assert len({finding.message_id for finding in bad}) >= 9
    for finding in bad:
        agree(finding)
        assert finding.cure in "\n".join(shown.lines())


@pytest.mark.parametrize("name", ["records.jsonl", "training.json", "test_questions.jsonl"])
def test_a_file_that_cannot_be_read_has_a_message_too(tmp_path, name):
    folder = handout.start("week05", tmp_path / "mine")
    for content in (b"\xff\xfe", b"{", b"[1]", b"", b'{"a": 1}'):
        (folder / name).write_bytes(content)
        found = [f for f in week05.check_submission(folder).findings if f.path == name]
        assert found
        for finding in found:
            agree(finding)


def test_the_rendered_checklist_shows_cure_and_id(folder):
    broken(folder)
    shown = rendered(check(folder), width=400)
    assert "correct it, then run python scripts/evaluate.py (week09_10.script.syntax)" in shown
    assert MORE in shown
