"""What the child process does: one candidate measured alone, so that the memory is its own.

    python -m course_utils.assignments.selection JOB.json OUT.json

`process.Worker` starts it.
"""

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, compat, hardware, metrics
from course_utils import models as base_models
from course_utils.assignments.selection.choosing import answer_of, task_of
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.generation import generate_answers, measure_latency, token_nll
from course_utils.hardware import GIB
from course_utils.settings import preset_settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROMPTS = ("zero_shot", "few_shot")

BATCH_SIZES = (1, 8)  # of the speed measurement

ENDING = 8  # a chat template ends an answer with fewer tokens than this


def own_tokens(tokens: chat.Tokens, answer: str, tokenizer: "PreTrainedTokenizerBase") -> int:
    """How many tokens of the completion are the answer's own.

    Templates end answers with one, two or three tokens, which are no part of the text; bits per
    byte must not depend on that. Where the text's end is inside a token, all are counted.
    """
    completion = tokens.input_ids[tokens.prompt_length :]
    for ending in range(min(len(completion), ENDING)):
        kept = completion[: len(completion) - ending]
        text = tokenizer.decode(kept, clean_up_tokenization_spaces=False)
        if text.strip() == answer.strip():
            return len(kept)
    return len(completion)


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
    answers = [answer_of(record) for record in records]
    whole = [
        chat.tokenize_messages(prompt, [{"role": "assistant", "content": answer}], tokenizer)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    _check_room(model, max(len(tokens.input_ids) for tokens in whole))
    own = [own_tokens(t, a, tokenizer) for t, a in zip(whole, answers, strict=True)]
    losses = token_nll(model, tokenizer, whole, batch_size, text)
    nll, counts = [float(row.sum()) for row in losses], [len(row) for row in losses]
    text_nll = [float(row[:count].sum()) for row, count in zip(losses, own, strict=True)]
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


def measure_candidate(job: Mapping[str, Any]) -> dict[str, Any]:
    """Load the job's model and measure it; the job is what `job_of` makes."""
    compat.quiet_known_noise()
    import torch
    import transformers  # noqa: F401  its import must not count as loading time

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
            chat.few_shot_messages(r, job["examples"][task_of(r)], tokenizer) for r in records
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
