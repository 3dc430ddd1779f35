"""The week-5 report: what runs left behind, as one content that PDF, slides, HTML and MD show.

    course report my_lab --format pdf
    course report runs/r8 runs/r16 runs/r32 --format pptx

A run is a folder with training.json; test_questions.jsonl and answers.json, the executed
parameter_analysis.ipynb (or analysis.json) and records.jsonl beside it are shown where they are.
What the student has to write (interpretations, reflections) stays empty space.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing
from course_utils.errors import CourseError
from course_utils.lab import parameters
from course_utils.report import duration
from course_utils.reports import input as report_input
from course_utils.reports.input import clean, clip, number_of, read_object, sensible
from course_utils.reports.questions import NAMES, known_scores, questions_of, tuned_scores
from course_utils.training import state_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUNS_A_FIGURE = 6
LOSSES = {"train_loss": "Training loss", "eval_loss": "Validation loss", "perplexity": "Perplexity"}
ONE_RUN = "One run: name a second one, and what was changed is said here"
DIVERGED = "This run diverged: a loss in its log is no finite number."
MAX_POINTS = 400  # of a curve: more cannot be seen, and slow the slides down
REFLECTIONS = (
    "Which of the 13 parameters mattered most in your runs? Which run shows it?",
    "Which result did you not expect? What would explain it, and which run would test that?",
    "Look at the test questions: where does the tuned model still fail, and is the cause in the "
    "data, in the training or in the model?",
    "Is one run of each setting enough for what you conclude? What would a second seed change?",
    "What must this adapter not be used for?",
    "What would you do next with twice the time, and what with ten times the records?",
    "Who did what, and which AI assistants were used for what?",
)


# ---------------------------------------------------------------- content


def run_folder(run: Path) -> Path:
    """The folder that holds training.json: the run itself, or that of the adapter's training."""
    run = Path(run)
    if run.name == "training.json" and run.is_file():
        return run.parent
    if not run.is_dir():
        what = "this is no folder" if run.exists() else "there is no such folder"
        raise CourseError(f"{run}: {what}", "give the folder in which training.json lies")
    if (run / "training.json").is_file():
        return run
    state = state_folder(run.resolve())
    if (run / "adapter_config.json").is_file() and (state / "training.json").is_file():
        return state
    raise CourseError(
        f"{run}: no training.json in it",
        f"train first: python {parameters.SCRIPT} --data records.jsonl --out {run / 'adapter'}",
    )


def collect(runs: Sequence[Path], group: str = "", today: datetime | None = None) -> dict[str, Any]:
    """All that a report shows: text that is safe to print, numbers, and the runs' curves."""
    folders = list({run_folder(run).resolve(): run_folder(run) for run in runs}.values())
    if not folders:
        raise CourseError("no run was named", "course report FOLDER --format pdf")
    names = run_names(folders)
    loaded = [_load(folder, name) for folder, name in zip(folders, names, strict=True)]
    first = loaded[0]
    curves = [_curve(run) for run in loaded]
    analysis = _first_analysis(loaded)
    asked = [run["questions"] for run in loaded if run["questions"]["rows"]]
    return {
        "title": "Parameter lab: report",
        "group": clean(group).strip(),
        "date": f"{today or datetime.now(UTC):%Y-%m-%d}",
        "finding": finding(loaded),
        "facts": _title_facts(loaded),
        "parameters": _parameter_analysis(loaded, analysis),
        "answered": _answered(analysis),
        "overview": _overview(loaded),
        "experiments": [_experiment(run, first, len(loaded)) for run in loaded],
        "diverged": DIVERGED,
        "curves": curves,
        "questions": next((q for q in asked if q["answered"]), (asked or [first["questions"]])[0]),
        "reflections": list(REFLECTIONS),
        "reproducibility": _reproducibility(loaded),
    }


def run_names(folders: Sequence[Path]) -> list[str]:
    """Short names that differ: the folders' own, or with as many parents as it takes."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    short = [clip(clean(name), 60) for name in names]
    if len(set(short)) == len(short):
        return short
    return [f"{number}. {clip(name, 55)}" for number, name in enumerate(short, start=1)]


def _load(folder: Path, name: str) -> dict[str, Any]:
    """One run: training.json, and what lies beside it (empty where a file is missing)."""
    saved = _optional(folder / "settings.json")
    settings = saved.get("settings") if isinstance(saved.get("settings"), dict) else {}
    training = read_object(folder / "training.json")
    run = {"folder": folder, "name": name, "training": training, "saved": saved}
    run["settings"] = _settings(training, settings)
    run["base_model"] = _base_model(folder, training, settings)
    run["seed"] = training.get("seed", settings.get("seed", saved.get("seed")))
    run["questions"] = questions_of(folder)
    run["scores"] = known_scores(training) or tuned_scores(folder)
    return run


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _settings(training: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The 13 parameters of a run as far as they were recorded, in the lab's order."""
    given = training.get("parameters")
    given = given if isinstance(given, dict) else {}
    found = {**saved, **given}
    return {name: found[name] for name in parameters.SETTABLE if found.get(name) is not None}


def _base_model(folder: Path, training: Mapping[str, Any], saved: Mapping[str, Any]) -> str:
    name = training.get("base_model") or saved.get("base_model")
    if not name:
        config = _optional(folder / "adapter" / "adapter_config.json")
        name = str(config.get("base_model_name_or_path") or "").rstrip("/\\")
        name = name.replace("\\", "/").rpartition("/")[2] if name.startswith("/") else name
    return clip(clean(name), 80) if name else "not recorded"


# ---------------------------------------------------------------- title page


def _title_facts(runs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    models = list(dict.fromkeys(run["base_model"] for run in runs))
    data = list(dict.fromkeys(_data_sentence(run) for run in runs))
    names = ", ".join(run["name"] for run in runs)
    return [
        ["Base model" if len(models) == 1 else "Base models", clip(", ".join(models), 200)],
        ["Data", clip("; ".join(data), 300)],
        ["Run" if len(runs) == 1 else f"{len(runs)} runs", clip(names, 300)],
    ]


def _data_sentence(run: Mapping[str, Any]) -> str:
    """Which file, and how many records: as the training counted them, else by the lines."""
    data = run["training"].get("data")
    summary = _optional(run["folder"] / "data" / "summary.json")
    if isinstance(data, dict) and data:
        counts = [
            f"{number_of(data.get(part)):,.0f} records for {part}"
            for part in ("train", "validation")
            if number_of(data.get(part)) is not None
        ]
        file = clean(data.get("file") or "records").replace("\\", "/").rpartition("/")[2]
        return ": ".join(filter(None, [clip(file, 80), ", ".join(counts)]))
    parts = summary.get("parts")
    if isinstance(parts, dict):
        counts = [f"{clip(clean(k), 20)} {clip(clean(v), 12)}" for k, v in parts.items()]
        return "records: " + ", ".join(counts)
    records = run["folder"] / "records.jsonl"
    if records.is_file():
        return f"records.jsonl: {_count_lines(records):,} records"
    return clip(clean(data), 100) if isinstance(data, str) and data else "not recorded"


def _count_lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(bool(line.strip()) for line in file)
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", "check the file") from None


def finding(runs: Sequence[Mapping[str, Any]]) -> str:
    """The result in a sentence; of several runs only what one run each can say."""
    losses = {run["name"]: number_of(run["training"].get("eval_loss")) for run in runs}
    known = {name: loss for name, loss in losses.items() if loss is not None}
    if not known:
        return "No run has a finite validation loss."
    if len(runs) == 1:
        perplexity = number_of(runs[0]["training"].get("perplexity"))
        of = f", perplexity {sensible(perplexity)}" if perplexity is not None else ""
        return f"Validation loss {sensible(next(iter(known.values())))}{of}.{_gain(runs[0])}"
    best, worst = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    lost = len(runs) - len(known)
    lost = f" {lost} of {len(runs)} runs ended without a finite one." if lost else ""
    settings = [json.dumps(run["settings"], sort_keys=True, default=str) for run in runs]
    once = len(set(settings)) == len(runs)
    if known[best] == known[worst]:
        return f"Validation loss {sensible(known[best])} in each run that has one.{lost}"
    return (
        f"Lowest validation loss {sensible(known[best])} ({best}), highest "
        f"{sensible(known[worst])} ({worst})"
        f"{'; one run of each, so chance is not measured' if once else ''}.{lost}"
    )


def _gain(run: Mapping[str, Any]) -> str:
    """The first score of the largest part, base against tuned, with its interval."""
    for table in run["questions"]["tables"][:1]:
        name, base, tuned, gap = table["rows"][0]
        told = f", difference {gap}, 95 % interval" if gap != "–" else ""
        return f" {name} on {table['title']}: base {base}, tuned {tuned}{told}."
    return ""


# ---------------------------------------------------------------- parameter analysis


def _first_analysis(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    for run in runs:
        if found := report_input.read_analysis(run["folder"]):
            return found
    return {}


def _parameter_analysis(
    runs: Sequence[Mapping[str, Any]], analysis: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The 13 sections: each question with its answer, "" where none is written yet.

    Beside the start value stands that of the runs: of several, each that one of them has.
    """
    sections = []
    for name, parameter in parameters.PARAMETERS.items():
        written = analysis.get(name, {})
        answers = [
            {"question": question, "answer": clip(written.get(key) or "", 1500)}
            for key, question in parameters.QUESTIONS.items()
        ]
        used = dict.fromkeys(value_text(run["settings"].get(name)) for run in runs)
        sections.append(
            {
                "name": name,
                "title": parameter.title,
                "controls": parameter.controls,
                "start": parameters.text_of(parameter.start),
                "used": clip(", ".join(used), 120),
                "answers": answers,
                "figure": written.get("figure"),
            }
        )
    return sections


def _answered(analysis: Mapping[str, Mapping[str, Any]]) -> str:
    written = [analysis.get(name, {}) for name in parameters.PARAMETERS]
    done = sum(bool(part.get(key)) for part in written for key in parameters.QUESTIONS)
    return f"{done} of {len(written) * len(parameters.QUESTIONS)} answers are written"


# ---------------------------------------------------------------- experiments


def _overview(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The runs under one another: losses, perplexity, two scores, time and memory."""
    metrics = list(dict.fromkeys(metric for run in runs for metric in run["scores"]))[:2]
    rows = []
    for run in runs:
        values = [number_of(run["training"].get(key)) for key in LOSSES]
        values += [run["scores"].get(metric) for metric in metrics]
        memory = number_of(run["training"].get("peak_memory_gb"))
        rows.append(
            [
                run["name"] + (" (diverged)" if diverged(run["training"]) else ""),
                *("–" if value is None else sensible(value) for value in values),
                duration(number_of(run["training"].get("seconds"))),
                "–" if memory is None else f"{sensible(memory)} GiB",
            ]
        )
    header = [
        "Run",
        *LOSSES.values(),
        *(NAMES[metric] for metric in metrics),
        "Time",
        "Peak memory",
    ]
    return {"header": header, "rows": rows}


def _experiment(run: Mapping[str, Any], first: Mapping[str, Any], runs: int) -> dict[str, Any]:
    training = run["training"]
    command = clean(training.get("command") or "").strip()
    return {
        "name": run["name"],
        "question": experiment_question(run, first) if runs > 1 else ONE_RUN,
        "command": clip(command, 2000) or "not recorded",
        "diverged": diverged(training),
        "result": _result(run),
    }


def experiment_question(run: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """What this run was made to find out: the settings that differ from the first run's."""
    if run is first:
        return "The run that the others are compared with"
    if not run["settings"] or not first["settings"]:
        return "Settings not recorded: say here what you changed"
    before, after = (
        {name: value_text(one["settings"].get(name)) for name in parameters.SETTABLE}
        for one in (first, run)
    )
    changes = [
        f"{name} {before[name]} → {after[name]}" for name in before if before[name] != after[name]
    ]
    if run["base_model"] != first["base_model"]:
        changes.append(f"base model {first['base_model']} → {run['base_model']}")
    data = [_data_sentence(one) for one in (first, run)]
    if data[0] != data[1]:
        changes.append(f"data {data[0]} → {data[1]}")
    seeds = [value_text(one["seed"]) for one in (first, run)]
    if not changes and seeds[0] != seeds[1]:
        return f"Same settings, seed {seeds[0]} → {seeds[1]}: how much is chance?"
    if not changes:
        return "Same settings and seed: does it repeat?"
    changes += [f"seed {seeds[0]} → {seeds[1]}"] if seeds[0] != seeds[1] else []
    more = "" if len(changes) == 1 else " (more than one change: the cause stays open)"
    return clip(f"What does it do: {', '.join(changes)}?{more}", 500)


def diverged(training: Mapping[str, Any]) -> bool:
    """Whether a loss is recorded that is no finite number: NaN, or null where the key is."""
    log = training.get("log")
    entries = [entry for entry in log if isinstance(entry, dict)] if isinstance(log, list) else []
    values = [training[key] for key in ("train_loss", "eval_loss") if key in training]
    values += [entry[key] for entry in entries for key in ("loss", "eval_loss") if key in entry]
    return any(number_of(value) is None for value in values)


def _result(run: Mapping[str, Any]) -> list[list[str]]:
    training = run["training"]
    rows = []
    for key, name in (
        ("train_loss", "Training loss, mean"),
        ("final_train_loss", "Training loss, end"),
        ("eval_loss", "Validation loss"),
        ("perplexity", "Perplexity"),
    ):
        value = number_of(training.get(key))
        if value is not None or key != "final_train_loss":
            rows.append([name, "–" if value is None else sensible(value)])
    rows += [[NAMES[metric], sensible(value)] for metric, value in run["scores"].items()][:5]
    seconds, memory = (number_of(training.get(key)) for key in ("seconds", "peak_memory_gb"))
    rows.append(["Time", duration(seconds)])
    rows.append(["Peak memory", "–" if memory is None else f"{sensible(memory)} GiB"])
    return rows


# ---------------------------------------------------------------- curves


def _curve(run: Mapping[str, Any]) -> dict[str, Any]:
    log = run["training"].get("log")
    log = [entry for entry in log if isinstance(entry, dict)] if isinstance(log, list) else []
    return {
        "name": run["name"],
        "train": thinned(_points(log, "loss")),
        "eval": thinned(_points(log, "eval_loss")),
        "lost": [key for key in ("loss", "eval_loss") if _is_lost(log, key)],
    }


def _is_lost(log: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Whether the last loss that was logged is no number: a run that diverged after some steps."""
    logged = [entry[key] for entry in log if key in entry]
    return bool(logged) and number_of(logged[-1]) is None


def _points(log: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    points = {}
    for entry in log:
        step, value = number_of(entry.get("step")), number_of(entry.get(key))
        if step is not None and value is not None:
            points[step] = value
    return sorted(points.items())


def thinned(points: Sequence[Any], most: int = MAX_POINTS) -> list[Any]:
    """At most `most` points, evenly from all of them, the last one kept."""
    if len(points) <= most:
        return list(points)
    stride = math.ceil(len(points) / (most - 1))
    kept = list(points[::stride])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def curve_groups(curves: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The runs that have a curve, as many to a figure as can be told apart."""
    drawn = [curve for curve in curves if curve["train"] or curve["eval"]]
    return [drawn[i : i + RUNS_A_FIGURE] for i in range(0, len(drawn), RUNS_A_FIGURE)]


def plot_curves(curves: Sequence[Mapping[str, Any]]) -> "Figure":
    """Training and validation loss of up to six runs, side by side on the same scale."""

    @drawing.styled
    def draw() -> "Figure":
        figure, axes = drawing.new_figure(11, 4.7, ncols=2, sharey=True)
        for ax, key, name in zip(axes, ("train", "eval"), ("Training", "Validation"), strict=True):
            for index, curve in enumerate(curves):
                if curve[key]:
                    style = dict(drawing.GROUP_STYLES[index % len(drawing.GROUP_STYLES)])
                    marker = style.pop("marker") if len(curve[key]) < 25 else ""
                    if index >= len(drawing.GROUP_STYLES):
                        style["color"] = (drawing.INK, drawing.PALE)[index % 2]
                    label = drawing.label_text(curve["name"])
                    points = zip(*curve[key], strict=True)
                    ax.plot(*points, lw=2, marker=marker, label=label, **style)
            ax.set_xlabel("optimiser step")
            ax.set_title(f"{name} loss", loc="left")
            drawing.add_grid(ax)
            if not any(curve[key] for curve in curves):
                ax.text(0.5, 0.5, "not logged", transform=ax.transAxes, ha="center")
        axes[0].set_ylabel("loss (nats per token)")
        legends = [ax.get_legend_handles_labels() for ax in axes]
        handles = max(legends, key=lambda pair: len(pair[0]))
        figure.legend(*handles, loc="outside lower left", ncols=min(3, len(curves)))
        drawing.state_finding(figure, curves_finding(curves).replace("$", r"\$"))
        return figure

    return draw()


def curves_finding(curves: Sequence[Mapping[str, Any]]) -> str:
    """What the curves show, by their last point; a run that ended in no number has none."""
    key, logged = ("eval", "eval_loss") if any(c["eval"] for c in curves) else ("train", "loss")
    name = {"eval": "Validation", "train": "Training"}[key]
    drawn = [curve for curve in curves if curve[key]]
    ends = {c["name"]: c[key] for c in drawn if logged not in c["lost"]}
    if not ends:
        return f"{name} loss ended as no number in {'each run' if len(drawn) > 1 else 'this run'}"
    if len(drawn) == 1:
        run, points = next(iter(ends.items()))
        start, end = sensible(points[0][1]), sensible(points[-1][1])
        if len(points) == 1:
            return f"{name} loss of {clip(run, 40)} was logged once: {end}"
        if start == end:
            return f"{name} loss of {clip(run, 40)} ends where it began, at {end}"
        verb = "falls" if points[-1][1] < points[0][1] else "rises"
        return f"{name} loss of {clip(run, 40)} {verb} from {start} to {end}"
    low = min(ends, key=lambda run: ends[run][-1][1])
    end = sensible(ends[low][-1][1])
    lost = f" ({len(drawn) - len(ends)} ended as no number)" if len(drawn) > len(ends) else ""
    of = f"Of these {len(drawn)} runs, {clip(low, 30)} ends with the lowest"
    return f"{of} {name.lower()} loss: {end}{lost}"


# ---------------------------------------------------------------- reproducibility


def _reproducibility(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What all runs share, once; then what each has of its own."""
    facts = [_run_facts(run) for run in runs]
    if len(runs) == 1:
        return [{"name": runs[0]["name"], "facts": facts[0]}]
    shared = [fact for fact in facts[0] if all(fact in other for other in facts)]
    own = [
        {"name": run["name"], "facts": [fact for fact in found if fact not in shared]}
        for run, found in zip(runs, facts, strict=True)
    ]
    parts = [{"name": "All runs", "facts": shared}, *own]
    return [part for part in parts if part["facts"]]


def _run_facts(run: Mapping[str, Any]) -> list[list[str]]:
    training, saved = run["training"], run["saved"]
    facts = [["Base model", run["base_model"]], ["Seed", value_text(run["seed"])]]
    facts.append(["Data", _data_sentence(run)])
    for name, key in (("Versions", "versions"), ("Hardware", "hardware")):
        found = training.get(key) or saved.get(key)
        facts.append([name, _pairs(found) if isinstance(found, dict) else "not recorded"])
    values = ", ".join(f"{name} {value_text(value)}" for name, value in run["settings"].items())
    facts.append(["Settings", clip(values, 800) or "not recorded"])
    return facts


def _pairs(values: Mapping[str, Any]) -> str:
    shown = [
        f"{clip(clean(name), 40)} {value_text(value)}"
        for name, value in values.items()
        if value is not None and not isinstance(value, dict | list)
    ]
    return clip(", ".join(shown), 800) or "not recorded"


# ---------------------------------------------------------------- small formats


def value_text(value: Any) -> str:
    """A setting as the command line takes it, whatever a file holds in its place."""
    if value is None:
        return "–"
    if isinstance(value, bool) or number_of(value) is None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return clip(clean(text), 60)
    return str(value) if isinstance(value, int) else f"{value:.6g}"
