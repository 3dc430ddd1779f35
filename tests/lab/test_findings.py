"""The sentences on the recorded sweeps, worked out again from the files; and the gallery."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from course_utils.lab import analysis, findings, parameters, sweeps

FOLDER = Path(__file__).parents[2] / "data" / "sweeps"
TRAINED = list(sweeps.VALUES)
# Not recorded around today's centre yet: who records one anew takes its name out.
BEFORE = {
    "max_length",
    *("lora_dropout", "warmup_ratio", "lr_scheduler_type", "precision"),
}


@pytest.mark.parametrize("name", TRAINED)
def test_the_notebook_says_where_runs_of_before_stand(name, capsys):
    analysis.recorded(name)
    assert ("Older runs" in capsys.readouterr().out) == (name in BEFORE)


def test_the_notebook_names_all_of_them_beside_the_centre(capsys):
    analysis.about_recorded()
    told = capsys.readouterr().out
    assert all(name in told for name in BEFORE)


def content(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def raw(name):
    return content(name)["runs"]


def centre_of(name):
    """The centre's runs that belong to a file: those of the same settings and records."""
    about = content(name)["about"]
    for path in FOLDER.glob("start*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        if all(found["about"][what] == about[what] for what in sweeps.KIND):
            return found["runs"]
    return []


def by_value(parameter, key):
    """{value as text: [figure of each seed]}, straight from the files, the centre included."""
    found = defaultdict(list)
    for run in raw(parameter):
        found[parameters.text_of(run["value"])].append(run[key])
    seeds = {run["seed"] for run in raw(parameter)}
    for run in centre_of(parameter):
        if run["seed"] in seeds:
            found[parameters.text_of(run["settings"][parameter])].append(run[key])
    return dict(found)


def mean(numbers):
    return sum(numbers) / len(numbers)


def first(parameter, beginning):
    """The sentence on a parameter that begins so, or None."""
    return next((s for s in findings.finding(parameter) if s.startswith(beginning)), None)


@pytest.mark.parametrize("parameter", TRAINED)
def test_every_value_was_run_with_two_seeds(parameter):
    runs = by_value(parameter, "seed")
    around_todays_centre = content(parameter)["about"]["centre"] == sweeps.CENTRE
    assert around_todays_centre == (parameter not in BEFORE)
    if around_todays_centre:
        assert set(runs) == {parameters.text_of(value) for value in sweeps.VALUES[parameter]}
    for value, seeds in runs.items():
        assert len(set(seeds)) >= 2, value


@pytest.mark.parametrize("parameter", [*TRAINED, "start", "failures"])
def test_every_record_says_how_it_was_made(parameter):
    for run in raw(parameter):
        assert run["status"] in ("ok", "diverged"), run["error"]
        assert parameters.from_command(run["command"]) == run["settings"]
        assert f"--seed {run['seed']} " in run["command"]
        assert run["versions"]["trl"]
        assert run["hardware"]["cpu_model"]
        assert run["seconds"] > 0
        assert run["finished"]


@pytest.mark.parametrize("parameter", TRAINED)
def test_one_parameter_differs_from_the_centre(parameter):
    centre = content(parameter)["about"]["centre"]
    for run in raw(parameter):
        changed = {k for k, v in run["settings"].items() if v != centre[k]}
        assert changed == {parameter}


@pytest.mark.parametrize("parameter", TRAINED)
def test_the_sentence_on_the_loss_holds(parameter):
    losses = by_value(parameter, "eval_loss")
    statuses = by_value(parameter, "status")
    losses = {v: x for v, x in losses.items() if all(s == "ok" for s in statuses[v])}
    means = {value: mean(numbers) for value, numbers in losses.items()}
    noise = max(max(x) - min(x) for x in losses.values())
    best, worst = min(means, key=means.get), max(means, key=means.get)
    lowest, between = (
        first(parameter, "Validation loss is lowest"),
        first(parameter, "Validation loss lies"),
    )
    assert (lowest is None) != (between is None)
    if means[worst] - means[best] <= noise:
        assert f"between {means[best]:.2f} and {means[worst]:.2f}" in between
    else:
        assert f"lowest at {best} ({means[best]:.2f})" in lowest
        assert f"highest at {worst} ({means[worst]:.2f})" in lowest
        told = first(parameter, "Not told apart")
        same = {v for v, m in means.items() if v != best and m - means[best] <= noise}
        named = set(re.findall(r"[\w.+-]*\w", told.split(": ")[1])) if told else set()
        assert named == same


@pytest.mark.parametrize("parameter", TRAINED)
def test_a_value_that_diverged_is_named(parameter):
    gone = {v for v, found in by_value(parameter, "status").items() if "diverged" in found}
    told = first(parameter, "Training diverged") or ""
    assert all(value in told for value in gone)
    assert bool(told) == bool(gone)


@pytest.mark.parametrize(
    ("parameter", "beginning", "key", "digits"),
    [
        ("num_train_epochs", "Processor time goes", "cpu_seconds", 0),
        ("per_device_train_batch_size", "The number of optimiser steps goes", "steps", 0),
        ("per_device_train_batch_size", "Peak memory goes", "peak_memory_gb", 1),
        ("gradient_accumulation_steps", "The number of optimiser steps goes", "steps", 0),
        ("max_length", "Field F1 goes", "field_f1", 2),
        ("lora_dropout", "Processor time goes", "cpu_seconds", 0),
        ("include_mlp", "Processor time goes", "cpu_seconds", 0),
    ],
)
def test_a_figure_that_goes_from_one_end_to_the_other(parameter, beginning, key, digits):
    found = by_value(parameter, key)
    order = [parameters.text_of(v) for v in sweeps.read_sweep(parameter).values()]
    ends = [mean(found[order[0]]), mean(found[order[-1]])]
    noise = max(max(x) - min(x) for x in found.values())
    if key == "field_f1":
        noise = max(noise, 1 / content(parameter)["about"]["test_records"])
    told = first(parameter, beginning)
    assert bool(told) == (abs(ends[1] - ends[0]) > noise)
    if told:
        for value, figure in ((order[0], ends[0]), (order[-1], ends[1])):
            assert re.search(rf"{figure:.{digits}f}( s| GiB)? at {re.escape(value)}\b", told)


def test_a_short_run_needs_a_higher_rate():
    losses = {value: mean(found) for value, found in by_value("learning_rate", "eval_loss").items()}
    told = first("learning_rate", "After these ")
    best = min(losses, key=losses.get)
    assert losses["2e-05"] > losses["0.0002"] > losses[best]
    for value in ("2e-05", "0.0002", best):
        assert value in told
        assert f"{losses[value]:.2f}" in told
    assert float(best) > 2e-4


def test_training_loss_falls_faster_than_validation_loss():
    train = by_value("num_train_epochs", "final_train_loss")
    losses = by_value("num_train_epochs", "eval_loss")
    gap = {value: mean(losses[value]) - mean(train[value]) for value in losses}
    told = first("num_train_epochs", "Training loss")
    assert gap["5"] > gap["0.5"]
    assert f"{mean(train['5']):.2f} at 5" in told
    assert f"({mean(losses['5']):.2f})" in told
    turned = mean(losses["5"]) > min(map(mean, losses.values()))
    assert turned or "it has not turned yet" in told


def test_a_cut_answer_scores_less():
    rows = [run["new_tokens"] for run in centre_of("max_length")]
    told = first("max_length", "max_new_tokens")
    full = mean([row[-1]["field_f1"] for row in rows])
    shortest = mean([row[0]["field_f1"] for row in rows])
    assert f"full field F1 of {full:.2f}" in told
    assert told.endswith(f"score {shortest:.2f}.")
    assert shortest < full


def test_accumulation_takes_the_same_processor_time():
    found = [
        mean(seeds) for seeds in by_value("gradient_accumulation_steps", "cpu_seconds").values()
    ]
    told = first("gradient_accumulation_steps", "Processor time stays")
    assert max(found) - min(found) < findings.ABOUT * max(found)
    assert f"between {min(found):.0f} and {max(found):.0f} s" in told


def test_where_time_differs_it_is_not_called_the_same():
    assert findings._same_time(sweeps.read_sweep("num_train_epochs")) == []


def test_bf16_against_fp32():
    told = first("precision", "On the processor of these runs")
    for key, unit in (("cpu_seconds", "processor time"), ("peak_memory_gb", "memory")):
        found = by_value("precision", key)
        ratio = mean(found["bf16"]) / mean(found["fp32"])
        assert re.search(rf"{ratio:.1f} times the {unit}", told)
    has = (
        "which has " if content("precision")["about"]["hardware"]["cpu_bf16"] else "which does not"
    )
    assert has in told


def test_the_adapter_grows_with_the_rank():
    sizes = by_value("lora_r", "adapter_mb")
    told = first("lora_r", "The adapter's file grows")
    assert f"{mean(sizes['2']):.1f} MB at r = 2" in told
    assert f"{mean(sizes['64']):.1f} MB at r = 64" in told


def test_constant_schedules_end_lowest_in_these_short_runs():
    """Said by the reference answers on lr_scheduler_type."""
    losses = by_value("lr_scheduler_type", "eval_loss")
    constant = [max(losses.pop(name)) for name in ("constant", "constant_with_warmup")]
    assert max(constant) < min(min(found) for found in losses.values())


# ---------------------------------------------------------------- the failure gallery
def failure(name):
    """The run of a mistake, and its training losses by step."""
    run = next(run for run in raw("failures") if run["parameter"] == name)
    return run, losses_of(run)


def losses_of(run):
    return [entry["loss"] for entry in run["log"] if entry.get("loss") is not None]


def healthy(key, of="failures"):
    return mean([run[key] for run in centre_of(of)])


def test_every_mistake_was_recorded_and_is_explained():
    from course_utils.lab import recorded as lab_recorded

    assert {run["parameter"] for run in raw("failures")} == set(sweeps.FAILURES)
    assert set(sweeps.FAILURES) <= set(lab_recorded.TEXTS)


def test_ten_times_the_learning_rate_diverges():
    run, losses = failure("learning_rate_times_10")
    learned = [
        r for r in raw("learning_rate") if r["eval_loss"] < healthy("eval_loss", "learning_rate")
    ]
    assert run["settings"]["learning_rate"] == 10 * max(r["value"] for r in learned)
    assert run["status"] == "diverged"
    assert max(losses) > 10 * losses[0]


def test_trained_padding_looks_wonderful_and_scores_no_better():
    run, losses = failure("padding_learned")
    assert run["final_train_loss"] < healthy("final_train_loss") / 2
    assert run["eval_loss"] > max(run["eval_loss"] for run in centre_of("failures"))
    assert run["field_f1"] < max(run["field_f1"] for run in centre_of("failures"))


def test_a_masked_end_lets_answers_run_on_and_the_score_does_not_see_it():
    run, _ = failure("eos_not_learned")
    beyond = [answer["answer"].partition("}")[2].strip() for answer in run["answers"]]
    assert all(beyond)
    assert run["field_f1"] >= min(run["field_f1"] for run in centre_of("failures"))


def test_without_the_template_the_same_records_score_less():
    for run in raw("start"):
        without = run["wrong_template"]
        assert without["records"] == sweeps.WITHOUT_TEMPLATE
        assert without["field_f1"] < without["with_template"]["field_f1"]


def test_cut_answers_have_a_usual_training_and_a_high_validation_loss():
    run, _ = failure("answers_truncated")
    assert run["final_train_loss"] < 1.3 * healthy("final_train_loss")
    assert run["eval_loss"] > 1.5 * healthy("eval_loss")


def test_an_fp16_adapter_explodes_and_then_reads_zero():
    run, losses = failure("fp16_adapter")
    assert max(losses) > 5 * losses[0]
    assert losses[-1] == 0
    assert run["log"][-2].get("grad_norm") is None
    assert all(answer["answer"] == "" for answer in run["answers"])


def test_attention_only_ends_higher():
    worst = max(run["eval_loss"] for run in centre_of("include_mlp"))
    assert min(run["eval_loss"] for run in raw("include_mlp")) > worst


def test_without_warmup_the_loss_jumps_and_with_a_long_one_it_does_not():
    bare, warm = failure("no_warmup")[1], failure("long_warmup")[1]
    assert max(bare[:10]) > 1.5 * bare[0]
    assert max(warm) < 1.2 * warm[0]


def test_a_run_without_recorded_data_finds_nothing(tmp_path):
    assert findings.finding("lora_r", tmp_path) == []


def test_differences_below_the_spread_over_seeds_are_not_claimed():
    runs = [
        {"value": v, "seed": s, "status": "ok", "eval_loss": x}
        for v, s, x in ((8, 1, 0.8), (8, 2, 1.0), (16, 1, 0.95), (16, 2, 0.99))
    ]
    told = findings._loss_sentences(sweeps.Sweep("lora_alpha", {}, runs))
    assert len(told) == 1
    assert "do not tell the values apart" in told[0]
