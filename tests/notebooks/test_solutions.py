"""Every exercise has a solution that comes true: executed on nano, from the notebooks' own text.

One run of the notebooks with the solutions' answers filled in stands for the student's; each
exercise is then done on it, and what it found is compared with what the exercise promises. What
only a trained model shows is looked up in a finished run of the kit (`long`).
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
from solved import FOLDER, OPEN, solution, solving

from course_utils import kit
from course_utils.files import read_json
from course_utils.lab import sweeps
from course_utils.settings import load_presets, preset_settings
from course_utils.training import order_by_length, plan_schedule

NAMES = sorted(path.stem for path in FOLDER.glob("0*.py"))


def notebook(name: str):
    return nbformat.read(kit.NOTEBOOKS / f"{name}.ipynb", as_version=4)


def exercises_text(name: str) -> str:
    text = notebook(name).cells[-1].source
    return text[text.index("## Exercises") :]


def code(name: str) -> str:
    return "\n".join(cell.source for cell in notebook(name).cells if cell.cell_type == "code")


# --- Texts and solutions belong together ----------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_has_a_solution_and_every_solution_an_exercise(name):
    asked = {int(number) for number in re.findall(r"^(\d+)\. ", exercises_text(name), re.MULTILINE)}
    assert set(solving.exercises(solution(name))) == asked


@pytest.mark.parametrize("name", NAMES)
def test_every_solution_answers_in_words(name):
    for solve in solving.exercises(solution(name)).values():
        assert len(solve.__doc__.split()) > 20


@pytest.mark.parametrize("name", NAMES)
def test_every_open_answer_of_a_notebook_has_its_solution(name):
    assert set(OPEN.findall(code(name))) == set(solution(name).ANSWERS)


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_types_in_no_number_of_a_preset(name):
    assert re.findall(r"-p \w+ [\d.]\S*", exercises_text(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_names_commands_as_a_new_terminal_finds_them(name):
    assert re.findall(r"`course [a-z]+", exercises_text(name)) == []


def test_a_copy_is_made_in_one_way_everywhere():
    assert len(set(re.findall(r"\*\*Work on a copy.*", "\n".join(map(exercises_text, NAMES))))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_hint_and_solution_are_named_before_the_first_answer_that_is_open(name):
    if solution(name).ANSWERS:
        text = "\n".join(cell.source for cell in notebook(name).cells)
        before = text[: OPEN.search(text).start()]
        assert ".hint()" in before
        assert ".solution()" in before


# --- The student's run ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory, nano_model_path):
    """A nano run of the notebooks, every open answer filled in."""
    place = tmp_path_factory.mktemp("solved")
    (place / "filled").mkdir()
    for name in NAMES:
        filled = solving.with_answers(notebook(name), solution(name).ANSWERS)
        nbformat.write(filled, place / "filled" / f"{name}.ipynb")
    command = [sys.executable, "-m", "course_utils", "run", str(place / "filled")]
    command += ["--out", str(place / "executed"), "--preset", "nano", "-p", f"run_dir={place}/run"]
    environment = {**os.environ, "COURSE_THREADS": "1"}
    done = subprocess.run(
        command, cwd=kit.ROOT, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return solving.opened(place / "run")


def verdicts(folder: Path) -> dict[str, list[str]]:
    """Notebook -> what its checks said, one text a cell."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("0*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            asked = re.search(r"^ *checks\.(\w+)\(", cell.source, re.MULTILINE)
            if cell.cell_type == "code" and asked:
                said = "".join(output.get("text", "") for output in cell.outputs)
                found.setdefault(path.stem, []).append(said)
    return found


def test_with_the_solutions_every_check_says_correct(run):
    found = verdicts(run.folder.parent / "executed")
    assert found.keys() == {name for name in NAMES if "checks." in code(name)}
    # A random model may end at once, and of answers that are all empty the check says just that.
    fine = ("Correct: ", "Not yet: every answer is empty")
    wrong = [said for texts in found.values() for said in texts if not any(f in said for f in fine)]
    assert not wrong


@pytest.fixture(scope="module")
def done(run):
    """Does an exercise once, however many tests look at it."""

    @cache
    def do(name: str, number: int) -> dict:
        with contextlib.redirect_stdout(None):
            return solving.exercises(solution(name))[number](run)

    return do


# --- 01 -------------------------------------------------------------------------------------------


def test_01_1_a_lower_threshold_leaves_fewer_groups_and_drops_far_more_near_gold(done):
    usual, low = done("01_data_prep", 1).values()
    assert low["groups"] < 0.7 * usual["groups"]
    assert low["records"] < 0.7 * usual["records"]
    assert low["largest"] > usual["largest"]
    assert low["near gold"] > 3 * usual["near gold"]
    assert len(set(low["texts"])) == 5


def test_01_2_what_repeats_the_rules_does_not_get_everything_right(done):
    found = done("01_data_prep", 2)
    assert 0.95 < found["best F1"]["mean"] < 1
    assert 0.9 < found["whole records right"] < found["best F1"]["mean"]


def test_01_3_a_tenth_cut_is_refused_and_the_cut_record_too(done):
    found = done("01_data_prep", 3)
    assert 0.05 < found["cut"] <= 0.1
    assert not found["accepted"]
    assert not found["labels accepted"]
    assert found["what is left"].startswith("{")
    assert "}" not in found["what is left"]


def test_01_4_ten_records_are_enough_without_the_geology_fields(done):
    found = done("01_data_prep", 4)
    assert found["ten records"] == found["with --min-records 10"] == ["10 records"]
    assert "line 10: conflict: same prompt as line 9" in found["asked twice"][1]
    assert "at least 20" in found["geology fields"][1]


# --- 02 -------------------------------------------------------------------------------------------


def test_02_1_no_answer_without_examples_is_a_record(done):
    found = done("02_baseline", 1)
    assert len(found["ten answers"]) == 10
    assert found["records among all"] == 0


def test_02_2_twice_the_examples_make_a_longer_prompt(done):
    zero, few, more = [v["prompt"] for k, v in done("02_baseline", 2).items() if "tokens" in k]
    assert few > 2 * zero
    assert 1.5 * few < more < 2 * few


def test_02_2_the_notebook_prints_what_a_question_costs(run, done):
    printed = nbformat.read(
        next(run.folder.parent.glob("executed/**/02_baseline.ipynb")), as_version=4
    )
    said = "".join(o.get("text", "") for c in printed.cells for o in c.get("outputs", []))
    costs = [v["prompt"] for k, v in done("02_baseline", 2).items() if "tokens" in k]
    assert len(costs) == 3
    for cost in costs[:2]:
        assert f"tokens a question: {{'prompt': {cost}, " in said


def test_02_4_some_model_fits_whatever_the_machine(done):
    found = done("02_baseline", 4)
    assert "smollm2-135m-instruct" in found["nf4"]
    assert set(found["16-bit"]) <= set(found["nf4"])


# --- 03 -------------------------------------------------------------------------------------------


def test_03_1_without_the_mlp_less_than_half_of_the_parameters_is_left(done):
    found = done("03_lora_sft", 1)
    assert 0 < found["attention"]["parameters"] < found["all linear"]["parameters"] / 2


def test_03_2_the_rates_were_ten_times_and_a_tenth(done):
    found = {name: max(facts["learning rates"]) for name, facts in done("03_lora_sft", 2).items()}
    assert found["ten times"] == pytest.approx(10 * found["yours"])
    assert found["a tenth"] == pytest.approx(found["yours"] / 10)


def test_03_3_four_bit_weights_take_less(done):
    found = done("03_lora_sft", 3)
    assert found["nf4"]["weights"] < found["none"]["weights"]
    assert found["nf4"]["losses"] != found["none"]["losses"]


def test_03_4_half_the_batch_twice_the_accumulation_keeps_the_learning_rates_and_no_loss(done):
    before, after = done("03_lora_sft", 4).values()
    assert before["learning rates"] == after["learning rates"]
    assert before["losses"] != after["losses"]


# --- 04 -------------------------------------------------------------------------------------------


def test_04_1_every_word_of_the_examples_is_counted_in_the_training_part(run, done):
    lines = (run.folder / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [f" {' '.join(json.loads(line)['input'].lower().split())} " for line in lines]
    examples = done("04_evaluation", 1)
    words = {w: n for kind in examples.values() for one in kind for w, n in one["words"].items()}
    assert len(words) > 10
    for word, count in words.items():
        assert (count > 0) == any(f" {word} " in text for text in texts), word


def test_04_2_each_field_has_its_own_f1(done):
    found = done("04_evaluation", 2)
    assert list(found) == ["system", "part", "action", "failure_mode", "location"]
    assert all(0 <= one["field F1"] <= 1 for one in found.values())
    assert sum(one["values"] for one in found.values()) > 12


def test_04_2_the_line_of_the_exercise_keeps_one_field(run):
    from course_utils import metrics

    line = re.search(r"`one = (lambda .+?)` keeps", exercises_text("04_evaluation"))[1]
    one = eval(line, {"json": json, "metrics": metrics})  # noqa: S307
    own = solution("04_evaluation").one_field
    for text in ('{"part": "a; b", "system": "c"}', "no record", '{"system": "c"}'):
        assert json.loads(one(text, "part")) == json.loads(own(text, "part"))
    assert json.loads(one('{"part": "a; b", "system": "c"}', "part")) == {"part": ["a", "b"]}


def test_04_3_every_seed_draws_other_test_sets(done):
    found = done("04_evaluation", 3)
    assert [len(ends) for ends in found.values()] == [4, 4]
    assert all(low <= high for ends in found.values() for low, high in ends.values())


def test_04_4_half_of_the_records_are_scored(done):
    whole, half = done("04_evaluation", 4).values()
    assert half["records"] == whole["records"] // 2


def test_04_5_the_rivals_are_fitted_on_part_and_on_all_of_the_training_records(run, done):
    found = done("04_evaluation", 5)["rivals by records"]
    assert list(found) == [run.settings.train_records // 2, run.settings.train_records]
    assert all("linear model" in rivals for rivals in found.values())


def test_04_6_one_letter_is_missing_from_each_text(run, done):
    lines = (run.folder / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    for line, wrong in zip(lines, done("04_evaluation", 6)["texts"], strict=False):
        text = json.loads(line)["input"]
        assert len(wrong) == len(text) - 1
    assert "tuned" in done("04_evaluation", 6)["field F1"]


def test_04_6_the_line_of_the_exercise_leaves_the_same_letter_out():
    line = re.search(r"`wrong = (\[.+?for r in test\])`", exercises_text("04_evaluation"))[1]
    test = [{"input": "REPLACE  L/H MOTOR", "output": "{}"}, {"input": "a", "output": "{}"}]
    own = [solution("04_evaluation").misspelt(record) for record in test]
    assert eval(line, {"test": test}) == own  # noqa: S307
    assert [record["input"] for record in own] == ["RPLACE  L/H MOTOR", "a"]


# --- 05 -------------------------------------------------------------------------------------------


def test_05_as_many_requests_are_asked_however_few_questions_are_ones_own():
    text = "\n".join(cell.source for cell in notebook("05_inference").cells)
    asked = re.findall(r"\(prompts \* (\d+)\)\[:(\d+)\]", text)
    assert len(asked) == 2
    assert all(times == number for times, number in asked)


def test_05_1_the_words_of_a_drone_are_unknown_and_it_is_answered(done):
    found = done("05_inference", 1)
    assert "drone" in found["drone battery swollen"]["unknown"]
    assert all(isinstance(one["answer"], str) for one in found.values())


def test_05_2_base_and_tuned_are_asked_the_same(done):
    found = done("05_inference", 2)
    assert 0 <= found["differ"] <= 6
    assert len(found["most"]) == 3


def test_05_3_adapter_and_merged_are_timed_on_the_same_questions(done):
    found = done("05_inference", 3)
    assert [len(rates) for rates in found["rates"].values()] == [4, 4]
    assert found["adapter"]["load"] > 0
    assert "tokens/s, merged " in found["gain"]


def test_05_4_every_number_of_users_is_timed(done):
    found = done("05_inference", 4)
    assert list(found) == [1, 2, 4, 8, 16]
    assert all(one["tokens_per_second"] > 0 for one in found.values())


def test_05_5_merged_in_full_precision_scores_as_in_04(done):
    found = done("05_inference", 5)
    assert found["quantization"] == "none"
    assert found["merged"] == pytest.approx(found["as scored in 04"], abs=0.02)


def test_05_6_two_adapters_in_one_model_differ_and_switching_back_restores(done):
    found = done("05_inference", 6)
    assert found["largest difference of a logit"] > 0
    assert found["after switching back"] == 0
    assert found["seconds for a switch"] < 1
    assert found["megabytes"][1] < found["megabytes"][0]


# --- What only a trained model shows --------------------------------------------------------------


@pytest.fixture(scope="module")
def finished():
    """A finished run of the quick or the cpu preset: $COURSE_FINISHED_RUN, or one in runs/."""
    named = os.environ.get("COURSE_FINISHED_RUN")
    places = [Path(named)] if named else sorted((kit.ROOT / "runs").glob("*"))
    for place in places:
        settings = place / "settings.json"
        whole = settings.is_file() and (place / "evaluation.json").is_file()
        if whole and json.loads(settings.read_text())["settings"]["preset"] != "nano":
            return solving.opened(place)
    pytest.skip("no finished run: course run --preset quick")


@pytest.mark.long
def test_02_1_zero_shot_answers_are_talk(finished):
    found = solution("02_baseline").exercise_1(finished)
    assert found["records among all"] < 0.1 * found["answers"]
    assert finished.read("baseline.json")["zero_shot"]["field_f1"] < 0.02


@pytest.mark.long
def test_02_2_few_shot_answers_are_shorter_than_zero_shot_ones(finished, prepared):
    answers = finished.read("baseline.json")["predictions"]
    cost = solution("02_baseline")._cost
    zero = cost(finished, 0, [row["zero_shot"] for row in answers])
    few = cost(finished, finished.settings.few_shot_examples, [row["few_shot"] for row in answers])
    assert few["prompt"] > 2 * zero["prompt"]
    assert few["answer"] < zero["answer"]


@pytest.mark.long
def test_02_3_perplexity_falls_far_and_exact_match_hardly_moves(finished):
    found = solution("02_baseline").exercise_3(finished)
    assert found["perplexity"]["few_shot"] < found["perplexity"]["zero_shot"] / 2
    assert found["exact match"]["few_shot"] - found["exact match"]["zero_shot"] < 0.1
    assert found["of a record"] < 0.01 < found["chance of a token"]


@pytest.mark.parametrize("preset", load_presets())
def test_03_4_on_every_preset_the_steps_stay_the_same(preset):
    settings = preset_settings(preset)
    batch, accumulation = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    halved = settings.with_changes(
        per_device_train_batch_size=batch // 2, gradient_accumulation_steps=2 * accumulation
    )
    records = settings.train_records
    assert plan_schedule(halved, records) == plan_schedule(settings, records)
    lengths = [length % 40 for length in range(200)]
    orders = [order_by_length(lengths, size, seed=1) for size in (batch, batch // 2)]
    assert orders[0] != orders[1]


def recorded(name: str) -> list[dict]:
    """The recorded runs of one sweep: work orders, the embedded model."""
    return json.loads((kit.DATA / "sweeps" / f"{name}.json").read_text(encoding="utf-8"))["runs"]


def centre_of(name: str) -> list[dict]:
    """The centre's runs that were made as those of a sweep: others do not compare."""
    path = sweeps.FOLDER / f"{name}.json"
    return sweeps.start_of(read_json(path)["about"], path)


def test_03_1_attention_alone_ended_higher_in_the_recorded_runs():
    both = [run["eval_loss"] for run in centre_of("include_mlp")]
    attention = [run["eval_loss"] for run in recorded("include_mlp") if not run["value"]]
    assert min(attention) > max(both)


def test_03_2_a_tenth_of_the_rate_ended_high_in_the_recorded_runs():
    losses = {(run["value"], run["seed"]): run["eval_loss"] for run in recorded("learning_rate")}
    for seed in {seed for _, seed in losses}:
        assert losses[2e-4, seed] > 1.5 * losses[2e-3, seed]


def test_03_2_at_ten_times_the_rate_the_gradient_norm_told_first_in_the_recorded_runs():
    """A run of the failure gallery: no warm-up, so the full rate from the first step on."""
    high = next(run for run in recorded("failures") if run["settings"]["warmup_ratio"] == 0)
    usual = next(run for run in centre_of("failures") if run["seed"] == high["seed"])
    assert high["settings"]["learning_rate"] == 10 * usual["settings"]["learning_rate"]
    norms, losses = (
        [[entry[name] for entry in run["log"] if entry.get("loss")] for run in (high, usual)]
        for name in ("grad_norm", "loss")
    )
    first = {
        name: next(i for i, (a, b) in enumerate(zip(*pair, strict=True)) if a > 1.5 * b)
        for name, pair in {"norm": norms, "loss": losses}.items()
    }
    assert first["norm"] < first["loss"]


def test_03_4_a_smaller_batch_took_less_memory_in_the_recorded_runs():
    peaks: dict[int, list[float]] = {}
    for run in recorded("per_device_train_batch_size"):
        peaks.setdefault(run["value"], []).append(run["peak_memory_gb"])
    assert max(peaks[1]) < min(peaks[8])  # 2 is the centre, whose runs stand apart


@pytest.mark.long
def test_04_1_most_words_of_the_worst_records_stand_in_the_training_part(finished):
    worst = solution("04_evaluation").exercise_1(finished)["worst"]
    counts = [count for one in worst for count in one["words"].values()]
    assert sum(count == 0 for count in counts) < len(counts) / 3


@pytest.mark.long
def test_04_2_the_part_is_harder_than_the_location_and_has_more_values(finished):
    found = solution("04_evaluation").exercise_2(finished)
    assert found["part"]["field F1"] < found["location"]["field F1"]
    assert found["part"]["different"] > 2 * found["location"]["different"]


@pytest.mark.long
def test_04_3_the_ends_move_less_with_more_resamples(finished):
    few, many = solution("04_evaluation").exercise_3(finished).values()
    moves = [max(low) - min(low) for low in ([e[0] for e in s.values()] for s in (few, many))]
    assert 0 < moves[1] < moves[0] < 0.05


@pytest.mark.long
def test_04_4_half_of_the_records_make_the_interval_about_the_root_of_two_wider(finished):
    whole, half = solution("04_evaluation").exercise_4(finished).values()
    assert 1.1 < half["width"] / whole["width"] < 1.8


@pytest.mark.long
def test_04_5_the_linear_model_loses_much_with_few_records(finished):
    few, all_records = solution("04_evaluation").exercise_5(finished)["rivals by records"].values()
    assert few["linear model"]["mean"] < all_records["linear model"]["mean"] - 0.1
