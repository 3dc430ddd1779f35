"""Recorded sweeps: the plan, a real small sweep, and what a broken file says."""

import itertools
import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.lab import parameters, recording, sweeps

SIZES = {"train": 8, "val": 2, "test": 2}


def test_every_parameter_that_trains_has_a_sweep_around_the_centre():
    trains = {name for name, parameter in parameters.PARAMETERS.items() if parameter.trains}
    assert set(sweeps.VALUES) == trains
    for name, values in sweeps.VALUES.items():
        assert sweeps.CENTRE[name] in values


def test_numbers_have_at_least_five_values():
    for name, values in sweeps.VALUES.items():
        if parameters.PARAMETERS[name].kind in ("int", "float"):
            assert len(values) >= 5, name


def test_the_plan_changes_one_parameter_at_a_time_and_goes_parameter_by_parameter():
    jobs = sweeps.plan([1, 2])
    assert all(len(job.changes) == 1 for job in jobs if job.parameter in sweeps.VALUES)
    files = [job.file for job in jobs]
    assert files[:2] == ["start", "start"]
    assert len(list(itertools.groupby(files))) == len(set(files))
    assert len({job.key for job in jobs}) == len(jobs)


@pytest.mark.parametrize(("name", "count"), [("start", 3), ("lora_r", 3), ("warmup_ratio", 2)])
def test_what_matters_most_has_three_seeds(name, count):
    assert len({job.seed for job in sweeps.plan(only=[name])}) == count


def test_a_run_at_the_centre_has_sixty_steps_of_four_records():
    batch = sweeps.CENTRE["per_device_train_batch_size"]
    batch *= sweeps.CENTRE["gradient_accumulation_steps"]
    assert batch == 4
    assert sweeps.SIZES["train"] * sweeps.CENTRE["num_train_epochs"] / batch == 60


def test_an_unknown_parameter_is_told_what_there_is():
    with pytest.raises(CourseError, match="lora_rank: nothing to sweep"):
        sweeps.plan([1], ["lora_rank"])


@pytest.fixture(scope="module")
def small_sweep(tmp_path_factory, prepared):
    """Two real runs of the nano model, the second made by going on with the first."""
    folder = tmp_path_factory.mktemp("sweep")
    work = folder / "work"
    jobs = sweeps.plan([1], ["start"]) + sweeps.plan([1], ["lora_r"])[:1]
    told = {"base_model": "nano", "sizes": SIZES}
    first = sweeps.run_sweep(jobs[:1], folder / "out", work, **told)
    again = sweeps.run_sweep(jobs, folder / "out", work, resume=True, **told)
    return folder / "out", first, again


def test_a_sweep_goes_on_where_it_stopped(small_sweep):
    _, first, again = small_sweep
    assert (first.made, first.kept) == (1, 0)
    assert (again.made, again.kept) == (1, 1)


def test_recorded_numbers_stand_by_size_whichever_are_planned_today():
    runs = [{"value": value} for value in (128, 1000, 64, 72, 64)]
    assert sweeps.Sweep("max_length", {}, runs).values() == [64, 72, 128, 1000]
    runs = [{"value": value} for value in ("bf16", "fp32")]
    assert sweeps.Sweep("precision", {}, runs).values() == ["fp32", "bf16"]


def test_a_record_says_how_it_was_made_and_how_it_went(small_sweep):
    sweep = sweeps.read_sweep("lora_r", small_sweep[0])
    assert sweep.values() == [2, 16]
    run = sweep.of_value(2)[0]
    assert run["status"] == "ok"
    assert parameters.from_command(run["command"]) == sweeps.CENTRE | {"lora_r": 2}
    assert run["settings"] == sweeps.CENTRE | {"lora_r": 2}
    assert run["trainable_parameters"] * 8 == sweep.of_value(16)[0]["trainable_parameters"]
    assert run["versions"]["trl"]
    assert run["hardware"]["cores"] >= 1
    assert run["cpu_seconds"] > 0
    assert len([entry for entry in run["log"] if "loss" in entry]) == run["steps"]


def test_the_centre_also_records_shorter_answers_and_the_wrong_template(small_sweep):
    run = sweeps.read_sweep("start", small_sweep[0]).runs[0]
    assert [row["max_new_tokens"] for row in run["new_tokens"]] == list(sweeps.NEW_TOKENS)
    assert run["wrong_template"]["records"] == 2
    assert run["wrong_template"]["with_template"].keys() == set(recording.SCORES)


def test_an_interrupted_sweep_keeps_what_is_done_and_leaves_no_process(tmp_path, prepared):
    words = ["sweep", "--only", "start,lora_r", "--seeds", "1", "--jobs", "1"]
    words += ["--base-model", "nano", "--out", str(tmp_path)]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "course_utils", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 300
    try:
        while not (tmp_path / "start.json").is_file() and time.monotonic() < until:
            time.sleep(0.2)
        below = psutil.Process(sweep.pid).children(recursive=True)
        sweep.send_signal(signal.SIGTERM)
        _, told = sweep.communicate(timeout=120)
    finally:
        sweep.kill()
    assert below
    assert sweep.returncode == 130, told
    assert "Finished runs are kept" in told
    assert len(sweeps.read_sweep("start", tmp_path).runs) == 1
    assert not psutil.wait_procs(below, timeout=30)[1]


@pytest.fixture
def ctrl_c_as_python_has_it():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_until_a_process_is_in_the_list(ctrl_c_as_python_has_it):
    done = []

    def start() -> None:
        with recording._uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("started and noted")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["started and noted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_runs_are_not_mixed_with_others(small_sweep, tmp_path):
    jobs = sweeps.plan([1], ["start"])
    with pytest.raises(CourseError, match="already holds runs"):
        sweeps.run_sweep(jobs, small_sweep[0], tmp_path, "nano", sizes=SIZES)
    with pytest.raises(CourseError, match="another base_model"):
        sweeps.run_sweep(jobs, small_sweep[0], tmp_path, resume=True, sizes=SIZES)


def test_a_sweep_file_that_is_none_is_named(tmp_path):
    (tmp_path / "start.json").write_text(json.dumps([1]))
    with pytest.raises(CourseError, match="start.json: this is no sweep file"):
        sweeps.read_sweep("lora_r", tmp_path)


# ---------------------------------------------------------------- runs of two centres


def runs_of(name, **more):
    """A made-up run for each job of a parameter."""
    return [
        {"parameter": j.parameter, "value": j.value, "seed": j.seed, "status": "ok", **more}
        for j in sweeps.plan(only=[name])
    ]


def about(**changes):
    made = dict.fromkeys(sweeps.KIND, 1) | {"centre": {"include_mlp": True}}
    return made | changes


OLD = about(centre={"include_mlp": True, "lora_r": 8})


@pytest.fixture
def two_kinds(tmp_path):
    """A folder with old runs of three names, and a recording that replaces them."""
    for name in ("start", "include_mlp", "lora_r"):
        content = {"about": OLD, "runs": runs_of(name, made="before")}
        write_json_atomic(tmp_path / f"{name}.json", content)
    return tmp_path


def record(folder, name, count=None):
    """Add the runs of a parameter, or the first `count`, as a recording does."""
    store = sweeps.Store(folder, about(), resume=True, replace=True)
    for job, run in list(zip(sweeps.plan(only=[name]), runs_of(name, made="now"), strict=True))[
        :count
    ]:
        store.add(job, run)


def made(folder, name):
    return {run["made"] for run in sweeps.read_sweep(name, folder).runs}


def test_new_runs_wait_until_their_parameter_is_whole(two_kinds):
    record(two_kinds, "start")
    record(two_kinds, "include_mlp", count=2)
    assert made(two_kinds, "start") == {"now"}
    assert made(two_kinds, "include_mlp") == made(two_kinds, "lora_r") == {"before"}
    record(two_kinds, "include_mlp")
    assert made(two_kinds, "include_mlp") == {"now"}
    assert made(two_kinds, "lora_r") == {"before"}


def test_a_parameter_waits_for_its_centre(two_kinds):
    record(two_kinds, "include_mlp")
    assert made(two_kinds, "include_mlp") == {"before"}
    record(two_kinds, "start")
    assert made(two_kinds, "include_mlp") == {"now"}


def test_what_nothing_needs_any_more_is_removed(two_kinds):
    for name in ("start", "include_mlp", "lora_r"):
        record(two_kinds, name)
    assert sorted(path.name for path in two_kinds.iterdir()) == [
        "include_mlp.json", "lora_r.json", "start.json",
    ]  # fmt: skip


def test_runs_and_a_centre_of_another_kind_are_not_drawn_together(two_kinds):
    write_json_atomic(two_kinds / "start.json", {"about": about(), "runs": runs_of("start")})
    with pytest.raises(CourseError, match="include_mlp.json: its runs .* have another centre"):
        sweeps.read_sweep("include_mlp", two_kinds)


def test_without_replace_runs_of_another_centre_are_refused(two_kinds):
    with pytest.raises(CourseError, match="have another centre"):
        sweeps.Store(two_kinds, about(), resume=True, replace=False)


def test_a_parameter_with_two_seeds_is_drawn_with_the_centres_same_two(tmp_path):
    for name in ("start", "precision"):
        write_json_atomic(tmp_path / f"{name}.json", {"about": about(
            centre={"precision": "fp32"}), "runs": runs_of(name)})  # fmt: skip
    sweep = sweeps.read_sweep("precision", tmp_path)
    assert [run["seed"] for run in sweep.of_value("fp32")] == [1, 2]
