"""Base against tuned on every task: answers, likelihoods, scores, intervals, and their reports.

The same functions serve notebooks, `scripts/evaluate.py` and the bonuses.
"""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from course_utils import chat, tasks
from course_utils.errors import CourseError
from course_utils.generation import completion_nll, generate_and_score
from course_utils.metrics import perplexity
from course_utils.sources import general_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Record = Mapping[str, str]
PARTS = ("form", "document")  # fields of a record by which a task may be shared out
ROOM = 8  # tokens an answer may be longer than the longest of its task in training


def draw(
    records: Sequence[Record],
    count: int,
    seed: int,
    only: Sequence[str],
    by_form: bool = False,
    shares: Mapping[str, int] = MappingProxyType({}),
) -> list[Record]:
    """`count` records drawn evenly from the tasks (task-balanced sampling), in a drawn order.

    With `by_form` evenly from the forms of the tasks, so that each has enough for an interval of
    its own. `shares` (a task, TASK/FORM or TASK/DOCUMENT -> records of it in a round, 1 where none
    is named, 0 to leave a form or document out) gives one more than the others; a task of which a
    form or a document is named is drawn by these. A task or part with too few records gives all it
    has and the others fill up. Which records of a task are drawn does not depend on the other
    tasks, so one adapter for three tasks and three adapters see the same ones. Raises CourseError
    when there are too few records, or `shares` names a form or document that there is not.
    """
    pools = _pools(records, only, by_form, shares)
    if sum(map(len, pools.values())) < count:
        have = ", ".join(f"{task} {len(pool)}" for task, pool in pools.items()) or "none"
        raise CourseError(
            f"{count} records are wanted of the tasks {', '.join(only)}; there are: {have}",
            "set train_records, val_records and test_records lower, or `tasks` to those that there "
            "are, in configs/lora_config.yaml; or bring more data",
        )
    for name, pool in pools.items():
        random.Random(f"{seed}/{name}").shuffle(pool)
    drawn: list[Record] = []
    while len(drawn) < count:
        for name, pool in pools.items():
            for _ in range(_share(name, shares)):
                if pool and len(drawn) < count:
                    drawn.append(pool.pop())
    random.Random(seed).shuffle(drawn)
    return drawn


def _pools(
    records: Sequence[Record], only: Sequence[str], by_form: bool, shares: Mapping[str, int]
) -> dict[str, list[Record]]:
    """TASK or TASK/PART -> its records; without those of which `shares` wants none."""
    pools: dict[str, list[Record]] = {}
    for task, indices in tasks.by_task(records).items():
        if task not in only:
            continue
        named = {name.partition("/")[2] for name in shares if name.startswith(f"{task}/")}
        own = [records[i] for i in indices]
        field = _divided_by(task, own, named) if named else "form" if by_form else None
        for part in sorted({record.get(field, "") for record in own}) if field else [None]:
            name = f"{task}/{part}" if part else task
            if _share(name, shares):
                pools[name] = [r for r in own if part is None or part == r.get(field, "")]
    return pools


def _divided_by(task: str, records: Sequence[Record], named: set[str]) -> str:
    """The field that has all the named values."""
    known = {field: {record.get(field, "") for record in records} for field in PARTS}
    for field, values in known.items():
        if named <= values:
            return field
    unknown = ", ".join(sorted(named.difference(*known.values())))
    wrong = f"is shared out by forms and by documents: {', '.join(sorted(named))}"
    if unknown:
        wrong = f"has no record of the form or document {unknown}"
    have = (
        f"its {field}s: {', '.join(sorted(filter(None, values))) or 'none'}"
        for field, values in known.items()
    )
    raise CourseError(
        f"the task {task} {wrong}", f"name its forms or its documents; {'; '.join(have)}"
    )


def _share(name: str, shares: Mapping[str, int]) -> int:
    """Of a pool in a round: its own, else its task's, else 1."""
    return shares.get(name, shares.get(name.partition("/")[0], 1))


def answer_lengths(records: Sequence[Record], tokenizer: "PreTrainedTokenizerBase") -> dict:
    """task -> tokens that an answer of this task may take: the longest in training, and a few."""
    longest: dict[str, int] = {}
    for record in records:
        task = tasks.task_of(record)
        tokens = len(tokenizer(record["output"], add_special_tokens=False)["input_ids"])
        longest[task] = max(longest.get(task, 0), tokens + ROOM)
    return longest


def few_shot_pool(train: Sequence[Record], count: int, seed: int) -> dict[str, list[Record]]:
    """task -> solved examples for its prompts: short ones, each of another document if possible."""
    pool = {}
    for task, indices in tasks.by_task(train).items():
        drawn = [train[i] for i in random.Random(f"{seed}/{task}").sample(indices, len(indices))]
        # Of a random sample the shorter half: long examples would crowd the prompt.
        drawn = sorted(drawn[: 8 * count], key=lambda r: len(r["input"]) + len(r["output"]))
        chosen: list[Record] = []
        for wanted_new in (True, False):
            for record in drawn:
                new = record.get("document") not in [c.get("document") for c in chosen]
                if len(chosen) < count and record not in chosen and (new or not wanted_new):
                    chosen.append(record)
        pool[task] = chosen
    return pool


def answer(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    records: Sequence[Record],
    lengths: Mapping[str, int],
    batch_size: int,
    examples: Mapping[str, Sequence[Record]] | None = None,
    text: str = "answering",
) -> dict[str, list]:
    """Greedy answers and completion likelihoods of one system, in the order of the records.

    Returns columns {"answers", "nll" (nats, summed), "tokens"}. With `examples` (task -> solved
    records) the prompts are few-shot.
    """
    columns: dict[str, list] = {
        "answers": [""] * len(records),
        "nll": [0.0] * len(records),
        "tokens": [0] * len(records),
    }
    for task, indices in tasks.by_task(records).items():
        if task not in lengths:
            raise CourseError(
                f"no training record is of the task {task}: how long are its answers?",
                "leave the task out of configs/lora_config.yaml, or train on it too",
            )
        own = [records[i] for i in indices]
        prompts = [_prompt(record, (examples or {}).get(task), tokenizer) for record in own]
        scored = _scored(own, prompts, tokenizer)
        found, nll, tokens = generate_and_score(
            model, tokenizer, prompts, scored, lengths[task], batch_size, f"{text}: {task}"
        )
        for name, values in (("answers", found.texts), ("nll", nll), ("tokens", tokens)):
            for index, value in zip(indices, values, strict=True):
                columns[name][index] = value
    return columns


def _prompt(
    record: Record, examples: Sequence[Record] | None, tokenizer: "PreTrainedTokenizerBase"
) -> chat.Messages:
    if examples:
        return chat.few_shot_messages(record, examples, tokenizer)
    return chat.record_messages(record, tokenizer)["prompt"]


def _scored(
    records: Sequence[Record],
    prompts: Sequence[chat.Messages],
    tokenizer: "PreTrainedTokenizerBase",
) -> list[chat.Tokens]:
    completions = [chat.record_messages(record, tokenizer)["completion"] for record in records]
    return [
        chat.tokenize_messages(prompt, completion, tokenizer)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def score(records: Sequence[Record], columns: Mapping[str, Sequence]) -> dict[str, dict]:
    """task -> {score: value} of one system."""
    return {
        task: tasks.score_task(*_rows(records, columns, indices))
        for task, indices in tasks.by_task(records).items()
    }


def _rows(records: Sequence[Record], columns: Mapping[str, Sequence], indices: Sequence[int]):
    own = {name: [columns[name][i] for i in indices] for name in ("answers", "nll", "tokens")}
    return own["answers"], [records[i] for i in indices], own["nll"], own["tokens"]


def better_prompt(baselines: Mapping[str, Mapping[str, dict]], task: str) -> str:
    """Which of zero_shot and few_shot is the base model's better prompt for this task.

    By the main score; a tie is decided by perplexity. The tuned model has to beat that one.
    """
    main = tasks.MAIN_SCORE[task]

    def rank(name: str) -> tuple[float, float]:
        scores = baselines[name][task]
        value, perplexity = scores[main], scores["perplexity"]
        return (-1.0 if value is None else value, -(perplexity or float("inf")))

    return max(baselines, key=rank)


def compare(
    records: Sequence[Record],
    baseline: Mapping[str, Any],
    tuned: Mapping[str, Sequence],
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, dict]:
    """task -> {"records", "main", "base_prompt", "base", "tuned", "difference", "gain"}.

    `baseline` holds "zero_shot" and "few_shot", each {"scores": {task: ...}, columns...}.
    """
    prompts = {name: baseline[name]["scores"] for name in ("zero_shot", "few_shot")}
    tuned_scores = score(records, tuned)
    result = {}
    for task, indices in tasks.by_task(records).items():
        chosen = better_prompt(prompts, task)
        own = [records[i] for i in indices]
        before, after = (
            {name: [side[name][i] for i in indices] for name in ("answers", "nll", "tokens")}
            for side in (baseline[chosen], tuned)
        )
        difference = tasks.compare_task(own, before, after, samples, seed)
        main = tasks.MAIN_SCORE[task]
        result[task] = {
            "records": len(own),
            "main": main,
            "base_prompt": chosen,
            "zero_shot": prompts["zero_shot"][task],
            "few_shot": prompts["few_shot"][task],
            "base": prompts[chosen][task],
            "tuned": tuned_scores[task],
            "difference": difference,
            "gain": tasks.is_gain(main, difference[main]),
        }
    return result


def prediction_rows(
    records: Sequence[Record],
    baseline: Mapping[str, Any],
    tuned: Mapping[str, Sequence],
    comparison: Mapping[str, Mapping[str, Any]],
    cheap: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """One row a record, as evaluation.json keeps it and a reviewer compares it.

    "nll" (nats, summed) and "tokens" are the tuned model's; "rivals" holds the answers of `cheap`
    (what `rival_scores.measure` gave), where they were measured.
    """
    rows: list[dict[str, Any]] = []
    told = dict.fromkeys(tasks.TASKS, 0)  # of each task, the records before this one
    for index, record in enumerate(records):
        task = tasks.task_of(record)
        prompt = comparison[task]["base_prompt"]
        rows.append(
            {
                "task": task,
                "document": record.get("document", ""),
                "instruction": record["instruction"],
                "input": record["input"],
                "reference": record["output"],
                "facts": record.get("facts", ""),
                "form": record.get("form", ""),
                "base": baseline[prompt]["answers"][index],
                "tuned": tuned["answers"][index],
                "nll": tuned["nll"][index],
                "tokens": tuned["tokens"][index],
            }
        )
        if cheap is not None:
            own = cheap.get(task, {})
            rows[-1]["rivals"] = {name: one["answers"][told[task]] for name, one in own.items()}
        told[task] += 1
    return rows


def forgetting(model: Any, tokenizer: "PreTrainedTokenizerBase") -> dict[str, float]:
    """Perplexity of everyday text without and with the adapter: what general language it cost."""
    text = general_text()
    paragraphs = [tokenizer(part)["input_ids"] for part in text.split("\n") if part.strip()]
    probe = [chat.Tokens(ids, prompt_length=1) for ids in paragraphs]
    with model.disable_adapter():
        off = perplexity(*completion_nll(model, tokenizer, probe, 8, "everyday text, base"))
    on = perplexity(*completion_nll(model, tokenizer, probe, 8, "everyday text, tuned"))
    return {"base": off, "tuned": on, "words": len(text.split())}
