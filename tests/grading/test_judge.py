"""One submission judged: what a check raises ends its own item and no other."""

from types import SimpleNamespace

import pytest

from course_utils.assignments.rubric import Item, PartOfRubric, Rubric
from course_utils.errors import CourseError
from course_utils.grading.cache import BatchStopped, Shared
from course_utils.grading.judging import registry
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judge import check_rubric, judge
from course_utils.grading.judging.judgement import earned, failed, not_judged
from course_utils.grading.probing.evidence import NotGradable, NotMeasured

TOY = "toy"


def item(name, points=4, **changes):
    values = {"id": name, "part": 1, "title": f"The {name}", "points": points, "kind": "automatic"}
    values |= {"check": name, "description": "d", "rationale": "r"}
    return Item(**(values | changes))


@pytest.fixture
def toy(monkeypatch):
    """A registry of its own; `toy(first=function, ...)` judges these checks in their order."""
    monkeypatch.setitem(registry.CHECKS, TOY, {})
    monkeypatch.setitem(registry.NEEDS, TOY, {})

    def judged(*functions, items=None):
        items = items or [item(function.__name__) for function in functions]
        part = PartOfRubric(part=1, title="p", points=10)
        rubric = Rubric(assignment=TOY, title="t", points=100, parts=[part], items=items)
        nothing, folder = SimpleNamespace(), SimpleNamespace(root="/of/the/grader")
        case = Case(TOY, rubric, items[0], folder, nothing, nothing, nothing)
        return judge(case)

    return judged


def states(judged):
    return {found.id: found.state for found in judged.items}


def test_a_share_is_rounded_to_half_points_downwards():
    case = SimpleNamespace(item=item("a", points=5))
    shares = (0, 0.19, 0.2, 0.5, 0.999, 1)
    assert [earned(case, share).points for share in shares] == [0, 0.5, 1, 2.5, 4.5, 5]
    assert earned(SimpleNamespace(item=item("a", points=6)), 2 / 3).points == 4


@pytest.mark.parametrize("share", [1.1, -0.1, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        earned(SimpleNamespace(item=item("a")), share)


def test_points_decide_the_state(toy):
    @registry.check(TOY)
    def full(case):
        return earned(case, 1)

    @registry.check(TOY)
    def none(case):
        return failed(feedback="write it")

    @registry.check(TOY)
    def open_(case):
        return not_judged("there is no model")

    found = toy(full, none, open_)
    assert states(found) == {"full": "scored", "none": "failed", "open_": "not judged"}
    assert [one.feedback for one in found.items] == ["", "write it", "there is no model"]


def test_an_error_of_the_submission_is_zero_with_its_cure(toy):
    @registry.check(TOY)
    def records(case):
        raise CourseError("/of/the/grader/records.jsonl: line 3 is no JSON", "write it again")

    [found] = toy(records).items
    assert (found.points, found.state) == (0, "failed")
    assert found.feedback == "records.jsonl: line 3 is no JSON. To mend it: write it again"


def test_a_measurement_that_did_not_end_is_no_zero_and_tells_its_last_words(toy):
    @registry.check(TOY)
    def losses(case):
        raise NotMeasured("the losses: time limit", "loading ...")

    judged = toy(losses)
    [found] = judged.items
    assert (found.points, found.state) == (None, "not judged")
    assert found.feedback == "not judged: the losses: time limit"
    assert found.evidence == []  # a student reads it, and hidden records were asked there
    assert "losses: its last words: loading ..." in judged.log


def test_a_fault_of_the_grader_costs_no_point_and_is_logged(toy):
    @registry.check(TOY)
    def broken(case):
        return 1 / 0

    @registry.check(TOY)
    def well(case):
        return earned(case, 1)

    judged = toy(broken, well)
    assert states(judged) == {"broken": "not judged", "well": "scored"}
    assert judged.broken == ["broken"]
    assert "the grader itself failed here: ZeroDivisionError" in judged.items[0].feedback
    assert any("1 / 0" in line for line in judged.log)


def test_points_beyond_the_items_are_a_fault_of_the_grader(toy):
    @registry.check(TOY)
    def generous(case):
        from course_utils.grading.judging.judgement import Judgement

        return Judgement(5.0)

    assert toy(generous).broken == ["generous"]


def test_what_needs_a_failed_item_is_not_judged(toy):
    asked = []

    @registry.check(TOY)
    def loads(case):
        return failed(feedback="no adapter")

    @registry.check(TOY, needs=("loads",))
    def answers(case):
        asked.append(case.item.id)

    @registry.check(TOY, needs=("answers",))
    def scores(case):
        asked.append(case.item.id)

    judged = toy(answers, scores, loads)  # needed ones are judged first, wherever they stand
    expected = {"answers": "not judged", "scores": "not judged", "loads": "failed"}
    assert states(judged) == expected
    assert not any(found.undecided for found in judged.items)  # its own fault
    assert "The loads" in judged.items[0].feedback
    assert asked == []


def test_what_needs_an_undecided_item_is_undecided_too(toy):
    @registry.check(TOY)
    def loads(case):
        return 1 / 0

    @registry.check(TOY, needs=("loads",))
    def answers(case):
        return earned(case, 1)

    @registry.check(TOY, needs=("answers",))
    def scores(case):
        return earned(case, 1)

    judged = toy(loads, answers, scores)
    assert [found.undecided for found in judged.items] == [True, True, True]
    assert "“The answers” is undecided" in judged.items[2].feedback


def test_a_need_that_the_rubric_left_out_stops_nothing(toy):
    @registry.check(TOY)
    def loads(case):
        return failed(feedback="no adapter")

    @registry.check(TOY, needs=("loads",))
    def answers(case):
        return earned(case, 1)

    assert states(toy(answers)) == {"answers": "scored"}


def test_a_missing_base_model_is_no_zero_and_files_are_judged_all_the_same(toy):
    @registry.check(TOY)
    def loads(case):
        raise NotGradable("base model x/y is not on this machine", "course model get x/y")

    @registry.check(TOY)
    def files(case):
        return earned(case, 1)

    judged = toy(loads, files)
    assert states(judged) == {"loads": "not judged", "files": "scored"}
    assert judged.not_gradable.message == "base model x/y is not on this machine"


def test_a_full_disk_is_no_fault_of_a_submission(toy):
    @registry.check(TOY)
    def writes(case):
        raise OSError(28, "No space left on device", "/tmp/x")

    with pytest.raises(BatchStopped, match="no space left"):
        toy(writes)


def test_a_rubric_with_an_unknown_check_is_named_before_anything_runs(toy):
    @registry.check(TOY)
    def known(case):
        return earned(case, 1)

    part = PartOfRubric(part=1, title="p", points=10)
    items = [item("known"), item("typo", check="knwon")]
    rubric = Rubric(assignment=TOY, title="t", points=100, parts=[part], items=items)
    with pytest.raises(CourseError, match=r"typo \(knwon\)") as error:
        check_rubric(rubric)
    assert "known" in error.value.cure


def test_two_functions_of_one_name_are_seen(toy):
    @registry.check(TOY)
    def twice(case):
        return earned(case, 1)

    def other(case):
        return earned(case, 0)

    other.__name__ = "twice"
    with pytest.raises(ValueError, match="twice stands"):
        registry.check(TOY)(other)


# --- The cache ----------------------------------------------------------------------------------


def test_what_was_computed_is_kept_by_its_key_and_salt(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"answers": ["a"], "none": None}

    for _ in range(2):
        assert Shared(tmp_path, "salt").get(["k", 1], compute)["answers"] == ["a"]
    assert len(calls) == 1
    Shared(tmp_path, "other").get(["k", 1], compute)
    Shared(tmp_path, "salt").get(["k", 2], compute)
    assert len(calls) == 3
    assert tmp_path.stat().st_mode & 0o077 == 0


def test_a_value_of_null_is_kept_too(tmp_path):
    calls = []
    for _ in range(2):
        assert Shared(tmp_path).get("k", lambda: calls.append(1)) is None
    assert len(calls) == 1


def test_a_broken_file_of_the_cache_is_computed_again(tmp_path):
    Shared(tmp_path).get("k", lambda: 1)
    [path] = tmp_path.glob("*/*.json")
    path.write_text('{"val')
    assert Shared(tmp_path).get("k", lambda: 2) == 2


def test_threads_that_ask_at_a_time_compute_once(tmp_path):
    import threading
    import time

    shared, calls = Shared(tmp_path), []

    def compute():
        calls.append(1)
        time.sleep(0.1)
        return 7

    threads = [threading.Thread(target=shared.get, args=("k", compute)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_what_raised_is_not_kept(tmp_path):
    shared = Shared(tmp_path)
    with pytest.raises(ZeroDivisionError):
        shared.get("k", lambda: 1 / 0)
    assert shared.get("k", lambda: 3) == 3
