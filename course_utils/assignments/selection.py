"""Model selection: the same baseline over several candidates, each in a process of its own.

    result = selection.run_comparison(Path("runs/my-run"), precisions=["fp32", "nf4"], records=40)
    rich.print(selection.comparison_table(result))

A candidate is a base model in one precision. Its own process (`python -m
course_utils.assignments.selection JOB.json OUT.json`) makes the measured memory
that candidate's alone, and turns a crash into a row.
What cannot run here stays in the table with the reason. Perplexity counts tokens, so it compares
precisions of one model; bits per byte compare models with different tokenizers.
"""

import contextlib
import hashlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, compat, hardware, kit, metrics, plots
from course_utils import models as base_models
from course_utils import tasks as task_scores
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.generation import completion_nll, generate_answers, measure_latency
from course_utils.hardware import GIB, Hardware
from course_utils.progress import PROGRESS_FILE, read_progress
from course_utils.records import read_records
from course_utils.runs import versions
from course_utils.settings import preset_settings
from course_utils.splits import split_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group
    from rich.table import Table
    from transformers import PreTrainedTokenizerBase

PRECISIONS = ("fp32", "bf16", "nf4")
PROMPTS = ("zero_shot", "few_shot")
# The score that speaks for a task. Each is a ratio of sums over records (see `score_parts`).
MAIN_SCORES, SCORE_NAMES = task_scores.MAIN_SCORE, task_scores.NAMES
BATCH_SIZES = (1, 8)  # of the speed measurement
# What a worker writes about its candidate.
MEASURED = ("parameters", "compute_precision", "memory_gb", "tokens_per_second", "load_seconds")
MEASURED += (*PROMPTS, "threads", "seconds")
# GiB a process needs beside the weights: the libraries, activations, the key/value cache.
BESIDE_WEIGHTS = 1.0
FEW_RECORDS = 20  # below that, an interval from resampled records promises more than it knows
ENDING = 8  # a chat template ends an answer with fewer tokens than this


# --- Candidates -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A base model (name of the registry, of the Hub, or a folder) in one precision.

    `reason` says why it is skipped and `cure` what would change that; both are empty when it fits.
    """

    name: str
    precision: str
    reason: str = ""
    cure: str = ""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise CourseError(
                f"{self.precision!r} is not a precision that candidates are compared in",
                f"choose from: {', '.join(PRECISIONS)}",
            )

    @property
    def fits(self) -> bool:
        """Whether it is going to be measured."""
        return not self.reason


def candidates(
    names: Sequence[str],
    precisions: Sequence[str],
    machine: Hardware,
    free_gb: float | None = None,
) -> list[Candidate]:
    """Every name in every precision, once; those that cannot run here carry the reason.

    `free_gb`: GiB to fit into, by default what is free on the GPU, else in RAM. Raises CourseError
    for an empty list or an unknown precision; an unknown name is a skipped candidate.
    """
    if not names or not precisions:
        what = "model" if not names else "precision"
        raise CourseError(f"there is no {what} to compare", f"name at least one {what}")
    free_gb = free_memory_gb(machine) if free_gb is None else free_gb
    pairs = dict.fromkeys((name, precision) for name in names for precision in precisions)
    found = []
    for name, precision in pairs:
        Candidate(name, precision)  # an unknown precision is the caller's mistake, no row
        try:
            _refuse(describe(name), precision, machine, free_gb)
            found.append(Candidate(name, precision))
        except CourseError as error:
            found.append(Candidate(name, precision, error.message, error.cure))
    return found


def _refuse(
    known: base_models.BaseModel, precision: str, machine: Hardware, free_gb: float
) -> None:
    """Raise CourseError with the first reason that keeps a candidate from running here."""
    if precision == "bf16" and hardware.choose_precision(machine)[0] != "bf16":
        device = machine.gpu_name or "this CPU"
        raise CourseError(f"bf16 is slow: {device} has no bf16 units", "compare fp32 and nf4")
    if precision == "nf4" and not _installed("bitsandbytes"):
        raise CourseError("bitsandbytes is not installed", "pip install -r requirements.txt")
    if known.hub and not _in_hub_cache(known.hub):
        if not base_models._hub_reachable():
            raise CourseError(
                "the Hub is not reachable, and the model is not in its cache",
                "connect to the network, or compare local folders and the embedded model",
            )
        if known.gated and not _hub_token():
            raise CourseError(
                "gated: the Hub asks for permission",
                f"accept the licence on https://huggingface.co/{known.hub}, then `hf auth login`",
            )
    needed = needed_gb(known, precision)
    if needed > free_gb:
        raise CourseError(
            f"too big: needs about {needed:.1f} GiB, {free_gb:.1f} GiB are free",
            "take nf4 or a smaller model, close other programs, or use a larger machine",
        )


def needed_gb(known: base_models.BaseModel, precision: str) -> float:
    """GiB to run a candidate, computed: its weights, a tenth more for activations, and the rest."""
    weights = known.memory_gb("nf4" if precision == "nf4" else "none") * 1e9 / GIB
    weights *= 2 if precision == "fp32" else 1
    return 1.1 * weights + BESIDE_WEIGHTS


def free_memory_gb(machine: Hardware) -> float:
    """GiB that are free right now: on the GPU if there is one, else in RAM."""
    if machine.gpu_memory_gb:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.mem_get_info()[0] / GIB
        return machine.gpu_memory_gb
    import psutil

    return min(machine.ram_gb, psutil.virtual_memory().available / GIB)


def describe(name: str) -> base_models.BaseModel:
    """What is known of a model before it is loaded: size, licence, whether it is gated.

    From the registry, from a folder's weights, or from the Hub. Raises CourseError for a name that
    is none of them.
    """
    known = base_models.registry().get(name)
    if known:
        return known
    folder = Path(name).expanduser()
    if folder.is_dir():
        billions = _folder_parameters(folder) / 1e9
        return base_models.BaseModel(name, None, billions, "local", True, False, "a local folder")
    if name.count("/") != 1 or folder.is_absolute() or name.startswith("."):
        raise CourseError(
            "neither a folder nor a model that this kit knows",
            "take a name that `course model list` prints, a Hub name (owner/name) or a folder",
        )
    if not base_models._hub_reachable():
        raise CourseError(
            "not in the kit's list, and the Hub is not reachable to ask about it",
            "take a name that `course model list` prints, or a local folder",
        )
    return _ask_hub(name)


@lru_cache
def _ask_hub(name: str) -> base_models.BaseModel:
    """Size and licence from the model's page on the Hub."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(name, timeout=20)
    except Exception as error:  # the client's errors share no base class
        first = str(error).strip().splitlines()[0][:120]
        raise CourseError(f"the Hub does not give this model ({first})", "check the name") from None
    if not info.safetensors:
        raise CourseError("its weights on the Hub are not safetensors", "choose another model")
    licence = (info.card_data or {}).get("license") or "see its card"
    billions, gated = info.safetensors.total / 1e9, bool(info.gated)
    return base_models.BaseModel(name, name, billions, str(licence), True, gated, "from the Hub")


def _folder_parameters(folder: Path) -> int:
    """Numbers in a folder's weights, read from the headers of its safetensors files.

    The format begins with the header's length (8 bytes, little endian) and the header as JSON.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise CourseError(
            "this folder holds no model", "it needs config.json, a tokenizer and *.safetensors"
        )
    total = 0
    for path in files:
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), 2**27)))
            shapes = [entry["shape"] for key, entry in header.items() if key != "__metadata__"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise CourseError(f"{path.name} is no safetensors file", "copy it again") from None
        for shape in shapes:
            size = 1
            for length in shape:
                size *= length
            total += size
    return total


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _in_hub_cache(hub: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub, "config.json"), str)


def _hub_token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


# --- Records: which are scored, which are shown as examples ---------------------------------------


def load_data(data: Path, count: int, seed: int) -> tuple[list[dict], list[dict]]:
    """(`count` test records, training records) of a folder or of one file.

    A folder holds train.jsonl and test.jsonl (or data/ with both, as a run folder does). A file is
    split by group, a third for examples. Tasks are drawn evenly. Raises CourseError for a missing
    or broken file.
    """
    data = Path(data)
    if count < 1:
        raise CourseError(f"records is {count}", "score at least one record; 40 is a good start")
    if data.is_dir():
        folder = data / "data" if (data / "data" / "test.jsonl").is_file() else data
        parts = {name: folder / f"{name}.jsonl" for name in ("train", "test")}
        missing = [path.name for path in parts.values() if not path.is_file()]
        if missing:
            raise CourseError(
                f"{data}: there is no {' and no '.join(missing)}",
                "give a folder with train.jsonl and test.jsonl (notebook 01 writes them to the run "
                "folder's data/), or one .jsonl file",
            )
        train, test = read_records(parts["train"]), read_records(parts["test"])
    else:
        records = read_records(data)
        groups = [record.get("group") or f"record {i}" for i, record in enumerate(records)]
        sizes = {"train": len(records) // 3, "test": len(records) - len(records) // 3}
        split = split_by_group(records, groups, sizes, seed)
        train, test = split["train"], split["test"]
    if not test:
        raise CourseError(f"{data}: there is no record to score", "bring more records")
    return choose_records(test, count, seed), train


def choose_records(records: Sequence[dict], count: int, seed: int) -> list[dict]:
    """`count` records, as many of each task as there are of any other; fewer if there are fewer."""
    piles = _by_task(records)
    for task, pile in piles.items():
        random.Random(f"{seed} {task}").shuffle(pile)
    chosen: list[dict] = []
    while len(chosen) < count and any(piles.values()):
        for pile in piles.values():
            if pile and len(chosen) < count:
                chosen.append(pile.pop())
    return chosen


def choose_examples(
    records: Sequence[dict], train_records: Sequence[dict], count: int, seed: int
) -> dict[str, list[dict]]:
    """{task: `count` solved examples from the training records}, for each task of `records`.

    A record is shown examples of its own task. Raises CourseError where there are too few.
    """
    if count < 1:
        raise CourseError(f"few_shot_examples is {count}", "show at least one example; 3 is usual")
    piles, examples = _by_task(train_records), {}
    for task in _by_task(records):
        pile = piles.get(task, [])
        if len(pile) < count:
            of_task = "" if task == "all" else f" of the task {task}"
            raise CourseError(
                f"{len(pile)} training records{of_task}, {count} few-shot examples wanted",
                "add training records or lower few_shot_examples",
            )
        examples[task] = random.Random(f"{seed} {task}").sample(pile, count)
    return examples


def _task(record: Mapping[str, Any]) -> str:
    return record.get("task") or "all"


def _by_task(records: Sequence[dict]) -> dict[str, list[dict]]:
    piles: dict[str, list[dict]] = {}
    for record in records:
        piles.setdefault(_task(record), []).append(record)
    return dict(sorted(piles.items()))


def _answer(record: dict) -> str:
    return chat.record_messages(record)["completion"][0]["content"]


# --- Scores ---------------------------------------------------------------------------------------


def main_scores(records: Sequence[dict]) -> dict[str, str]:
    """{task: its main score}; records without a known task: field F1 for JSON, else ROUGE-L."""
    chosen = {}
    for task, pile in _by_task(records).items():
        structured = all(metrics.parse_record(_answer(record)) for record in pile)
        metric = MAIN_SCORES.get(task, "field_f1" if structured else "rougeL")
        if metric == "fact_accuracy" and not all(record.get("facts") for record in pile):
            metric = "rougeL"  # reports of your own data need not name their facts
        chosen[task] = metric
    return chosen


def score_parts(metric: str, prediction: str, record: Mapping[str, str]) -> tuple[float, float]:
    """(gained, possible) of one record; a task's score is the ratio of their sums.

    Field F1 = sum of 2 tp / sum of (2 tp + fp + fn), which is `metrics.field_f1`; the others are
    means over the records. Sums can be resampled without scoring a text again.
    """
    reference = _answer(record)
    if metric == "field_f1":
        hits, wrong, missed = metrics.field_counts(prediction, reference)
        return 2.0 * hits, 2.0 * hits + wrong + missed
    if metric == "fact_accuracy":
        return task_scores.fact_scores([prediction], [record])[0], 1.0
    if metric == "token_f1":
        return task_scores.token_f1(prediction, reference), 1.0
    return metrics.rouge([prediction], [reference])[metric], 1.0


def _summary(
    records: Sequence[dict], answers: Sequence[str], wanted: Mapping[str, str]
) -> dict[str, Any]:
    """All scores, each task's main score with its parts, and "main": the mean over the tasks."""
    tasks: dict[str, Any] = {
        task: {"metric": metric, "score": None, "records": 0, "parts": []}
        for task, metric in wanted.items()
    }
    for record, answer in zip(records, answers, strict=True):
        task = tasks[_task(record)]
        task["parts"].append([*score_parts(task["metric"], answer, record)])
        task["records"] += 1
    for task in tasks.values():
        gained, possible = (sum(column) for column in zip(*task["parts"], strict=True))
        task["score"] = gained / possible if possible else 1.0
    references = [_answer(record) for record in records]
    return {
        "main": sum(task["score"] for task in tasks.values()) / len(tasks),
        "tasks": tasks,
        "scores": metrics.score_all(answers, references),
    }


def without_ending(
    tokens: chat.Tokens, answer: str, tokenizer: "PreTrainedTokenizerBase"
) -> chat.Tokens:
    """The tokens without those by which the chat template ends an answer.

    Templates end answers with one, two or three tokens, which are no part of the text; bits per
    byte must not depend on that. Where the text's end is inside a token, nothing is cut.
    """
    completion = tokens.input_ids[tokens.prompt_length :]
    for ending in range(min(len(completion), ENDING)):
        kept = completion[: len(completion) - ending]
        text = tokenizer.decode(kept, clean_up_tokenization_spaces=False)
        if text.strip() == answer.strip():
            return chat.Tokens(tokens.input_ids[: tokens.prompt_length + len(kept)],
                               tokens.prompt_length)  # fmt: skip
    return tokens


def likelihoods(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[chat.Messages],
    records: Sequence[dict],
    batch_size: int,
    text: str = "scoring",
) -> dict[str, Any]:
    """Perplexity (for each token, as the notebooks have it) and bits per byte of the answers.

    Bits per byte = nats of the answer's own tokens / ln 2 / its UTF-8 bytes: what the model needs
    to spell out the same text, in whatever pieces its tokenizer reads.
    """
    answers = [_answer(record) for record in records]
    whole = [
        chat.tokenize_messages(prompt, [{"role": "assistant", "content": answer}], tokenizer)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    _check_room(model, max(len(tokens.input_ids) for tokens in whole))
    texts = [without_ending(t, a, tokenizer) for t, a in zip(whole, answers, strict=True)]
    nll, counts = completion_nll(model, tokenizer, whole, batch_size, text)
    text_nll, _ = completion_nll(model, tokenizer, texts, batch_size, f"{text} (bytes)")
    sizes = [len(answer.strip().encode()) for answer in answers]
    return {
        "perplexity": metrics.perplexity(nll, counts),
        "bits_per_byte": metrics.bits_per_byte(text_nll, sizes),
        "tokens": sum(counts),
        "bytes": sum(sizes),
    }


def _check_room(model: Any, longest: int) -> None:
    room = getattr(model.config, "max_position_embeddings", None)
    if room and longest > room:
        raise CourseError(
            f"the longest prompt with its answer has {longest} tokens, the model reads {room}",
            "show fewer few-shot examples, or choose shorter records",
        )


# --- The worker: one candidate in its own process -------------------------------------------------


def measure_candidate(job: Mapping[str, Any]) -> dict[str, Any]:
    """Load the job's model and measure it; the job is what `_job` makes."""
    import torch
    import transformers  # noqa: F401  its import must not count as loading time

    compat.quiet_known_noise()
    started = time.perf_counter()
    tokenizer = base_models.load_tokenizer(job["name"])
    _download(job["name"])
    loading = time.perf_counter()
    model = _load(job)
    load_seconds = time.perf_counter() - loading
    row = {
        "parameters": model.num_parameters(),
        "compute_precision": job["compute"],
        "threads": torch.get_num_threads(),
        "load_seconds": load_seconds,
        **_baseline(model, tokenizer, job),
    }
    where = "GPU" if torch.cuda.is_available() else "RAM"
    weights = model.get_memory_footprint() / GIB
    row["memory_gb"] = {"weights": weights, "peak": hardware.peak_memory_gb(), "where": where}
    return {**row, "seconds": time.perf_counter() - started}


def _load(job: Mapping[str, Any]) -> Any:
    settings = preset_settings("nano").with_changes(
        quantization="nf4" if job["precision"] == "nf4" else "none", precision=job["compute"]
    )
    return base_models.load_model(
        job["name"], job["compute"], base_models.quantization_for(settings)
    )


def _download(name: str) -> None:
    """Fetch a Hub model before the clock of loading starts; no second copies of weights."""
    if base_models._offline(name):
        return
    from huggingface_hub import snapshot_download

    with base_models._hub_errors(name):
        snapshot_download(
            name,
            allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"],
            ignore_patterns=["consolidated*", "original/*", "onnx/*"],
        )


def _baseline(
    model: Any, tokenizer: "PreTrainedTokenizerBase", job: Mapping[str, Any]
) -> dict[str, Any]:
    """Zero-shot and few-shot answers and likelihoods, and the speed at each batch size.

    The parent scores the answers: the libraries that do it would count as the candidate's memory.
    """
    records, size = job["records"], job["batch_size"]
    prompts = {
        "zero_shot": [chat.record_messages(r, tokenizer)["prompt"] for r in records],
        "few_shot": [
            chat.few_shot_messages(r, job["examples"][_task(r)], tokenizer) for r in records
        ],
    }
    row: dict[str, Any] = {}
    for name in PROMPTS:
        said = name.replace("_", "-")
        # Likelihoods first: they find out that a prompt is too long before minutes of generating.
        known = likelihoods(model, tokenizer, prompts[name], records, size, f"scoring {said}")
        answers = generate_answers(
            model, tokenizer, prompts[name], job["max_new_tokens"], size, said
        )
        row[name] = {"answers": answers, **known}
    speed = {}
    for batch in BATCH_SIZES:
        pool = [prompts["zero_shot"][i % len(records)] for i in range(batch)]
        latency = measure_latency(model, tokenizer, pool, "base", job["speed_tokens"])
        speed[str(batch)] = latency["tokens_per_second"]
    return {**row, "tokens_per_second": speed}


def _end_with_parent() -> None:
    """Leave when the pipe from the parent closes: it was stopped, and nobody waits any more."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """The worker's entry: read the job file, write the outcome file, whatever happens."""
    job_path, out_path = (Path(argument) for argument in arguments)
    _end_with_parent()
    try:
        outcome = {"row": measure_candidate(read_json(job_path))}
    except CourseError as error:
        outcome = {"error": error.message, "cure": error.cure}
    except Exception as error:  # any crash of a model or library is this candidate's row
        import traceback

        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0][:160]
        outcome = {"error": f"{type(error).__name__}: {first}", "cure": "see the log beside it"}
    write_json_atomic(out_path, outcome)
    return 0 if "row" in outcome else 1


# --- The comparison -------------------------------------------------------------------------------


def compare_models(
    records: Sequence[dict],
    train_records: Sequence[dict],
    candidates: Sequence[Candidate],
    *,
    few_shot_examples: int = 3,
    max_new_tokens: int = 128,
    batch_size: int = 8,
    seed: int = 42,
    progress: bool = True,
    folder: Path | None = None,
    timeout_minutes: float = 60,
    speed_tokens: int = 24,
) -> dict[str, Any]:
    """Measure each candidate on the same records; one row each: done, skipped or failed.

    In `folder`, finished candidates are kept and not measured again with the same records,
    settings, versions and machine; without it nothing is kept. `seed` chooses the few-shot
    examples; answers are greedy. The time limit of a candidate includes its download. Ctrl-C stops
    the worker; what was finished stays. Raises CourseError for wrong arguments, never for what a
    candidate does.
    """
    from tqdm.auto import tqdm

    if not records or not candidates:
        what = "record to score" if not records else "candidate"
        raise CourseError(f"there is no {what}", f"give at least one {what}")
    if min(max_new_tokens, batch_size, speed_tokens) < 1 or timeout_minutes <= 0:
        raise CourseError("a size or the time limit is not above 0", "give numbers of at least 1")
    machine = hardware.detect()
    settings = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
    shared = {
        "records": list(records),
        "examples": choose_examples(records, train_records, few_shot_examples, seed),
        "speed_tokens": speed_tokens,
        **settings,
    }
    wanted = main_scores(records)
    environment = _environment(machine)
    rows = []
    with (
        _working_folder(folder) as place,
        tqdm(candidates, desc="candidates", unit="model", disable=not progress) as bar,
    ):
        for candidate in bar:
            job = _job(candidate, shared, machine)
            worker = _Worker(place, candidate, job, environment, 60 * timeout_minutes)
            rows.append(_row(candidate, worker, wanted, bar.set_postfix_str))
    return {
        "records": len(records),
        "few_shot_examples": few_shot_examples,
        **settings,
        "seed": seed,
        "main_scores": wanted,
        "speed_tokens": speed_tokens,
        "versions": versions(),
        "hardware": machine.to_dict(),
        "rows": rows,
        "recommendation": recommend(rows, len(records), seed),
    }  # fmt: skip


@contextlib.contextmanager
def _working_folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="course-selection-") as temporary:
            yield Path(temporary)
        return
    place = Path(folder) / "candidates"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"{place}: {error.strerror or error}", "choose another folder") from None
    yield place


def _environment(machine: Hardware) -> dict[str, str]:
    """The worker's environment: threads as set, else the free cores; no special allocator.

    The allocator settings of a notebook kernel trade memory for speed, so they would be measured.
    """
    special = {name for _, name, _ in hardware.HEAP_OPTIONS}
    environment = {k: v for k, v in os.environ.items() if k not in special}
    if not environment.get("OMP_NUM_THREADS", "").isdigit() or environment.get("COURSE_THREADS"):
        threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
        environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(threads)
    root = str(kit.ROOT)
    paths = [root, environment.get("PYTHONPATH", "")]
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _job(candidate: Candidate, shared: Mapping[str, Any], machine: Hardware) -> dict[str, Any]:
    """All that shapes a candidate's row; equal jobs have equal rows, up to the clock's noise.

    Threads are not part of it: they depend on what else the machine does at the moment.
    """
    compute = candidate.precision
    if compute == "nf4":  # weights in 4 bits, matrix products in what the machine does well
        compute = hardware.choose_precision(machine)[0]
    folder = base_models.cache_folder() / "models" / candidate.name
    if Path(candidate.name).expanduser().is_dir():
        folder = Path(candidate.name).expanduser()
    weights = [
        [path.name, path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.glob("*.safetensors"))
    ]
    return {
        "name": candidate.name,
        "precision": candidate.precision,
        "compute": compute,
        **shared,
        "weights": weights,
        "versions": versions(),
        "machine": [machine.cpu_model, machine.gpu_name],
    }


class _Worker:
    """One candidate's job, outcome and log files, and the process between them."""

    def __init__(
        self,
        place: Path,
        candidate: Candidate,
        job: Mapping[str, Any],
        environment: Mapping[str, str],
        seconds: float,
    ) -> None:
        text = json.dumps(job, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
        name = "".join(c if c.isalnum() or c in "-." else "_" for c in _short(candidate.name))
        stem = f"{name[:60]}-{candidate.precision}-{digest}"
        self.job, self.seconds = job, seconds
        self.job_path, self.out_path = place / f"{stem}.job.json", place / f"{stem}.json"
        self.log_path, self.progress_path = place / f"{stem}.log", place / f".{stem}.progress"
        self.environment = {**environment, PROGRESS_FILE: str(self.progress_path)}

    def saved(self) -> dict[str, Any] | None:
        """The outcome of an earlier run of this job, if it finished."""
        with contextlib.suppress(CourseError):
            outcome = read_json(self.out_path) if self.out_path.is_file() else None
            row = outcome.get("row") if isinstance(outcome, dict) else None
            if isinstance(row, dict) and row.keys() >= set(MEASURED):
                return outcome
        return None

    def run(self, say: Callable[[str], Any]) -> dict[str, Any]:
        """Start the process and wait; the outcome it wrote, or an error that says how it ended."""
        write_json_atomic(self.job_path, self.job)
        self.out_path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "course_utils.assignments.selection"]
        try:
            with (
                self.log_path.open("wb") as log,
                subprocess.Popen(
                    [*command, str(self.job_path), str(self.out_path)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                ) as process,
            ):
                late = self._wait(process, say)
            if late:
                return {"error": f"stopped after {self.seconds / 60:g} minutes", "cure": LATE_CURE}
            return self._outcome(process.returncode)
        finally:
            self.job_path.unlink(missing_ok=True)
            for path in self.progress_path.parent.glob(f"{self.progress_path.name}*"):
                path.unlink(missing_ok=True)

    def _wait(self, process: subprocess.Popen, say: Callable[[str], Any]) -> bool:
        """Until the process ends; True when its time was over. It never outlives this call."""
        end = time.monotonic() + self.seconds
        try:
            while time.monotonic() < end:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(0.5, self.seconds))
                    return False
                seen = read_progress(self.progress_path)
                if seen:
                    say(f"{seen['text']} {seen['done']:.0f}/{seen['total']:.0f}")
            return True
        finally:  # also after Ctrl-C
            if process.poll() is None:
                process.kill()
                process.wait()

    def _outcome(self, code: int) -> dict[str, Any]:
        if self.out_path.is_file():
            outcome = read_json(self.out_path)
            if "row" in outcome:
                self.log_path.unlink(missing_ok=True)
            return outcome
        if code == -getattr(signal, "SIGKILL", 9):
            return {
                "error": "killed by the system, most likely for want of memory",
                "cure": "close other programs, take nf4 or a smaller model",
            }
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1][:160] if lines else "it said nothing"
        return {"error": f"its process ended with code {code}: {last}", "cure": "see the log"}


LATE_CURE = "compare fewer records or shorter answers, or raise the time limit"


def _row(
    candidate: Candidate,
    worker: _Worker,
    wanted: Mapping[str, str],
    say: Callable[[str], Any],
) -> dict[str, Any]:
    """One row of the result; keys that were not measured are None, never absent."""
    row: dict[str, Any] = {
        "model": candidate.name,
        "precision": candidate.precision,
        "status": "skipped",
        "reason": candidate.reason,
        "cure": candidate.cure,
        "licence": None,
        **dict.fromkeys(MEASURED),
        "from_cache": False,
    }
    with contextlib.suppress(CourseError):
        known = describe(candidate.name)
        row |= {"parameters": round(known.billions * 1e9), "licence": known.licence}
    if not candidate.fits:
        return row
    outcome = worker.saved()
    row["from_cache"] = outcome is not None
    if outcome is None:
        try:
            if candidate.name in (base_models.EMBEDDED, "nano"):
                base_models.prepare_model(candidate.name)
            outcome = worker.run(lambda text: say(f"{_label(row)}: {text}"))
        except CourseError as error:
            outcome = {"error": error.message, "cure": error.cure}
    if "row" not in outcome:
        return {**row, "status": "failed", "reason": outcome["error"], "cure": outcome["cure"]}
    row |= {**outcome["row"], "status": "done"}
    for prompt in PROMPTS:
        measured = dict(row[prompt])
        scores = _summary(worker.job["records"], measured.pop("answers"), wanted)
        row[prompt] = {**scores, **measured}
    return row


# --- The recommendation ---------------------------------------------------------------------------


def main_difference(
    best: Mapping[str, Any], other: Mapping[str, Any], seed: int = 0, samples: int = 1000
) -> dict[str, float]:
    """{"mean", "low", "high"} of the few-shot main score of `best` minus `other`, 95 % interval.

    A paired bootstrap: records are drawn with replacement within each task, the same for both.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    gains = []
    for task, found in best["few_shot"]["tasks"].items():
        size = len(found["parts"])
        weights = draw.multinomial(size, [1 / size] * size, samples)  # (samples, records)
        shares = []
        for row in (best, other):
            gained, possible = (weights @ np.array(row["few_shot"]["tasks"][task]["parts"])).T
            shares.append(np.where(possible > 0, gained / np.maximum(possible, 1e-9), 1.0))
        gains.append(shares[0] - shares[1])
    gain = np.mean(gains, axis=0)
    low, high = np.percentile(gain, [2.5, 97.5])
    return {"mean": float(gain.mean()), "low": float(low), "high": float(high)}


def recommend(rows: Sequence[Mapping[str, Any]], records: int, seed: int = 0) -> dict[str, Any]:
    """The candidate to start with: the smallest of those not clearly worse than the best.

    Best by few-shot main score; not clearly worse: the interval of the difference includes 0;
    smallest by the weights, which is also what a larger machine would have to hold. Keys: model,
    precision (None where nothing can be recommended), tied, finding (a title), text.
    """
    done = [row for row in rows if row["status"] == "done"]
    on = f"On these {records} records" if records != 1 else "On this one record"
    nothing = {"model": None, "precision": None, "tied": []}
    if not done:
        text = "No candidate was measured; the reasons stand in the table."
        return {**nothing, "finding": "No candidate was measured", "text": text}
    best = max(done, key=_main)
    if _main(best) <= 0:
        finding = f"{on} no candidate scores above 0"
        text = f"{finding} with few-shot prompts: the score cannot decide between them."
        return {**nothing, "finding": finding, "text": text}
    gaps = {id(row): main_difference(best, row, seed) for row in done if row is not best}
    tied = [row for row in done if row is not best and gaps[id(row)]["low"] <= 0]
    chosen = min([best, *tied], key=lambda row: (row["memory_gb"]["weights"], row is not best))
    return {
        "model": chosen["model"],
        "precision": chosen["precision"],
        "tied": [_label(row) for row in tied],
        "finding": _finding(on, best, chosen, tied, done, records),
        "text": _advice(on, best, chosen, tied, done, gaps.get(id(chosen)), records),
    }


def _finding(
    on: str, best: Any, chosen: Any, tied: Sequence[Any], done: Sequence[Any], records: int
) -> str:
    """The recommendation as a figure's title."""
    names = _namer(done)
    if len(done) == 1:
        return f"{on} {names(best)} scores {_main(best):.2f} few-shot"
    if records < FEW_RECORDS:
        return f"{on}, too few to rank by, {names(best)} scores best few-shot: {_main(best):.2f}"
    if not tied:
        return f"{on} {names(best)} scores clearly best few-shot: {_main(best):.2f}"
    if chosen is best:
        return f"{on} {names(best)} scores best few-shot ({_main(best):.2f}), not clearly so"
    return (
        f"{on} {names(chosen)} scores about as well as the best ({_main(chosen):.2f} against "
        f"{_main(best):.2f}) with {_gib(chosen)} of weights"
    )


def _advice(
    on: str,
    best: Any,
    chosen: Any,
    tied: Sequence[Any],
    done: Sequence[Any],
    gap: Mapping[str, float] | None,
    records: int,
) -> str:
    """The recommendation in words: what was seen, how sure it is, what it costs."""
    words = [f"{on}, {_label(best)} has the best few-shot score ({_main(best):.3f})."]
    if len(done) == 1:
        words = [f"{on}, {_label(best)} scores {_main(best):.3f} few-shot; there is no other row "
                 "to compare it with."]  # fmt: skip
    elif chosen is not best and gap:
        interval = plots.interval_text(gap, digits=3).replace("−", "-")
        words.append(
            f"{_label(chosen)} scores {_main(chosen):.3f}, which is not clearly less "
            f"(the best minus it: {interval}), and has the smallest weights of those within that "
            f"uncertainty: {_gib(chosen)} against {_gib(best)}. Start with it."
        )
    elif tied:
        others = ", ".join(_label(row) for row in tied)
        words.append(f"Not clearly worse, but not smaller: {others}. Start with the best.")
    elif records >= FEW_RECORDS:
        words.append("The others are clearly worse (no 95 % interval includes 0). Start with it.")
    words += _speed_remark(best, chosen)
    if records < FEW_RECORDS and len(done) > 1:
        words.append(f"{records} records are too few to rank models: use 40 or more.")
    return " ".join(words)


def _speed_remark(best: Any, chosen: Any) -> list[str]:
    mine, its = (row["tokens_per_second"]["1"] for row in (chosen, best))
    if chosen is best or mine > its / 1.25:
        return []
    return [f"It is slower: {mine:.3g} tokens/s one by one, against {its:.3g}."]


def _main(row: Mapping[str, Any]) -> float:
    return row["few_shot"]["main"]


def _gib(row: Mapping[str, Any]) -> str:
    return f"{row['memory_gb']['weights']:.2f} GiB"


def _short(name: str) -> str:
    """A name for people: of a path its last part, of a Hub name the model without its owner."""
    return Path(name).name or name


def _label(row: Mapping[str, Any]) -> str:
    return f"{_short(row['model'])} in {row['precision']}"


def _namer(rows: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], str]:
    """Labels as short as they can be: the precision alone where there is but one model."""
    one = len({row["model"] for row in rows}) == 1 and len(rows) > 1
    return (lambda row: row["precision"]) if one else _label


# --- Table ----------------------------------------------------------------------------------------


def comparison_table(result: Mapping[str, Any]) -> "Group":
    """The result for the terminal (fits 80 columns); print it with `rich.print`.

    Each candidate has two lines; what they hold stands in the heads of the columns.
    """
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    parts: list[Any] = [_main_table(result)]
    if len(result["main_scores"]) > 1:
        parts.append(_task_table(result))
    parts.append(Text.from_markup(escape(result["recommendation"]["text"])))
    return Group(*parts)


def _new_table(title: str, first: str, heads: Sequence[str]) -> "Table":
    from rich import box
    from rich.table import Table

    compact = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}
    table = Table(title=title, title_justify="left", **compact)
    table.add_column(first, max_width=31, overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _main_table(result: Mapping[str, Any]) -> "Table":
    from rich.markup import escape

    title = f"Candidates: {len(result['rows'])}; records, the same for all: {result['records']}"
    heads = ["params", "GiB\nweights\npeak", "tokens/s\nbatch 1\nbatch 8", "score\nzero\nfew"]
    heads += ["ppl\nzero\nfew", "bits/B\nzero\nfew"]
    table = _new_table(title, "candidate", heads)
    for row in result["rows"]:
        name = (
            f"{escape(_short(row['model']))}\n{row['precision']}, {escape(row['licence'] or '?')}"
        )
        size = "-" if row["parameters"] is None else plots.compact_number(row["parameters"])
        if row["status"] != "done":
            style = "red" if row["status"] == "failed" else "dim"
            name += f"\n{row['status']}: {escape(row['reason'])}"
            table.add_row(name, size, style=style)
            continue
        memory, speed = row["memory_gb"], row["tokens_per_second"]
        cells = [f"{memory['weights']:.2f}\n{memory['peak']:.2f}"]
        cells.append("\n".join(f"{plots.plain_number(speed[str(size)])}" for size in BATCH_SIZES))
        cells += [_two(row, "main", ".3f"), _two(row, "perplexity")]
        cells.append(_two(row, "bits_per_byte", ".3f"))
        table.add_row(name, size, *cells)
    return table


def _task_table(result: Mapping[str, Any]) -> "Table":
    """Each task's main score: zero-shot, then few-shot."""
    from rich.markup import escape

    heads = [f"{task}\n{SCORE_NAMES[metric]}" for task, metric in result["main_scores"].items()]
    table = _new_table("Scores of each task: zero-shot / few-shot", "candidate", heads)
    for row in (row for row in result["rows"] if row["status"] == "done"):
        cells = [
            " / ".join(f"{row[prompt]['tasks'][task]['score']:.3f}" for prompt in PROMPTS)
            for task in result["main_scores"]
        ]
        table.add_row(escape(_label(row)), *cells)
    return table


def _two(row: Mapping[str, Any], key: str, shape: str = "") -> str:
    """Zero-shot over few-shot."""
    values = [row[prompt][key] for prompt in PROMPTS]
    return "\n".join(
        format(value, shape) if shape else plots.plain_number(value) for value in values
    )


# --- Figure ---------------------------------------------------------------------------------------


@plots.styled
def plot_model_comparison(result: Mapping[str, Any]) -> "Figure":
    """Score, bits per byte, memory and speed of each candidate, side by side."""
    rows = [row for row in result["rows"] if row["status"] == "done"]
    plots.require(rows, "no candidate was measured", "see the reasons in the table")
    figure, axes = plots.new_figure(13, 2.9 + 0.8 * len(rows), ncols=4, sharey=True)
    prompts = [(plots.SYSTEMS[name][0].removeprefix("base, "), plots.SYSTEMS[name][1])
               for name in PROMPTS]  # fmt: skip
    dark, light = {"color": plots.BLUE}, {"color": plots.PALE}
    where = rows[0]["memory_gb"]["where"]
    panels = [
        ("Score (higher is better)", prompts, [[row[p]["main"] for row in rows] for p in PROMPTS]),
        ("Bits per byte (lower is better)", prompts,
         [[row[p]["bits_per_byte"] for row in rows] for p in PROMPTS]),
        ("Memory in GiB (lower is better)", [("weights", dark), (f"peak, {where}", light)],
         [[row["memory_gb"][key] for row in rows] for key in ("weights", "peak")]),
        ("Tokens/s (higher is better)",
         [("batch 1", light), ("batch 8", {**dark, "hatch": "...", "edgecolor": "white"})],
         [[row["tokens_per_second"][str(size)] for row in rows] for size in BATCH_SIZES]),
    ]  # fmt: skip
    for ax, (title, styles, columns) in zip(axes, panels, strict=True):
        _draw_pairs(ax, title, styles, columns)
    names = [f"{plots.label_text(_short(row['model']), 24)}\n{row['precision']}" for row in rows]
    axes[0].set_yticks(range(len(rows)), names)
    axes[0].set_ylim(len(rows) - 0.45, -0.55)
    axes[0].set_xlim(0, max(1.0, axes[0].get_xlim()[1]))
    left_out = [row for row in result["rows"] if row["status"] != "done"]
    if left_out:
        notes = [plots.label_text(f"{_label(row)}: {row['reason']}", 130) for row in left_out[:8]]
        text = "\n".join(["Not measured:", *notes])
        figure.supxlabel(text, x=0.012, ha="left", size=11, color=plots.SOFT)
    plots.state_finding(figure, result["recommendation"]["finding"])
    return figure


def _draw_pairs(
    ax: Any,
    title: str,
    styles: Sequence[tuple[str, Mapping[str, Any]]],
    columns: Sequence[Sequence[float]],
) -> None:
    """Two horizontal bars a candidate, with their numbers."""
    for index, ((label, style), values) in enumerate(zip(styles, columns, strict=True)):
        places = [row + (index - 0.5) * 0.38 for row in range(len(values))]
        bars = ax.barh(places, values, 0.36, label=label, **style)
        texts = [f"{v:.2f}" if v < 10 else f"{v:,.0f}" for v in values]
        ax.bar_label(bars, texts, padding=3, size=11)
    ax.set_title(title, loc="left", size=12)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, max(max(values) for values in columns) * 1.28 or 1)
    ax.locator_params(axis="x", nbins=4)
    plots.add_grid(ax, "x")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.12), ncols=2, columnspacing=1.0)


# --- Files ----------------------------------------------------------------------------------------

COLUMNS = {
    "model": "name of the base model, or the folder it was read from",
    "precision": "fp32: 4 bytes a parameter; bf16: 2 bytes; nf4: 4 bits for the linear layers (the "
    "rest and the matrix products stay in 16 or 32 bits)",
    "parameters": "numbers in the model, in millions",
    "licence": "as the model's page states it; `local` is a folder, whose licence you must know",
    "weights": "GiB that the loaded weights take",
    "peak": "GiB that the candidate's process needed at most while it was measured "
    "(RAM with all libraries, or GPU memory)",
    "tok/s": "tokens generated a second at batch size 1 and 8, each answer of the same length, "
    "reading the prompt included",
    "load": "seconds to load the model from disk; a download does not count",
    "score": "mean of the tasks' main scores (0 to 1), zero-shot and few-shot",
    "perplexity": "of the reference answers, for each token; compare it only between precisions of "
    "one model, because other tokenizers make other tokens",
    "bits/byte": "bits the model needs for each byte of the reference answers, without the chat "
    "format's end tokens; the text's bytes are the same for all, so models compare by it",
    "total": "seconds for the whole candidate",
}


def comparison_markdown(result: Mapping[str, Any]) -> str:
    """The result as a Markdown page: recommendation, table, tasks, columns, how it was made."""
    lines = ["# Model comparison", "", _cell(result["recommendation"]["text"]), ""]
    lines += [
        "These are scores before fine-tuning. They say where a model starts, not where it ends.",
        "",
    ]
    heads = ["model", "precision", "parameters", "licence", "weights", "peak"]
    heads += [f"tok/s {size}" for size in BATCH_SIZES]
    heads += ["load", *(f"{key} {p}" for key in ("score", "perplexity", "bits/byte")
                        for p in ("zero", "few")), "total"]  # fmt: skip
    lines += _markdown_table(heads, [_markdown_row(row) for row in result["rows"]])
    left_out = [row for row in result["rows"] if row["status"] != "done"]
    if left_out:
        lines += ["", "## Not measured", ""]
        lines += [f"- {_cell(_label(row))}: {row['status']}, {_cell(row['reason'])}. "
                  f"What helps: {_cell(row['cure'] or '-')}." for row in left_out]  # fmt: skip
    lines += ["", "## Scores of each task", "", *_markdown_tasks(result)]
    lines += ["", "## Columns", "", *(f"- **{name}**: {text}." for name, text in COLUMNS.items())]
    return "\n".join([*lines, "", "## How it was made", "", *_provenance(result)]) + "\n"


def _markdown_row(row: Mapping[str, Any]) -> list[str]:
    size = row["parameters"]
    cells = [_cell(_short(row["model"])), row["precision"]]
    cells += ["-" if size is None else f"{size / 1e6:,.4g} M", _cell(row["licence"] or "-")]
    if row["status"] != "done":
        return [*cells, row["status"], *["-"] * (len(BATCH_SIZES) + 9)]
    memory, speed = row["memory_gb"], row["tokens_per_second"]
    cells += [f"{memory['weights']:.2f}", f"{memory['peak']:.2f}"]
    cells += [f"{plots.plain_number(speed[str(size)])}" for size in BATCH_SIZES]
    cells.append(f"{row['load_seconds']:.1f}")
    for key, shape in (("main", ".3f"), ("perplexity", ""), ("bits_per_byte", ".3f")):
        cells += _two(row, key, shape).split("\n")
    return [*cells, f"{row['seconds']:.0f}"]


def _markdown_tasks(result: Mapping[str, Any]) -> list[str]:
    heads = ["model", "precision", "task", "records", "main score", "zero-shot", "few-shot"]
    rows = []
    for row in (row for row in result["rows"] if row["status"] == "done"):
        for task, metric in result["main_scores"].items():
            zero, few = (row[prompt]["tasks"][task] for prompt in PROMPTS)
            cells = [
                _cell(_short(row["model"])),
                row["precision"],
                _cell(task),
                f"{zero['records']}",
            ]
            rows.append(
                [*cells, SCORE_NAMES[metric], f"{zero['score']:.3f}", f"{few['score']:.3f}"]
            )
    return _markdown_table(heads, rows) if rows else ["No candidate was measured."]


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _cell(text: str) -> str:
    """Text that may hold anything as one Markdown line."""
    text = " ".join(str(text).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _provenance(result: Mapping[str, Any]) -> list[str]:
    machine = result["hardware"]
    threads = sorted({row["threads"] for row in result["rows"] if row["threads"]})
    device = (
        machine["gpu_name"]
        or f"{machine['cpu_model']}, threads: {', '.join(map(str, threads)) or '-'}, no GPU"
    )
    libraries = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    cached = sum(row["from_cache"] for row in result["rows"])
    lines = [f"- command: `{result['command']}`"] if result.get("command") else []
    lines += [
        f"- records: {result['records']}, each after {result['few_shot_examples']} examples of its "
        "task in the few-shot prompts",
        f"- answers: greedy, at most {result['max_new_tokens']} tokens, in batches of "
        f"{result['batch_size']}; speed: {result['speed_tokens']} tokens for each prompt",
        f"- seed: {result['seed']} (chooses the records and the examples)",
        f"- hardware: {device}, {machine['ram_gb']} GiB RAM",
        f"- versions: {libraries}",
    ]
    return lines + (
        [f"- rows kept from an earlier run of the same job: {cached}"] if cached else []
    )


def write_comparison(result: Mapping[str, Any], folder: Path) -> Path:
    """Write model_comparison.json, .md and (if anything was measured) .png; return the .md path."""
    folder = Path(folder)
    write_json_atomic(folder / "model_comparison.json", result)
    text, picture = comparison_markdown(result), folder / "model_comparison.png"
    if any(row["status"] == "done" for row in result["rows"]):
        figure = plot_model_comparison(result)
        plots.save_figure(figure, picture)
        text += f"\n![{plots.figure_title(figure)}]({picture.name})\n"
    else:
        picture.unlink(missing_ok=True)
    return write_text_atomic(folder / "model_comparison.md", text)


def run_comparison(
    data: Path,
    models: Sequence[str] = (base_models.EMBEDDED,),
    precisions: Sequence[str] = PRECISIONS,
    records: int = 40,
    out: Path = Path("runs/model-comparison"),
    seed: int = 42,
    *,
    few_shot_examples: int = 3,
    max_new_tokens: int = 128,
    batch_size: int = 8,
    timeout_minutes: float = 60,
    progress: bool = True,
) -> dict[str, Any]:
    """`course compare-models`: choose records, measure what fits, write three files to `out`.

    `data`: a folder with train.jsonl and test.jsonl, a run folder, or one file. Run again, it
    measures only what is missing. Raises CourseError for wrong arguments and broken data.
    """
    test, train = load_data(Path(data), records, seed)
    chosen = candidates(models, precisions, hardware.detect())
    options = {
        "few_shot_examples": few_shot_examples,
        "max_new_tokens": max_new_tokens,
        "batch_size": batch_size,
        "seed": seed,
        "timeout_minutes": timeout_minutes,
    }
    result = compare_models(test, train, chosen, folder=out, progress=progress, **options)
    words = ["course", "compare-models", str(data)]
    words += [word for name in models for word in ("--model", name)]
    words += [word for name in precisions for word in ("--precision", name)]
    words += ["--records", str(records), "--out", str(out)]
    words += [
        w for key, value in options.items() for w in ("--" + key.replace("_", "-"), f"{value}")
    ]
    result = {"command": shlex.join(words), "data": str(data), **result}
    write_comparison(result, out)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
