"""Full points of what ran are kept with their executed copy; less is tried again."""

import dataclasses
from types import SimpleNamespace

import pytest

from course_utils.assignments.folder import scan
from course_utils.execution.jobs import NotebookResult
from course_utils.execution.sandbox.limits import Limits
from course_utils.grading.cache import Shared
from course_utils.grading.judging import keeping
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judgement import earned
from course_utils.grading.judging.keeping import kept
from course_utils.grading.results import Evidence


@pytest.fixture
def case(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a.ipynb").write_text("{}")
    (tmp_path / "out").mkdir()
    nothing = SimpleNamespace()
    item = SimpleNamespace(points=4, id="runs")
    folder = scan(tmp_path / "work")
    shared = Shared(tmp_path / "cache")
    more = {"shared": shared, "out": tmp_path / "out"}
    return Case("week05_parameter_lab", nothing, item, folder, nothing, Limits(), nothing, **more)


def runs(share, asked):
    def check(case):
        asked.append(share)
        executed = case.out / "a.ipynb"
        executed.write_text('{"executed": true}')
        case.facts["a.ipynb"] = NotebookResult(
            "a", case.folder.root, "done", cells=3, executed=executed
        )
        return earned(case, share, Evidence(label="cells", found="3 of 3"), feedback="so be it")

    return check


def again(case, **changes):
    """The same submission in another batch: nothing in memory, nothing written yet."""
    for path in case.out.iterdir():
        path.unlink()
    return dataclasses.replace(case, facts={}, shared=Shared(case.shared.folder), **changes)


def test_full_points_are_kept_and_worth_what_the_item_is_worth_now(case):
    asked = []
    first = kept(case, runs(1, asked))
    cheaper = again(case, item=SimpleNamespace(points=2, id="runs"))
    second = kept(cheaper, runs(1, asked))
    assert len(asked) == 1
    assert (first.points, second.points) == (4, 2)
    assert (first.evidence, first.feedback) == (second.evidence, second.feedback)
    [notebook] = [own for own in cheaper.facts.values() if isinstance(own, NotebookResult)]
    assert notebook.ok
    assert notebook.cells == 3
    assert notebook.executed.read_text() == '{"executed": true}'


def test_less_than_full_points_is_tried_again(case):
    asked = []
    for _ in range(2):
        assert kept(again(case), runs(0.5, asked)).points == 2
    assert len(asked) == 2


def test_another_file_in_the_submission_is_run_again(case):
    asked = []
    kept(case, runs(1, asked))
    (case.folder.root / "b.txt").write_text("new")
    kept(again(case, folder=scan(case.folder.root)), runs(1, asked))
    assert len(asked) == 2


def test_other_thresholds_are_judged_again(case, monkeypatch):
    asked = []
    kept(case, runs(1, asked))
    other = keeping.find(case.assignment).model_copy(update={"late": "never"})
    monkeypatch.setattr(keeping, "find", lambda name: other)
    kept(again(case), runs(1, asked))
    assert len(asked) == 2


def test_another_way_to_score_is_judged_again(case, monkeypatch, tmp_path):
    """Everything that a check stands on is in the key: metrics, tasks, the endpoint's client."""
    seen = []
    monkeypatch.setattr(keeping, "digest_of_files", lambda files: seen.extend(files) or "")
    keeping._sources.__wrapped__()
    names = {"/".join(path.parts[-2:]) for path in seen}
    wanted = {"course_utils/tasks.py", "assignments/deployment.py", "files/evaluation.py"}
    assert wanted | {"course_utils/latency.py", "models/week05.py"} <= names
