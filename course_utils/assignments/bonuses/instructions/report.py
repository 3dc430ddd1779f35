"""The check before and after as one sentence, a figure, and a Markdown report."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing
from course_utils.assignments import markdown, pages
from course_utils.assignments.bonuses.instructions.exercises import Exercise
from course_utils.assignments.bonuses.instructions.kinds import KINDS
from course_utils.files import write_json_atomic
from course_utils.generation import Answers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "instruction_tuning.md"
LEVELS = {
    "prompt_level": "prompts with every instruction followed",
    "instruction_level": "instructions followed",
    "stops": "answers that end by themselves",
}


def finding(difference: Mapping[str, Any], before: Mapping, after: Mapping) -> str:
    """One sentence: what happened to the share of prompts with every instruction followed."""
    gain = difference["prompt_level"]
    change = drawing.interval_text(gain, 100, 0)
    verdict = "follows instructions more often" if gain["low"] > 0 else (
        "follows instructions less often" if gain["high"] < 0 else "shows no clear difference"
    )  # fmt: skip
    return (
        f"The tuned model {verdict}: {_share(before['prompt_level'])} of the prompts before, "
        f"{_share(after['prompt_level'])} after ({change} points)"
    )


def summary(check: Mapping[str, Any]) -> str:
    """One line for the terminal: each level with its interval."""
    return ", ".join(f"{text} {_with_interval(check[name])}" for name, text in LEVELS.items())


def _share(interval: Mapping[str, float] | None) -> str:
    return "-" if interval is None else f"{100 * interval['mean']:.0f} %"


def _with_interval(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return "-"
    return f"{_share(interval)} [{100 * interval['low']:.0f}, {100 * interval['high']:.0f}]"


def _percent(interval: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * interval[name] for name in ("mean", "low", "high")}


@drawing.styled
def plot_checks(before: Mapping, after: Mapping, title: str) -> "Figure":
    """Each kind of instruction before and after, with its 95 % interval, by gain."""
    drawing.require(before["kinds"], "no instruction was checked", "ask for at least one prompt")
    kinds = sorted(
        before["kinds"], key=lambda k: after["kinds"][k]["mean"] - before["kinds"][k]["mean"]
    )
    figure, ax = drawing.new_figure(10.5, 2.4 + 0.42 * len(kinds))
    notes = {kind: "" if KINDS[kind].trained else ", never trained" for kind in kinds}
    names = [f"{k.replace('_', ' ')} (n = {before['kinds'][k]['count']}{notes[k]})" for k in kinds]
    sides = {
        "before training": [_percent(before["kinds"][kind]) for kind in kinds],
        "after training": [_percent(after["kinds"][kind]) for kind in kinds],
    }
    drawing.paired_marks(ax, names, sides)
    ax.set_xlim(-3, 103)
    ax.set_xlabel("answers that follow the instruction, % (bars: 95 % intervals)")
    figure.legend(loc="outside lower center", ncols=2)
    drawing.state_finding(figure, title)
    return figure


def write_report(result: Mapping[str, Any], folder: Path) -> Path:
    """instruction_tuning.json, .png and .md into a folder; returns the Markdown file."""
    folder = Path(folder)
    page = pages.place(folder / PAGE, report_text)
    write_json_atomic(folder / "instruction_tuning.json", result)
    figure = plot_checks(result["before"], result["after"], result["finding"])
    drawing.save_figure(figure, folder / "instruction_tuning.png")
    return pages.write(page, report_text(result))


def check_page(folder: Path) -> None:
    """CourseError when words of somebody else stand where `write_report` writes into this folder.

    For before the training: that may take an hour.
    """
    pages.check(Path(folder) / PAGE, report_text)


def report_text(result: Mapping[str, Any]) -> str:
    """The report: finding, table, kinds, examples, how to read it, how it was made."""
    parts = [
        f"# Instruction tuning\n\n{result['finding']}.",
        f"What was tuned: {result['setting']}",
        "![Each kind of instruction before and after](instruction_tuning.png)",
        "\n".join(_level_table(result)),
        "## Each kind of instruction\n\n" + "\n".join(_kind_table(result)),
        "## Three prompts\n\n" + "\n\n".join(map(_example, result["examples"])),
        "## How to read it\n\n" + "\n".join(f"- {line}" for line in READING),
        "## How it was made\n\n" + "\n".join(f"- {line}" for line in _provenance(result)),
    ]
    return "\n\n".join(parts) + "\n"


READING = (
    "Each prompt holds one or two instructions that a small function verifies. Both models get the "
    "same prompts in the same plain format (roles marked in words, no chat template).",
    "Failure modes, wordings and phrases of the check are in no training record; the kinds marked "
    "as never trained are in none either, so they show whether following carries over.",
    '"Cut at the next role" judges only the text before a "### role" line. What remains of the '
    "difference there is not due to stopping alone.",
    "The check sees the form of an answer, not its truth. ROUGE-L against an answer from the "
    "knowledge base says whether content was lost.",
    "Intervals: Wilson for shares, a paired bootstrap over prompts for differences. They tell how "
    "much depends on which prompts were drawn, not what another training run would give.",
)


def _level_table(result: Mapping[str, Any]) -> list[str]:
    before, after, rows = result["before"], result["after"], []
    for name, text in LEVELS.items():
        gain = result["difference"][name]
        change = drawing.interval_text(gain, 100, 0) if gain else "-"
        cells = [_with_interval(before[name]), _with_interval(after[name]), change]
        rows.append([text, *cells])
    cut = result["cut"]
    for name in ("prompt_level", "instruction_level"):
        cells = [_with_interval(cut[side][name]) for side in ("before", "after")]
        change = drawing.interval_text(cut["difference"][name], 100, 0)
        rows.append([f"{LEVELS[name]}, cut at the next role", *cells, change])
    for name, text in (("trained_kinds", "prompts, trained kinds only"),
                       ("new_kinds", "prompts, kinds never trained")):  # fmt: skip
        rows.append([text, _with_interval(before[name]), _with_interval(after[name]), ""])
    rouge = result["rouge_l"]
    rows.append(["ROUGE-L of the answers", *(f"{rouge[s]:.2f}" for s in ("before", "after")), ""])
    return markdown.table(["", "before", "after", "after - before, points [95 %]"], rows)


def _kind_table(result: Mapping[str, Any]) -> list[str]:
    rows = []
    for kind, before in result["before"]["kinds"].items():
        name = kind.replace("_", " ") + ("" if KINDS[kind].trained else " (never trained)")
        after = result["after"]["kinds"][kind]
        cells = [_with_interval(before), _with_interval(after)]
        rows.append([name, KINDS[kind].description, str(before["count"]), *cells])
    return markdown.table(["kind", "what is verified", "n", "before", "after"], rows)


def _example(example: Mapping[str, Any]) -> str:
    def quoted(text: str) -> str:
        text = text if len(text) <= 600 else text[:600] + " [...]"
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
        return f"{fence}text\n{text}\n{fence}"

    marks = {True: "followed", False: "not followed"}
    parts = [quoted(f"{example['instruction']}\n\n{example['input']}")]
    for side in ("before", "after"):
        said = ", ".join(
            f"{kind.replace('_', ' ')}: {marks[ok]}"
            for kind, ok in zip(example["kinds"], example[side]["followed"], strict=True)
        )
        end = "stops" if example[side]["stopped"] else "does not stop"
        parts.append(f"**{side}** ({said}; {end})\n\n{quoted(example[side]['answer'])}")
    return "\n\n".join(parts)


def _provenance(result: Mapping[str, Any]) -> list[str]:
    training = result["training"]
    shared = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in result["overlap"].items())
    return [
        f"command: `{result['command']}`",
        f"base model: {result['base_model']}, {result['precision']}",
        f"training: {training['records']} records, {training['steps']} steps, "
        f"{training['seconds']:.0f} s, loss {_number_text(training['first_loss'])} to "
        f"{_number_text(training['last_loss'])}, "
        f"{training['trainable_parameters']:,} trainable parameters",
        f"check: {result['before']['prompts']} prompts, greedy, at most "
        f"{result['max_new_tokens']} tokens",
        f"shared by training and check: {shared}",
        f"seed: {result['seed']}",
        *markdown.made_with(result, f"{result['threads']}"),
    ]


def _number_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def example_rows(
    prompts: Sequence[Exercise], sides: Mapping[str, tuple[Answers, Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Every prompt with its answers before and after, as the JSON file keeps them."""
    rows = []
    for index, prompt in enumerate(prompts):
        row = {name: prompt.record[name] for name in ("instruction", "input", "output")}
        row["kinds"] = [constraint.kind for constraint in prompt.constraints]
        for side, (answers, check) in sides.items():
            row[side] = {
                "answer": answers.texts[index],
                "stopped": answers.stopped[index],
                "followed": check["followed"][index],
            }
        rows.append(row)
    return rows


def choose_examples(rows: Sequence[Mapping[str, Any]], count: int = 3) -> list[Mapping[str, Any]]:
    """One prompt that got better, one that did not, one at random order's start: no best-of."""
    better = [r for r in rows if all(r["after"]["followed"]) and not all(r["before"]["followed"])]
    failed = [r for r in rows if not all(r["after"]["followed"])]
    chosen: list[Mapping[str, Any]] = []
    for pool in (better, failed, rows, rows, rows):
        new = next((row for row in pool if row not in chosen), None)
        if new is not None and len(chosen) < count:
            chosen.append(new)
    return chosen
