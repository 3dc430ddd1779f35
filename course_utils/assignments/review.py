"""Evaluation by people: which of two answers is better, asked without saying which model wrote it.

    made = review.make_review(records, base, tuned, seed=5127, title="Excavators r16")
    review.save_review(made, "review/")                 # send review.html, keep review_key.json
    summary = review.review_import("review/", files)    # what the reviewers sent back

Which side is the tuned model's is decided by a coin for each item. Only the key knows how it fell:
neither the page nor review.json holds it, not even the seed. The coin can be thrown again by who
has the predictions, this code and the seed, so choose a seed that the reviewers do not know.
"""

import functools
import hashlib
import html
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import plots
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.metrics import wilson_interval
from course_utils.progress import PROGRESS_FILE
from course_utils.report import UNPRINTABLE

if TYPE_CHECKING:
    from ipywidgets import VBox
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

TEMPLATE = "review.html.jinja"
VERSION = 1
# What a reviewer chooses, in the order of the keys 1 to 4, and what it means once the key is known.
CHOICES = {
    "a": "A is better",
    "b": "B is better",
    "equal": "Equally good",
    "unusable": "Both unusable",
}
CATEGORIES = {
    "tuned": "tuned better",
    "equal": "equal",
    "unusable": "both unusable",
    "base": "base better",
}
KEEP = (
    "Keep this file: it says which answers are the tuned model's. Reviewers get review.html only."
)


# ---------------------------------------------------------------- making a review


@dataclass(frozen=True)
class Review:
    """Pairs of answers to judge (`items`, without a word on who wrote what) and their key."""

    id: str
    title: str
    items: tuple[dict[str, Any], ...]
    key: dict[str, Any] = field(repr=False)

    def public(self) -> dict[str, Any]:
        """What a reviewer gets."""
        return {
            "kind": "review",
            "version": VERSION,
            "id": self.id,
            "title": self.title,
            "items": list(self.items),
        }


def make_review(
    records: Sequence[Mapping[str, Any]],
    base_answers: Sequence[str],
    tuned_answers: Sequence[str],
    *,
    seed: int,
    title: str,
    count: int = 30,
    balanced: bool = True,
    references: bool = True,
) -> Review:
    """Draw `count` pairs (fewer where there are fewer) and throw a coin for the side of each.

    `records` as in the test file (instruction, input, output, task). Equal answers (but for spaces
    at their ends) are ties by construction: they are left out and counted in the key. `balanced`
    gives each task the same number of pairs as far as it has them. With `references` the page
    shows a record's reference when asked. Raises CourseError when nothing is left to compare.
    """
    _check_review(records, base_answers, tuned_answers, title, count)
    title = " ".join(_shown(title).split())
    columns = enumerate(zip(records, base_answers, tuned_answers, strict=True), 1)
    rows = [
        {**_record_texts(record, number), "base": _shown(base), "tuned": _shown(tuned)}
        for number, (record, base, tuned) in columns
    ]
    equal = [row for row in rows if row["base"].strip() == row["tuned"].strip()]
    different = [row for row in rows if row["base"].strip() != row["tuned"].strip()]
    if not different:
        raise CourseError(
            f"the two models gave the same answer to all {len(rows)} records",
            "there is nothing to compare: check that both columns are not one model's",
        )
    rng = random.Random(seed)
    chosen = _draw(different, count, balanced, rng)
    sides = [rng.choice("ab") for _ in chosen]
    items = tuple(
        _item(number, row, side, references)
        for number, (row, side) in enumerate(zip(chosen, sides, strict=True), 1)
    )
    key = {
        **{"kind": "review-key", "version": VERSION, "note": KEEP},
        **{"review": _review_id(title, items), "title": title, "seed": seed},
        "records": len(rows),
        "identical": dict(sorted(Counter(row["task"] for row in equal).items())),
        "tuned": {item["id"]: side for item, side in zip(items, sides, strict=True)},
        "tasks": {item["id"]: item["task"] for item in items},
        "rows": {item["id"]: row["row"] for item, row in zip(items, chosen, strict=True)},
    }
    return Review(key["review"], title, items, key)


def _check_review(records, base_answers, tuned_answers, title: str, count: int) -> None:
    sizes = len(records), len(base_answers), len(tuned_answers)
    if len(set(sizes)) > 1:
        raise CourseError(
            f"{sizes[0]} records came with {sizes[1]} base and {sizes[2]} tuned answers",
            "pass one answer of each model for each record, in the same order",
        )
    if not records:
        raise CourseError("there are no records to review", "pass at least one record")
    if count < 1:
        raise CourseError(f"count is {count}", "ask for at least one pair; 30 is usual")
    if not isinstance(title, str) or not title.strip():
        raise CourseError("the review has no title", 'name it, for example title="Run r16"')
    for name, answers in (("base", base_answers), ("tuned", tuned_answers)):
        bad = next((i for i, text in enumerate(answers) if not isinstance(text, str)), None)
        if bad is not None:
            raise CourseError(
                f"the {name} answer to record {bad + 1} is {type(answers[bad]).__name__}, not text",
                "pass decoded texts; an answer that is missing is the empty string",
            )


def _record_texts(record: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The texts of a record that a page can show, and its row (from 0) in the test file."""
    texts = {"task": record.get("task") or "all", "reference": record.get("output") or ""}
    texts |= {name: record.get(name) for name in ("instruction", "input")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise CourseError(
                f"record {number} has no text {name!r}",
                "a record has instruction, input and output, all texts: course data check FILE",
            )
    return {"row": number - 1, **{name: _shown(text) for name, text in texts.items()}}


def _shown(text: str) -> str:
    """No control characters, direction overrides or half characters: they could forge a page."""
    return UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _draw(rows: list[dict], count: int, balanced: bool, rng: random.Random) -> list[dict]:
    """Shuffle within each task, let the tasks take turns, stop at `count`, mix the tasks."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["task"] if balanced else "", []).append(row)
    for _, group in sorted(groups.items()):
        rng.shuffle(group)
    turns = zip_longest(*(group for _, group in sorted(groups.items())))
    chosen = [row for turn in turns for row in turn if row is not None][:count]
    rng.shuffle(chosen)
    return chosen


def _item(number: int, row: Mapping[str, Any], side: str, references: bool) -> dict[str, Any]:
    first, second = ("tuned", "base") if side == "a" else ("base", "tuned")
    return {
        "id": f"pair-{number:03d}",
        "task": row["task"],
        "instruction": row["instruction"],
        "input": row["input"],
        "reference": (row["reference"] or None) if references else None,
        "answer_a": row[first],
        "answer_b": row[second],
    }


def _review_id(title: str, items: Sequence[Mapping[str, Any]]) -> str:
    """A fingerprint of what the reviewer sees, so that it says no more than that."""
    text = json.dumps([title, list(items)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# ---------------------------------------------------------------- files


def save_review(review: Review, folder: Path | str) -> Path:
    """Write review.html and review.json (for reviewers) and review_key.json (for the owner).

    Returns the path of review.html. Raises CourseError when the folder holds another review:
    without its key the answers to it would be worth nothing.
    """
    folder = Path(folder)
    key = folder / "review_key.json"
    if key.exists() and read_key(folder)["review"] != review.id:
        raise CourseError(
            f"{key}: this folder holds the key of another review",
            "choose another folder; delete this one only when its answers are not needed any more",
        )
    write_json_atomic(key, review.key)
    write_json_atomic(folder / "review.json", review.public())
    return write_text_atomic(folder / "review.html", render_page(review))


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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(TEMPLATE)
    content = {**review.public(), "choices": CHOICES}
    return page.render(id=review.id, title=review.title, data=Markup(_script_json(content)))


def _script_json(content: Any) -> str:
    """JSON that cannot end the <script> it stands in (ASCII also hides U+2028 from old readers)."""
    text = json.dumps(content)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def answers_name(title: str, reviewer: str) -> str:
    """`review_<title>_<name>.json`; the page builds the same name."""
    return f"review_{_slug(title)}_{_slug(reviewer)}.json"


def _slug(text: str) -> str:
    return re.sub(r"[\W_]+", "-", text).strip("-")[:60] or "x"


def review_make(run_folder: Path, out: Path, count: int = 30, seed: int = 0) -> Review:
    """Make a review of the predictions in a run folder's evaluation.json; write it to `out`.

    `run_folder` may also be the submission that holds run/. Raises CourseError where
    evaluation.json is missing or holds no predictions.
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
    again = "run scripts/evaluate.py: it writes the file"
    if not path.exists():
        raise CourseError(f"{path}: there is no such file", again)
    content = read_json(path)
    rows = content.get("predictions") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise CourseError(f'{path}: it holds no "predictions" of the two models', again)
    for number, row in enumerate(rows, 1):
        for name in ("instruction", "input", "base", "tuned"):
            if not (isinstance(row, dict) and isinstance(row.get(name), str)):
                raise CourseError(f"{path}: prediction {number} has no text {name!r}", again)
    return rows


def review_import(folder: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Read what reviewers sent back and write human_review.md and .json beside the review's key."""
    key = read_key(folder)
    summary = summarise(key, read_answers(files, key))
    write_summary(summary, folder)
    return summary


# ---------------------------------------------------------------- answers of the reviewers


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
    name = " ".join(_shown(name).split()) if isinstance(name, str) else ""
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
            comment = _shown(comment).strip() if isinstance(comment, str) else ""
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


# ---------------------------------------------------------------- what the answers say


def agreement(first: Sequence[str], second: Sequence[str]) -> dict[str, Any]:
    """{"n", "raw", "kappa", "reason"} of two reviewers' categories for the same items.

    Cohen (1960): kappa = (raw - chance) / (1 - chance), where `raw` is the share of items with the
    same category and `chance` the share expected from how often each reviewer uses each category.
    1 is full agreement, 0 what chance gives. None, with the reason, where it is not defined.
    """
    n = len(first)
    if not n:
        return {"n": 0, "raw": None, "kappa": None, "reason": "no item was judged by both"}
    raw = sum(a == b for a, b in zip(first, second, strict=True)) / n
    ours, theirs = Counter(first), Counter(second)
    by_chance = sum(ours[name] * theirs[name] for name in ours)  # of n * n pairs: whole numbers
    if by_chance == n * n:
        reason = f"both always chose {CATEGORIES.get(first[0], first[0])!r}"
        return {"n": n, "raw": raw, "kappa": None, "reason": reason}
    chance = by_chance / (n * n)
    return {"n": n, "raw": raw, "kappa": (raw - chance) / (1 - chance), "reason": None}


def summarise(
    key: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
    *,
    samples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """What the reviewers found, pooled, by reviewer, by task, and how far they agree.

    Each row holds counts (judged, tuned, base, equal, unusable), `win_rate` = tuned / (tuned +
    base) with its Wilson interval, and `win_rate_half_ties`, in which equal and both unusable
    count half, with a 95 % bootstrap interval over items. Several reviewers of one item do not
    tell as much as several items: only the bootstrap, which draws whole items, allows for that.
    Raises CourseError when nothing was judged.
    """
    judged = [
        (
            each["reviewer"],
            item,
            key["tasks"][item],
            _category(answer["choice"], key["tuned"][item]),
        )
        for each in answers
        for item, answer in sorted(each["answers"].items())
    ]
    if not judged:
        raise CourseError(
            "the files hold no judgement: every pair is still open",
            "ask the reviewers to choose for at least some pairs and to save again",
        )
    names = [each["reviewer"] for each in answers]

    def row(of: str | None = None, column: int = 0) -> dict[str, Any]:
        chosen = [(each[1], each[3]) for each in judged if of is None or each[column] == of]
        return _tally(chosen, samples, seed)

    return {
        **{name: key.get(name) for name in ("review", "title", "records")},
        "items": len(key["tuned"]),
        "identical": key.get("identical") or {},
        "pooled": row(),
        "reviewers": {name: row(name) for name in names},
        "tasks": {task: row(task, 2) for task in sorted(set(key["tasks"].values()))},
        "sides": dict(Counter(a["choice"] for each in answers for a in each["answers"].values())),
        "agreement": _agreements(names, judged),
        "comments": _comments(key, answers),
    }


def _category(choice: str, tuned_side: str) -> str:
    if choice not in ("a", "b"):
        return choice
    return "tuned" if choice == tuned_side else "base"


def _tally(judged: Sequence[tuple[str, str]], samples: int, seed: int) -> dict[str, Any]:
    """One row of the summary from (item, category) pairs."""
    counts = Counter(category for _, category in judged)
    row = {"judged": len(judged), **{category: counts[category] for category in CATEGORIES}}
    row["win_rate"] = wilson_interval(row["tuned"], row["tuned"] + row["base"])
    row["win_rate_half_ties"] = _bootstrap_over_items(judged, samples, seed)
    return row


def _bootstrap_over_items(
    judged: Sequence[tuple[str, str]], samples: int, seed: int
) -> dict[str, float] | None:
    """Share of wins with ties as half; its interval from drawing items with all their judgements.

    Efron (1979): draw as many items as there are, with replacement; the middle 95 % of the shares.
    """
    import numpy as np

    if not judged:
        return None
    items = {item: row for row, item in enumerate(sorted({item for item, _ in judged}))}
    points, counts = np.zeros(len(items)), np.zeros(len(items))
    for item, category in judged:
        points[items[item]] += {"tuned": 1.0, "base": 0.0}.get(category, 0.5)
        counts[items[item]] += 1
    draws = np.random.default_rng(seed).integers(0, len(items), (samples, len(items)))
    shares = points[draws].sum(axis=1) / counts[draws].sum(axis=1)  # (samples,)
    low, high = np.percentile(shares, [2.5, 97.5])
    return {"mean": float(points.sum() / counts.sum()), "low": float(low), "high": float(high)}


def _agreements(names: Sequence[str], judged: Iterable[tuple[str, str, str, str]]) -> list[dict]:
    chosen: dict[str, dict[str, str]] = {name: {} for name in names}
    for name, item, _, category in judged:
        chosen[name][item] = category
    pairs = []
    for one, two in combinations(names, 2):
        common = sorted(chosen[one].keys() & chosen[two].keys())
        found = agreement([chosen[one][i] for i in common], [chosen[two][i] for i in common])
        pairs.append({"reviewers": [one, two], **found})
    return pairs


def _comments(key: Mapping[str, Any], answers: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {
            "reviewer": each["reviewer"],
            "item": item,
            "task": key["tasks"][item],
            "found": _category(answer["choice"], key["tuned"][item]),
            "tuned": key["tuned"][item].upper(),  # the comment may speak of "A" and "B"
            "comment": answer["comment"],
        }
        for each in answers
        for item, answer in sorted(each["answers"].items())
        if answer["comment"]
    ]


def finding(summary: Mapping[str, Any]) -> str:
    """The result in one sentence; a preference only where both intervals exclude 50 %."""
    pooled, reviewers = summary["pooled"], len(summary["reviewers"])
    who = f"{reviewers} reviewers" if reviewers > 1 else "One reviewer"
    rate, half = pooled["win_rate"], pooled["win_rate_half_ties"]
    if rate is None:
        return f"{who} found no answer better than the other in {pooled['judged']} judgements"
    decided = f"of {pooled['tuned'] + pooled['base']} decided judgements"
    wins = f"wins {_share(rate['mean'])} % {decided} (95 % interval {_range(rate)} %)"
    verb = "prefer" if reviewers > 1 else "prefers"
    if min(rate["low"], half["low"]) > 0.5:
        return f"{who} {verb} the tuned model: it {wins}"
    if max(rate["high"], half["high"]) < 0.5:
        return f"{who} {verb} the base model: the tuned one {wins}"
    unsure = rate["low"] > 0.5 or rate["high"] < 0.5
    with_ties = f"; with ties as half {_range(half)} %" if unsure else ""
    return f"No clear preference: the tuned model {wins}{with_ties}"


def _share(value: float) -> str:
    return f"{100 * value:.0f}"


def _range(interval: Mapping[str, float]) -> str:
    return f"{_share(interval['low'])} to {_share(interval['high'])}"


def _interval(interval: Mapping[str, float] | None) -> str:
    return f"{_share(interval['mean'])} % [{_range(interval)}]" if interval else "-"


def _rows(summary: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(kind, name, row) of all rows: together, each reviewer (where several), each task."""
    rows = [("all", "all judgements", summary["pooled"])]
    if len(summary["reviewers"]) > 1:
        rows += [("reviewer", name, row) for name, row in summary["reviewers"].items()]
    return rows + [("task", name, row) for name, row in summary["tasks"].items()]


# ---------------------------------------------------------------- table, report, figure


def summary_table(summary: Mapping[str, Any]) -> "Table":
    """The rows of a summary for the terminal (fits 80 columns), rates with their 95 % intervals;
    below it how far each two reviewers agree."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    pairs = [f"{_names(pair)}: {_agreement_text(pair)}" for pair in summary["agreement"]]
    left = {"title_justify": "left", "caption_justify": "left", "collapse_padding": True}
    table = Table(
        title=escape(finding(summary)),
        caption=escape("\n".join(pairs)) or None,
        box=SIMPLE_HEAD,
        pad_edge=False,
        **left,
    )
    table.add_column("", overflow="fold", min_width=15)
    for name in ("n", "tuned", "equal", "un-\nusable", "base"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tuned\nwins %", justify="right", no_wrap=True)
    table.add_column("ties as\nhalf %", justify="right", no_wrap=True)
    last = "all"
    for kind, name, row in _rows(summary):
        if kind != last:
            table.add_section()
        last = kind
        counts = [str(row[column]) for column in ("judged", *CATEGORIES)]
        rates = [_interval(row[rate]) for rate in ("win_rate", "win_rate_half_ties")]
        rates = [escape(rate.replace(" %", "").replace(" to ", "-")) for rate in rates]
        table.add_row(escape(name), *counts, *rates, style="bold" if kind == "all" else "")
    return table


def _names(pair: Mapping[str, Any]) -> str:
    return " and ".join(pair["reviewers"])


def _agreement_text(pair: Mapping[str, Any]) -> str:
    if pair["raw"] is None:
        return pair["reason"]
    same = f"same choice in {_share(pair['raw'])} % of {pair['n']} common items"
    if pair["kappa"] is None:
        return f"{same}, kappa not defined ({pair['reason']})"
    return f"{same}, kappa {plots.signed(pair['kappa'])}"


def write_summary(summary: Mapping[str, Any], folder: Path | str) -> Path:
    """Write human_review.json and human_review.md; return the path of the latter."""
    folder = Path(folder)
    write_json_atomic(folder / "human_review.json", {"finding": finding(summary), **summary})
    return write_text_atomic(folder / "human_review.md", summary_markdown(summary))


def summary_markdown(summary: Mapping[str, Any]) -> str:
    """human_review.md: the finding, the rows, agreement, comments, and how to read them."""
    identical = sum(summary["identical"].values())
    sides = summary["sides"]
    lines = [
        f"# Evaluation by people: {_markdown(summary['title'])}",
        f"**{_markdown(finding(summary))}.**",
        f"Blind review of {summary['items']} pairs of answers, base against tuned; which side was "
        "the tuned model's was decided by a coin for each pair. "
        f"{identical} of {summary['records']} records had the same answer from both models; they "
        "were left out of the draw.",
        _markdown_rows(summary),
        "Tuned wins: of the decided judgements, with the 95 % Wilson interval. Ties as half: equal "
        "and both unusable count half; 95 % bootstrap interval over items. Where several people "
        "judged the same items, the second interval is the honest one.",
        f"Side A was chosen {sides.get('a', 0)} times, side B {sides.get('b', 0)} times.",
    ]
    if summary["agreement"]:
        pairs = [f"- {_markdown(_names(p))}: {_agreement_text(p)}" for p in summary["agreement"]]
        note = "Kappa (Cohen 1960) is 1 for full agreement and 0 for what chance alone would give."
        lines += ["## Agreement between reviewers", "\n".join(pairs), note]
    if summary["comments"]:
        lines += ["## Comments", "\n".join(map(_comment_line, summary["comments"]))]
    return "\n\n".join(lines) + "\n"


def _markdown_rows(summary: Mapping[str, Any]) -> str:
    head = ["", "judged", *CATEGORIES.values(), "tuned wins [95 %]", "ties as half [95 %]"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for kind, name, row in _rows(summary):
        name = _markdown(name if kind == "all" else f"{kind} {name}")
        counts = [str(row[column]) for column in ("judged", *CATEGORIES)]
        rates = [_interval(row["win_rate"]), _interval(row["win_rate_half_ties"])]
        lines.append("| " + " | ".join([name, *counts, *rates]) + " |")
    return "\n".join(lines)


def _comment_line(comment: Mapping[str, str]) -> str:
    where = f"{comment['item']}, {comment['task']}, {CATEGORIES[comment['found']]}"
    who = f"{comment['reviewer']} ({where}, tuned was {comment['tuned']}): "
    return f"- {_markdown(who)} {_markdown(comment['comment'])}"


def _markdown(text: str) -> str:
    """Text from people on one line, with nothing that Markdown or HTML would read as markup."""
    text = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|#!~])", r"\\\1", text)


@plots.styled
def plot_review(summary: Mapping[str, Any]) -> "Figure":
    """Left: shares of the four outcomes; right: win rates with their intervals; a row each for all
    judgements, each reviewer and each task."""
    rows = [row for row in _rows(summary) if row[2]["judged"]]
    figure, (bars, rates) = plots.new_figure(
        12, 2.6 + 0.62 * len(rows), ncols=2, sharey=True, gridspec_kw={"width_ratios": [1.35, 1]}
    )
    _draw_outcomes(bars, [row for _, _, row in rows])
    _draw_win_rates(rates, [row for _, _, row in rows])
    names = [
        plots.label_text(f"task {name}" if kind == "task" else name, 26) for kind, name, _ in rows
    ]
    counts = [
        f"{name}\n{row['judged']} judged" for name, (_, _, row) in zip(names, rows, strict=True)
    ]
    bars.set_yticks(range(len(rows)), counts)
    bars.set_ylim(len(rows) - 0.4, -0.6)
    for ax in (bars, rates):
        ax.tick_params(axis="y", length=0)
        ax.axhline(0.5, color=plots.GRID, lw=1.4)
    for handles, ax in ((4, bars), (2, rates)):
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=handles, fontsize=10.5,
                  handlelength=1.3, columnspacing=1.1)  # fmt: skip
    plots.state_finding(figure, finding(summary))
    return figure


def _draw_outcomes(ax: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Stacked shares in percent, the count inside where it fits; told apart in grey by hatches."""
    styles = {
        "tuned": {"color": plots.BLUE},
        "equal": {"color": plots.GRID},
        "unusable": {"facecolor": "white", "hatch": "...", "edgecolor": plots.SOFT},
        "base": {"facecolor": plots.ORANGE, "hatch": "///", "edgecolor": "white"},
    }
    left = [0.0] * len(rows)
    for category, style in styles.items():
        widths = [100 * row[category] / row["judged"] for row in rows]
        ax.barh(range(len(rows)), widths, 0.62, left=left, label=CATEGORIES[category], **style)
        for at, (row, start, width) in enumerate(zip(rows, left, widths, strict=True)):
            if width >= 4:
                color = "white" if category == "tuned" else plots.INK
                fill = styles[category].get("facecolor", "none")
                box = {"facecolor": fill, "edgecolor": "none", "pad": 1.5}  # no hatch behind it
                middle = {"ha": "center", "va": "center"}
                count = str(row[category])
                ax.text(start + width / 2, at, count, color=color, size=11, bbox=box, **middle)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of judgements (%), count inside")
    ax.spines["left"].set_visible(False)


def _draw_win_rates(ax: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Two marks a row: of the decided judgements, with the Wilson interval, and with ties as half,
    with the bootstrap interval; the line at 50 % is no preference."""
    marks = {
        "win_rate": ("decided only", -0.15, plots.BLUE, "s"),
        "win_rate_half_ties": ("ties as half", 0.15, "white", "o"),
    }
    for name, (label, shift, fill, marker) in marks.items():
        known = [(at, row[name]) for at, row in enumerate(rows) if row[name]]
        for at, rate in known:
            ends = [100 * rate["low"], 100 * rate["high"]]
            ax.plot(ends, [at + shift] * 2, "|-", color=plots.INK, lw=2, ms=9, mew=2)
        places = [at + shift for at, _ in known]
        means = [100 * rate["mean"] for _, rate in known]
        ax.plot(means, places, marker, ms=9, mfc=fill, mec=plots.BLUE, mew=2, label=label)
    ax.axvline(50, color=plots.INK, lw=1.4, ls="--")
    ax.set_xlim(-3, 103)
    ax.set_xlabel("tuned model wins (%), 95 % interval")
    plots.add_grid(ax, "x")


# ---------------------------------------------------------------- in a notebook


def review_widget(
    review: Review, folder: Path | str = ".", *, static: bool | None = None, first: int = 3
) -> "VBox":
    """The review as a widget that saves the same JSON as the page, into `folder`.

    Its HTML twin with the first pairs is stored beside it, for a reader of an executed copy; with
    `static` (by default: under `course run`, where nobody can click) the twin is all that is shown.
    """
    static = bool(os.environ.get(PROGRESS_FILE)) if static is None else static
    return _box_class()(_Panel(review, Path(folder)), static_twin(review, first), static)


@functools.cache
def _box_class() -> type:
    import ipywidgets

    class ReviewBox(ipywidgets.VBox):
        """A VBox that leaves a readable HTML text beside the widget."""

        _ipython_display_ = None  # ipywidgets 7 would show the widget alone through it

        def __init__(self, panel: _Panel, twin: str, static: bool) -> None:
            super().__init__(panel.children)
            self.panel, self.twin, self.static = panel, twin, static

        def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
            bundle: dict[str, Any] = {"text/html": self.twin, "text/plain": "blind review"}
            if not self.static:
                view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
                bundle["application/vnd.jupyter.widget-view+json"] = view
            return bundle

    return ReviewBox


class _Panel:
    """The controls of the widget and what they write down."""

    def __init__(self, review: Review, folder: Path) -> None:
        import ipywidgets as widgets

        self.review, self.folder = review, folder
        self.answers = {item["id"]: {"choice": None, "comment": ""} for item in review.items}
        wide = widgets.Layout(width="100%")
        self.name = widgets.Text(description="Your name", layout=widgets.Layout(width="24em"))
        self.pair = widgets.IntSlider(1, 1, len(review.items), description="Pair")
        self.shown = widgets.HTML(layout=wide)
        options = [(label, choice) for choice, label in CHOICES.items()]
        self.choice = widgets.ToggleButtons(options=options, value=None)
        self.comment = widgets.Textarea(placeholder="Comment (optional)", layout=wide)
        self.back = widgets.Button(description="Back")
        self.forward = widgets.Button(description="Next")
        self.save = widgets.Button(description="Save my answers", button_style="primary")
        self.status = widgets.HTML()
        buttons = widgets.HBox([self.back, self.forward, self.save])
        self.children = (
            *(self.name, self.pair, self.shown, self.choice, self.comment, buttons, self.status),
        )
        self.pair.observe(self.show, "value")
        self.choice.observe(self.keep, "value")
        self.comment.observe(self.keep, "value")
        self.back.on_click(lambda _: self.step(-1))
        self.forward.on_click(lambda _: self.step(1))
        self.save.on_click(self.write)
        self.show()

    def step(self, by: int) -> None:
        self.pair.value = min(max(1, self.pair.value + by), len(self.review.items))

    def show(self, *_: Any) -> None:
        item = self.review.items[self.pair.value - 1]
        # Setting a control calls `keep`; after the second one both are written as they were.
        choice, comment = self.answers[item["id"]].values()
        self.shown.value = _pair_html(item, self.pair.value, len(self.review.items))
        self.choice.value, self.comment.value = choice, comment
        self.tell()

    def keep(self, *_: Any) -> None:
        item = self.review.items[self.pair.value - 1]
        self.answers[item["id"]] = {"choice": self.choice.value, "comment": self.comment.value}
        self.tell()

    def tell(self, text: str = "") -> None:
        left = sum(answer["choice"] is None for answer in self.answers.values())
        open_pairs = f"{left} of {len(self.answers)} pairs are open."
        self.status.value = html.escape(f"{text} {open_pairs}".strip())

    def write(self, *_: Any) -> None:
        name = " ".join(_shown(self.name.value).split())
        if not name:
            return self.tell("Not saved: type your name first.")
        content = answers_document(self.review, name, self.answers)
        try:
            path = self.folder / answers_name(self.review.title, name)
            write_json_atomic(path, content)
        except CourseError as error:  # a traceback would end in a log that nobody sees
            return self.tell(str(error))
        return self.tell(f"Saved to {path}.")


def static_twin(review: Review, first: int = 3) -> str:
    """The first pairs as plain HTML, for where no widget runs; it needs no script and no style."""
    count = len(review.items)
    pairs = [_pair_html(item, n, count) for n, item in enumerate(review.items[:first], 1)]
    more = f"<p>The first {len(pairs)} of {count} pairs. Which answer is better?</p>"
    return f"<h4>Blind review: {html.escape(review.title)}</h4>{more}{''.join(pairs)}"


def _pair_html(item: Mapping[str, Any], number: int, count: int) -> str:
    """One pair, every text escaped."""

    def text(name: str) -> str:
        style = "white-space:pre-wrap;overflow-wrap:anywhere;text-align:left;line-height:1.45"
        return f'<div style="{style}">{html.escape(item[name]) or "<i>(empty)</i>"}</div>'

    cell = 'style="width:50%;vertical-align:top;text-align:left;border:1px solid #b8c0c9"'
    answers = "".join(f"<td {cell}>{text(name)}</td>" for name in ("answer_a", "answer_b"))
    heads = "".join(f"<th {cell}>Answer {side}</th>" for side in "AB")
    table = (
        f'<table style="width:100%;table-layout:fixed"><tr>{heads}</tr><tr>{answers}</tr></table>'
    )
    reference = ""
    if item["reference"] is not None:
        reference = f"<details><summary>Show the reference</summary>{text('reference')}</details>"
    return (
        f"<p><b>Pair {number} of {count}</b> ({html.escape(item['task'])})</p>"
        f"<p><b>Instruction</b></p>{text('instruction')}<p><b>Input</b></p>{text('input')}"
        f"{reference}{table}"
    )
