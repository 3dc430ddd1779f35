"""Asking an adapter in the sandbox: warm and fresh processes say the same; nothing odd passes."""

import math

import pytest
from nano_cases import LIMITS, adapter
from sandboxes import opened

from course_utils import packages
from course_utils.assignments.folder import scan
from course_utils.errors import CourseError
from course_utils.grading.cache import Shared
from course_utils.grading.probing import preload
from course_utils.grading.probing.adapter import read_adapter
from course_utils.grading.probing.bases import NotGradable, find_base
from course_utils.grading.probing.probe import NotMeasured, Probe, checked_losses, longest_answers

RECORDS = [
    {"instruction": f"What is {n}?", "input": "text " * n, "output": "word " * n, "task": task}
    for n, task in enumerate(["qa", "report", "understanding", "qa"], 1)
]


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        [],
        [[1.0, 2], [1.0]],
        [[1.0, 2], [1.0, -1]],
        [[1.0, 2], ["1.0", 2]],
        [[1.0, 2], [math.nan, 2]],
        [[1.0, 2], [-1.0, 2]],
        [[1.0, 2], [True, 2]],
        [[1.0, 2], [1.0, 2], [1.0, 2]],
    ],
)
def test_what_is_no_list_of_losses_is_refused(found):
    with pytest.raises(CourseError, match="no answer"):
        checked_losses(found, 2)


def test_a_loss_that_is_no_number_is_infinite():
    assert checked_losses([[None, 3], [2, 1]], 2) == [(math.inf, 3), (2.0, 1)]


def test_the_longest_answers_of_each_task_say_how_long_one_may_be():
    kept = longest_answers([{**RECORDS[0], "output": "x" * n} for n in range(100)] + RECORDS[1:3])
    assert {len(r["output"]) for r in kept if r["task"] == "qa"} == set(range(80, 100))
    assert {record["task"] for record in kept} == {"qa", "report", "understanding"}


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B", "../../etc/passwd", "x/y"])
def test_a_base_model_that_is_not_here_is_not_gradable_and_says_what_to_do(prepared, name):
    with pytest.raises(NotGradable) as problem:
        find_base(name)
    assert problem.value.cure


@pytest.fixture(scope="module")
def own(nano_model_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    adapter(folder / "adapter", spread=0.3)
    return read_adapter(scan(folder), "adapter")


def asked(box, own):
    probe = Probe(find_base("nano"), own, box, LIMITS)
    return [
        probe.load_report(),
        probe.losses(RECORDS, tuned=True),
        probe.losses(RECORDS, tuned=False, max_length=60),
        probe.answers(RECORDS, tuned=True, like=RECORDS),
        probe.answers(RECORDS, tuned=False, max_new_tokens=5),
    ]


def test_a_forked_process_with_the_model_in_it_says_what_a_fresh_one_says(own):
    environment = preload.environment(find_base("nano"))
    options = {"cache": packages.cache_folder()}
    with opened("auto", **options) as box:
        fresh = asked(box, own)
    warm = {"warm": True, "imports": preload.imports(), "environment": environment}
    with opened("auto", **warm, **options) as box:
        if not box.warm:
            pytest.skip(box.warm_problem)
        assert not [name for name in box.told["threads"] if "jemalloc" not in name]
        assert asked(box, own) == fresh
    report, tuned, _, answers, _ = fresh
    assert report.complete
    assert all(nll > 0 and count > 0 for nll, count in tuned)
    assert len(set(answers)) > 1


def test_a_process_that_does_not_end_in_time_measured_nothing_and_keeps_nothing(own):
    with opened("auto", cache=packages.cache_folder()) as box:
        shared = Shared()
        probe = Probe(find_base("nano"), own, box, LIMITS.with_changes(wall=0.2), shared)
        with pytest.raises(NotMeasured, match="time limit"):
            probe.losses(RECORDS, tuned=True)
        assert shared.computed == 0
