"""Results say what they were made from: a copy belongs together, what was split again does not."""

import json
import os
import shutil

import pytest

from course_utils import provenance, runs
from course_utils.errors import CourseError
from course_utils.records import write_records

TEXTS = [f"replace part number {number}" for number in range(12)]


def records(texts):
    return [{"instruction": "Fill in", "input": text, "output": "{}"} for text in texts]


def write_part(run, part, texts):
    write_records(run.path("data", f"{part}.jsonl"), records(texts))


def write_result(run, name, **content):
    """A result as its notebook writes it."""
    run.write(name, {**content, "prints": provenance.seen_by(name, run)})


def write_adapter(run, weights):
    run.path("adapter", "adapter_model.safetensors").write_bytes(weights)


def write_training(run, weights=b"first"):
    seen = provenance.seen_by("training.json", run)
    write_adapter(run, weights)
    run.write("training.json", {"prints": seen | provenance.of_adapter(run)})


def write_baseline(run, seconds=1.0, answers=("a",), answer="b", nll=2.0):
    rivals = {"majority": {"answers": list(answers), "seconds": seconds}}
    rows = [{"input": TEXTS[8], "few_shot": answer, "nll_few_shot": nll}]
    write_result(run, "baseline.json", main="few_shot", predictions=rows, rivals=rivals)


@pytest.fixture
def run(tmp_path):
    """A finished run: every result tells what lies in the folder."""
    made = runs.open_run(tmp_path / "run", "nano")
    for part, texts in (("train", TEXTS[:6]), ("val", TEXTS[6:8]), ("test", TEXTS[8:])):
        write_part(made, part, texts)
    write_baseline(made)
    write_training(made)
    write_result(made, "evaluation.json")
    write_result(made, "inference.json")
    return made


def files_of(run):
    return [one.file for one in provenance.stale(run.folder)]


def cure_of(run):
    return provenance.cure(run.folder, provenance.stale(run.folder))


def lines_of(folder):
    return list(provenance.lines(folder, provenance.stale(folder)))


def test_a_run_as_it_was_made_belongs_together(run):
    assert lines_of(run.folder) == []
    provenance.require(run.folder, *provenance.SEEN_BY)


def test_a_copy_with_new_times_belongs_together_too(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.folder, copy, copy_function=shutil.copyfile)
    os.utime(copy / "evaluation.json", (1e9, 1e9))
    os.utime(copy / "adapter" / "adapter_model.safetensors", (2e9, 2e9))
    assert lines_of(copy) == []


def test_the_same_records_with_other_line_ends_are_the_same_part(run):
    path = run.path("data", "train.jsonl")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert files_of(run) == []


def test_another_training_part_asks_for_02_and_03_and_tells_the_leak(run):
    write_part(run, "train", TEXTS[2:8])
    write_part(run, "test", TEXTS[:2] + TEXTS[9:])
    with pytest.raises(CourseError) as caught:
        provenance.require(run.folder, "training.json")
    assert "the adapter was trained on another training part" in caught.value.message
    assert "2 of the 5 test records stand word for word in the old one" in caught.value.message
    cure = f"run notebook 03 again, then 04 and 05: course run --only 03,04,05 --out {run.folder}"
    assert caught.value.cure == cure
    assert files_of(run) == [*provenance.SEEN_BY]
    assert "--only 02,03,04,05 " in cure_of(run)


def test_a_leak_is_told_whatever_case_and_spaces_and_its_absence_too(run):
    write_part(run, "train", TEXTS[3:8])
    write_part(run, "test", [f"  {TEXTS[0].upper()} ", TEXTS[9]])
    [told] = [one.found for one in provenance.stale(run.folder, ["training.json"])]
    assert "(6 records then, 5 now); 1 of the 2 test records stands word for word" in told
    write_part(run, "test", TEXTS[9:])
    [told] = [one.found for one in provenance.stale(run.folder, ["training.json"])]
    assert "none of the 3 test records stand word for word" in told


def test_another_test_part_leaves_the_adapter_alone(run):
    write_part(run, "test", TEXTS[8:11])
    assert files_of(run) == ["baseline.json", "evaluation.json", "inference.json"]
    provenance.require(run.folder, "training.json")
    with pytest.raises(CourseError, match=r"another test part \(4 records then, 3 now\)"):
        provenance.require(run.folder, "baseline.json", "training.json")
    assert "run notebook 02 again, then 04 and 05: course run --only 02,04,05 --out" in cure_of(run)


def test_a_new_adapter_makes_the_evaluation_old(run):
    write_training(run, b"second")
    assert files_of(run) == ["evaluation.json", "inference.json"]
    assert "run notebook 04 again, then 05" in cure_of(run)


def test_trained_again_to_the_same_weights_nothing_is_old(run):
    write_training(run)
    assert files_of(run) == []


def test_an_adapter_put_there_from_elsewhere_is_not_that_of_training_json(run):
    write_adapter(run, b"foreign")
    with pytest.raises(CourseError, match="training.json tells of another adapter than"):
        provenance.require(run.folder, "training.json")


def test_the_same_baseline_measured_again_is_the_same_and_another_is_not(run):
    write_baseline(run, seconds=9.0, nll=2.0000001)
    assert files_of(run) == []
    for change in ({"answers": ["b"]}, {"answer": "c"}):
        write_baseline(run, **change)
        assert files_of(run) == ["evaluation.json"]


def test_a_result_that_other_settings_shaped_is_told_with_both_values(run):
    """Opening notebook 03 saves its parameters before anything is trained with them."""
    runs.open_run(run.folder, "nano", lora_r=64, max_new_tokens=7, eval_batch_size=3)
    found = {one.file: one for one in provenance.stale(run.folder)}
    rank = run.settings.lora_r
    assert found["training.json"].found == f"training.json was made with lora_r {rank} (now 64)"
    assert "max_new_tokens" in found["baseline.json"].found
    assert {one.notebook for one in found.values()} >= {"02", "03"}
    with pytest.raises(CourseError, match="lora_r"):
        provenance.require(run.folder, "training.json")
    runs.open_run(run.folder, "nano", lora_r=rank, max_new_tokens=run.settings.max_new_tokens)
    assert not provenance.stale(run.folder)


def test_another_base_model_is_told_with_both_names(run):
    runs.open_run(run.folder, "nano", base_model="other-model")
    told = [one.found for one in provenance.stale(run.folder, ["training.json"])]
    assert told == ["training.json is of the base model nano, the run now of other-model"]


def test_results_of_an_older_kit_are_a_warning_and_no_refusal(run, capsys):
    for name in provenance.SEEN_BY:
        content = run.read(name)
        del content["prints"]
        run.write(name, content)
    provenance.require(run.folder, *provenance.SEEN_BY)
    assert capsys.readouterr().out.startswith("Warning: baseline.json, training.json, ")
    [line] = lines_of(run.folder)
    assert line.startswith("Warning: ")


@pytest.mark.parametrize("prints", [None, 7, "x", [1], {}, {"train": 3}, {"strange": {"a": 1}}])
def test_prints_that_somebody_wrote_by_hand_raise_nothing_else(run, prints):
    run.write("training.json", {"prints": prints})
    assert all(isinstance(line, str) for line in lines_of(run.folder))


def test_a_part_that_is_gone_or_broken_is_not_compared(run):
    run.path("data", "val.jsonl").unlink()
    run.path("data", "train.jsonl").write_text("{", encoding="utf-8")
    assert files_of(run) == []


@pytest.mark.parametrize(
    ("gone", "name", "notebook"),
    [
        ("data/train.jsonl", "baseline.json", "01_data_prep"),
        ("data/val.jsonl", "training.json", "01_data_prep"),
        ("baseline.json", "evaluation.json", "02_baseline"),
        ("adapter/adapter_model.safetensors", "inference.json", "03_lora_sft"),
    ],
)
def test_what_a_notebook_lacks_is_named_with_the_one_that_writes_it(run, gone, name, notebook):
    (run.folder / gone).unlink()
    with pytest.raises(CourseError, match=f"{gone}: there is no such file") as caught:
        provenance.seen_by(name, run)
    assert caught.value.cure == f"run notebook {notebook} first"


def test_a_shortened_test_part_is_told_how_to_score_fewer():
    test = records(TEXTS)
    baseline = {"predictions": [{"input": record["input"]} for record in test]}
    provenance.require_asked(test, baseline)
    with pytest.raises(CourseError, match="`test` has 5 of the 12 records") as caught:
        provenance.require_asked(test[:5], baseline)
    base_table, tuned_table = {"nll": [1.0] * 12}, {"nll": [2.0] * 12}
    line = caught.value.cure.split("section 6: few = ")[1].split(", then ")[0]
    few = eval(line, {"base_table": base_table, "tuned_table": tuned_table})
    assert few == [{"nll": [1.0] * 5}, {"nll": [2.0] * 5}]


def test_other_test_records_ask_for_the_baseline_again():
    baseline = {"predictions": [{"input": text} for text in TEXTS]}
    with pytest.raises(CourseError, match="of other test records .12. than `test` holds .12.") as e:
        provenance.require_asked(records(["new", *TEXTS[1:]]), baseline)
    assert e.value.cure == "run notebook 02 again, then this one"


def test_prints_are_the_same_on_every_machine(run):
    """sha256 of sorted JSON: written out once, so that no later kit changes it unseen."""
    prints = provenance.seen_by("training.json", run)
    assert json.loads(json.dumps(prints)) == prints
    assert prints["val"] == {"records": 2, "print": "417d9152ca383892"}
