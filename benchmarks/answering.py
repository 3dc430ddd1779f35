"""What it takes to answer records of unlike length: transformers' ways beside the kit's.

    python benchmarks/answering.py DATA --adapter FOLDER        # of a finished training
    python benchmarks/answering.py DATA --task understanding --records 128 --batch-size 64
    python benchmarks/answering.py DATA --only "the kit; the kit, with likelihoods"
    python benchmarks/answering.py DATA --base-model nano --records 6     # does it run?

One model and one set of test records, drawn evenly from the tasks, each with its task's limit.
One way after the other in one process, `generate` in batches of a size, the same with batches of
like length, `generate_batch` (continuous batching), and `course_utils.generation`; then the latter
with the likelihoods of the right answers, in a second reading and in the same one. Seconds are the
processor's. The last row says how many answers are those of `generate`, letter by letter.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # works from a plain clone, installed or not

import shared  # noqa: E402

from course_utils import chat, compat, evaluation, generation, hardware, models, tasks  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.records import read_records  # noqa: E402
from course_utils.runs import versions  # noqa: E402

ALIKE = 0.5  # shortest over longest prompt of a batch: fewer batches, which take fewer steps


@dataclass(frozen=True)
class Questions:
    """A model and what it is asked: prompts, the right answers behind them, tokens of an answer."""

    model: Any
    tokenizer: Any
    messages: list[chat.Messages]
    examples: list[chat.Tokens]
    limits: list[int]

    @property
    def ids(self) -> list[list[int]]:
        return [chat.prompt_ids(one, self.tokenizer) for one in self.messages]

    def text(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True).strip()


# --- The ways -----------------------------------------------------------------------------------


def plain(questions: Questions, size: int, alike: float = 0.0) -> list[str]:
    """`generate` of transformers, the longest prompts first, padded on the left."""
    import torch

    ids, found = questions.ids, [""] * len(questions.messages)
    waiting = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    while waiting:
        least = alike * len(ids[waiting[0]])
        batch = [i for i in waiting[:size] if len(ids[i]) >= least]
        waiting = waiting[len(batch) :]
        width = max(len(ids[i]) for i in batch)
        pad = questions.tokenizer.pad_token_id
        rows = [[pad] * (width - len(ids[i])) + ids[i] for i in batch]
        mask = [[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in batch]
        with torch.no_grad():
            output = questions.model.generate(
                input_ids=torch.tensor(rows),
                attention_mask=torch.tensor(mask),
                do_sample=False,
                max_new_tokens=max(questions.limits[i] for i in batch),
                pad_token_id=pad,
            )
        for row, i in zip(output[:, width:].tolist(), batch, strict=True):
            found[i] = questions.text(row[: questions.limits[i]])
    return found


def continuous(questions: Questions, size: int) -> list[str]:
    """`generate_batch` of transformers: rows come and go, keys and values lie in pages."""
    from transformers import GenerationConfig

    tokenizer, limit = questions.tokenizer, max(questions.limits)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=limit,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=generation.end_tokens(questions.model, tokenizer) or None,
    )
    model = questions.model
    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")  # it refuses the kit's own
    try:
        output = model.generate_batch(questions.ids, generation_config=config, progress_bar=False)
    finally:
        model.set_attn_implementation(before)
    # Its answers are named in the order of the requests.
    rows = [output[f"req_{number}"].generated_tokens for number in range(len(questions.ids))]
    return [questions.text(r[:n]) for r, n in zip(rows, questions.limits, strict=True)]


def kit(questions: Questions, size: int) -> list[str]:
    """`course_utils.generation`."""
    return generation.generate_answers(
        questions.model, questions.tokenizer, questions.messages, questions.limits, size
    )


def scored_apart(questions: Questions, size: int) -> list[str]:
    """The same, and the likelihoods of the right answers: the prompts are read twice."""
    generation.completion_nll(questions.model, questions.tokenizer, questions.examples, size)
    return kit(questions, size)


def scored_at_once(questions: Questions, size: int) -> list[str]:
    """Both, of one reading."""
    model, tokenizer, messages = questions.model, questions.tokenizer, questions.messages
    answers, _, _ = generation.generate_and_score(
        model, tokenizer, messages, questions.examples, questions.limits, size
    )
    return answers.texts


WAYS: Mapping[str, Callable[[Questions, int], list[str]]] = {
    "`generate`": plain,
    "`generate`, like lengths": partial(plain, alike=ALIKE),
    "`generate_batch`": continuous,
    "the kit": kit,
    "the kit, then likelihoods": scored_apart,
    "the kit, with likelihoods": scored_at_once,
}


# --- One run ------------------------------------------------------------------------------------


def ask(options: argparse.Namespace) -> Questions:
    """The model, with its adapter where one is given, and the drawn records."""
    data: Path = options.data
    for name in ("test.jsonl", "train.jsonl"):
        if not (data / name).is_file():
            raise CourseError(f"{data / name}: there is no such file", "course data build makes it")
    test, train = (
        read_records(data / name, "manufacturing") for name in ("test.jsonl", "train.jsonl")
    )
    tokenizer = models.load_tokenizer(options.base_model)
    chosen = [options.task] if options.task else list(tasks.TASKS)
    asked = evaluation.draw(test, options.records, options.seed, chosen)
    lengths = evaluation.answer_lengths(train, tokenizer)
    model = models.load_model(options.base_model, hardware.choose_precision(hardware.detect())[0])
    if options.adapter:
        model = models.load_adapter(model, options.adapter).merge_and_unload()
    messages = [chat.record_messages(record, tokenizer)["prompt"] for record in asked]
    examples = [chat.tokenize_record(record, tokenizer) for record in asked]
    limits = [lengths[tasks.task_of(record)] for record in asked]
    return Questions(model.eval(), tokenizer, messages, examples, limits)


def chosen(names: str) -> list[str]:
    """The ways asked for, in the table's order. Raises CourseError for an unknown name."""
    return shared.asked_for(names, list(WAYS), "way", between=";") or list(WAYS)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every way once, after one question that warms up what is loaded late."""
    compat.quiet_known_noise()
    questions = ask(options)
    first = replace(questions, messages=questions.messages[:1], limits=[4])
    kit(first, 1)
    found, rows = {}, []
    for name in chosen(options.only):
        way = WAYS[name]
        started, used = time.perf_counter(), time.process_time()
        found[name] = way(questions, options.batch_size)
        row = {"name": name, "processor_s": time.process_time() - used}
        row["wall_s"] = time.perf_counter() - started
        row["tokens"] = sum(len(questions.tokenizer(text)["input_ids"]) for text in found[name])
        first = next(iter(found.values()))
        row["same"] = sum(a == b for a, b in zip(found[name], first, strict=True))
        rows.append(row)
    about = {name: str(value) for name, value in vars(options).items() if value is not None}
    hardware_found = vars(hardware.detect())
    return {
        "command": " ".join(["python", "benchmarks/answering.py", *sys.argv[1:]]),
        "options": about,
        "versions": versions(),
        "hardware": {name: hardware_found[name] for name in ("cpu_model", "cores", "cpu_bf16")},
        "prompt_tokens": sum(map(len, questions.ids)),
        "ways": rows,
    }


def table(report: Mapping[str, Any]) -> Any:
    """A column a way."""
    made, row = shared.variants_table(report["ways"])
    first = report["ways"][0]["processor_s"]
    row("processor, s", lambda one: f"{one['processor_s']:.1f}")
    row("... of the first", lambda one: f"{one['processor_s'] / first:.2f}")
    row("wall, s", lambda one: f"{one['wall_s']:.1f}")
    row("tokens written", lambda one: f"{one['tokens']:,}")
    row("answers as the first's", lambda one: f"{one['same']} of {report['options']['records']}")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder with train.jsonl and test.jsonl")
    parser.add_argument("--adapter", type=Path, help="of a finished training")
    parser.add_argument("--base-model", default=models.EMBEDDED, help="see `course model list`")
    parser.add_argument("--only", default="", help="names of ways, with semicolons between")
    parser.add_argument("--records", type=shared.positive, default=18, help="of all tasks (18)")
    parser.add_argument("--task", choices=list(tasks.TASKS), help="of one task alone")
    parser.add_argument("--batch-size", type=shared.positive, default=8, help="rows at a time (8)")
    parser.add_argument("--seed", type=int, default=3, help="draws the records")
    parser.add_argument("--out", type=Path, default=Path("runs/answering.json"))
    return shared.run(parser.parse_args(), measure, table)


if __name__ == "__main__":
    sys.exit(main())
