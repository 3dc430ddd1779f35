"""How fast a model answers: timed requests, and the figures that are made from them.

    timed = [latency.of_generate(model, tokenizer, prompt, 48) for prompt in prompts]
    latency.figures(timed)["tokens_per_second"]

The same measure for `generate` in this process and for an endpoint, so the two can be compared:
one prompt at a time, greedy, from the question to the last token, each prompt different.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from course_utils.chat import Messages, prompt_ids
from course_utils.errors import CourseError
from course_utils.generation import end_tokens, generate
from course_utils.scoring import Record
from course_utils.tasks import answer_score

if TYPE_CHECKING:
    from openai import OpenAI
    from transformers import PreTrainedTokenizerBase

AT_ONCE = 8  # users who ask at the same moment
BAR_TOKENS = 24  # of an answer, where a figure says how long it takes


@dataclass(frozen=True)
class Timed:
    """One request: seconds until the first token and until the last, tokens, and the answer."""

    first: float
    seconds: float
    tokens: int
    text: str
    finish: str = ""  # "length": cut by max_new_tokens

    def to_dict(self) -> dict[str, Any]:
        """Without the text, times rounded to a tenth of a millisecond."""
        found = {k: v for k, v in asdict(self).items() if k in ("first", "seconds", "tokens")}
        return {name: round(value, 4) for name, value in found.items()}


def of_generate(
    model: Any, tokenizer: "PreTrainedTokenizerBase", messages: Messages, max_new_tokens: int
) -> Timed:
    """A plain greedy `generate` of one prompt, as a first script has it."""
    import torch
    from transformers import GenerationConfig
    from transformers.generation.streamers import BaseStreamer

    class Clock(BaseStreamer):
        """Called with the prompt first, then with each token."""

        def __init__(self) -> None:
            self.calls: list[float] = []

        def put(self, value: Any) -> None:
            self.calls.append(time.perf_counter())

        def end(self) -> None:
            pass

    ids = prompt_ids(messages, tokenizer)
    inputs = torch.tensor([ids], device=model.device)
    ends = end_tokens(model, tokenizer)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends or None,
    )
    clock, started = Clock(), time.perf_counter()
    with torch.no_grad():
        output = model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            generation_config=config,
            streamer=clock,
        )
    seconds, new = time.perf_counter() - started, output[0, len(ids) :].tolist()
    text = tokenizer.decode(new, skip_special_tokens=True).strip()
    finish = "stop" if new and new[-1] in ends else "length"
    return Timed(clock.calls[1] - started, seconds, len(new), text, finish)


def of_endpoint(
    client: "OpenAI", model: str, messages: Messages, max_new_tokens: int, **options: Any
) -> Timed:
    """A streamed request to an endpoint; `options` go into it as they are."""
    first, text, tokens, finish = 0.0, "", 0, ""
    started = time.perf_counter()
    for chunk in client.chat.completions.create(
        model=model,
        messages=messages,
        max_tokens=max_new_tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        **options,
    ):
        for choice in chunk.choices:
            if choice.delta.content:
                first = first or time.perf_counter() - started
                text += choice.delta.content
            finish = choice.finish_reason or finish
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    seconds = time.perf_counter() - started
    return Timed(first or seconds, seconds, tokens, text.strip(), finish)


def at_once(
    client: "OpenAI",
    model: str,
    prompts: Sequence[Messages],
    max_new_tokens: int,
    users: int = AT_ONCE,
) -> tuple[list[Timed], float]:
    """The requests, asked by so many users at the same time; and the seconds for all of them."""
    started = time.perf_counter()
    with ThreadPoolExecutor(users) as pool:
        timed = list(pool.map(lambda p: of_endpoint(client, model, p, max_new_tokens), prompts))
    return timed, time.perf_counter() - started


def of_batch(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Messages],
    max_new_tokens: int,
) -> tuple[list[Timed], float]:
    """All prompts in one `generate`: nobody sees a token before all have their last one."""
    started = time.perf_counter()
    answers = generate(model, tokenizer, prompts, max_new_tokens, len(prompts), "one batch")
    seconds = time.perf_counter() - started
    pairs = zip(answers.tokens, answers.texts, strict=True)
    return [Timed(seconds, seconds, count, text) for count, text in pairs], seconds


def rates(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Messages],
    max_new_tokens: int,
    passes: int = 5,
) -> list[float]:
    """Tokens/s of each of several passes over the same prompts: what they differ by is noise."""
    found = []
    for _ in range(passes):
        timed = [of_generate(model, tokenizer, prompt, max_new_tokens) for prompt in prompts]
        found.append(figures(timed)["tokens_per_second"])
    return found


def compared(rates: Mapping[str, Sequence[float]]) -> str:
    """Two names with their `rates` in words: medians, spreads, and whether the passes lie apart.

    Five passes of one all above five of the other: 1 in 252 by luck, if nothing else changed.
    """
    (first, before), (second, after) = rates.items()
    if min(after) > max(before):
        verdict = f"every pass of {second} was faster than every pass of {first}"
    elif max(after) < min(before):
        verdict = f"every pass of {second} was slower than every pass of {first}"
    else:
        verdict = "the passes overlap, so no difference is shown"
    told = [f"{name} {_spread(own)} tokens/s" for name, own in rates.items()]
    usual = statistics.median(before)
    gain = f"x {statistics.median(after) / usual:.2f}; " if usual else ""  # 0: nothing was written
    return f"{', '.join(told)}: {gain}{verdict}"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def figures(
    timed: Sequence[Timed | Mapping[str, float]], seconds: float | None = None
) -> dict[str, float]:
    """Seconds to the first and to the last token (median, 95th percentile), and tokens/s.

    `seconds`: of all requests together, where they ran at the same time.
    Raises CourseError where there is nothing to count.
    """
    rows = [row.to_dict() if isinstance(row, Timed) else row for row in timed]
    total = sum(row["seconds"] for row in rows) if seconds is None else seconds
    if not rows or not total > 0:
        raise CourseError("no request was timed", "ask at least one prompt")
    first, whole = ([row[name] for row in rows] for name in ("first", "seconds"))
    return {
        "first_p50": statistics.median(first),
        "first_p95": percentile(first, 0.95),
        "p50": statistics.median(whole),
        "p95": percentile(whole, 0.95),
        "tokens_per_second": sum(row["tokens"] for row in rows) / total,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


# --- The table of notebook 05 -------------------------------------------------------------------

Row = dict[str, Any]


def row(
    step: str,
    timed: Sequence[Timed],
    records: Sequence[Record],
    together: float | None = None,
    load_seconds: float | None = None,
    megabytes: float | None = None,
) -> Row:
    """One way of answering: the figures of its requests, and the score of their answers.

    `together`: tokens/s while `AT_ONCE` users ask. Without it they wait for each other.
    """
    found = figures(timed)
    score, value = answer_score([request.text for request in timed], records)
    return {
        "step": step,
        "first token p50 (s)": found["first_p50"],
        "first token p95 (s)": found["first_p95"],
        "tokens/s, 1 user": found["tokens_per_second"],
        f"tokens/s, {AT_ONCE} users": together or found["tokens_per_second"],
        "load (s)": load_seconds,
        "memory (MB)": megabytes,
        score: value,
    }


def told(rows: Sequence[Row]) -> str:
    """The last row in one line; behind each figure, how it compares with the first row's."""
    first, last = rows[0], rows[-1]
    names = [name for name, value in last.items() if name != "step" and value is not None]
    return f"{last['step']}: " + ", ".join(_told(name, last, first) for name in names)


def _told(name: str, own: Row, first: Row) -> str:
    title, _, unit = name.partition(" (")
    text = f"{title} {own[name]:.2f} {unit.rstrip(')')}".rstrip()
    if own is first or not first[name] or not name.startswith("tokens/s"):
        return text
    return f"{text} (x {own[name] / first[name]:.1f})"


def bars(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as `plots.plot_latency` and the report take them."""
    found = []
    for own in rows:
        for users, name in ((1, "tokens/s, 1 user"), (AT_ONCE, f"tokens/s, {AT_ONCE} users")):
            if own[name]:
                seconds = users * BAR_TOKENS / own[name]
                rate = {"tokens_per_second": own[name], "seconds": seconds}
                found.append({"mode": own["step"], "batch_size": users, **rate})
    return found
