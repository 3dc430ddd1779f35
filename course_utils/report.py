"""One run folder written up: results.json, the table for the terminal, and report.html.

    from course_utils import report
    report.write_results(folder)          # settings + baseline + evaluation -> results.json
    report.write_report(folder)           # whatever is there -> report.html

report.html is one file that asks nothing of the network: figures and style are inside. What a
model wrote, or a data file holds, is treated as hostile: everything is escaped, scripts are
forbidden by the page itself, and control characters are replaced.
"""

import contextlib
import difflib
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing, plots, privacy, provenance
from course_utils.drawing import SYSTEMS, excludes_zero, finite, interval_text, short_number
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic, write_text_atomic
from course_utils.metrics import RESULT_METRICS, parse_record
from course_utils.plots.evaluation import HEADLINE_METRICS, SHARE_METRICS
from course_utils.rival_results import interval_of, rival_rows, rival_sentence, rivals_in_results
from course_utils.runs import NOT_A_RESULT, WRITTEN_BY, read_written
from course_utils.settings import TRACKS, preset_settings
from course_utils.templating import environment

if TYPE_CHECKING:
    from rich.table import Table

TEMPLATE = "report.html.jinja"
PARTS = [name for name in WRITTEN_BY if name.endswith(".json")]  # what the page is made of
# Metric -> (name, digits shown, whether more is better), in the order of the tables.
METRIC_ROWS = {
    "task_score": ("Mean task score", 3, True),
    "field_f1": ("Field F1", 3, True),
    "fact_f1": ("Fact F1", 3, True),
    "fact_match": ("Fact match", 3, True),
    "token_f1": ("Token F1", 3, True),
    "exact_match": ("Exact match", 3, True),
    "rouge1": ("ROUGE-1", 3, True),
    "rouge2": ("ROUGE-2", 3, True),
    "rougeL": ("ROUGE-L", 3, True),
    "bleu": ("BLEU", 1, True),
    "perplexity": ("Perplexity", 2, False),
}
OUTDATED = "Not a result: parts of this run are from before a change."
MAX_EXAMPLES = 5
MAX_CHARACTERS = 1500
MAX_WORDS_COMPARED = 400
# Control characters, direction overrides and lone surrogates: none belongs on a page, and the
# last cannot be written as UTF-8.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


# ---------------------------------------------------------------- results.json


def collect_results(run_folder: Path) -> dict[str, Any]:
    """The contents of results.json, from settings.json, baseline.json and evaluation.json.

    A metric that does not apply is None, never absent. Raises CourseError where a file is
    missing or has another shape.
    """
    run_folder = Path(run_folder)
    names = ("settings.json", "baseline.json", "evaluation.json")
    saved, baseline, evaluation = (_object(run_folder, name) for name in names)
    with _shape_of(run_folder / "settings.json"):
        settings = saved["settings"]
        result = {
            "track": settings["track"],
            "preset": settings["preset"],
            "base_model": settings["base_model"],
            "seed": settings.get("seed", saved.get("seed")),
        }
    with _shape_of(run_folder / "baseline.json"):
        result["test_records"] = int(baseline["test_records"])
        prompt = baseline["main"]
        baselines = {name: _scores(baseline[name]) for name in ("zero_shot", "few_shot")}
        if prompt not in baselines:
            raise ValueError(f"main is {prompt!r}, not one of {', '.join(baselines)}")
    with _shape_of(run_folder / "evaluation.json"):
        difference = evaluation["difference"]
        return {
            **result,
            "base": _scores(evaluation["base"]),
            "base_prompt": prompt,
            "baselines": baselines,
            "tuned": _scores(evaluation["tuned"]),
            "difference": {name: interval_of(difference.get(name)) for name in RESULT_METRICS},
            **rivals_in_results(baseline, evaluation),
            "prints": evaluation.get(provenance.PRINTS) or {},
        }


def write_results(run_folder: Path) -> Path:
    """Write results.json whole or not at all; return its path.

    Raises CourseError where the files do not belong together, and names the notebooks to run.
    """
    provenance.require(run_folder, *provenance.COMPARED, warns=False)
    return write_json_atomic(Path(run_folder) / "results.json", collect_results(run_folder))


def _scores(scores: Mapping[str, Any]) -> dict[str, float | None]:
    return {metric: finite(scores.get(metric)) for metric in RESULT_METRICS}


def _object(folder: Path, name: str) -> dict[str, Any]:
    content = read_written(folder, name)
    if not isinstance(content, dict):
        raise _wrong_shape(folder / name, f"it holds a {type(content).__name__}, not an object")
    return content


def _wrong_shape(path: Path, reason: str) -> CourseError:
    notebook = WRITTEN_BY.get(path.name) or WRITTEN_BY[f"{path.parent.name}/{path.name}"]
    return CourseError(
        f"{path}: not the shape this version of the course writes ({reason})",
        f"run notebook {notebook} again, or delete the file",
    )


@contextlib.contextmanager
def _shape_of(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading a file's contents into an error that names the file."""
    try:
        yield
    except KeyError as error:
        raise _wrong_shape(path, f"{error} is missing") from error
    except (AttributeError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        raise _wrong_shape(path, str(error)) from error


# ---------------------------------------------------------------- results in words and tables


def results_table(results: Mapping[str, Any]) -> "Table":
    """Base against tuned for the terminal; print it with `rich.print`."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    title = f"{results['base_model']} on {results['test_records']} held-out records"
    compact = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}
    table = Table(title=escape(title), title_justify="left", **compact)  # fits 80 columns
    table.add_column("metric", no_wrap=True)
    for name in SYSTEMS:
        header = _system_name(name, results).replace(" ", "\n")
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("difference\n\\[95 % interval]", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in result_rows(results):
        difference = escape(row["difference"].replace("−", "-"))  # any terminal can show "-"
        style = {"better": "green", "worse": "red"}.get(row["verdict"], "")
        values = [value.replace("–", "-") for value in row["values"]]
        table.add_row(row["name"], *values, difference, row["verdict"], style=style)
    return table


def result_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a metric that applies: values of the three systems, difference, verdict.

    The verdict is "better" or "worse" where the 95 % interval excludes 0, "unclear" where it does
    not, and empty where there is no interval.
    """
    systems = {**(results.get("baselines") or {}), "tuned": results.get("tuned")}
    rows = []
    for metric, (name, digits, more_is_better) in METRIC_ROWS.items():
        values = [finite((systems.get(system) or {}).get(metric)) for system in SYSTEMS]
        if all(value is None for value in values):
            continue  # no score of these records
        interval = (results.get("difference") or {}).get(metric)
        verdict = ""
        if interval:
            gained = (finite(interval.get("mean")) or 0) > 0
            verdict = "better" if gained == more_is_better else "worse"
            verdict = verdict if excludes_zero(interval) else "unclear"
        rows.append(
            {
                "name": name,
                "lower_is_better": not more_is_better,
                "values": ["–" if v is None else short_number(v, digits) for v in values],
                "difference": interval_text(interval, digits=digits) if interval else "–",
                "verdict": verdict,
            }
        )
    return rows


def headline(results: Mapping[str, Any]) -> str:
    """The result in a sentence, with its interval; worded by whether the interval excludes 0."""
    base, tuned = results.get("base") or {}, results.get("tuned") or {}
    known = [
        metric
        for metric in HEADLINE_METRICS
        if finite(base.get(metric)) is not None and finite(tuned.get(metric)) is not None
    ]
    if not known:
        return "The tuned model has no score that can be compared with the base model's."
    metric = known[0]
    name, digits = SHARE_METRICS[metric][0], min(METRIC_ROWS[metric][1], 2)
    name = "BLEU" if metric == "bleu" else name
    change = f"from {base[metric]:.{digits}f} ({_system_name('base', results)}) "
    change += f"to {tuned[metric]:.{digits}f} on {results['test_records']:,} held-out records"
    interval = (results.get("difference") or {}).get(metric)
    rival = rival_sentence(results, metric, name, digits)
    rival = f" {rival}" if rival else ""
    if not interval:
        told = f"Fine-tuning takes {name} {change}; without an interval it may be chance."
        return f"{told}{rival}"
    if not excludes_zero(interval):
        told = f"Fine-tuning made no clear difference to {name}: {change}{_within(interval)}."
        return f"{told}{rival}"
    verb, noun = ("raised", "gain") if interval["mean"] > 0 else ("lowered", "loss")
    size, *ends = (interval[part] for part in ("mean", "low", "high"))
    ends = sorted(abs(end) for end in ends)
    span = f"95 % interval {ends[0]:.{digits}f} to {ends[1]:.{digits}f}"
    sentence = f"Fine-tuning {verb} {name} {change}: a {noun} of {abs(size):.{digits}f} ({span})."
    return f"{sentence}{rival}{_perplexity_sentence(base, tuned)}"


def _within(interval: Mapping[str, Any] | None) -> str:
    return f"; difference {interval_text(interval)}, 95 % interval" if interval else ""


def _perplexity_sentence(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> str:
    before, after = finite(base.get("perplexity")), finite(tuned.get("perplexity"))
    if before is None or after is None:
        return ""
    verb = "fell" if after < before else "rose"
    return f" Perplexity of the completions {verb} from {_sensible(before)} to {_sensible(after)}."


def _system_name(system: str, results: Mapping[str, Any]) -> str:
    system = results.get("base_prompt") if system == "base" else system
    return SYSTEMS[system][0].replace(",", "") if system in SYSTEMS else "base"


# ---------------------------------------------------------------- report.html


def write_report(run_folder: Path) -> Path:
    """Write report.html from the files that are there; parts not run yet are named as such.

    Raises CourseError for a run folder that does not exist or a file that can't be read.
    """
    run_folder = Path(run_folder)
    if not run_folder.is_dir():
        raise CourseError(
            f"{run_folder}: there is no such run folder", "give the folder of a run: runs/NAME"
        )
    template = environment(Path(__file__).with_name("templates")).get_template(TEMPLATE)
    html = template.render(report_view(run_folder))
    html = privacy.scrubbed(UNPRINTABLE.sub("\ufffd", html))
    return write_text_atomic(run_folder / "report.html", html)


def report_view(run_folder: Path) -> dict[str, Any]:
    """All the template shows, as text and numbers; a section that is None was not run yet."""
    run_folder = Path(run_folder)
    files = {name: _object(run_folder, name) for name in PARTS if (run_folder / name).is_file()}
    outdated = provenance.stale(run_folder)
    results = _results_of(run_folder, files)
    builders: dict[str, tuple[str, Callable[..., Any]]] = {
        "setup": ("settings.json", _setup),
        "data": ("data/summary.json", _data),
        "training": ("training.json", _training),
        "samples": ("evaluation.json", _samples),
        "forgetting": ("evaluation.json", _forgetting),
        "inference": ("inference.json", _inference),
    }
    view = {}
    for section, (name, build) in builders.items():
        with _shape_of(run_folder / name):
            view[section] = build(files[name]) if name in files else None
    name = "results.json" if "results.json" in files else "evaluation.json"
    with _shape_of(run_folder / name):
        view["results"] = _results(results) if results else None
        finished = results and results.get("tuned")
        view["headline"] = headline(results) if finished else _unfinished(files)
        cards = _cards(results or {}, files.get("training.json") or {})
    if provenance.spoils_table(outdated):  # no sentence, no large numbers
        view["headline"], cards = OUTDATED, []
    missing = {part: {"file": part, "notebook": WRITTEN_BY[part]} for part in PARTS}
    return {
        **view,
        "name": run_folder.resolve().name,
        "cards": cards,
        "command": reproduce_command(run_folder, files.get("settings.json")),
        "missing": missing,
        "finished": bool(finished),
        "outdated": [one.found for one in outdated],
        "cure": provenance.cure(run_folder, outdated) if outdated else "",
        "unsigned": provenance.warning(run_folder),
    }


def _results_of(run_folder: Path, files: Mapping[str, Any]) -> dict[str, Any] | None:
    """results.json, or what can be said without it: all of it, or the baselines alone."""
    if "results.json" in files:
        return files["results.json"]
    if {"settings.json", "baseline.json", "evaluation.json"} <= files.keys():
        return collect_results(run_folder)
    baseline = files.get("baseline.json")
    if baseline is None:
        return None
    with _shape_of(run_folder / "baseline.json"):
        return {
            "base_model": baseline["base_model"],
            "test_records": int(baseline["test_records"]),
            "base_prompt": baseline["main"],
            "base": _scores(baseline[baseline["main"]]),
            "baselines": {name: _scores(baseline[name]) for name in ("zero_shot", "few_shot")},
            "tuned": None,
            "difference": {},
            **rivals_in_results(baseline, {}),
        }


def _unfinished(files: Mapping[str, Any]) -> str:
    done = [WRITTEN_BY[name][:2] for name in files]
    if not done:
        return "Nothing has run in this folder yet."
    return f"This run is not finished: notebook {max(done)} is the last that left its results."


def _figure(draw: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, str] | None:
    """A drawn figure with its finding as alternative text; None when there is nothing to draw."""
    try:
        figure = draw(*args, **kwargs)
    except CourseError:
        return None
    alt = drawing.figure_title(figure)
    return {"uri": drawing.figure_to_data_uri(figure, dpi=150), "alt": alt}


def _results(results: Mapping[str, Any]) -> dict[str, Any]:
    columns = _rival_columns(results)
    return {
        "rows": result_rows(results),
        "rivals": rival_rows(results, columns),
        "rival_columns": [METRIC_ROWS[metric][0] for metric in columns],
        "base": _system_name("base", results),
        "systems": [_system_name(name, results) for name in SYSTEMS],
        "base_model": str(results.get("base_model")),
        "test_records": f"{int(results['test_records']):,}",
        "tuned": bool(results.get("tuned")),
        "comparison": _figure(plots.plot_comparison, results),
        "differences": _figure(plots.plot_differences, results.get("difference") or {}),
    }


def _main_metric(scores: Mapping[str, Any]) -> str:
    """The metric that speaks for a system: the first that it has."""
    known = (metric for metric in HEADLINE_METRICS if finite(scores.get(metric)) is not None)
    return next(known, HEADLINE_METRICS[0])


def _rival_columns(results: Mapping[str, Any]) -> list[str]:
    main = _main_metric(results.get("base") or {})
    return list(dict.fromkeys((main, "exact_match", "rougeL")))


def _cards(results: Mapping[str, Any], training: Mapping[str, Any]) -> list[dict[str, str]]:
    """The four or five numbers on top: what was gained and what it cost."""
    base, tuned = results.get("base") or {}, results.get("tuned") or {}
    cards = []
    for metric in dict.fromkeys((_main_metric(tuned), "exact_match", "perplexity")):
        after, before = finite(tuned.get(metric)), finite(base.get(metric))
        if after is not None:
            note = f"{_system_name('base', results)}: " if before is not None else ""
            note += _sensible(before) if before is not None else ""
            cards.append(_card(METRIC_ROWS[metric][0], _sensible(after), note))
    if (seconds := finite(training.get("seconds"))) is not None:
        steps = finite(training.get("steps"))
        cards.append(
            _card("Training time", duration(seconds), f"{steps:,.0f} steps" if steps else "")
        )
    if trainable := finite(training.get("trainable_parameters")):
        total = finite(training.get("total_parameters"))
        note = f"{100 * trainable / total:.1f} % of {total / 1e6:,.1f} M" if total else ""
        cards.append(_card("Trained parameters", f"{trainable / 1e6:,.1f} M", note))
    return cards


def _card(name: str, value: str, note: str) -> dict[str, str]:
    return {"name": name, "value": value, "note": note}


def _training(training: Mapping[str, Any]) -> dict[str, Any]:
    resume = training.get("resume") or {}
    figure = _figure(
        plots.plot_training,
        training["log"],
        stopped_at=resume.get("stopped_at"),
        resumed_from=resume.get("resumed_from"),
    )
    facts = {
        "training loss": _number(training.get("train_loss"), 3),
        "eval loss": _number(training.get("eval_loss"), 3),
        "eval perplexity": _number(training.get("perplexity"), 2),
        "optimiser steps": _number(training.get("steps")),
        "tokens seen": _number(training.get("tokens")),
        "time": duration(training.get("seconds")),
        "tokens per second": _number(training.get("tokens_per_second"), 1),
        "stopped early": {True: "yes", False: "no"}.get(training.get("stopped_early"), "–"),
        "peak memory": _number(training.get("peak_memory_gb"), 2, " GiB"),
        "trained parameters": _number(training.get("trainable_parameters")),
        "all parameters": _number(training.get("total_parameters")),
        "quantization": str(training.get("quantization") or "–"),
        "precision": str(training.get("precision") or "–"),
    }
    return {"figure": figure, "facts": facts, "resume": _resume(resume)}


def _resume(resume: Mapping[str, Any]) -> str:
    if finite(resume.get("resumed_from")) is None:
        return ""
    text = f"Resume drill: stopped at step {resume.get('stopped_at')}, resumed from the checkpoint "
    text += f"of step {resume['resumed_from']}"
    gap = finite(resume.get("max_difference"))
    if gap is None:
        return f"{text}."
    size = "exactly the same losses" if gap == 0 else f"losses within {gap:.1e} of each other"
    return f"{text}; the steps between, trained twice, gave {size}."


def _data(summary: Mapping[str, Any]) -> dict[str, Any]:
    raw, kept = int(summary["raw"]), int(summary["kept"])
    dropped = {str(reason): int(count) for reason, count in summary["dropped"].items()}
    parts = {str(part): int(count) for part, count in summary["parts"].items()}
    overlap = {kind: int(summary["overlap"][kind]) for kind in ("exact", "near")}
    left = raw - sum(dropped.values())
    return {
        "raw": raw,
        "kept": kept,
        "dropped": [_share(*item, raw) for item in sorted(dropped.items(), key=lambda i: -i[1])],
        "dropped_total": _share("dropped", sum(dropped.values()), raw),
        "kept_share": _share("kept", kept, raw),
        "parts": [_share(part, count, sum(parts.values())) for part, count in parts.items()],
        "used": sum(parts.values()),
        "overlap": overlap,
        "clean": not any(overlap.values()),
        "mismatch": "" if left == kept else f"{raw:,} raw − dropped = {left:,}, not {kept:,} kept",
        "source": str(summary.get("source") or "–"),
        "licence": str(summary.get("licence") or "–"),
    }


def _share(name: str, count: int, total: int) -> dict[str, Any]:
    percent = 100 * count / total if total else 0
    return {"name": name, "count": count, "percent": round(min(max(percent, 0), 100), 1)}


def _forgetting(evaluation: Mapping[str, Any]) -> dict[str, str] | None:
    probe = evaluation.get("forgetting")
    if not probe:
        return None
    before, after = float(probe["base"]), float(probe["tuned"])
    change = after / before - 1
    verdict = f"rose by {100 * change:.1f} %" if change > 0 else f"fell by {-100 * change:.1f} %"
    return {
        "base": _sensible(before),
        "tuned": _sensible(after),
        "words": f"{int(probe['words']):,}",
        "verdict": verdict if abs(change) >= 0.0005 else "did not change",
        "reading": _forgetting_reading(change),
    }


def _forgetting_reading(change: float) -> str:
    if change < 0.01:
        return "General language was kept."
    if change < 0.10:
        return "Little general language was lost."
    if change < 0.50:
        return "Some general language was lost: a lower learning rate or rank keeps more."
    return "Much general language was lost: lower the learning rate, the rank or the epochs."


def _inference(inference: Mapping[str, Any]) -> dict[str, Any]:
    merge, endpoint = inference.get("merge") or {}, inference.get("endpoint") or {}
    latency = inference.get("latency") or []
    rows = [
        {
            "mode": str(row["mode"]),
            "batch_size": _number(row["batch_size"]),
            "seconds": _number(row.get("seconds"), 2),
            "rate": _number(row.get("tokens_per_second"), 1),
        }
        for row in latency
    ]
    samples = [
        {part: _clip(sample.get(part)) for part in ("input", "off", "on")}
        for sample in (inference.get("samples") or [])[:MAX_EXAMPLES]
    ]
    return {
        "figure": _figure(plots.plot_latency, latency),
        "rows": rows,
        "merge": _merge_sentence(merge),
        "samples": samples,
        "endpoint": _endpoint(endpoint) if endpoint else None,
    }


def _merge_sentence(merge: Mapping[str, Any]) -> str:
    if not merge:
        return ""
    text = f"Merged and unmerged gave the same answer for {_number(merge.get('agree'))} "
    text += f"of {_number(merge.get('of'))} prompts"
    gap = finite(merge.get("max_logit_difference"))
    return f"{text}; largest difference of a logit {gap:.1e}." if gap is not None else f"{text}."


def _endpoint(endpoint: Mapping[str, Any]) -> dict[str, str]:
    return {
        "model": str(endpoint.get("model") or "–"),
        "status": str(endpoint.get("status") or "–"),
        "seconds": _number(endpoint.get("seconds"), 2),
        "prompt": _clip(endpoint.get("prompt")),
        "answer": _clip(endpoint.get("answer")),
    }


def _setup(saved: Mapping[str, Any]) -> dict[str, Any]:
    settings = saved["settings"]
    return {
        "created": _when(saved.get("created")),
        "track": str(settings.get("track")),
        "preset": str(settings.get("preset")),
        "base_model": str(settings.get("base_model")),
        "seed": str(settings.get("seed", saved.get("seed"))),
        "precision_reason": str(saved.get("precision_reason") or ""),
        "settings": {k: _flat(v) for k, v in settings.items() if k not in NOT_A_RESULT},
        "versions": {k: _flat(v) for k, v in (saved.get("versions") or {}).items()},
        "hardware": {k: _flat(v) for k, v in (saved.get("hardware") or {}).items()},
    }


def reproduce_command(run_folder: Path, saved: Mapping[str, Any] | None) -> str:
    """The command that makes this run again: preset, track, seed, and each changed parameter."""
    if saved is None:
        return ""
    with _shape_of(Path(run_folder) / "settings.json"):
        settings = saved["settings"]
        words = ["course", "run", "--preset", settings["preset"], "--track", settings["track"]]
        words += [] if settings["track"] in TRACKS else ["--data", "PARTS"]
        words += ["--out", f"runs/{Path(run_folder).resolve().name}"]
        preset = _preset_values(settings)
        for name, value in settings.items():
            automatic = name == "precision" and preset.get(name) == "auto"
            if name in preset and name not in NOT_A_RESULT and not automatic:
                words += ["-p", name, _flat(value)] if value != preset[name] else []
        return shlex.join(str(word) for word in words)


def _preset_values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the preset says today, the seed's default included; nothing for an unknown preset."""
    with contextlib.suppress(CourseError):
        return preset_settings(settings["preset"], settings["track"]).model_dump()
    return {}


# ---------------------------------------------------------------- samples side by side


def _samples(evaluation: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    examples = evaluation.get("examples") or {}
    return {
        kind: [compare_example(example) for example in (examples.get(kind) or [])[:MAX_EXAMPLES]]
        for kind in ("best", "worst")
    }


def compare_example(example: Mapping[str, Any]) -> dict[str, Any]:
    """Reference, base and tuned answer side by side, with what differs from the reference marked.

    A reference that is a record is compared field by field, as field F1 reads it; any other text
    word by word.
    """
    reference = parse_record(example["reference"])
    view = {
        "input": _clip(example["input"]),
        "score": str(example.get("score") or "score"),
        "base_score": _number(example.get("base_score"), 2),
        "tuned_score": _number(example.get("tuned_score"), 2),
    }
    if reference:
        answers = {name: parse_record(example[name]) for name in ("base", "tuned")}
        raw = {name: _clip(example[name]) for name in answers if answers[name] is None}
        return {**view, "rows": _field_rows(reference, answers), "raw": raw}
    words = {name: _marked_words(example["reference"], example[name]) for name in ("base", "tuned")}
    return {**view, "rows": None, "reference": _clip(example["reference"]), "words": words}


def _field_rows(
    reference: Mapping[str, frozenset[str]],
    answers: Mapping[str, Mapping[str, frozenset[str]] | None],
) -> list[dict[str, Any]]:
    """One row a field; an answer's cell is right, wrong, missing or extra. Raw answers: None."""
    names = list(reference)
    for record in answers.values():
        names += [name for name in record or {} if name not in names]
    rows = []
    for name in names[:20]:
        wanted = reference.get(name)
        row = {"field": _clip(name, 60), "reference": _join(wanted)}
        for system, record in answers.items():
            row[system] = None if record is None else _cell(wanted, record.get(name))
        rows.append(row)
    return rows


def _cell(wanted: frozenset[str] | None, got: frozenset[str] | None) -> dict[str, str]:
    if wanted == got:
        state = "right"
    elif got is None:
        state = "missing"
    else:
        state = "extra" if wanted is None else "wrong"
    return {"state": state if got or wanted else "absent", "text": _join(got)}


def _join(values: frozenset[str] | None) -> str:
    return _clip("; ".join(sorted(values)), 200) if values else "–"


def _marked_words(reference: str, answer: str) -> list[tuple[str, bool]]:
    """The answer as pieces (text, whether it is absent from the reference), compared by words."""
    shown, tail = answer[:MAX_CHARACTERS], _clip(answer)[MAX_CHARACTERS:].strip()
    wanted = reference.casefold().split()[:MAX_WORDS_COMPARED]
    words = shown.split()[:MAX_WORDS_COMPARED]
    got = [word.casefold() for word in words]  # as the score compares them
    blocks = difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes()
    pieces = [(" ".join(words[a:b]), tag != "equal") for tag, _, _, a, b in blocks if b > a]
    return [*pieces, (tail, False)] if tail else pieces


# ---------------------------------------------------------------- small formats


def duration(seconds: Any) -> str:
    """Seconds as a person says them: 12.3 s, 9 min 12 s, 1 h 05 min."""
    seconds = finite(seconds)
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _when(created: Any) -> str:
    """2026-01-01T10:00:00+00:00 -> 2026-01-01 10:00 UTC; any other text stays as it is."""
    try:
        return f"{datetime.fromisoformat(created).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (TypeError, ValueError, OverflowError):
        return str(created or "–")


def _number(value: Any, digits: int = 0, unit: str = "") -> str:
    number = finite(value)
    return "–" if number is None else f"{number:,.{digits}f}{unit}"


def _sensible(value: float) -> str:
    """Three significant digits for numbers of any size: 0.671, 1.27, 44,356."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def _flat(value: Any) -> str:
    """A setting as text: lists and objects as JSON, the rest as written in a command line."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _clip(value: Any, limit: int = MAX_CHARACTERS) -> str:
    text = "–" if value is None else str(value)
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({len(text) - limit:,} more characters)"
