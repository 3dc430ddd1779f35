"""Records that nobody was given: what an adapter is marked on, and what shows a known test part.

    hidden = hidden_records("week09_10_manufacturing", Secret.of("grades"), shared)
    hidden = own_records(Path("grades/hidden.jsonl"), seed)   # of another domain
    hidden.records("qa", 24, unlike=own)       # the same for the whole class, apart from `own`

They are built as the handed-out records are, by the same builders, with a seed derived from the
instructor's secret, and none is nearly equal to a record of the track that is handed out:

| kind | what is new in them |
|---|---|
| lots | all: other parts, readings and figures |
| manuals, documentation | pages of groups kept in reserve, in other words, with other readings |
| work orders | reports and questions; the orders are the reserve's, and their raw texts public |
| geology | questions on the groups kept in reserve, in other words |

They stand in no result, no log and nothing that a submission's process can read beyond the prompt
it is given; the batch's cache keeps them in a folder of the grader's own.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import kit, schemas, splits, tasks
from course_utils.digests import digest, sha256_of
from course_utils.errors import CourseError
from course_utils.grading.cache import Shared
from course_utils.grading.secret import Secret
from course_utils.records import read_records, write_records
from course_utils.tracks import manufacturing as manufacturing_room
from course_utils.tracks.geology import track as geology
from course_utils.tracks.manufacturing import track as manufacturing
from course_utils.tracks.manufacturing.lots import quality_drafts
from course_utils.tracks.manufacturing.manuals import manual_drafts
from course_utils.tracks.manufacturing.order_records import maintenance_drafts
from course_utils.tracks.parts import RESERVE
from course_utils.tracks.wording import Draft

Record = dict[str, str]

OWN = "hidden.jsonl"  # in GRADES: an instructor's own hidden records
HANDED_OUT = 42  # the seed of the track as the hand-outs build it
LOTS = 120  # simulated for one class; about four records each
KEPT = 150  # records of a task; no check asks for more
# What the records depend on besides the secret: another builder, other records.
BUILDERS = (
    Path(manufacturing_room.__file__).parents[1],
    kit.DATA / "knowledge",
    kit.DATA / "wordings",
    kit.DATA / "gold",
)


class HiddenRecords:
    """The hidden records of one class, in an order whose every beginning is a fair mix.

    `given` are the prompts of the handed-out track, by `mark_of`.
    """

    def __init__(
        self, by_task: Mapping[str, Sequence[Record]], given: Collection[str] = ()
    ) -> None:
        self.by_task = {task: list(own) for task, own in by_task.items()}
        self.given = frozenset(given)

    @property
    def tasks(self) -> list[str]:
        return list(self.by_task)

    def records(
        self, task: str, count: int, unlike: Sequence[Mapping[str, str]] = ()
    ) -> list[Record]:
        """The first `count` of a task, without those that are nearly equal to one of `unlike`, or
        come from the same real group: a submission that was built with another seed may hold them.

        Fewer where so many are not left. Raises CourseError for a task without hidden records.
        """
        if task not in self.by_task:
            raise CourseError(
                f"there are no hidden records of the task {task!r}",
                f"one of: {', '.join(self.tasks)}",
            )
        own = self.by_task[task]
        others = [record for record in unlike if not self.was_given(record)]
        known = {record.get("group") for record in others} - {None, ""}
        near = splits.close_to(own, others) if others else set()
        new = [r for i, r in enumerate(own) if i not in near and r.get("group") not in known]
        return [dict(record) for record in new[:count]]

    def was_given(self, record: Mapping[str, str]) -> bool:
        """Whether the kit itself handed out this prompt; no hidden record is near to it."""
        return mark_of(record) in self.given

    def __repr__(self) -> str:
        counts = ", ".join(f"{task} {len(own)}" for task, own in self.by_task.items())
        return f"HiddenRecords({counts})"  # a log may show it: never a record


def mark_of(record: Mapping[str, str]) -> str:
    """A short digest of a record's prompt."""
    text = splits.normalise(splits.text_of(record)).encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def hidden_records(assignment: str, secret: Secret, shared: Shared) -> HiddenRecords:
    """Those of an assignment (the rubric's name): drawn once for a folder of grades, then kept.

    The first time takes half a minute for weeks 9-10, since the handed-out track has to be built
    to keep away from it, and seconds for week 5.
    """
    draw = DRAWN.get(assignment)
    if draw is None:
        raise CourseError(
            f"there are no hidden records for {assignment}", f"one of: {', '.join(DRAWN)}"
        )
    seed = secret.derive(f"hidden records of {assignment}")
    key = ["hidden records", assignment, _builders(), secret.fingerprint]
    kept = shared.get(key, lambda: _plain(draw(seed)))
    return HiddenRecords(kept["records"], kept["given"])


def keep_own(path: Path, grades: Path) -> Path:
    """Copy an instructor's file into the folder of grades, for its eyes only; it must be claimed.

    Raises CourseError for a file with broken lines.
    """
    kept = write_records(grades / OWN, read_records(path, "manufacturing"))
    kept.chmod(0o600)
    return kept


def own_records(path: Path, seed: int) -> HiddenRecords:
    """An instructor's own hidden records, of another domain than the kit's; each question once.

    Raises CourseError for a file with broken lines.
    """
    records = read_records(path, "manufacturing")
    once = splits.distinct(records)
    return HiddenRecords(_in_order(once, records, seed).by_task)  # none is given


def _plain(hidden: HiddenRecords) -> dict[str, Any]:
    return {"records": hidden.by_task, "given": sorted(hidden.given)}


def _builders() -> str:
    """A digest of all that shapes a record: code of the tracks, knowledge, wordings, gold."""
    files = [path for folder in BUILDERS for path in sorted(folder.rglob("*.*")) if path.is_file()]
    files += [Path(__file__), Path(splits.__file__), Path(schemas.__file__)]
    return digest([[p.name, sha256_of(p)] for p in files if p.suffix != ".pyc"])


# --- Drawing ------------------------------------------------------------------------------------


def draw_manufacturing(seed: int, given: manufacturing.Track | None = None) -> HiddenRecords:
    """Weeks 9-10: understanding, report, qa. `given`: the handed-out track, where it is built."""
    given = given or manufacturing.build_manufacturing(HANDED_OUT)
    reserve = given.parts[RESERVE]
    kept_back = {record["group"] for record in reserve}
    orders = [draft.record for draft in maintenance_drafts(seed, kept_back)]
    pages = [d.record for d in manual_drafts(seed) if d.record["group"] in kept_back]
    lots = [_renamed(draft) for draft in quality_drafts(seed, LOTS)]
    # Who has the kit can build the reserve too: only real orders may come back from it.
    found = _new(orders, given.handed_out) + _new(pages + lots, [*given.handed_out, *reserve])
    return _in_order(_single(found), given.handed_out, seed)


def draw_geology(seed: int, given: geology.Track | None = None) -> HiddenRecords:
    """Week 5: questions on geology, task `qa`. `given`: the handed-out track, where it is built."""
    given = given or geology.build_geology(HANDED_OUT)
    reserve = given.parts[RESERVE]
    kept_back = {record["group"] for record in reserve}
    drafts = (draft for build in geology.BUILDERS.values() for draft in build(seed))
    own = [draft.record for draft in drafts if draft.record["group"] in kept_back]
    handed_out = [draft.record for part in given.handed_out.values() for draft in part]
    return _in_order(_single(_new(own, [*handed_out, *reserve])), handed_out, seed)


DRAWN: Mapping[str, Callable[[int], HiddenRecords]] = {
    "week05_parameter_lab": draw_geology,
    "week09_10_manufacturing": draw_manufacturing,
}


def _renamed(draft: Draft) -> Record:
    """A lot in a group of its own: lot-0007 of another seed is another lot."""
    return draft.record | {"group": f"hidden-{draft.record['group']}"}


def _new(records: Sequence[Record], others: Sequence[Mapping[str, str]]) -> list[Record]:
    """Those that are not equal or nearly equal to one of the others."""
    near = splits.close_to(records, others)
    return [record for i, record in enumerate(records) if i not in near]


def _single(records: Iterable[Record]) -> list[Record]:
    """Each prompt once."""
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(splits.normalise(splits.text_of(record)), record)
    return list(first.values())


def _kind(record: Mapping[str, str]) -> tuple[str, str, str]:
    return tasks.task_of(record), record.get("document", ""), record.get("form", "")


def _in_order(
    records: Sequence[Record], like: Sequence[Mapping[str, str]], seed: int
) -> HiddenRecords:
    """Drawn, in an order that holds documents and forms in the shares of `like` at every length."""
    drawn = list(records)
    random.Random(seed).shuffle(drawn)
    waiting: dict[str, dict[tuple[str, str, str], list[Record]]] = {}
    for record in drawn:
        kind = _kind(record)
        waiting.setdefault(kind[0], {}).setdefault(kind, []).append(record)
    wanted = Counter(map(_kind, like))
    mixed = {task: _mixed(waiting[task], wanted)[:KEPT] for task in tasks.TASKS if task in waiting}
    return HiddenRecords(mixed, set(map(mark_of, like)))


def _mixed(
    waiting: Mapping[tuple[str, str, str], list[Record]], wanted: Mapping[tuple[str, str, str], int]
) -> list[Record]:
    """Kind after kind by its share: next comes the kind that is furthest behind (Webster)."""
    mixed: list[Record] = []
    taken: Counter = Counter()
    left = {kind: list(own) for kind, own in sorted(waiting.items())}
    while left:
        kind = max(left, key=lambda one: wanted[one] / (2 * taken[one] + 1))
        mixed.append(left[kind].pop())
        taken[kind] += 1
        if not left[kind]:
            del left[kind]
    return mixed
