"""Model selection: what is skipped, measured, kept, compared, said and drawn."""

import json
import math
import os
import signal
import subprocess
import sys

import pytest

from course_utils import chat, drawing, metrics, models
from course_utils.assignments import pages
from course_utils.assignments.selection import comparison
from course_utils.assignments.selection.candidates import Candidate, candidates, describe
from course_utils.assignments.selection.choosing import choose_examples, choose_records, load_data
from course_utils.assignments.selection.comparison import compare_models, run_comparison
from course_utils.assignments.selection.measuring import (
    PROMPTS,
    likelihoods,
    measure_candidate,
    own_tokens,
)
from course_utils.assignments.selection.process import Worker
from course_utils.assignments.selection.recommendation import main_difference, recommend
from course_utils.assignments.selection.report import (
    COLUMNS,
    comparison_markdown,
    comparison_table,
    page_of,
    plot_model_comparison,
    write_comparison,
)
from course_utils.assignments.selection.scores import main_scores, score_parts, score_summary
from course_utils.errors import CourseError
from course_utils.hardware import Hardware
from course_utils.records import write_records

LAPTOP = Hardware("Linux", "a CPU", cores=2, cpu_bf16=False, ram_gb=8.0)
T4 = Hardware("Linux", "a CPU", 2, False, 12.0, "Tesla T4", 15.0, (7, 5))
SMALL = {"few_shot_examples": 1, "max_new_tokens": 4, "batch_size": 4, "speed_tokens": 2}
SMALL |= {"progress": False}


def work_order(number):
    answer = json.dumps({"system": "bucket", "part": f"tooth {number}"})
    return {
        "instruction": "Turn the work order into JSON.",
        "input": f"bucket tooth {number} missing",
        "output": answer,
        "task": "understanding",
        "group": f"g{number}",
    }


def question(number):
    return {
        "instruction": f"How many bolts hold cover {number}?",
        "input": "",
        "output": f"Cover {number} is held by {number + 4} bolts.",
        "task": "qa",
        "group": f"q{number}",
    }


TEST = [work_order(1), work_order(2), question(1)]
TRAIN = [work_order(10), work_order(11), question(10), question(11)]


@pytest.fixture(scope="module")
def broken_folder(tmp_path_factory):
    """A folder that looks like a model (its header can be read) and cannot be loaded."""
    folder = tmp_path_factory.mktemp("models") / "broken-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "no-such-type"}', encoding="utf-8")
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(24)
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def chosen(broken_folder):
    skipped = Candidate("meta-llama/Llama-3.1-8B", "nf4", "gated: ask first", "log in")
    real = [Candidate("nano", "fp32"), Candidate("nano", "nf4")]
    return [*real, Candidate(str(broken_folder), "fp32"), skipped]


@pytest.fixture(scope="module")
def result(nano_model_path, chosen, place):
    """Two real rows, one that fails and one that is skipped."""
    return compare_models(TEST, TRAIN, chosen, folder=place, **SMALL)


def row_of(model, precision, few=(1.0, 0.0), weights=1.0, zero=(0.0, 0.0), bits=0.5, **changes):
    """A finished row whose records have the given main scores."""

    def scores(values):
        parts = [[value, 1.0] for value in values]
        task = {"metric": "rougeL", "score": sum(values) / len(values), "parts": parts}
        task["records"] = len(values)
        main = {"main": task["score"], "tasks": {"qa": task}, "scores": {}}
        return {**main, "perplexity": 12.0, "bits_per_byte": bits, "tokens": 9, "bytes": 40}

    row = {
        "model": model,
        "precision": precision,
        "status": "done",
        "reason": "",
        "cure": "",
        "parameters": 135_000_000,
        "licence": "Apache-2.0",
        "compute_precision": precision,
        "memory_gb": {"weights": weights, "peak": weights + 0.5, "where": "RAM"},
        "tokens_per_second": {"1": 20.0, "8": 90.0},
        "load_seconds": 1.5,
        "threads": 2,
        "zero_shot": scores(zero),
        "few_shot": scores(few),
        "seconds": 30.0,
        "from_cache": False,
    }
    return {**row, **changes}


def result_of(*rows, records=40):
    return {
        "records": records,
        "few_shot_examples": 3,
        "max_new_tokens": 128,
        "batch_size": 8,
        "seed": 42,
        "main_scores": {"qa": "rougeL"},
        "speed_tokens": 24,
        "versions": {"python": "3.11"},
        "hardware": LAPTOP.to_dict(),
        "rows": list(rows),
        "recommendation": recommend(rows, records),
    }


SKIPPED = {
    **dict.fromkeys(row_of("x", "fp32")),
    **{"model": "big/model-70B", "precision": "nf4", "status": "skipped", "from_cache": False},
    **{"reason": "too big: needs about 40 GiB", "cure": "a larger machine"},
}


def as_text(renderable, width=80):
    from rich.console import Console

    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(renderable)
    return console.export_text()


# --- candidates ---


def test_every_name_in_every_precision_is_there_once():
    found = candidates(["nano", "nano"], ["fp32", "nf4"], LAPTOP, free_gb=8)
    assert [(c.name, c.precision, c.fits) for c in found] == [
        ("nano", "fp32", True),
        ("nano", "nf4", True),
    ]


@pytest.mark.parametrize(
    ("name", "precision", "machine", "reason"),
    [
        ("nano", "bf16", LAPTOP, "this CPU has no bf16 units"),
        ("nano", "bf16", T4, "Tesla T4 has no bf16 units"),
        ("Qwen/Qwen2.5-7B-Instruct", "nf4", LAPTOP, "the Hub is not reachable"),
        ("someone/unheard-of", "nf4", LAPTOP, "not in the kit's list, and the Hub is not"),
        ("unheard-of", "fp32", LAPTOP, "neither a folder nor a model"),
        ("/no/such", "fp32", LAPTOP, "neither a folder nor a model"),
    ],
)
def test_what_cannot_run_here_is_skipped_with_the_reason(name, precision, machine, reason):
    [found] = candidates([name], [precision], machine, free_gb=100)
    assert not found.fits
    assert reason in found.reason
    assert found.cure


def test_a_model_larger_than_the_free_memory_is_skipped_with_both_numbers():
    # 0.135 billion numbers of 4 bytes are 0.503 GiB; a tenth more, and 1 GiB beside them: 1.55.
    [found] = candidates([models.EMBEDDED], ["fp32"], LAPTOP, free_gb=1.5)
    assert found.reason == "too big: needs about 1.6 GiB, 1.5 GiB are free"
    [smaller] = candidates([models.EMBEDDED], ["nf4"], LAPTOP, free_gb=1.5)
    assert smaller.fits


def test_a_gated_model_without_a_token_is_skipped(monkeypatch):
    monkeypatch.setattr(models, "hub_reachable", lambda: True)
    monkeypatch.setattr("course_utils.assignments.selection.candidates._hub_token", lambda: None)
    [found] = candidates(["meta-llama/Llama-3.1-8B"], ["nf4"], LAPTOP, free_gb=100)
    assert "gated" in found.reason
    assert "https://huggingface.co/meta-llama/Llama-3.1-8B" in found.cure


def test_a_folder_is_known_by_its_weights(nano_model_path, broken_folder):
    assert describe(str(broken_folder)).billions == 6e-9
    known = describe(str(nano_model_path))
    assert known.licence == "local"
    assert known.billions * 1e9 == pytest.approx(3.22e6, rel=0.01)


def test_a_folder_without_a_model_is_skipped(tmp_path):
    (tmp_path / "notes.txt").write_text("no model", encoding="utf-8")
    assert "holds no model" in candidates([str(tmp_path)], ["fp32"], LAPTOP, 8)[0].reason
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    assert "is no safetensors file" in candidates([str(tmp_path)], ["fp32"], LAPTOP, 8)[0].reason


@pytest.mark.parametrize(
    ("names", "precisions", "said"),
    [([], ["fp32"], "no model"), (["nano"], [], "no precision"), (["nano"], ["int8"], "int8")],
)
def test_wrong_arguments_are_errors_and_no_rows(names, precisions, said):
    with pytest.raises(CourseError, match=said):
        candidates(names, precisions, LAPTOP, 8)


# --- records and examples ---


def test_tasks_are_drawn_evenly_and_the_same_for_the_same_seed():
    pool = [work_order(n) for n in range(20)] + [question(n) for n in range(3)]
    chosen = choose_records(pool, 8, seed=1)
    tasks = [record["task"] for record in chosen]
    assert (tasks.count("qa"), tasks.count("understanding")) == (3, 5)
    assert chosen == choose_records(pool, 8, seed=1)
    assert chosen != choose_records(pool, 8, seed=2)


def test_examples_are_of_the_records_own_task():
    examples = choose_examples(TEST, TRAIN, 2, seed=1)
    assert {task: {e["task"] for e in found} for task, found in examples.items()} == {
        "qa": {"qa"},
        "understanding": {"understanding"},
    }


def test_too_few_examples_of_a_task_are_named():
    with pytest.raises(CourseError, match="1 training records of the task qa, 2 few-shot"):
        choose_examples(TEST, TRAIN[:3], 2, seed=1)


def test_one_file_is_split_by_group(tmp_path):
    pairs = [{**work_order(n), "input": f"order {n} {half}"} for n in range(9) for half in "ab"]
    write_records(tmp_path / "all.jsonl", pairs)
    test, train = load_data(tmp_path / "all.jsonl", 100, seed=3)
    assert len(test) == 12
    assert len(train) == 6
    assert not {r["group"] for r in test} & {r["group"] for r in train}


def test_a_run_folder_is_a_data_folder(tmp_path):
    (tmp_path / "data").mkdir()
    write_records(tmp_path / "data" / "test.jsonl", TEST)
    write_records(tmp_path / "data" / "train.jsonl", TRAIN)
    test, train = load_data(tmp_path, 2, seed=3)
    assert (len(test), train) == (2, TRAIN)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"instruction": "x", "input": \n', "test.jsonl:1: "),
        (b"", "test.jsonl"),
        ('{"instruction":"ä","input":"","output":"y"}\n'.encode("latin-1"), "test.jsonl:1: "),
        (b'{"question": "x", "reply": "y"}\n', "test.jsonl"),
    ],
)
def test_a_broken_data_file_is_named(tmp_path, content, said):
    write_records(tmp_path / "train.jsonl", TRAIN)
    (tmp_path / "test.jsonl").write_bytes(content)
    with pytest.raises(CourseError, match=said) as caught:
        run_comparison(tmp_path, ["nano"], ["fp32"], out=tmp_path / "out")
    assert caught.value.cure
    assert not (tmp_path / "out").exists()


def test_a_folder_without_its_files_says_which(tmp_path):
    with pytest.raises(CourseError, match="no train.jsonl and no test.jsonl"):
        load_data(tmp_path, 3, 1)
    with pytest.raises(CourseError, match="records is 0"):
        load_data(tmp_path, 0, 1)


# --- scores ---


def test_the_parts_of_field_f1_add_up_to_field_f1():
    references = [work_order(1)["output"], work_order(2)["output"]]
    answers = ['{"system": "bucket"}', '{"system": "boom", "part": "tooth 2", "x": "y"}']
    # First: 1 right, 0 wrong, 1 missed: 2 of 3. Second: 1 right, 2 wrong, 1 missed: 2 of 5.
    records = [work_order(1), work_order(2)]
    parts = [score_parts("field_f1", a, r) for a, r in zip(answers, records)]  # noqa: B905
    assert parts == [(2.0, 3.0), (2.0, 5.0)]
    assert metrics.field_f1(answers, references) == pytest.approx(4 / 8)


def test_the_main_score_is_the_mean_over_tasks_not_over_records():
    answers = [TEST[0]["output"], TEST[1]["output"], "nothing of that"]
    summary = score_summary(TEST, answers, main_scores(TEST))
    assert summary["tasks"]["understanding"]["score"] == 1.0
    assert summary["tasks"]["qa"]["score"] == 0.0
    assert summary["main"] == 0.5


def test_records_without_a_task_are_scored_by_what_their_answers_are():
    plain = {"instruction": "a", "input": "b", "output": "text"}
    assert main_scores([plain]) == {"all": "rougeL"}
    assert main_scores([{**plain, "output": '{"a": "b"}'}]) == {"all": "field_f1"}


def test_the_ending_of_the_chat_template_is_cut_and_nothing_else(tokenizer):
    record = chat.record_messages(TEST[2], tokenizer)
    tokens = chat.tokenize_messages(record["prompt"], record["completion"], tokenizer)
    completion = tokens.input_ids[tokens.prompt_length :]
    own = own_tokens(tokens, TEST[2]["output"], tokenizer)
    assert len(completion) - own == 2  # <|im_end|> and the line's end
    assert tokenizer.decode(completion[:own]) == TEST[2]["output"]
    assert own_tokens(tokens, "another text", tokenizer) == len(completion)


def test_bits_per_byte_equal_those_computed_by_hand(nano_model_path, tokenizer):
    import torch

    model = models.load_model("nano")
    record = {"instruction": "Name it.", "input": "", "output": "Kühlmittelpumpe"}
    prompt = chat.record_messages(record)["prompt"]
    found = likelihoods(model, tokenizer, [prompt], [record], batch_size=1)
    start = chat.prompt_ids(prompt, tokenizer)
    answer = tokenizer("Kühlmittelpumpe")["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([start + answer])).logits[0].double().log_softmax(-1)
    nats = -sum(float(logits[len(start) - 1 + place, token]) for place, token in enumerate(answer))
    assert found["bytes"] == 16  # 15 letters, one of them two bytes long
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / 16, rel=1e-4)


def byte_model(letters_per_token):
    """A tokenizer of one or two letters a token, and a model that guesses all tokens alike."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers import models as kinds
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = "abcd"
    words = [*letters] if letters_per_token == 1 else [a + b for a in letters for b in letters]
    extra = [] if letters_per_token == 1 else [*letters]
    ids = {word: i for i, word in enumerate([*words, *extra, "<pad>", "<e>"])}
    tokenizer = Tokenizer(kinds.WordLevel(ids, unk_token="<pad>"))
    pieces = Regex("<e>|" + "[a-d]" * letters_per_token)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pieces, "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>", pad_token="<pad>")
    fast.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}<e>"
        "{% endif %}{% endfor %}"
    )
    config = LlamaConfig(vocab_size=len(ids), hidden_size=8, intermediate_size=8,
                         num_hidden_layers=1, num_attention_heads=1)  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every token is as likely as any other
    return model, fast, len(ids)


@pytest.mark.parametrize("letters_per_token", [1, 2])
def test_bits_per_byte_depend_on_the_guess_and_not_on_the_pieces(letters_per_token):
    model, tokenizer, choices = byte_model(letters_per_token)
    record = {"instruction": "abcd", "input": "", "output": "abcdabcd"}
    prompts = [chat.record_messages(record)["prompt"]]
    found = likelihoods(model, tokenizer, prompts, [record], batch_size=1)
    assert found["tokens"] == 8 / letters_per_token + 1  # the end token counts for perplexity
    assert found["perplexity"] == pytest.approx(choices, rel=1e-4)
    assert found["bytes"] == 8
    assert found["bits_per_byte"] == pytest.approx(math.log2(choices) / letters_per_token, rel=1e-4)


def test_a_guess_among_16_pairs_costs_as_many_bits_a_byte_as_one_among_4_letters():
    letters = [8 * math.log(4)], [8]  # eight letters, each one of four
    pairs = [4 * math.log(16)], [4]  # four pairs, each one of sixteen: the same text
    assert metrics.perplexity(*pairs) == pytest.approx(metrics.perplexity(*letters) ** 2)
    assert metrics.bits_per_byte(letters[0], [8]) == pytest.approx(2)
    assert metrics.bits_per_byte(pairs[0], [8]) == pytest.approx(2)


def test_a_prompt_longer_than_the_model_reads_is_an_error(nano_model_path, tokenizer):
    model = models.load_model("nano")
    long = {"instruction": "word " * 3000, "input": "", "output": "x"}
    prompts = [chat.record_messages(long)["prompt"]]
    with pytest.raises(CourseError, match="the model reads 2048"):
        likelihoods(model, tokenizer, prompts, [long], 1)


# --- the comparison: real processes ---


def test_each_candidate_is_a_row_and_keeps_its_place(result):
    rows = [(row["model"].rpartition("/")[2], row["precision"], row["status"])
            for row in result["rows"]]  # fmt: skip
    assert rows == [
        ("nano", "fp32", "done"),
        ("nano", "nf4", "done"),
        ("broken-model", "fp32", "failed"),
        ("Llama-3.1-8B", "nf4", "skipped"),
    ]
    assert len({frozenset(row) - {"source"} for row in result["rows"]}) == 1  # the same keys


def test_a_row_holds_what_was_measured(result):
    first, second = result["rows"][:2]
    # Embeddings 49,152 x 64; two layers of 36,992 (attention 12,288, MLP 24,576, norms); a norm.
    assert first["parameters"] == second["parameters"] == 3_219_776
    assert first["memory_gb"]["weights"] == pytest.approx(3_219_776 * 4 / 2**30, rel=0.01)
    assert second["memory_gb"]["weights"] < first["memory_gb"]["weights"]
    assert first["memory_gb"]["peak"] > 0.1
    assert min(first["tokens_per_second"].values()) > 0
    assert first["few_shot"]["bytes"] == sum(len(record["output"]) for record in TEST)
    assert first["few_shot"]["perplexity"] == pytest.approx(49_152, rel=0.1)  # it guesses
    assert set(first["few_shot"]["tasks"]) == {"understanding", "qa"}


def test_a_candidate_that_fails_says_why_and_its_log_stays(result, place):
    failed = result["rows"][2]
    assert "broken-model" in failed["reason"] or "no-such-type" in failed["reason"]
    assert failed["licence"] == "local"
    assert [path.name[:12] for path in (place / "candidates").glob("*.log")] == ["broken-model"]


def test_a_skipped_candidate_keeps_its_reason_and_shows_what_is_known(result):
    skipped = result["rows"][3]
    assert skipped["reason"] == "gated: ask first"
    assert skipped["licence"] == "Llama 3.1 Community"
    assert skipped["parameters"] == 8_030_000_000


def test_the_same_job_in_this_process_gives_the_same_answers_and_likelihoods(
    result, place, monkeypatch
):
    jobs = []
    monkeypatch.setattr(comparison, "_row", lambda _, w, *rest: jobs.append(w.job) or SKIPPED)
    compare_models(TEST, TRAIN, [Candidate("nano", "fp32")], **SMALL)
    again = measure_candidate(json.loads(json.dumps(jobs[0])))
    [saved] = (place / "candidates").glob("nano-fp32-*.json")
    first = json.loads(saved.read_text(encoding="utf-8"))["row"]
    for prompt in PROMPTS:
        assert len(again[prompt]["answers"]) == len(TEST)
        assert again[prompt] == first[prompt]
        assert result["rows"][0][prompt]["bits_per_byte"] == again[prompt]["bits_per_byte"]


def test_a_finished_candidate_is_not_measured_again_and_a_changed_job_is(chosen, place, result):
    again = compare_models(TEST, TRAIN, chosen[:2], folder=place, **SMALL)
    assert [row["from_cache"] for row in again["rows"]] == [True, True]
    assert again["rows"][0]["few_shot"] == result["rows"][0]["few_shot"]
    seeds = {}
    for seed in (42, 43):
        candidate, job = chosen[0], {"records": TEST, "seed": seed}
        seeds[seed] = Worker(place, candidate, job, {}, 1).out_path
    assert seeds[42] != seeds[43]


def test_a_damaged_outcome_does_not_count_as_finished(tmp_path, chosen):
    worker = Worker(tmp_path, chosen[0], {}, {}, 1)
    for content in ("", "[]", "{", '{"error": "x"}', '{"row": 3}'):
        worker.out_path.write_text(content, encoding="utf-8")
        assert worker.saved() is None


def test_a_candidate_over_its_time_is_stopped_and_becomes_a_row(tmp_path, nano_model_path):
    found = compare_models(
        TEST, TRAIN, [Candidate("nano", "fp32")], folder=tmp_path, timeout_minutes=0.005, **SMALL
    )
    [row] = found["rows"]
    assert (row["status"], row["reason"]) == ("failed", "stopped after 0.005 minutes")
    assert found["recommendation"]["model"] is None
    assert not list((tmp_path / "candidates").glob("*.job.json"))


def test_a_process_that_is_killed_becomes_a_reason(tmp_path, chosen):
    worker = Worker(tmp_path, chosen[0], {}, {}, 1)
    worker.log_path.write_text("Traceback\nRuntimeError: no kernel\n", encoding="utf-8")
    assert "want of memory" in worker._outcome(-9)["error"]
    assert worker._outcome(1)["error"] == "its process ended with code 1: RuntimeError: no kernel"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_worker_leaves_when_its_parent_is_gone(tmp_path):
    """The parent holds the worker's input open; here it closes it at once."""
    code = (
        "import time; from course_utils.assignments.selection import measuring; "
        "measuring._end_with_parent(); print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"up\n"
    process.stdin.close()
    assert process.wait(120) == 1  # by itself it ends with 0
    process.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_the_worker(tmp_path, chosen, monkeypatch):
    worker = Worker(tmp_path, chosen[0], {}, {}, 60)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    def interrupt(seconds=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        worker._wait(process, print)
    assert process.returncode == -signal.SIGKILL  # by itself it ends with 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_is_the_processes_own_and_not_its_parents():
    code = (
        "import subprocess, sys; held = bytearray(400 * 2**20); "
        "print(subprocess.run([sys.executable, '-c', "
        "'from course_utils import hardware, selection; print(hardware.peak_memory_gb())'], "
        "capture_output=True, text=True).stdout)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 0.25


@pytest.mark.parametrize(
    ("records", "chosen", "changes", "said"),
    [
        ([], [Candidate("nano", "fp32")], {}, "no record"),
        (TEST, [], {}, "no candidate"),
        (TEST, [Candidate("nano", "fp32")], {"batch_size": 0}, "not above 0"),
        (TEST, [Candidate("nano", "fp32")], {"few_shot_examples": 0}, "few_shot_examples is 0"),
    ],
)
def test_wrong_arguments_of_the_comparison_are_named(records, chosen, changes, said):
    with pytest.raises(CourseError, match=said):
        compare_models(records, TRAIN, chosen, **{**SMALL, **changes})


# --- the recommendation ---


def test_a_clearly_best_candidate_is_recommended_whatever_its_size():
    rows = [row_of("a", "fp32", [0.9] * 40, weights=2.0), row_of("b", "fp32", [0.1] * 40)]
    found = recommend(rows, 40)
    assert (found["model"], found["tied"]) == ("a", [])
    assert "clearly" in found["text"]
    assert "On these 40 records" in found["text"]


def test_among_candidates_that_cannot_be_told_apart_the_smallest_is_recommended():
    better = [1.0, 0.0] * 20
    worse = [0.0, 1.0] * 19 + [0.0, 0.9]
    rows = [row_of("a", "fp32", better, 2.0), row_of("a", "nf4", worse, 0.5)]
    rows.append(row_of("c", "nf4", [0.0] * 40, 0.1))
    found = recommend(rows, 40)
    assert (found["model"], found["precision"], found["tied"]) == ("a", "nf4", ["a in nf4"])
    assert "not clearly less" in found["text"]
    assert "0.50 GiB against 2.00 GiB" in found["text"]


def test_a_recommended_candidate_that_is_slower_says_so():
    slow = row_of("a", "nf4", [0.5] * 30, 0.5, tokens_per_second={"1": 5.0, "8": 9.0})
    found = recommend([row_of("a", "fp32", [0.5] * 30, 2.0), slow], 30)
    assert found["precision"] == "nf4"
    assert "slower: 5 tokens/s one by one, against 20" in found["text"]


def test_the_recommendation_is_careful():
    rows = [row_of("a", "fp32", [0.9] * 4), row_of("b", "fp32", [0.1] * 4)]
    few = recommend(rows, 4)
    assert "too few to rank" in few["text"]
    assert "too few to rank" in few["finding"]
    assert "clearly" not in few["text"] + few["finding"]
    assert "no other row" in recommend(rows[:1], 4)["text"]
    assert recommend([SKIPPED], 4)["model"] is None
    zero = recommend([row_of("a", "fp32", [0.0] * 4), row_of("b", "fp32", [0.0] * 4)], 4)
    assert zero["model"] is None
    assert "cannot decide" in zero["text"]


def test_the_interval_of_a_constant_difference_is_that_difference():
    rows = row_of("a", "fp32", [0.9] * 10), row_of("b", "fp32", [0.4] * 10)
    found = main_difference(*rows)
    assert list(found.values()) == pytest.approx([0.5, 0.5, 0.5])


# --- table, figure, files ---


def test_the_table_fits_80_columns_and_drops_no_row():
    long = row_of("HuggingFaceTB/SmolLM2-1.7B-Instruct-with-a-long-name", "fp32", [0.5] * 40)
    text = as_text(comparison_table(result_of(long, SKIPPED, row_of("a", "nf4", [0.4] * 40))))
    assert max(map(len, text.splitlines())) <= 80
    assert "skipped: too big: needs" in text
    assert "…" not in text
    assert "0.500" in text
    assert "On these 40 records" in text


def test_the_table_of_real_rows_shows_each_task(result):
    text = as_text(comparison_table(result))
    assert "understanding" in text
    assert "failed:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_markup_and_pipes_in_names_stay_text():
    odd = row_of("owner/[red]x|y", "fp32", [0.5] * 40, licence="a | b <i>")
    assert "[red]x|y" in as_text(comparison_table(result_of(odd)))
    page = comparison_markdown(result_of(odd))
    assert "[red]x\\|y" in page
    assert "a \\| b &lt;i>" in page


def test_the_figures_title_states_the_finding_and_skipped_candidates_are_named():
    figure = plot_model_comparison(result_of(row_of("a", "fp32", [0.5] * 40), SKIPPED))
    assert drawing.figure_title(figure) == "On these 40 records a in fp32 scores 0.50 few-shot"
    assert "model-70B in nf4: too big" in figure.get_supxlabel()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert all("is better" in title for title in titles)


def test_a_figure_without_a_measured_row_is_refused():
    with pytest.raises(CourseError, match="nothing to draw"):
        plot_model_comparison(result_of(SKIPPED))


def test_the_files_hold_the_result_and_how_it_was_made(result, tmp_path):
    page = write_comparison({"command": "course compare-models x", **result}, tmp_path)
    saved = json.loads((tmp_path / "model_comparison.json").read_text(encoding="utf-8"))
    assert saved["rows"][0]["few_shot"] == result["rows"][0]["few_shot"]
    assert (tmp_path / "model_comparison.png").read_bytes().startswith(b"\x89PNG")
    text = page.read_text(encoding="utf-8")
    for said in ("course compare-models x", "torch", "seed: 42", "records: 3", "gated: ask first"):
        assert said in text
    rows = [line for line in text.splitlines() if line.startswith("| nano | fp32 | 3.22 M")]
    assert len(rows) == 1
    assert rows[0].count(" | ") == 15
    for name in COLUMNS:
        assert f"- **{name}**: " in text


def test_nothing_measured_is_written_without_a_picture(tmp_path):
    write_comparison(result_of(SKIPPED), tmp_path)
    assert not (tmp_path / "model_comparison.png").exists()
    text = (tmp_path / "model_comparison.md").read_text(encoding="utf-8")
    assert "| model-70B | nf4 | - | - | skipped |" in text
    page = tmp_path / "model_comparison.md"
    page.write_text(pages.MARK.sub("", text), encoding="utf-8")  # as an earlier kit wrote it
    assert page_of(tmp_path) == page


def test_run_comparison_tells_the_command_that_repeats_it(tmp_path):
    write_records(tmp_path / "test.jsonl", TEST)
    write_records(tmp_path / "train.jsonl", TRAIN)
    found = run_comparison(
        tmp_path, ["no model"], ["fp32"], 3, tmp_path / "out", few_shot_examples=1, progress=False
    )
    assert found["rows"][0]["status"] == "skipped"
    assert found["command"].startswith(f"course compare-models {tmp_path.name} --model 'no model'")
    assert "--records 3" in found["command"]
    assert (tmp_path / "out" / "model_comparison.md").is_file()
