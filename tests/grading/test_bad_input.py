"""Odd and hostile folders through the real checks: a verdict each, and no fault of the grader."""

import json
import os

import pytest

from course_utils.grading import publishing, workshop
from course_utils.grading.batch import grade_class
from course_utils.grading.workshop import Plan

DEEP = "[" * 200_000 + "]" * 200_000


class Quiet:
    is_terminal = False

    def print(self, *_, **__):
        pass


def write(folder, **files):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def huge(path):
    """1 GB that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(1_000_000_000)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All of them graded in one batch of week 5, by submission."""
    root = tmp_path_factory.mktemp("odd")
    inbox = root / "inbox"
    write(inbox / "deep", parameter_analysis__ipynb=DEEP, training__json=DEEP, records__jsonl=DEEP)
    write(inbox / "words", parameter_analysis__ipynb="I did it", records__jsonl="no JSON\n")
    write(inbox / "large", records__jsonl="{}\n")
    huge(inbox / "large" / "parameter_analysis.ipynb")
    write(inbox / "latin", README__md="x", parameter_analysis__ipynb="{}")
    (inbox / "latin" / "records.jsonl").write_bytes(b'{"answer": "M\xfcller"}\n')
    with open(os.fsencode(inbox / "latin") + b"/M\xfcller.md", "w") as file:
        file.write("x")
    write(inbox / "linked", parameter_analysis__ipynb="{}")
    (inbox / "linked" / "records.jsonl").symlink_to("/etc/passwd")
    write(inbox / "pipes", parameter_analysis__ipynb="{}")
    os.mkfifo(inbox / "pipes" / "records.jsonl")
    elsewhere = {"base_model": "meta-llama/Llama-3.1-8B-Instruct", "quantization": "none"}
    write(inbox / "elsewhere", parameter_analysis__ipynb="{}", training__json=json.dumps(elsewhere))
    (inbox / "nothing").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workshop, "hidden_records", lambda *_: None)
        plan = Plan(root / "grades", "week05", publishing.rubric_of("week05"), "none", warm=False)
        outcome = grade_class(inbox, plan, Quiet())
        publishing.publish(root / "grades")
    return {result.submission: result for result in outcome.results}


def test_every_one_has_a_verdict(results):
    assert len(results) == 8
    ends = {name: result.status for name, result in results.items() if result.status != "graded"}
    assert ends == {"nothing": "rejected", "elsewhere": "not gradable"}
    assert "Llama" in results["elsewhere"].verdict


def test_none_of_them_makes_the_grader_itself_fail(results):
    said = {name: result.warnings for name, result in results.items()}
    assert [n for n, own in said.items() if any("grader itself" in text for text in own)] == []


def test_nothing_is_earned_by_them(results):
    points = {name: sum(item.points or 0 for item in r.items) for name, r in results.items()}
    assert set(points.values()) == {0}


@pytest.mark.parametrize("name", ["deep", "words", "large", "latin", "linked", "pipes"])
def test_each_item_says_what_to_do(results, name):
    failed = [item for item in results[name].items if item.state == "failed"]
    assert failed
    assert [item.id for item in failed if not item.feedback] == []


def test_no_word_of_a_linked_file_is_in_its_result(results):
    assert "root:" not in results["linked"].model_dump_json()


def test_the_largest_is_told_with_its_size(results):
    assert "1.0 GB" in results["large"].model_dump_json()
