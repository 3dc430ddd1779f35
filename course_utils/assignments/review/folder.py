"""A review's folder: the page for reviewers, the key for the owner, and what came back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils import ownership, provenance
from course_utils.assignments.review.answers import read_answers
from course_utils.assignments.review.making import CHOICES, Review, make_review
from course_utils.assignments.review.report import write_summary
from course_utils.assignments.review.summary import summarise
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.records import read_records
from course_utils.templating import environment

TEMPLATE = "review.html.jinja"


def save_review(review: Review, folder: Path | str) -> Path:
    """Write review.html and review.json (for reviewers) and review_key.json (for the owner).

    Returns the path of review.html. Raises CourseError when the folder holds another review:
    without its key the answers to it would be worth nothing. And when its review.html is none.
    """
    folder = Path(folder)
    key, page = folder / "review_key.json", folder / "review.html"
    if not key.exists():
        ownership.check_file(page)
    elif read_key(folder)["review"] != review.id:
        raise CourseError(
            f"{key}: this folder holds the key of another review",
            "choose another folder; delete this one only when its answers are not needed any more",
        )
    write_json_atomic(key, review.key)
    write_json_atomic(folder / "review.json", review.public())
    return write_text_atomic(page, render_page(review))


def read_key(folder: Path | str) -> dict[str, Any]:
    """review_key.json of a folder that `save_review` wrote; CourseError when it is not that."""
    path = Path(folder) / "review_key.json"
    if not path.is_file():
        raise CourseError(
            f"{path}: there is no such file", "give the folder in which the review was made"
        )
    key = read_json(path)
    sides = key.get("tuned") if isinstance(key, dict) else None
    whole = (
        isinstance(sides, dict)
        and set(sides.values()) <= {"a", "b"}
        and isinstance(key.get("tasks"), dict)
        and key["tasks"].keys() == sides.keys()
        and all(isinstance(key.get(name), str) for name in ("review", "title"))
    )
    if not whole:
        raise CourseError(
            f"{path}: this is no key of a review",
            "restore the file that was written with the review, or make a new review",
        )
    return key


def render_page(review: Review) -> str:
    """The page as text: one file without a request, in which every text is data, never markup."""
    from markupsafe import Markup

    page = environment(Path(__file__).parents[1] / "templates").get_template(TEMPLATE)
    content = {**review.public(), "choices": CHOICES}
    return page.render(id=review.id, title=review.title, data=Markup(_script_json(content)))


def _script_json(content: Any) -> str:
    """JSON that cannot end the <script> it stands in (ASCII also hides U+2028 from old readers)."""
    text = json.dumps(content)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def review_make(run_folder: Path, out: Path, count: int = 30, seed: int = 0) -> Review:
    """Make a review of the predictions in a run folder's evaluation.json; write it to `out`.

    `run_folder` may be that of the five notebooks, or the submission that holds run/. Raises
    CourseError where evaluation.json is missing or holds no predictions.
    """
    folder = Path(run_folder).resolve()
    if not (folder / "evaluation.json").exists() and (folder / "run").is_dir():
        folder = folder / "run"
    rows = _predictions(folder / "evaluation.json")
    records = [{**row, "output": row.get("reference")} for row in rows]
    base, tuned = ([row[system] for row in rows] for system in ("base", "tuned"))
    title = folder.parent.name if folder.name == "run" else folder.name
    review = make_review(records, base, tuned, seed=seed, title=title or "review", count=count)
    save_review(review, out)
    return review


def _predictions(path: Path) -> list[dict[str, Any]]:
    """The rows {"instruction", "input", "base", "tuned", ...} of evaluation.json."""
    again = "run scripts/evaluate.py, or notebook 04 of a course's run: it writes the file"
    if not path.exists():
        raise CourseError(f"{path}: there is no such file", again)
    content = read_json(path)
    rows = content.get("predictions") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise CourseError(f'{path}: it holds no "predictions" of the two models', again)
    if all(isinstance(row, str) for row in rows):
        rows = _joined(path.parent, rows)
    for number, row in enumerate(rows, 1):
        for name in ("instruction", "input", "base", "tuned"):
            if not (isinstance(row, dict) and isinstance(row.get(name), str)):
                raise CourseError(f"{path}: prediction {number} has no text {name!r}", again)
    return rows


def _joined(run: Path, tuned: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a run of the five notebooks, where each notebook keeps what it made.

    The records lie in data/test.jsonl, the base model's few-shot answers in baseline.json, the
    tuned model's in evaluation.json. Raises CourseError where these are not of the same records.
    """
    for name in ("data/test.jsonl", "baseline.json"):
        if not (run / name).is_file():
            raise CourseError(
                f"{run / 'evaluation.json'}: it holds bare answers, and {name} is not beside it",
                "name a whole run folder of the five notebooks, or a submission",
            )
    provenance.require(run, "evaluation.json", warns=False)
    asked, baseline = read_records(run / "data" / "test.jsonl"), read_json(run / "baseline.json")
    try:
        provenance.require_asked(asked, baseline)
        return [
            {**record, "reference": record["output"], "base": base["few_shot"], "tuned": answer}
            for record, base, answer in zip(asked, baseline["predictions"], tuned, strict=True)
        ]
    except (KeyError, TypeError, ValueError):
        raise CourseError(
            f"{run}: baseline.json and evaluation.json do not hold an answer to each test record",
            f"run notebooks 02 and 04 again: course run --only 02,04 --out {run}",
        ) from None


def review_import(folder: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Read what reviewers sent back and write human_review.md and .json beside the review's key.

    Raises CourseError, and writes nothing, where somebody wrote words of their own into that page.
    """
    key = read_key(folder)
    summary = summarise(key, read_answers(files, key))
    write_summary(summary, folder)
    return summary
