"""The comparison as a table for the terminal, a figure, and a Markdown report."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing, models
from course_utils.assignments import markdown, pages
from course_utils.assignments.bonuses.harness.comparing import compare, finding
from course_utils.files import write_json_atomic
from course_utils.metrics import wilson_interval
from course_utils.privacy import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


PAGE = "benchmark.md"


def results_table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    """The rows of `compare`, or of `score_rows` for one model, as a table 80 columns wide.

    * marks a score that can't be told from chance; the verdict stands below the task's name.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    head, lines = _table(rows, digits=2)
    numbers = slice(1, 5) if "seconds" in rows[0] else slice(2, 6)
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column(head[0])
    for title in head[numbers]:
        table.add_column(title, justify="right", no_wrap=True)
    for row, line in zip(rows, lines, strict=True):
        name = Text(row["title"])
        if "verdict" in row:
            size = "" if "n =" in row["verdict"] else f" (n = {row['n']})"
            name.append(f"\n{row['verdict']}{size}", "dim")
        table.add_row(name, *line[numbers])
    return table


def _table(rows: Sequence[Mapping[str, Any]], digits: int = 3) -> tuple[list[str], list[list[str]]]:
    """Head and lines, for the terminal and for Markdown."""

    def score(value: float, error: float, near: bool) -> str:
        return f"{value:.{digits}f} \u00b1 {error:.{digits}f}{'*' if near else ' '}"

    if "tuned" not in rows[0]:
        head = ["task", "n", "chance", "score \u00b1 SE ", "s"]
        return head, [
            [row["title"], str(row["n"]), f"{row['chance']:.2f}"]
            + [score(row["score"], row["stderr"], row["near_chance"]), f"{row['seconds']:.0f}"]
            for row in rows
        ]
    head = [
        "task",
        "n",
        "chance",
        "base \u00b1 SE ",
        "tuned \u00b1 SE ",
        "change \u00b1 SE",
        "verdict",
    ]
    lines = []
    for row in rows:
        both = [
            score(row[side], row[f"{side}_stderr"], row[f"{side}_near_chance"])
            for side in ("base", "tuned")
        ]
        change = f"{drawing.signed(row['difference'], digits)} \u00b1 {row['stderr']:.{digits}f}"
        chance = f"{row['chance']:.2f}"
        lines.append([row["title"], str(row["n"]), chance, *both, change, row["verdict"]])
    return head, lines


@drawing.styled
def plot_benchmark(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Score of base and tuned with 95 % bars (Wilson) and chance, task by task."""
    drawing.require(rows, "no task was compared", "run the benchmark with an adapter")
    figure, ax = drawing.new_figure(10.5, 2.2 + 0.62 * len(rows))
    names = [f"{drawing.label_text(row['title'])} (n = {row['n']})" for row in rows]
    sides = {
        side: [wilson_interval(round(row[side] * row["n"]), row["n"]) for row in rows]
        for side in ("base", "tuned")
    }
    drawing.paired_marks(ax, names, sides)
    for index, row in enumerate(rows):
        label = "chance" if index == 0 else None
        span = [index - 0.36, index + 0.36]
        ax.plot([row["chance"]] * 2, span, color=drawing.RED, ls=":", lw=2.4, label=label)
        ax.text(1.02, index, row["verdict"], va="center", size=10, color=drawing.INK)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of questions answered right (bar: 95 %)")
    figure.legend(loc="outside lower center", ncols=3)
    drawing.state_finding(figure, finding(rows))
    return figure


def make_comparison(
    base: Mapping[str, Any], tuned: Mapping[str, Any], command: str = ""
) -> dict[str, Any]:
    """What `write_report` writes: the rows, both runs, and how they were made."""
    rows = compare(base, tuned)
    return {
        "finding": finding(rows),
        "rows": rows,
        "command": command,
        "lm_eval_command": lm_eval_command(tuned),
        **{key: tuned[key] for key in ("seed", "versions", "hardware", "created")},
        "base": base,
        "tuned": tuned,
    }


def lm_eval_command(result: Mapping[str, Any]) -> str:
    """The same run with lm-eval's own command; ~ is the home folder of who runs it."""
    dtype = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}[result["precision"]]
    model = f"pretrained={shown(models.resolve(result['base_model']))},dtype={dtype}"
    model += ",softmax_dtype=float32"
    if result["adapter"]:
        model += f",peft={result['adapter']}"
    words = ["lm-eval", "run", "--model", "hf", "--model_args", model]
    words += ["--tasks", ",".join(result["tasks"]), "--include_path", result["tasks_folder"]]
    words += ["--batch_size", str(result["batch_size"])]
    words += ["--limit", str(result["limit"])] if result["limit"] else []
    words += ["--apply_chat_template"] if result["chat"] else []
    return shlex.join(words)


def write_report(comparison: Mapping[str, Any], folder: Path) -> Path:
    """benchmark.json, benchmark.png and benchmark.md into a folder; returns the Markdown file."""
    folder = Path(folder)
    page = pages.place(folder / PAGE, report_text)
    write_json_atomic(folder / "benchmark.json", comparison)
    drawing.save_figure(plot_benchmark(comparison["rows"]), folder / "benchmark.png")
    return pages.write(page, report_text(comparison))


def check_page(folder: Path) -> None:
    """CourseError when words of somebody else stand where `write_report` writes into this folder.

    For before the models are asked: that may take an hour.
    """
    pages.check(Path(folder) / PAGE, report_text)


def report_text(comparison: Mapping[str, Any]) -> str:
    """The Markdown report: finding, table, how to read it, what was asked, how it was measured."""
    rows, run = comparison["rows"], comparison["tuned"]
    scores = "\n".join(markdown.table(*_table(rows)))
    parts = [
        f"# Benchmark: base against tuned\n\n{comparison['finding']}.",
        f"![Scores of base and tuned, task by task](benchmark.png)\n\n{scores}",
        _chance_text(rows),
        HOW_TO_READ,
        "## What was asked\n\n" + "\n".join(f"- {t}: {s}" for t, s in run["sources"].items()),
        "## How it was measured\n\n" + "\n".join(f"- {line}" for line in _provenance(comparison)),
    ]
    return "\n\n".join(parts) + "\n"


def _provenance(comparison: Mapping[str, Any]) -> list[str]:
    run = comparison["tuned"]
    seconds = comparison["base"]["seconds"] + run["seconds"]
    shots = f"examples shown before an MMLU question: {run['shots']}, elsewhere none"
    return [
        f"base model: {run['base_model']}, adapter: {run['adapter']}",
        f"questions a task: {run['limit'] or 'all'}; {shots}; "
        f"chat template: {'yes' if run['chat'] else 'no'}",
        f"precision: {run['precision']} ({run['precision_reason']})",
        f"seconds for both models: {seconds:.0f}",
        f"seed of the questions' order and the distractors: {comparison['seed']}",
        *markdown.made_with(comparison),
        f"command: `{comparison['command'] or 'called from Python'}`",
        f"with lm-eval's own command (write a ~ out): `{comparison['lm_eval_command']}`",
    ]


HOW_TO_READ = """\
## How to read it

- Score: share of questions whose right choice has the highest log-likelihood per byte (acc_norm).
- SE is the standard error. That of the difference is paired: both models answered the same
  questions, so what makes a question hard for both cancels out.
- "gained" and "lost" need p < 0.05 in the exact sign test on the questions that only one model got
  right, corrected for the number of tasks (Holm). Otherwise no difference is *shown*, which does
  not mean that there is none: a change smaller than about two standard errors can't be seen.
- The last row takes all general questions together: the strongest look at forgetting."""


def _chance_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which scores can't be told from guessing; a change there says little."""
    general = [row for row in rows if not row["held_out"] and not row["pooled"]]
    near = [row for row in general if row["base_near_chance"] and row["tuned_near_chance"]]
    text = "\\* can't be told from chance: its 95 % interval includes the score of guessing."
    if not near:
        return text
    names = ", ".join(row["title"] for row in near)
    return (
        f"{text} Neither model can be told from guessing on {names}: forgetting hardly shows there."
    )
