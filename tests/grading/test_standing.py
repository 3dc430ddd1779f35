"""The leaderboard's entry: only who chose it, scored by the grader; rivals, compute as stated.

The model is a stand-in that knows some answers: what an adapter answers is tested in probing.
"""

import json

import pytest

from course_utils.assignments.folder import scan
from course_utils.assignments.leaderboard import FILE, chosen_name
from course_utils.assignments.week05 import belongs as belongs_to_week05
from course_utils.assignments.week09_10 import belongs as belongs_to_week09_10
from course_utils.errors import CourseError
from course_utils.grading.hidden import HiddenRecords
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.standing import COUNT, WEEK05, standing_of
from course_utils.messages import Explained

WEEK09_10 = "week09_10_manufacturing"
PARTS = ("pump", "motor", "belt", "valve")


def record(n, task, text):
    part = PARTS[n % len(PARTS)]
    own = {
        "instruction": "Which part?",
        "input": f"{text} {n} on line {n * 13}: {part} leaks",
        "output": part if task == "qa" else json.dumps({"part": part}),
        "task": task,
        "document": "maintenance_log",
        "group": f"{text}-{n}",
    }
    facts = {"form": "name only", "facts": f"answer={part} | {PARTS[n % 4 - 1]}"}
    return own | facts if task == "qa" else own


class Model:
    """Knows every second answer; `asked` is what it was asked."""

    base = "smollm2-135m-instruct"

    def __init__(self, breaks=False):
        self.breaks, self.asked = breaks, []

    def answers(self, records, tuned, like):
        if self.breaks:
            raise CourseError("the adapter does not load", "train again")
        assert tuned
        self.asked += records
        return [own["output"] if n % 2 else "no idea" for n, own in enumerate(records)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    own = [record(n, task, "own report") for task in ("understanding", "qa") for n in range(40)]
    (tmp_path / "data/train.jsonl").write_text("\n".join(map(json.dumps, own)) + "\n")
    training = {"seconds": 754.0, "tokens": 88_000}
    (tmp_path / "run/training.json").write_text(json.dumps(training))
    settings = {"settings": {"preset": "assignment"}, "hardware": {"gpu_name": "Tesla T4"}}
    (tmp_path / "run/settings.json").write_text(json.dumps(settings))
    (tmp_path / FILE).write_text("name: Team Bauxite\n")
    return tmp_path


@pytest.fixture
def hidden():
    texts = "a logbook that nobody saw, entry"
    kinds = {task: [record(n, task, texts) for n in range(30)] for task in ("understanding", "qa")}
    return HiddenRecords(kinds)


def case_of(folder, hidden, models=None, assignment=WEEK09_10):
    models = models or Model()
    return Case(assignment, None, None, scan(folder), None, None, models, hidden)


def test_an_entry_has_the_chosen_name_our_scores_and_the_stated_compute(folder, hidden):
    entry = standing_of(case_of(folder, hidden))
    assert (entry.name, entry.base_model) == ("Team Bauxite", "smollm2-135m-instruct")
    assert entry.scores == {"understanding": 0.5, "qa": 0.5}
    assert (entry.preset, entry.minutes, entry.tokens) == ("assignment, Tesla T4", 12.6, 88_000)


def test_the_cheap_rivals_answer_the_same_records_from_its_own_training_records(folder, hidden):
    entry = standing_of(case_of(folder, hidden))
    assert {"majority", "nearest neighbour", "linear model"} <= entry.rivals.keys()
    assert entry.rivals["nearest neighbour"].keys() == {"understanding", "qa"}
    assert all(0 <= s <= 1 for scores in entry.rivals.values() for s in scores.values())
    assert entry.rivals["linear model"]["understanding"] > 0.5  # the part stands in the text


def test_everybody_is_asked_the_first_records_of_each_task(folder, hidden):
    model = Model()
    standing_of(case_of(folder, hidden, model))
    expected = [r for task in hidden.tasks for r in hidden.records(task, COUNT[task])]
    assert model.asked == expected


def test_two_who_trained_on_the_same_records_share_the_rivals(folder, hidden):
    case = case_of(folder, hidden)
    first = standing_of(case)
    computed = case.shared.computed
    case.facts.clear()
    assert standing_of(case) == first
    assert case.shared.computed == computed


def test_who_did_not_choose_it_is_not_asked(folder, hidden):
    (folder / FILE).unlink()
    model = Model()
    assert standing_of(case_of(folder, hidden, model)) is None
    assert model.asked == []


def test_an_adapter_that_can_not_be_asked_has_an_entry_without_scores(folder, hidden):
    entry = standing_of(case_of(folder, hidden, Model(breaks=True)))
    assert (entry.name, entry.scores) == ("Team Bauxite", None)


def test_stated_compute_that_is_no_number_is_left_out(folder, hidden):
    wild = {"seconds": "fast", "tokens": -5}
    (folder / "run/training.json").write_text(json.dumps(wild))
    (folder / "run/settings.json").write_text("[]")
    entry = standing_of(case_of(folder, hidden))
    assert (entry.preset, entry.minutes, entry.tokens) == ("", None, None)


def test_week_5_stands_on_the_leaderboard_too(folder, hidden):
    question = {"system": "", "context": "", "answer": "7", "group": "g", "source": "own"}
    rows = [question | {"instruction": f"How hard is mineral {n}?"} for n in range(25)]
    (folder / "records.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    asked = HiddenRecords({"qa": [record(n, "qa", "rock") for n in range(9)]})
    entry = standing_of(case_of(folder, asked, assignment=WEEK05))
    assert entry.scores.keys() == {"qa"}
    assert entry.rivals["majority"].keys() == {"qa"}


# --- Choosing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        *("", "Team Bauxite", "name:", "name: 7", "name: ''", "name: '  '", "nam: x", "[" * 400),
        *("name: x\nadmin: yes", f"name: {'x' * 61}", 'name: "a\\nb"', 'name: "a\\u202eb"'),
        *("name: &a [x]\n", "name: !!python/object:os.system x", "#" * 1001),
    ],
)
def test_a_file_that_names_nobody_is_a_warning_and_no_entry(folder, hidden, content):
    (folder / FILE).write_text(content)
    with pytest.raises(Explained, match="no name for the leaderboard") as warning:
        chosen_name(scan(folder))
    assert warning.value.cure
    assert standing_of(case_of(folder, hidden)) is None


def test_the_file_is_packed_with_both_assignments():
    assert belongs_to_week05(FILE)
    assert belongs_to_week09_10(FILE)
