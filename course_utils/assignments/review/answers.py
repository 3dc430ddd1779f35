"""What a reviewer sends back, from the page or from the widget, and reading it."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course_utils.assignments.review.making import CHOICES, VERSION, Review, shown_text
from course_utils.errors import CourseError


def answers_name(title: str, reviewer: str) -> str:
    """`review_<title>_<name>.json`; the page builds the same name."""
    return f"review_{_slug(title)}_{_slug(reviewer)}.json"


def _slug(text: str) -> str:
    return re.sub(r"[\W_]+", "-", text).strip("-")[:60] or "x"


def answers_document(
    review: Review, reviewer: str, answers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What a reviewer sends back: the same from the page and from the widget."""
    kept = {item["id"]: dict(answers[item["id"]]) for item in review.items if item["id"] in answers}
    return {
        "kind": "review-answers",
        "version": VERSION,
        "review": review.id,
        "title": review.title,
        "reviewer": reviewer,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "open": sum(not kept.get(item["id"], {}).get("choice") for item in review.items),
        "answers": kept,
    }


def read_answers(paths: Sequence[Path | str], key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answers of one reviewer a file, checked against the review's key, in the order given.

    Each is {"reviewer", "file", "answers": {item: {"choice", "comment"}}}; items that are still
    open are left out. Raises CourseError that names the file and the cure.
    """
    if not paths:
        raise CourseError("no file with answers was given", "name the JSON files you were sent")
    found: dict[str, dict[str, Any]] = {}
    for path in map(Path, paths):
        answers = _read_answer_file(path, key)
        name = answers["reviewer"].casefold()
        if name in found:
            raise CourseError(
                f"{path}: a second file from the reviewer {answers['reviewer']!r} "
                f"(the first is {found[name]['file']})",
                "keep the newer of the two; two people with one name put another name into "
                '"reviewer" of one file',
            )
        found[name] = answers
    return list(found.values())


def _read_answer_file(path: Path, key: Mapping[str, Any]) -> dict[str, Any]:
    content = _answer_json(path)
    again = "ask the reviewer to press “Save my answers” again and to send that file unchanged"
    if not isinstance(content, dict) or content.get("kind") != "review-answers":
        raise CourseError(f"{path}: this is not a file of answers", again)
    if content.get("review") != key["review"]:
        raise CourseError(
            f"{path}: these answers belong to the review {content.get('review')!r} "
            f"({content.get('title')!r}), not to {key['review']!r} ({key['title']!r})",
            "import the file into the folder of its own review",
        )
    name = content.get("reviewer")
    name = " ".join(shown_text(name).split()) if isinstance(name, str) else ""
    if not name:
        raise CourseError(f"{path}: it does not say whose answers these are",
                          'put the name into "reviewer", or ' + again)  # fmt: skip
    answers = content.get("answers")
    if not isinstance(answers, dict):
        raise CourseError(f"{path}: it holds no answers", again)
    kept = {}
    for item, answer in answers.items():
        if item not in key["tuned"]:
            raise CourseError(f"{path}: the review has no item {item!r}", again)
        choice = answer.get("choice") if isinstance(answer, dict) else answer
        if not (isinstance(answer, dict) and (choice is None or _known(choice))):
            known = ", ".join(CHOICES)
            raise CourseError(
                f"{path}: item {item!r} has the choice {choice!r}, which is none of {known}", again
            )
        if choice is not None:
            comment = answer.get("comment")
            comment = shown_text(comment).strip() if isinstance(comment, str) else ""
            kept[item] = {"choice": choice, "comment": comment}
    return {"reviewer": name, "file": str(path), "answers": kept}


def _known(choice: Any) -> bool:
    return isinstance(choice, str) and choice in CHOICES


def _answer_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))  # an editor may have added a mark
    except FileNotFoundError:
        raise CourseError(f"{path}: there is no such file", "check the path") from None
    except UnicodeDecodeError:
        raise CourseError(
            f"{path}: not UTF-8 text", "ask the reviewer for the file as it was downloaded"
        ) from None
    except (json.JSONDecodeError, RecursionError) as error:
        line = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "too deep"
        raise CourseError(
            f"{path}: not readable as JSON ({line})",
            "ask the reviewer for the file as it was downloaded; it may have been cut or edited",
        ) from None
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", "give a JSON file") from None
