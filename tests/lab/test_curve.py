"""The learning curve's recording: its plan, and two real runs of the nano model."""

import json

import pytest

from course_utils.commands.main import command_line
from course_utils.errors import CourseError
from course_utils.lab import curve, parameters

SCALE = curve.Scale(test_records=4, val_records=2, least_steps=4)


@pytest.fixture(scope="module")
def data(prepared):
    return curve.load_data(SCALE)


def test_the_sets_of_one_seed_lie_in_each_other_and_seeds_draw_others(data):
    small, large = data.first(20, seed=1), data.first(50, seed=1)
    assert large[:20] == small
    assert data.first(20, seed=2) != small


def test_no_record_to_train_on_is_like_one_that_is_held_out(data):
    groups = {record["group"] for record in data.pool}
    assert not groups & {record["group"] for record in (*data.val, *data.test)}
    assert all(record["group"].startswith("gold ") or record in data.test for record in data.test)


@pytest.mark.parametrize(
    ("size", "passes"), [(20, 40), (50, 16), (100, 8), (200, 4), (400, 2), (800, 1), (3488, 1)]
)
def test_small_sizes_are_repeated_until_they_make_200_steps(size, passes):
    assert curve.passes_for(size, least_steps=200) == passes


def test_all_is_as_many_as_there_are(data):
    assert [job.size for job in curve.plan(["all"], [1], data, SCALE)] == [len(data.pool)]


def test_more_than_there_are_is_refused(data):
    with pytest.raises(CourseError, match="9999 training records: there are"):
        curve.plan([9999], [1], data, SCALE)


def test_an_interrupted_curve_has_every_size_of_a_seed_first(data):
    jobs = curve.plan([8, 12], [1, 2], data, SCALE)
    assert [(job.seed, job.size) for job in jobs] == [(1, 8), (1, 12), (2, 8), (2, 12)]


# ---------------------------------------------------------------- two real runs


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, data):
    """(folder, outcome of the first recording, outcome of going on with it)."""
    folder = tmp_path_factory.mktemp("curve")
    jobs = curve.plan([8, 12], [1], data, SCALE)
    told = {"folder": folder / "out", "work": folder / "work", "base_model": "nano"}
    first = curve.run_curve(jobs[:1], data, SCALE, **told)
    return folder / "out", first, curve.run_curve(jobs, data, SCALE, resume=True, **told)


def test_a_curve_goes_on_where_it_was_stopped(recorded):
    folder, first, again = recorded
    assert (first.kept, first.made, first.failed) == (0, 1, [])
    assert (again.kept, again.made, again.failed) == (1, 1, [])
    assert sorted(path.name for path in folder.iterdir()) == [
        "records-0008-seed-1.json", "records-0012-seed-1.json",
    ]  # fmt: skip
    assert curve.read_curve(folder).sizes() == [8, 12]


def test_a_run_says_how_it_was_made_and_what_it_scored(recorded):
    run = curve.read_curve(recorded[0]).runs[1]
    assert (run["records"], run["seed"], run["passes"], run["steps"]) == (12, 1, 2, 6)
    assert run["status"] == "ok"
    assert parameters.from_command(run["command"]) == run["settings"]
    assert run["settings"]["num_train_epochs"] == 2
    assert run["versions"]["trl"]
    assert run["hardware"]["cores"] >= 1
    assert set(run["rivals"]) == {"majority", "nearest neighbour", "linear model"}
    assert 0 < run["rivals"][run["rival"]]["field_f1"] <= 1
    assert run["over_rival"]["low"] <= run["over_rival"]["high"] < 0  # nano answers noise
    assert run["total_seconds"] > run["seconds"] > 0


def test_runs_of_two_kinds_are_not_mixed(recorded, data, tmp_path):
    folder = recorded[0]
    jobs = curve.plan([8], [1], data, SCALE)
    told = {"folder": folder, "work": tmp_path, "base_model": "nano"}
    with pytest.raises(CourseError, match="already holds runs"):
        curve.run_curve(jobs, data, SCALE, **told)
    longer = curve.Scale(test_records=4, val_records=2, least_steps=5)
    with pytest.raises(CourseError, match="its run has another least_steps"):
        curve.run_curve(jobs, data, longer, resume=True, **told)


def test_a_file_of_another_kind_in_the_folder_is_named(recorded, tmp_path):
    for path in recorded[0].glob("*.json"):
        run = json.loads(path.read_text())
        run["about"]["least_steps"] += run["records"] == 12
        (tmp_path / path.name).write_text(json.dumps(run))
    with pytest.raises(CourseError, match=r"records-0012-seed-1.json: .* another least_steps"):
        curve.read_curve(tmp_path)


def test_a_file_that_is_no_run_is_named(tmp_path):
    (tmp_path / "records-0008-seed-1.json").write_text("[]")
    with pytest.raises(CourseError, match="records-0008-seed-1.json: this is no run"):
        curve.read_curve(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--sizes", "8x"], "--sizes 8x: not numbers"), (["--seeds", "one"], "--seeds one: not")],
)
def test_what_is_no_number_is_named_before_anything_is_read(words, said):
    with pytest.raises(CourseError, match=said):
        command_line()(["curve", *words])
