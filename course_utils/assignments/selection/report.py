"""The comparison as a table for the terminal, a figure, and a Markdown page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing
from course_utils.assignments import markdown, pages
from course_utils.assignments.selection.candidates import short_name
from course_utils.assignments.selection.measuring import BATCH_SIZES, PROMPTS
from course_utils.assignments.selection.recommendation import row_label
from course_utils.assignments.selection.scores import SCORE_NAMES
from course_utils.files import write_json_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group
    from rich.table import Table


PICTURE = "model_comparison.png"


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
        about = f"{row['precision']}, {escape(row['licence'] or '?')}"
        name = f"{escape(short_name(row['model']))}\n{about}"
        size = "-" if row["parameters"] is None else drawing.compact_number(row["parameters"])
        if row["status"] != "done":
            style = "red" if row["status"] == "failed" else "dim"
            name += f"\n{row['status']}: {escape(row['reason'])}"
            table.add_row(name, size, style=style)
            continue
        memory, speed = row["memory_gb"], row["tokens_per_second"]
        cells = [f"{memory['weights']:.2f}\n{memory['peak']:.2f}"]
        cells.append("\n".join(f"{drawing.plain_number(speed[str(size)])}" for size in BATCH_SIZES))
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
        table.add_row(escape(row_label(row)), *cells)
    return table


def _two(row: Mapping[str, Any], key: str, shape: str = "") -> str:
    """Zero-shot over few-shot."""
    values = [row[prompt][key] for prompt in PROMPTS]
    return "\n".join(
        format(value, shape) if shape else drawing.plain_number(value) for value in values
    )


@drawing.styled
def plot_model_comparison(result: Mapping[str, Any]) -> "Figure":
    """Score, bits per byte, memory and speed of each candidate, side by side."""
    rows = [row for row in result["rows"] if row["status"] == "done"]
    drawing.require(rows, "no candidate was measured", "see the reasons in the table")
    figure, axes = drawing.new_figure(13, 2.9 + 0.8 * len(rows), ncols=4, sharey=True)
    prompts = [(drawing.SYSTEMS[name][0].removeprefix("base, "), drawing.SYSTEMS[name][1])
               for name in PROMPTS]  # fmt: skip
    dark, light = {"color": drawing.BLUE}, {"color": drawing.PALE}
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
    names = [
        f"{drawing.label_text(short_name(row['model']), 24)}\n{row['precision']}" for row in rows
    ]
    axes[0].set_yticks(range(len(rows)), names)
    axes[0].set_ylim(len(rows) - 0.45, -0.55)
    axes[0].set_xlim(0, max(1.0, axes[0].get_xlim()[1]))
    left_out = [row for row in result["rows"] if row["status"] != "done"]
    if left_out:
        notes = [
            drawing.label_text(f"{row_label(row)}: {row['reason']}", 130) for row in left_out[:8]
        ]
        text = "\n".join(["Not measured:", *notes])
        figure.supxlabel(text, x=0.012, ha="left", size=11, color=drawing.SOFT)
    drawing.state_finding(figure, result["recommendation"]["finding"])
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
    drawing.add_grid(ax, "x")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.12), ncols=2, columnspacing=1.0)


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
    lines += markdown.table(heads, [_markdown_row(row) for row in result["rows"]])
    left_out = [row for row in result["rows"] if row["status"] != "done"]
    if left_out:
        lines += ["", "## Not measured", ""]
        lines += [f"- {_cell(row_label(row))}: {row['status']}, {_cell(row['reason'])}. "
                  f"What helps: {_cell(row['cure'] or '-')}." for row in left_out]  # fmt: skip
    lines += ["", "## Scores of each task", "", *_markdown_tasks(result)]
    lines += ["", "## Columns", "", *(f"- **{name}**: {text}." for name, text in COLUMNS.items())]
    return "\n".join([*lines, "", "## How it was made", "", *_provenance(result)]) + "\n"


def _markdown_row(row: Mapping[str, Any]) -> list[str]:
    size = row["parameters"]
    cells = [_cell(short_name(row["model"])), row["precision"]]
    cells += ["-" if size is None else drawing.compact_number(size), _cell(row["licence"] or "-")]
    if row["status"] != "done":
        return [*cells, row["status"], *["-"] * (len(BATCH_SIZES) + 9)]
    memory, speed = row["memory_gb"], row["tokens_per_second"]
    cells += [f"{memory['weights']:.2f}", f"{memory['peak']:.2f}"]
    cells += [f"{drawing.plain_number(speed[str(size)])}" for size in BATCH_SIZES]
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
                _cell(short_name(row["model"])),
                row["precision"],
                _cell(task),
                f"{zero['records']}",
            ]
            rows.append(
                [*cells, SCORE_NAMES[metric], f"{zero['score']:.3f}", f"{few['score']:.3f}"]
            )
    return markdown.table(heads, rows) if rows else ["No candidate was measured."]


def _cell(text: str) -> str:
    """Text that may hold anything as one Markdown line."""
    text = " ".join(str(text).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _provenance(result: Mapping[str, Any]) -> list[str]:
    threads = sorted({row["threads"] for row in result["rows"] if row["threads"]})
    cached = sum(row["from_cache"] for row in result["rows"])
    lines = [f"command: `{result['command']}`"] if result.get("command") else []
    lines += [
        f"records: {result['records']}, each after {result['few_shot_examples']} examples of its "
        "task in the few-shot prompts",
        f"answers: greedy, at most {result['max_new_tokens']} tokens, in batches of "
        f"{result['batch_size']}; speed: {result['speed_tokens']} tokens for each prompt",
        f"seed: {result['seed']} (chooses the records and the examples)",
        *markdown.made_with(result, ", ".join(map(str, threads)) or "-"),
    ]
    if cached:
        lines.append(f"rows kept from an earlier run of the same job: {cached}")
    return [f"- {line}" for line in lines]


def write_comparison(result: Mapping[str, Any], folder: Path) -> Path:
    """Write model_comparison.json, .md and (if anything was measured) .png; return the .md path."""
    folder = Path(folder)
    page, picture = page_of(folder), folder / PICTURE
    write_json_atomic(folder / "model_comparison.json", result)
    if _is_measured(result):
        drawing.save_figure(plot_model_comparison(result), picture)
    else:
        picture.unlink(missing_ok=True)
    return pages.write(page, _page_text(result))


def page_of(folder: Path) -> Path:
    """Where the page goes: beside one that holds words of somebody else, which is printed.

    It is never refused: the grader runs a notebook again that calls this in the student's folder.
    """
    return pages.place(Path(folder) / "model_comparison.md", _page_text)


def _page_text(result: Mapping[str, Any]) -> str:
    text = comparison_markdown(result)
    if not _is_measured(result):
        return text
    return f"{text}\n![{' '.join(result['recommendation']['finding'].split())}]({PICTURE})\n"


def _is_measured(result: Mapping[str, Any]) -> bool:
    return any(row["status"] == "done" for row in result["rows"])
