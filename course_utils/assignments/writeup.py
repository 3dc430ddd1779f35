"""The assignment's evidence and reports, written from what was measured and never by hand.

run/*.json -> reports/training_log.txt, evaluation_results.md, comparison_baseline.md
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, evaluation, models, own_data, ownership, rival_scores, tasks
from course_utils.assignments import markdown, rival_pages
from course_utils.assignments.rival_pages import cell, span
from course_utils.digests import digest, sha256_of
from course_utils.files import read_json, write_text_atomic
from course_utils.report import duration
from course_utils.tracks.manufacturing import track as tracks
from course_utils.tracks.wording import diversity

if TYPE_CHECKING:
    from course_utils.assignments.scripts import Workspace

SYSTEMS = {"zero_shot": "base, zero-shot", "few_shot": "base, few-shot", "tuned": "tuned"}
NO_FACTS = "cannot be told: no record of this task names its facts (field `facts`)"
Cheap = Mapping[str, Mapping[str, Mapping[str, Any]]]  # task -> rival -> seconds, answers
EXAMPLES = 2  # shown of each task, best and worst


# --- Part 1: data -------------------------------------------------------------------------------


def data_summary(
    track: tracks.Track,
    parts: Mapping[str, Sequence[Mapping[str, str]]],
    overlap: Mapping[str, Any],
    workspace: "Workspace",
) -> dict[str, Any]:
    """The content of run/data_summary.json, with token lengths of the base model's tokenizer."""
    own = {name: list(part) for name, part in tracks.handed_out(parts).items()}
    own[tracks.RESERVE] = track.parts[tracks.RESERVE]
    track = tracks.Track(own, track.drafts, track.dropped, track.templates)
    found = tracks.summarise(track, workspace.config.seed, overlap)
    return {**found, "tokens": _lengths(track.handed_out, workspace)}


def own_summary(found: own_data.Split, workspace: "Workspace") -> dict[str, Any]:
    """The same of a file of one's own records: what can be counted without the kit's builders."""
    records = found.records
    return {
        "track": own_data.track_name(found.report.path),
        "seed": workspace.config.seed,
        "drafts": found.report.lines,
        "dropped": {},
        "kept": len(records),
        "parts": {name: len(part) for name, part in found.parts.items()},
        "tasks": {task: len(own) for task, own in tasks.by_task(records).items()},
        "documents": dict(Counter(r["document"] for r in records if r.get("document"))),
        "groups": found.groups,
        "overlap": dict(found.overlap),
        "diversity": diversity([{**r, "task": tasks.task_of(r)} for r in records]),
        "tokens": _lengths(records, workspace),
    }


def _lengths(
    records: Sequence[Mapping[str, str]], workspace: "Workspace"
) -> dict[str, dict[str, float]]:
    """task -> tokens of its records, by the base model's tokenizer."""
    tokenizer = models.load_tokenizer(workspace.config.base_model)
    limit = workspace.config.max_length
    lengths: dict[str, dict[str, float]] = {}
    for task, indices in tasks.by_task(records).items():
        counts = sorted(chat.count_tokens(records[i], tokenizer) for i in indices)
        lengths[task] = {
            "mean": sum(counts) / len(counts),
            "p99": counts[int(0.99 * (len(counts) - 1))],
            "longest": counts[-1],
            "cut": sum(count > limit for count in counts),
        }
    return lengths


def data_table(summary: Mapping[str, Any]) -> str:
    """What was built, as lines for a terminal."""
    lines = [f"{summary['drafts']:>7,} drafted"]
    lines += [f"{-count:>7,} {reason}" for reason, count in summary["dropped"].items()]
    parts = ", ".join(f"{name} {count:,}" for name, count in summary["parts"].items())
    lines.append(f"{summary['kept']:>7,} kept ({parts}) in {summary['groups']:,} groups")
    for kind in ("tasks", "documents"):
        counts = ", ".join(f"{name} {count:,}" for name, count in summary[kind].items())
        lines.append(f"        {kind}: {counts}")
    for task, figures in summary.get("tokens", {}).items():
        lines.append(
            f"        {task}: {figures['mean']:.0f} tokens on average, longest "
            f"{figures['longest']}, {figures['cut']} cut by max_length"
        )
    return "\n".join(lines)


def diversity_table(summary: Mapping[str, Any]) -> str:
    """Diversity and the largest share of one wording, a line a task."""
    lines = [
        f"{'task':<15}{'distinct-3':>22}{'self-BLEU':>22}{'wordings':>10}{'largest share':>15}",
        f"{'':<15}{'prompt':>11}{'answer':>11}{'prompt':>11}{'answer':>11}",
    ]
    for task, figures in summary["diversity"].items():
        cells = [
            f"{figures[side][name]:>11.{digits}f}" if side in figures else f"{'-':>11}"
            for name, digits in (("distinct_3", 2), ("self_bleu", 1))
            for side in ("prompt", "answer")
        ]
        template = summary["templates"][task]
        share = f"{template['share']:.2%}"
        lines.append(f"{task:<15}{''.join(cells)}{template['templates']:>10,}{share:>15}")
    return "\n".join(lines)


# --- Part 3: training ---------------------------------------------------------------------------


def is_trained(workspace: "Workspace") -> bool:
    """Whether the adapter is there and was trained with this configuration and this data."""
    return _about_adapter(workspace, "training.json", "made_from") == made_from(workspace)


def made_from(workspace: "Workspace") -> str:
    """What a training depends on, as a checksum: configuration without the test part, and data."""
    return workspace.config.training_digest(*(workspace.data(part) for part in ("train", "val")))


def is_evaluated(workspace: "Workspace") -> bool:
    """Whether evaluation.json is of the adapter that lies in the submission."""
    found = _about_adapter(workspace, "evaluation.json", "adapter")
    return found is not None and found == _adapter_digest(workspace)


def _about_adapter(workspace: "Workspace", name: str, key: str) -> Any:
    """A value of a file in run/; None where the file or the adapter is missing."""
    path = workspace.run.folder / name
    if path.is_file() and _weights(workspace).is_file():
        return read_json(path).get(key)
    return None


def _weights(workspace: "Workspace") -> Path:
    return workspace.adapter / "adapter_model.safetensors"


def _adapter_digest(workspace: "Workspace") -> str:
    return sha256_of(_weights(workspace))


def write_training_log(workspace: "Workspace") -> str:
    """reports/training_log.txt from run/training.json; returns its last lines."""
    training = workspace.run.read("training.json")
    config = workspace.config.model_dump()
    lines = [f"Training log, written by the {ownership.MAKER}", "", "Configuration"]
    lines += [f"  {name:<30}{value}" for name, value in config.items()]
    lines += ["", "step     epoch   train loss   validation loss   perplexity   learning rate"]
    for row in training["log"]:
        if "loss" in row or "eval_loss" in row:
            lines.append(_log_line(row))
    last = [
        f"steps                 {training['steps']} of {training['planned_steps']}"
        + (" (stopped early)" if training["stopped_early"] else ""),
        f"processes             {training.get('processes', 1)}",
        f"tokens                {training['tokens']:,}",
        f"speed                 {training['tokens_per_second']:.0f} tokens a second",
        f"time                  {duration(training['seconds'])}",
        f"peak memory           {training['peak_memory_gb']:.2f} GiB",
        f"trainable parameters  {training['trainable_parameters']:,} of "
        f"{training['total_parameters']:,}",
        f"final train loss      {training['final_train_loss']:.4f} (mean of the last five logged)",
        f"validation loss       {training['eval_loss']:.4f} (every token weighs the same)",
        f"perplexity            {training['perplexity']:.3f}",
    ]
    write_text_atomic(workspace.report("training_log.txt"), "\n".join([*lines, "", *last, ""]))
    return "\n".join(last)


def _log_line(row: Mapping[str, Any]) -> str:
    def cell(name: str, form: str, width: int) -> str:
        return f"{row[name]:{form}}".rjust(width) if name in row else " " * width

    return (
        f"{row['step']:>4}{cell('epoch', '.2f', 10)}{cell('loss', '.4f', 13)}"
        f"{cell('eval_loss', '.4f', 18)}{cell('eval_perplexity', '.3f', 13)}"
        f"{cell('learning_rate', '.2e', 16)}"
    ).rstrip()


# --- Part 4: evaluation -------------------------------------------------------------------------


def _digest(workspace: "Workspace", test: Sequence[Mapping[str, str]]) -> str:
    """What the baseline depends on; the adapter is not part of it."""
    config = workspace.config.model_dump(
        include={"base_model", "quantization", "precision", "few_shot_examples", "seed"}
    )
    train = workspace.data("train")  # the solved examples and the room for an answer
    shown = sha256_of(train) if train.is_file() else ""
    return digest([config, shown, list(test)])


def saved_baseline(workspace: "Workspace", test: Sequence[Mapping[str, str]]) -> dict | None:
    """The baseline in run/baseline.json if it is of these records and this base model."""
    return _saved(workspace, test).get("systems")


def saved_rivals(workspace: "Workspace", test: Sequence[Mapping[str, str]]) -> dict | None:
    """The cheap rivals in run/baseline.json if they were asked these records, else None."""
    return _saved(workspace, test).get("rivals")


def _saved(workspace: "Workspace", test: Sequence[Mapping[str, str]]) -> dict:
    path = workspace.run.folder / "baseline.json"
    saved = read_json(path) if path.is_file() else {}
    return saved if saved.get("digest") == _digest(workspace, test) else {}


def write_baseline(
    workspace: "Workspace",
    test: Sequence[Mapping[str, str]],
    baseline: Mapping[str, Any],
    cheap: Cheap | None = None,
) -> None:
    """run/baseline.json: answers, likelihoods and scores of both prompts; the cheap rivals."""
    content = {
        "base_model": workspace.config.base_model,
        "test_records": len(test),
        "digest": _digest(workspace, test),
        "systems": baseline,
    }
    if cheap is not None:
        content["rivals"] = cheap
    workspace.run.write("baseline.json", content)


def write_evaluation(
    workspace: "Workspace",
    test: Sequence[Mapping[str, str]],
    baseline: Mapping[str, Any],
    tuned: Mapping[str, Sequence],
    forgetting: Mapping[str, float],
    cheap: Cheap | None = None,
) -> str:
    """run/evaluation.json and the two reports of part 4; returns a table for the terminal.

    `cheap` is what `rival_scores.measure` gave; without it the pages have no rivals.
    """
    comparison = evaluation.compare(test, baseline, tuned, seed=workspace.config.seed)
    content = {
        "base_model": workspace.config.base_model,
        "seed": workspace.config.seed,
        "test_records": len(test),
        "adapter": _adapter_digest(workspace),
        "tasks": comparison,
        "forgetting": forgetting,
        "predictions": evaluation.prediction_rows(test, baseline, tuned, comparison, cheap),
    }
    if cheap:
        base = [row["base"] for row in content["predictions"]]
        seed = workspace.config.seed
        content["rivals"] = rival_scores.compare(test, base, tuned["answers"], cheap, seed)
    workspace.run.write("evaluation.json", content)
    write_text_atomic(workspace.report("evaluation_results.md"), evaluation_page(content))
    write_text_atomic(workspace.report("comparison_baseline.md"), comparison_page(content))
    told = [terminal_table(comparison)]
    if content.get("rivals"):
        told += ["", rivals_table(content["rivals"])]
    return "\n".join(told)


def rivals_table(comparison: Mapping[str, Mapping[str, Any]]) -> str:
    """The tuned model beside the best cheap rival, by task and form, and who wins where."""
    return rival_scores.table_text(comparison)


def terminal_table(comparison: Mapping[str, Mapping[str, Any]]) -> str:
    """Main score of each task: base, tuned, difference with its interval."""
    lines = [f"{'task':<15}{'score':<16}{'base':>8}{'tuned':>8}   difference [95 % interval]"]
    for task, result in comparison.items():
        main = result["main"]
        values = "".join(f"{cell(result[side][main]):>8}" for side in ("base", "tuned"))
        interval = span(result["difference"][main])
        lines.append(f"{task:<15}{tasks.NAMES[main]:<16}{values}   {interval}")
        if result["tuned"][main] is None:
            lines.append(f"{'':<15}{NO_FACTS}")
    return "\n".join(lines)


def evaluation_page(content: Mapping[str, Any]) -> str:
    """reports/evaluation_results.md: every score of the tuned model, and examples."""
    rivals = content.get("rivals") or {}
    lines = [
        "# Evaluation results",
        "",
        f"{content['test_records']} held-out records that training never saw, base model "
        f"`{content['base_model']}`, seed {content['seed']}. Written by `scripts/evaluate.py` of "
        f"the {ownership.MAKER} from `run/evaluation.json`.",
        "",
    ]
    for task, result in content["tasks"].items():
        rows = [[tasks.NAMES[name], cell(value)] for name, value in result["tuned"].items()]
        lines += [f"## {task} ({result['records']} records)", ""]
        lines += markdown.table(["score", "tuned model"], rows)
        lines.append("")
        if task in rivals:
            lines += [*rival_pages.best_line(task, rivals), *rival_pages.by_form(task, rivals)]
        else:
            lines += _by_form(content["predictions"], task)
        lines += [*_examples(content["predictions"], task), ""]
    lines += _forgetting_lines(content["forgetting"])
    return "\n".join(lines)


def comparison_page(content: Mapping[str, Any]) -> str:
    """reports/comparison_baseline.md: base against tuned, each score with its interval."""
    lines = [
        "# Base model against tuned model",
        "",
        f"{content['test_records']} held-out records. Written by `scripts/evaluate.py` of the "
        f"{ownership.MAKER}. The base model was asked zero-shot and "
        "few-shot (with solved examples from the training part); the tuned model has to beat the "
        "better of the two. Differences with 95 % intervals: paired bootstrap over the records, "
        "1,000 draws. They tell how much depends on the choice of the records, not what another "
        "training run would give.",
        "",
    ]
    for task, result in content["tasks"].items():
        main = result["main"]
        verdict = _verdict(result)
        better = SYSTEMS[result["base_prompt"]]
        lines += [
            f"## {task}",
            "",
            f"Main score: {tasks.NAMES[main]}; better baseline: {better}; {verdict}.",
            "",
        ]
        rows = [
            [
                tasks.NAMES[name],
                *(cell(result[side][name]) for side in SYSTEMS),
                span(result["difference"][name]),
            ]
            for name in result["tuned"]
        ]
        heads = ["score", *SYSTEMS.values(), f"tuned − {better}"]
        lines += [*markdown.table(heads, rows), ""]
    if content.get("rivals"):
        lines += rival_pages.section(content["rivals"])
    lines += _forgetting_lines(content["forgetting"])
    return "\n".join(lines)


def _verdict(result: Mapping[str, Any]) -> str:
    if result["tuned"][result["main"]] is None:
        return NO_FACTS
    if result["gain"]:
        return "the tuned model is better: the interval excludes 0"
    return "no gain shown: the interval holds 0 or lies on the wrong side"


def _by_form(rows: Sequence[Mapping[str, str]], task: str) -> list[str]:
    """The task's main score for each form of its answers: where code computed, and where not."""
    own: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["task"] == task and row.get("form"):
            own.setdefault(row["form"], []).append(row)
    if len(own) < 2:
        return []
    cells = [
        [
            form,
            str(len(part)),
            *(cell(_mean_score(part, side)) for side in ("base", "tuned")),
        ]
        for form, part in sorted(own.items())
    ]
    heads = ["form of the answer", "records", "base", "tuned"]
    name = tasks.NAMES[tasks.MAIN_SCORE[task]]
    return [f"Mean {name} by form:", "", *markdown.table(heads, cells), ""]


def _mean_score(rows: Sequence[Mapping[str, str]], side: str) -> float | None:
    scores = [tasks.main_score(row[side], {**row, "output": row["reference"]}) for row in rows]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _examples(rows: Sequence[Mapping[str, str]], task: str) -> list[str]:
    """The answers furthest above and below the base model's, so that nobody sees only the best."""
    own = [row for row in rows if row["task"] == task]
    ranked = sorted(own, key=_gain, reverse=True)
    chosen = [("gained most", row) for row in ranked[:EXAMPLES]]
    chosen += [("gained least or lost", row) for row in ranked[-EXAMPLES:] if row not in ranked[:2]]
    lines = []
    for title, row in chosen:
        lines += [
            f"**{title}**",
            "",
            *_quoted("asked", f"{row['instruction']}\n{row['input']}"),
            *_quoted("expected", row["reference"]),
            *_quoted("base", row["base"]),
            *_quoted("tuned", row["tuned"]),
        ]
    return lines


def _gain(row: Mapping[str, str]) -> float:
    return _row_score(row, "tuned") - _row_score(row, "base")


def _row_score(row: Mapping[str, str], side: str) -> float:
    score = tasks.main_score(row[side], {**row, "output": row["reference"]})
    return tasks.token_f1(row[side], row["reference"]) if score is None else score


def _quoted(title: str, text: str) -> list[str]:
    """An indented block, so that nothing in an answer can become Markdown or HTML."""
    lines = text.strip().splitlines() or ["(empty)"]
    return [f"{title}:", "", *(f"    {line}" for line in lines), ""]


def _forgetting_lines(forgetting: Mapping[str, float]) -> list[str]:
    base, tuned = forgetting["base"], forgetting["tuned"]
    return [
        "## What the adapter cost",
        "",
        f"Perplexity on {forgetting['words']} words of everyday text: base {base:.1f}, tuned "
        f"{tuned:.1f} ({tuned / base - 1:+.0%}).",
        "",
    ]
