"""Recorded sweeps: the plan, a real small sweep, and what a broken file says."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from course_utils.errors import CourseError
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


def test_the_plan_changes_one_parameter_at_a_time_and_goes_seed_by_seed():
    jobs = sweeps.plan([1, 2])
    assert all(len(job.changes) == 1 for job in jobs if job.parameter in sweeps.VALUES)
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)
    assert len({job.key for job in jobs}) == len(jobs)


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
    while not (tmp_path / "start.json").is_file() and time.monotonic() < until:
        time.sleep(0.2)
    below = psutil.Process(sweep.pid).children(recursive=True)
    sweep.send_signal(signal.SIGTERM)
    _, told = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, told
    assert "Finished runs are kept" in told
    assert len(sweeps.read_sweep("start", tmp_path).runs) == 1
    assert not psutil.wait_procs(below, timeout=30)[1]


def test_an_interrupt_waits_until_a_process_is_in_the_list():
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
