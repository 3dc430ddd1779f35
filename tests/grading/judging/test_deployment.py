"""Part 5 of weeks 9-10 graded: what stored evidence earns, and a real endpoint in the sandbox."""

import json
import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from file_cases import worth
from sandboxes import level_or_skip
from submissions import CONFIG, README, SCRIPTS, deploy, edit_json, save_adapter, without_marks

from course_utils import packages, serving
from course_utils.assignments import deployment as evidence
from course_utils.assignments import scripts
from course_utils.assignments.definition import find
from course_utils.assignments.folder import scan
from course_utils.assignments.rubric import load_rubric
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.limits import GIB, Limits
from course_utils.grading.judging import deployed, deployment
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.deployed import Found
from course_utils.grading.probing.evidence import ModelEvidence
from course_utils.latency import Timed
from course_utils.records import write_records

RUBRIC = load_rubric(find("week09_10").path / "rubric.yaml")


def of(name, share=1):
    """The points that a share of this item is worth."""
    return worth(RUBRIC.item(name), share)


LIMITS = Limits(wall=900, memory=4 * GIB)


@pytest.fixture(scope="module")
def made(nano_model_path, tmp_path_factory):
    """What part 5 needs of a submission, with a random adapter on the nano model."""
    from course_utils.tracks.manufacturing import manuals
    from course_utils.tracks.manufacturing import track as tracks

    folder = tmp_path_factory.mktemp("part5") / "mine"
    for name in ("data", "scripts", "configs", "reports"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "lora_config.yaml").write_text(CONFIG)
    (folder / "README.md").write_text(README)
    script = (SCRIPTS / "serve.py").read_text(encoding="utf-8")
    (folder / "scripts" / "serve.py").write_text(without_marks(script), encoding="utf-8")
    workspace = scripts.open_workspace(scripts.arguments("", folder), [])
    drafts = manuals.manual_drafts(7)
    random.Random(7).shuffle(drafts)
    write_records(workspace.data("test"), tracks.assemble(drafts[:300], 7).parts["test"])
    save_adapter(workspace.adapter, "nano")
    deploy(workspace)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "mine"))


def case_of(folder, found=None, box=None):
    box = box or Sandbox("none")
    found_folder = scan(folder)
    models = ModelEvidence(found_folder, RUBRIC.assignment, box, LIMITS)
    facts = {"deployed": found} if found else {}
    item = RUBRIC.items[0]
    own = (RUBRIC.assignment, RUBRIC, item, found_folder, box, LIMITS, models)
    return Case(*own, facts=facts, seed=13)


def judge(name, case):
    return getattr(deployment, name)(replace(case, item=RUBRIC.item(name)))


def edit(folder, change):
    edit_json(folder / "run" / "endpoint.json", change)
    return case_of(folder, measured())


def measured(before=1.0, after=0.25, **changes):
    """An endpoint that was asked: 16 tokens in so many seconds, before and after."""
    rows = [{"first": 0.1, "seconds": before, "tokens": 16}]
    found = Found(engine="llamacpp", before=rows, timed=[Timed(0.1, after, 16, "")])
    return replace(found, **changes)


# --- Latency ------------------------------------------------------------------------------------


def test_true_figures_and_a_real_gain_earn_all(folder):
    assert judge("latency_true", case_of(folder, measured())).points == of("latency_true")


def test_an_edited_figure_loses_its_third_and_is_named(folder):
    def change(content):
        content["after"]["figures"]["p95"] = 0.01

    found = judge("latency_true", edit(folder, change))
    assert found.points == of("latency_true", 2 / 3)
    assert "after, whole answer, 95th percentile" in found.evidence[0].found


def test_a_page_with_another_table_loses_the_same_third(folder):
    page = folder / "reports" / "latency.md"
    page.write_text(page.read_text().replace("| tokens per second |", "| tokens a second |"))
    found = judge("latency_true", case_of(folder, measured()))
    assert found.points == of("latency_true", 2 / 3)
    assert found.evidence[0].found == "reports/latency.md has another table"


def test_a_speedup_more_than_three_times_ours_is_an_overstatement(folder):
    slower = measured(before=1.0, after=0.8)  # ours: 1.25 times; stated: more than 4 times
    found = judge("latency_true", case_of(folder, slower))
    assert found.points == of("latency_true", 2 / 3)
    assert "more than 3 times ours" in found.feedback


def test_an_endpoint_that_is_no_faster_here_loses_two_thirds(folder):
    found = judge("latency_true", case_of(folder, measured(after=1.0)))
    assert found.points == of("latency_true", 1 / 3)


def test_another_engine_here_is_not_judged(folder):
    found = judge("latency_true", case_of(folder, measured(engine="transformers")))
    assert found.points is None
    assert "measured with llamacpp" in found.feedback


def test_what_could_not_be_timed_here_is_not_judged(folder):
    found = judge("latency_true", case_of(folder, measured(timing_problem="a hang-up")))
    assert (found.points, "a hang-up" in found.feedback) == (None, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.clear(),
        lambda c: c.update(before=3),
        lambda c: c["after"].update(requests=[]),
        lambda c: c["after"]["requests"][0].update(seconds="fast"),
        lambda c: c["after"]["requests"][0].update(seconds=-1.0),
        lambda c: c["after"]["requests"].__setitem__(0, None),
        lambda c: c.update(speedup=None),
        lambda c: c.update(server=[]),
        lambda c: c["at_once"].update(seconds=True),
    ],
)
def test_evidence_of_another_form_is_the_submissions_fault(folder, change):
    with pytest.raises(CourseError):
        judge("latency_true", edit(folder, change))


# --- New samples --------------------------------------------------------------------------------


def test_two_new_samples_of_each_task_with_true_scores_earn_all(folder):
    found = judge("samples_judged", case_of(folder))
    assert found.points == of("samples_judged")
    assert [own.found for own in found.evidence] == ["2 samples: base 0.00, tuned 1.00"] * 3


def test_a_score_that_does_not_follow_costs_its_task(folder):
    found = judge("samples_judged", edit(folder, lambda c: c["samples"][0].update(base_score=1)))
    assert found.points == of("samples_judged", 2 / 3)
    assert "base scores 0.00, 1.00 is stated" in found.feedback


def test_a_sample_that_stands_in_the_data_costs_its_task(folder):
    sample = evidence.read_samples(folder)[0]
    own = {key: sample[key] for key in ("instruction", "input", "output")} | {"note": "a\u2028\x85"}
    told = json.dumps(own, ensure_ascii=False)  # what ends a line elsewhere ends none of JSON
    (folder / "data" / "train.jsonl").write_text(told + "\n", encoding="utf-8")
    assert "sample 1 stands in your data" in judge("samples_judged", case_of(folder)).feedback


@pytest.mark.parametrize("rows", [None, 3, [], [None] * 6, [{}] * 6, [[]] * 6])
def test_samples_that_were_never_asked_earn_nothing(folder, rows):
    found = judge("samples_judged", edit(folder, lambda c: c.update(samples=rows)))
    assert found.points == 0


def test_an_answer_that_is_no_text_earns_nothing_for_its_task(folder):
    found = judge("samples_judged", edit(folder, lambda c: c["samples"][5].update(tuned=[1])))
    assert "sample 6 has no answer of tuned" in found.feedback


# --- The API's example --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran():
    """The outcome of a program that printed an answer."""
    with Sandbox("none") as box:
        return box.run_command([sys.executable, "-c", "print('an answer')"], box.place(), LIMITS)


def connecting():
    """A sandbox whose programs may connect to a socket file."""
    box = Sandbox("none")
    if not box.may_connect():
        pytest.skip("programs may connect where each has a user of its own")
    return box


def test_an_example_that_asks_tuned_and_prints_earns_all(folder, ran):
    found = Found(example=ran, example_asked=1.0)
    judged = judge("api_example_runs", case_of(folder, found, connecting()))
    assert judged.points == of("api_example_runs")


def test_an_example_that_asks_nothing_loses_a_quarter(folder, ran):
    found = Found(example=ran, example_asked=0.0)
    judged = judge("api_example_runs", case_of(folder, found, connecting()))
    assert judged.points == of("api_example_runs", 3 / 4)
    assert "did not ask the model `tuned`" in judged.feedback


def test_a_readme_without_an_example_earns_nothing(folder):
    found = Found(example_problem='there is no section "How to ask it"')
    assert judge("api_example_runs", case_of(folder, found, connecting())).points == 0


# --- A real endpoint ----------------------------------------------------------------------------


def test_an_endpoint_that_never_starts_says_why_and_earns_nothing(folder):
    found = Found(problem="it ended (exit code 1): NotImplementedError")
    judged = judge("endpoint_answers", case_of(folder, found))
    assert judged.points == 0
    assert "NotImplementedError" in judged.evidence[0].found


@pytest.mark.long
@pytest.mark.skipif(not serving.has_llamacpp(), reason="pip install -r requirements-serve.txt")
def test_the_solutions_script_is_started_asked_timed_and_its_example_run(folder):
    with Sandbox(level_or_skip("auto"), cache=packages.cache_folder()) as box:
        case = case_of(folder, box=box)
        assert judge("endpoint_answers", case).points == of("endpoint_answers")
        found = deployed.visit(case)
        assert found.engine == "llamacpp"
        assert found.models == ["base", "tuned"]
        assert len(found.timed) == len(found.before) == deployed.TIMED
        # Which of two is faster says nothing here.
        assert judge("latency_true", case).points >= of("latency_true", 1 / 3)
        assert judge("api_example_runs", case).points == of("api_example_runs")
        assert not [p for p in box.root.glob("[0-9]*") if p.is_dir()]  # every place is gone


@pytest.mark.parametrize(
    ("base", "tuned", "expected"),
    [
        ("The hydraulic", "The hydraulic pump leaks.", False),
        ("The hydraulic", "The pump leaks.", True),
        ("None", "None", False),
        ("", "", False),
        ("", "The pump.", True),
        ("The pump leaks oil", "The pump", True),
    ],
)
def test_another_beginning_tells_two_models_apart(base, tuned, expected):
    assert deployment.begins_otherwise(base, tuned) is expected
