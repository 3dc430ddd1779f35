"""Serving, side by side in one run: what each step gains and costs.

    python benchmarks/serving.py runs/manufacturing-cpu
    python benchmarks/serving.py runs/manufacturing-cpu --prompts 8 --tokens 12   # a quick look

Same adapter, same prompts (test records of the run), greedy, one after the other: naive `generate`
with the adapter as it is, merged, in batches; `transformers serve` on the merged model; and
`course serve` in f16 and q8_0, with the adapter switched on and merged. Each with time to first
token, tokens/s for one request and for eight at once, and the task's score of its answers.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # works from a plain clone, installed or not

from course_utils import hardware, metrics, models, serving  # noqa: E402
from course_utils.chat import prompt_ids, record_messages  # noqa: E402
from course_utils.endpoint import conversion  # noqa: E402
from course_utils.endpoint.source import Source, find  # noqa: E402
from course_utils.files import write_json_atomic  # noqa: E402
from course_utils.generation import generate_answers, measure_latency  # noqa: E402
from course_utils.order_fields import answer_schema  # noqa: E402
from course_utils.runs import versions  # noqa: E402
from course_utils.serving import memory_of  # noqa: E402

AT_ONCE = 8
FLAT = 0.05  # of the memory after the warm-up; it may move by that much under load
COLUMNS = (
    *("variant", "first token p50", "p95", "tokens/s, 1", "tokens/s, 8", "MB"),
    *("score", "valid JSON"),
)


def prompts_of(run: Path, count: int, tokenizer: Any) -> tuple[list, list[str]]:
    """Test records as the model is asked, and their true answers."""
    with (run / "data" / "test.jsonl").open(encoding="utf-8") as lines:
        found = [record_messages(json.loads(line), tokenizer) for line in islice(lines, count)]
    return [m["prompt"] for m in found], [m["completion"][0]["content"] for m in found]


def scores(answers: list[str], truths: list[str]) -> dict[str, float]:
    """Field F1 where the true answers are records, else ROUGE-L; the share that is a record."""
    _, found = metrics.answer_score(answers, truths)
    valid = sum(metrics.parse_record(answer) is not None for answer in answers)
    return {"score": found, "valid": valid / len(answers)}


# --- PyTorch in this process ----------------------------------------------------------------------


def in_process(model: Any, tokenizer: Any, prompts: list, truths: list, args: Any) -> dict:
    """`generate`: first token from answers of one token, speed from answers of a fixed length."""
    timed = [[prompt] for prompt in prompts[: args.timed]]
    first = [measure_latency(model, tokenizer, p, "", 1)["seconds"] for p in timed]
    speeds = [measure_latency(model, tokenizer, p, "", args.tokens) for p in timed]
    one = [measured["tokens_per_second"] for measured in speeds]
    started = time.perf_counter()
    pool = (prompts * AT_ONCE)[:AT_ONCE]
    for prompt in pool:  # as eight users would be served: one by one
        measure_once(model, tokenizer, [prompt], args.tokens)
    eight = AT_ONCE * args.tokens / (time.perf_counter() - started)
    answers = generate_answers(model, tokenizer, prompts, args.longest, 1, "answers")
    return row(first, statistics.median(one), eight, memory_of(os.getpid())) | scores(
        answers, truths
    )


def measure_once(model: Any, tokenizer: Any, prompts: list, tokens: int) -> None:
    """One batch of exactly so many new tokens, without a warm-up."""
    import torch
    from transformers import GenerationConfig

    ids = [prompt_ids(p, tokenizer) for p in prompts]
    batch = tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt")
    config = GenerationConfig(
        do_sample=False,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.no_grad():
        model.generate(**batch, generation_config=config)


def batched(model: Any, tokenizer: Any, prompts: list, truths: list, args: Any) -> dict:
    """Eight prompts in one `generate`: nobody sees a token before all have the last one."""
    pool = (prompts * AT_ONCE)[:AT_ONCE]
    measured = measure_latency(model, tokenizer, pool, "", args.tokens)
    answers = generate_answers(model, tokenizer, prompts, args.longest, AT_ONCE, "answers")
    found = row([measured["seconds"]], None, measured["tokens_per_second"], memory_of(os.getpid()))
    return found | scores(answers, truths)


# --- Servers --------------------------------------------------------------------------------------


def asked(
    url: str,
    name: str,
    prompts: list,
    truths: list,
    args: Any,
    process: int,
    schema: dict | None = None,
) -> dict:
    """A server, asked with OpenAI's client as streams."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=600, max_retries=0)
    wanted = {"type": "json_schema", "json_schema": {"name": "order", "schema": schema}}
    options = {"response_format": wanted} if schema else {}

    def one(prompt: list, tokens: int) -> tuple[float, float, int, str]:
        """Seconds to the first token and to the last, tokens, text."""
        started, first, text, count = time.perf_counter(), 0.0, "", 0
        for chunk in client.chat.completions.create(
            model=name, messages=prompt, max_tokens=tokens, temperature=0, stream=True, **options
        ):
            piece = chunk.choices[0].delta.content if chunk.choices else None
            if piece:
                first = first or time.perf_counter() - started
                text, count = text + piece, count + 1
        return first, time.perf_counter() - started, count, text

    one(prompts[-1], args.tokens)  # the first request warms up
    alone = [one(prompt, args.tokens) for prompt in prompts[: args.timed]]
    rates = [(n - 1) / (whole - first) for first, whole, n, _ in alone if n > 1] or [0.0]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = time.perf_counter()
        together = list(pool.map(lambda p: one(p, args.tokens), (prompts * AT_ONCE)[:AT_ONCE]))
        eight = sum(n for _, _, n, _ in together) / (time.perf_counter() - started)
        answers = [text.strip() for *_, text in pool.map(lambda p: one(p, args.longest), prompts)]
    first = [seconds for seconds, *_ in alone]
    return row(first, statistics.median(rates), eight, memory_of(process)) | scores(answers, truths)


@contextlib.contextmanager
def transformers_server(folder: Path, seconds: float = 600) -> Iterator[tuple[str, int]]:
    """`transformers serve` on a free port: its address and process."""
    port = serving.free_port()
    hub = folder / "hub"  # /v1/models fails unless this folder exists
    hub.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):
                yield url, process.pid
                return
            time.sleep(0.2)
        raise SystemExit("transformers serve did not start; its message stands above")
    finally:
        process.terminate()
        process.wait(60)


def load(run: Path, seconds: float, data: tuple) -> dict:
    """Eight clients without a pause: errors, p95 of a request, memory after a warm-up and later.

    The first fifth (a minute of five) is the warm-up.
    """
    from openai import OpenAIError

    prompts, _, args = data
    with serving.serve(run, "--format", "q8_0") as server:
        client = server.client()
        taken, errors, memories = [], [], []
        started = time.perf_counter()

        def ask(number: int) -> None:
            while time.perf_counter() - started < seconds:
                begun, prompt = time.perf_counter(), prompts[(number + len(taken)) % len(prompts)]
                try:
                    client.chat.completions.create(
                        model=("base", "tuned")[len(taken) % 2],
                        messages=prompt,
                        max_tokens=args.tokens,
                    )
                except OpenAIError as error:
                    errors.append(str(error))
                taken.append(time.perf_counter() - begun)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(ask, number) for number in range(AT_ONCE)]
            while not all(future.done() for future in running):
                time.sleep(1)
                memories.append(server.memory())
    ordered, settled = sorted(taken), memories[len(memories) // 5 :]
    return {
        "seconds": seconds,
        "requests": len(taken),
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
        "p50_s": statistics.median(ordered),
        "p95_s": ordered[int(0.95 * (len(ordered) - 1))],
        "mb_after_a_fifth": settled[0],
        "mb_most_afterwards": max(settled),
        "mb_at_the_end": settled[-1],
        "flat": max(settled) - min(settled) <= FLAT * settled[0],
        "load_1min": os.getloadavg()[0],
    }


def starts(run: Path, count: int) -> dict:
    """Start the endpoint so many times after a first one, which may convert: seconds to ready."""
    import psutil

    waited, processor = [], []
    for _ in range(1 + count):
        with serving.serve(run, "--format", "q8_0") as server:
            waited.append(server.load_seconds)
            times = psutil.Process(server.process.pid).cpu_times()
            processor.append(times.user + times.system)
    return {
        "first_s": waited[0],
        "later_s": sorted(waited[1:]),
        "later_processor_s": sorted(processor[1:]),
        "load_1min": os.getloadavg()[0],
    }


# --- The table ------------------------------------------------------------------------------------


def row(first: list[float], one: float | None, eight: float, mb: float) -> dict:
    ordered = sorted(first)
    return {
        "first_p50": statistics.median(ordered),
        "first_p95": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
        "one": one,
        "eight": eight,
        "mb": mb,
    }


def show(rows: dict[str, dict]) -> str:
    """The table, with times the naive variant beside each speed."""
    naive = next(iter(rows.values()))
    lines = [" | ".join(COLUMNS)]
    for name, found in rows.items():
        times = ["-" if found[k] is None else f"{found[k]:.1f} ({found[k] / naive[k]:.1f}x)"
                 for k in ("one", "eight")]  # fmt: skip
        first = [f"{1000 * found[k]:.0f} ms" for k in ("first_p50", "first_p95")]
        cells = [
            name,
            *first,
            *times,
            f"{found['mb']:.0f}",
            f"{found['score']:.3f}",
            f"{found['valid']:.0%}",
        ]
        lines.append(" | ".join(cells))
    return "\n".join(lines)


Note = Callable[[str, Callable[[], dict]], None]


def measure(args: argparse.Namespace) -> dict[str, dict]:
    """Every variant that --only lets through, in the table's order."""
    conversion.use_idle_cores()
    source = find(args.run)
    tokenizer = models.load_tokenizer(str(source.base))
    data = (*prompts_of(args.run, args.prompts, tokenizer), args)
    rows: dict[str, dict] = {}

    def note(name: str, run: Callable[[], dict]) -> None:
        if not args.only or re.search(args.only, name):
            print(f"{name} ...", flush=True)
            rows[name] = run()
            print(show(rows).splitlines()[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        pytorch(source, tokenizer, Path(folder), data, note)
        hardware.trim_heap()
        note("transformers serve", lambda: transformers_serve(Path(folder), data))
    for form in ("f16", "q8_0"):
        for how in ((), ("--merged",)):
            options = ("--format", form, *how)
            name = " ".join(["course serve", form, *how])
            note(name, lambda options=options: endpoint(args.run, options, data))
    schema = answer_schema()
    if set(metrics.parse_record(data[1][0]) or ()) <= set(schema["properties"]):
        note(
            "course serve q8_0, schema",
            lambda: endpoint(args.run, ("--format", "q8_0"), data, schema),
        )
    return rows


def pytorch(source: Source, tokenizer: Any, folder: Path, data: tuple, note: Note) -> None:
    """The variants of `generate`; the merged model is left in `folder`."""
    model = models.load_adapter(models.load_model(str(source.base)), source.adapter)
    note("generate, adapter", lambda: in_process(model, tokenizer, *data))
    merged = model.merge_and_unload()
    note("generate, merged", lambda: in_process(merged, tokenizer, *data))
    note("generate, merged, batch of 8", lambda: batched(merged, tokenizer, *data))
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def transformers_serve(folder: Path, data: tuple) -> dict:
    with transformers_server(folder) as (url, process):
        return asked(url, str(folder), *data, process)


def endpoint(run: Path, options: tuple[str, ...], data: tuple, schema: dict | None = None) -> dict:
    with serving.serve(run, *options) as server:
        return asked(server.url, "tuned", *data, server.process.pid, schema)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run with test records")
    parser.add_argument("--prompts", type=int, default=40, help="test records that are scored")
    parser.add_argument("--timed", type=int, default=10, help="so many of them are timed alone")
    parser.add_argument("--tokens", type=int, default=24, help="of an answer that is timed")
    parser.add_argument("--longest", type=int, default=56, help="of an answer that is scored")
    parser.add_argument("--only", help="a pattern: only variants with such a name")
    parser.add_argument("--load", type=float, help="instead: eight clients for so many seconds")
    parser.add_argument("--starts", type=int, help="instead: start it so many times")
    parser.add_argument("--out", type=Path, default=Path("serving.json"))
    args = parser.parse_args()
    if args.starts:
        print(json.dumps(starts(args.run, args.starts), indent=2))
        return
    if args.load:
        source = find(args.run)
        tokenizer = models.load_tokenizer(str(source.base))
        found = load(args.run, args.load, (*prompts_of(args.run, args.prompts, tokenizer), args))
        print(json.dumps(found, indent=2))
        return
    rows = measure(args)
    print(show(rows))
    facts = {"command": sys.argv, "hardware": hardware.detect().to_dict(), "versions": versions()}
    print(write_json_atomic(args.out, {**facts, "load_1min": os.getloadavg()[0], "rows": rows}))


if __name__ == "__main__":
    main()
