"""The comparison: every candidate measured on the same records, one row each."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import hardware
from course_utils import models as base_models
from course_utils.assignments.selection.candidates import (
    PRECISIONS,
    Candidate,
    candidates,
    describe,
)
from course_utils.assignments.selection.choosing import choose_examples, load_data
from course_utils.assignments.selection.measuring import PROMPTS
from course_utils.assignments.selection.process import (
    MEASURED,
    Worker,
    job_of,
    process_environment,
    working_folder,
)
from course_utils.assignments.selection.recommendation import recommend, row_label
from course_utils.assignments.selection.report import page_of, write_comparison
from course_utils.assignments.selection.scores import main_scores, score_summary
from course_utils.errors import CourseError
from course_utils.privacy import shown, shown_command
from course_utils.runs import versions


def compare_models(
    records: Sequence[dict],
    train_records: Sequence[dict],
    candidates: Sequence[Candidate],
    *,
    few_shot_examples: int = 3,
    max_new_tokens: int = 128,
    batch_size: int = 8,
    seed: int = 42,
    progress: bool = True,
    folder: Path | None = None,
    timeout_minutes: float = 60,
    speed_tokens: int = 24,
) -> dict[str, Any]:
    """Measure each candidate on the same records; one row each: done, skipped or failed.

    In `folder`, finished candidates are kept and not measured again with the same records,
    settings, versions and machine; without it nothing is kept. `seed` chooses the few-shot
    examples; answers are greedy. The time limit of a candidate includes its download. Ctrl-C stops
    the worker; what was finished stays. Raises CourseError for wrong arguments, never for what a
    candidate does.
    """
    from tqdm.auto import tqdm

    if not records or not candidates:
        what = "record to score" if not records else "candidate"
        raise CourseError(f"there is no {what}", f"give at least one {what}")
    if min(max_new_tokens, batch_size, speed_tokens) < 1 or timeout_minutes <= 0:
        raise CourseError("a size or the time limit is not above 0", "give numbers of at least 1")
    machine = hardware.detect()
    settings = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
    shared = {
        "records": list(records),
        "examples": choose_examples(records, train_records, few_shot_examples, seed),
        "speed_tokens": speed_tokens,
        **settings,
    }
    wanted = main_scores(records)
    environment = process_environment(machine)
    rows = []
    with (
        working_folder(folder) as place,
        tqdm(candidates, desc="candidates", unit="model", disable=not progress) as bar,
    ):
        for candidate in bar:
            job = job_of(candidate, shared, machine)
            worker = Worker(place, candidate, job, environment, 60 * timeout_minutes)
            rows.append(_row(candidate, worker, wanted, bar.set_postfix_str))
    return {
        "records": len(records),
        "few_shot_examples": few_shot_examples,
        **settings,
        "seed": seed,
        "main_scores": wanted,
        "speed_tokens": speed_tokens,
        "versions": versions(),
        "hardware": machine.to_dict(),
        "rows": rows,
        "recommendation": recommend(rows, len(records), seed),
    }  # fmt: skip


def _row(
    candidate: Candidate,
    worker: Worker,
    wanted: Mapping[str, str],
    say: Callable[[str], Any],
) -> dict[str, Any]:
    """One row of the result; keys that were not measured are None, never absent."""
    row: dict[str, Any] = {
        "model": base_models.id_of(candidate.name),
        "precision": candidate.precision,
        "status": "skipped",
        "reason": candidate.reason,
        "cure": candidate.cure,
        "licence": None,
        **dict.fromkeys(MEASURED),
        "from_cache": False,
    }
    with contextlib.suppress(CourseError):
        known = describe(candidate.name)
        row |= {"parameters": round(known.billions * 1e9), "licence": known.licence}
    if not candidate.fits:
        return row
    outcome = worker.saved()
    row["from_cache"] = outcome is not None
    if outcome is None:
        try:
            if candidate.name in base_models.MADE_HERE:
                base_models.prepare_model(candidate.name)
            outcome = worker.run(lambda text: say(f"{row_label(row)}: {text}"))
        except CourseError as error:
            outcome = {"error": error.message, "cure": error.cure}
    if "row" not in outcome:
        return {**row, "status": "failed", "reason": outcome["error"], "cure": outcome["cure"]}
    row |= {**outcome["row"], "status": "done"}
    for prompt in PROMPTS:
        measured = dict(row[prompt])
        scores = score_summary(worker.job["records"], measured.pop("answers"), wanted)
        row[prompt] = {**scores, **measured}
    return row


def run_comparison(
    data: Path,
    models: Sequence[str] = (base_models.EMBEDDED,),
    precisions: Sequence[str] = PRECISIONS,
    records: int = 40,
    out: Path = Path("runs/model-comparison"),
    seed: int = 42,
    *,
    few_shot_examples: int = 3,
    max_new_tokens: int = 128,
    batch_size: int = 8,
    timeout_minutes: float = 60,
    progress: bool = True,
) -> dict[str, Any]:
    """`course compare-models`: choose records, measure what fits, write three files to `out`.

    `data`: a folder with train.jsonl and test.jsonl, a run folder, or one file. Run again, it
    measures only what is missing. Raises CourseError for wrong arguments and broken data.
    """
    page_of(out)  # where the page will be another one, this is said before anything is measured
    test, train = load_data(Path(data), records, seed)
    chosen = candidates(models, precisions, hardware.detect())
    options = {
        "few_shot_examples": few_shot_examples,
        "max_new_tokens": max_new_tokens,
        "batch_size": batch_size,
        "seed": seed,
        "timeout_minutes": timeout_minutes,
    }
    result = compare_models(test, train, chosen, folder=out, progress=progress, **options)
    words = ["course", "compare-models", str(data)]
    words += [word for name in models for word in ("--model", base_models.id_of(name))]
    words += [word for name in precisions for word in ("--precision", name)]
    words += ["--records", str(records), "--out", str(out)]
    words += [
        w for key, value in options.items() for w in ("--" + key.replace("_", "-"), f"{value}")
    ]
    result = {"command": shown_command(words), "data": shown(data), **result}
    return {**result, "page": write_comparison(result, out)}
