"""Part 5 of weeks 9-10: the endpoint's evidence and its report, written from what was measured.

configs/new_samples.yaml + measured requests -> run/endpoint.json -> reports/latency.md

What `scripts/serve.py` writes with these functions, `course submit check` and the grader compute
again with them.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from course_utils import evaluation, latency, models, ownership, schemas, tasks
from course_utils.assignments import markdown
from course_utils.assignments.findings import wrong
from course_utils.assignments.folder import show
from course_utils.chat import Messages, record_messages
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic
from course_utils.handwritten import has_aliases
from course_utils.latency import Timed
from course_utils.records import read_records

if TYPE_CHECKING:
    from course_utils.assignments.scripts import Workspace

SAMPLES = Path("configs") / "new_samples.yaml"
LEAST_SAMPLES = 2  # of each task
MOST_SAMPLES = 30
PROMPTS = 9  # test records whose answers are timed, three of each task
TOKENS = 32  # an answer that is timed is cut here: it is the machine that is measured
WARM_UP = 4  # tokens of the answer that is not counted
LONGEST = 256  # tokens of an answer to a new sample
SIDES = ("base", "tuned")
FIGURES = {
    "first_p50": "first token, median (s)",
    "first_p95": "first token, 95th percentile (s)",
    "p50": "whole answer, median (s)",
    "p95": "whole answer, 95th percentile (s)",
    "tokens_per_second": "tokens per second",
}
HEADING = "How to ask it"  # of the README's section on the API

Record = Mapping[str, str]
Content = Mapping[str, Any]


# --- What is asked ------------------------------------------------------------------------------


def timed_prompts(workspace: "Workspace") -> list[Messages]:
    """Test records that are asked before and after, drawn evenly from the tasks."""
    config = workspace.config
    test = read_records(workspace.data("test"), "manufacturing")
    drawn = draw(test, PROMPTS, config.seed, config.tasks)
    return [prompt_of(record) for record in drawn]


def draw(test: Sequence[Record], count: int, seed: int, only: Sequence[str]) -> list[Record]:
    """At most so many test records of these tasks, the same ones each time."""
    test = [record for record in test if tasks.task_of(record) in only]
    return evaluation.draw(test, min(count, len(test)), seed, only)


def prompt_of(record: Record) -> Messages:
    """A record as the model is asked it."""
    return record_messages(record)["prompt"]


def read_samples(folder: Path) -> list[dict[str, str]]:
    """The new samples of a submission, in the schema of manufacturing records.

    Raises CourseError that names the sample and what is wrong with it.
    """
    path = folder / SAMPLES
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path}: cannot be read ({error})", "write it as UTF-8 YAML") from None
    return parse_samples(text)


def parse_samples(text: str) -> list[dict[str, str]]:
    """The same from the file's text, which may be a stranger's."""
    name, cure = SAMPLES.as_posix(), f"see the example at the top of {SAMPLES.as_posix()}"
    try:
        if has_aliases(text):
            raise CourseError(f"{name}: YAML aliases are not read", "write every value out")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())[:200]
        raise CourseError(f"{name}: {problem}", "write it as UTF-8 YAML") from None
    found = content.get("samples") if isinstance(content, dict) else None
    if not isinstance(found, list) or not 0 < len(found) <= MOST_SAMPLES:
        raise CourseError(f"{name}: no list `samples` of 1 to {MOST_SAMPLES} stands in it", cure)
    return [_sample(own, f"{name}: sample {number}", cure) for number, own in enumerate(found, 1)]


def _sample(own: Any, place: str, cure: str) -> dict[str, str]:
    if not isinstance(own, dict):
        raise CourseError(f"{place} is no record", cure)
    sample = {str(k): v.strip() if isinstance(v, str) else v for k, v in own.items()}
    if problems := schemas.validate(sample, "manufacturing"):
        raise CourseError(f"{place}: {problems[0].message}", problems[0].cure)
    if (problem := _not_scorable(sample)) is not None:
        raise CourseError(f"{place}: {problem}", cure)
    return sample


def _not_scorable(sample: Record) -> str | None:
    if sample.get("task") not in tasks.TASKS:
        return f"`task` is none of {', '.join(tasks.TASKS)}"
    score = tasks.main_score(sample["output"], sample)
    if score is None:
        return "a report or a question needs `facts`, or its answer cannot be scored"
    if score < 1:
        return f"your own `output` scores {score:.2f}: it and `facts` do not say the same"
    return None


def short_of_samples(samples: Sequence[Record], wanted: Sequence[str] = tasks.TASKS) -> list[str]:
    """The wanted tasks of which there are fewer than two samples."""
    counts = {task: len(indices) for task, indices in tasks.by_task(samples).items()}
    return [task for task in wanted if counts.get(task, 0) < LEAST_SAMPLES]


def not_new(samples: Sequence[Record], records: Sequence[Record]) -> list[int]:
    """Numbers (from 1) of the samples whose prompt stands in the data, spaces and case apart."""
    known = {_plain(record) for record in records}
    return [number for number, own in enumerate(samples, start=1) if _plain(own) in known]


def _plain(record: Record) -> str:
    return " ".join(f"{record['instruction']} {record['input']}".casefold().split())


def naive(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`generate` with the unmerged adapter, timed: {"base", "adapter", "prompts", "tokens"} in.

    The first prompt is begun once before, which counts nothing. Called by name, in a process of its
    own.
    """
    model = models.load_adapter(models.load_model(request["base"]), Path(request["adapter"]))
    tokenizer = models.load_tokenizer(request["base"])
    latency.of_generate(model, tokenizer, request["prompts"][0], WARM_UP)
    timed = [
        latency.of_generate(model, tokenizer, prompt, request["tokens"])
        for prompt in request["prompts"]
    ]
    return [one.to_dict() for one in timed]


# --- run/endpoint.json and reports/latency.md ---------------------------------------------------


def write(
    workspace: "Workspace",
    before: Sequence[Timed],
    after: Sequence[Timed],
    together: tuple[Sequence[Timed], float],
    answers: Mapping[str, Sequence[str]],
    server: Mapping[str, Any],
) -> str:
    """Write run/endpoint.json and reports/latency.md; returns the report's table.

    `before` and `after`: the same prompts, in the same order. `together`: requests that ran at the
    same time, and their seconds. `answers`: of base and tuned to the new samples. `server`: what is
    known of it (engine, seconds to load, memory).
    """
    if len(before) != len(after):
        raise CourseError(
            f"{len(before)} requests before, {len(after)} after", "ask the same prompts both times"
        )
    content = {
        "server": dict(server),
        "max_new_tokens": TOKENS,
        "before": _side(before),
        "after": _side(after),
        "at_once": _side(*together) | {"seconds": round(together[1], 4)},
        "samples": judged(read_samples(workspace.folder), answers),
    }
    content["speedup"] = speedup(content)
    content["scores"] = sample_scores(content["samples"])
    workspace.run.write("endpoint.json", content)
    write_text_atomic(workspace.report("latency.md"), latency_page(content))
    return latency_table(content)


def _side(timed: Sequence[Timed], seconds: float | None = None) -> dict[str, Any]:
    rows = [request.to_dict() for request in timed]
    return {"requests": rows, "figures": latency.figures(rows, seconds and round(seconds, 4))}


def judged(samples: Sequence[Record], answers: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Each sample with both answers and the score (0 to 1) of each."""
    rows = []
    for index, sample in enumerate(samples):
        own = {side: answers[side][index] for side in SIDES}
        scores = {f"{side}_score": tasks.main_score(own[side], sample) for side in SIDES}
        rows.append({**sample, **own, **scores})
    return rows


def speedup(content: Content) -> float:
    """Tokens per second after, divided by those before; one request at a time."""
    before, after = (content[name]["figures"]["tokens_per_second"] for name in ("before", "after"))
    return after / before


def sample_scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """task -> number of samples, and the mean score of base and tuned."""
    found = {}
    for task, indices in tasks.by_task(rows).items():
        own = [rows[i] for i in indices]
        means = {side: sum(row[f"{side}_score"] for row in own) / len(own) for side in SIDES}
        found[task] = {"samples": len(own), **means}
    return found


def figures_again(content: Content) -> dict[str, dict[str, float]]:
    """The figures of before, after and at_once, from the requests that are stored with them."""
    found = {}
    for name in ("before", "after", "at_once"):
        seconds = content[name]["seconds"] if name == "at_once" else None
        found[name] = latency.figures(content[name]["requests"], seconds)
    return found


def latency_table(content: Content) -> str:
    """Before and after, side by side, as Markdown."""
    columns = {"before": "before", "after": "after", "at_once": f"after, {latency.AT_ONCE} at once"}
    lines = [f"| | {' | '.join(columns.values())} |", "|---|---|---|---|"]
    for name, title in FIGURES.items():
        cells = [f"{content[column]['figures'][name]:.3f}" for column in columns]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def latency_page(content: Content) -> str:
    """reports/latency.md: what was measured, the table, and the new samples' scores."""
    server = content["server"]
    facts = ", ".join(f"{name} {_shown(value)}" for name, value in sorted(server.items()))
    count = len(content["before"]["requests"])
    lines = [
        "# Latency of the endpoint, before and after",
        "",
        f"Written by the {ownership.MAKER} from `run/endpoint.json`.",
        "",
        f"Before: `generate` with the adapter not merged. After: the endpoint ({facts}).",
        f"{count} prompts, the same for both, at most {content['max_new_tokens']} tokens each.",
        "",
        latency_table(content),
        "",
        f"One request at a time, the endpoint gives {content['speedup']:.2f} times the tokens per "
        "second.",
        "",
        "## New samples",
        "",
        "| task | samples | base | tuned |",
        "|---|---|---|---|",
    ]
    for task, row in content["scores"].items():
        score = tasks.NAMES[tasks.MAIN_SCORE[task]]
        cells = f"{row['samples']} | {row['base']:.2f} | {row['tuned']:.2f}"
        lines.append(f"| {task}, {score} | {cells} |")
    return "\n".join([*lines, ""])


def _shown(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


# --- The API in the README ----------------------------------------------------------------------


def api_example(readme: str) -> str:
    """The first Python block of the README's section on the API.

    Raises Explained where section or block is missing, or is no Python that asks `tuned`.
    """
    section = markdown.section(readme, HEADING)
    if section is None:
        raise wrong("week09_10.readme.api", "section", heading=HEADING, problem="")
    block = re.search(r"^```python[ \t]*\n(.*?)^```", section, re.S | re.M)
    if block is None:
        raise wrong("week09_10.readme.api", "block", heading=HEADING, problem="")
    try:
        tree = ast.parse(block[1])
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise wrong(
            "week09_10.readme.api", "syntax", heading=HEADING, problem=show(error, 80)
        ) from None
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    if "tuned" not in texts:
        raise wrong("week09_10.readme.api", "model", heading=HEADING, problem="")
    return block[1]
