"""The manufacturing track: at least 8,000 records, four kinds of document, three tasks.

course data build --track manufacturing --out data/manufacturing
Built offline, the same bytes from the same seed. data/README.md says how each kind arises.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils import schemas, splits
from course_utils.gold import is_gold
from course_utils.tracks.manufacturing import lots as quality_records
from course_utils.tracks.manufacturing import manuals
from course_utils.tracks.manufacturing import order_records as maintenance
from course_utils.tracks.parts import (
    LEAST_RESERVE,
    PARTS,
    RESERVE,
    check_draft,
    handed_out,
    pruned,
    reserve_of,
    write_parts,
)
from course_utils.tracks.wording import Draft, diversity, template_shares

LARGEST_TEMPLATE_SHARE = 0.02  # of a task's records
LEAST = {"records": 8000, "task": 1500, "document": 1000}
LOTS = 1000  # simulated production lots


@dataclass
class Track:
    """A built track: its parts, one of them the reserve, and what was counted on the way."""

    parts: dict[str, list[dict[str, str]]]
    drafts: int
    dropped: dict[str, int] = field(default_factory=dict)
    templates: dict[str, tuple[str, float, int]] = field(default_factory=dict)

    @property
    def records(self) -> list[dict[str, str]]:
        """All records of all parts, the reserve too."""
        return [record for part in self.parts.values() for record in part]

    @property
    def handed_out(self) -> list[dict[str, str]]:
        """The records that are written to the folder."""
        return [record for part in handed_out(self.parts).values() for record in part]

    def counts(self, key: str) -> dict[str, int]:
        """Records for each value of `task` or `document`."""
        return dict(sorted(Counter(record[key] for record in self.handed_out).items()))

    def cross(self) -> dict[str, dict[str, int]]:
        """document -> task -> records."""
        table: dict[str, dict[str, int]] = {}
        for record in self.handed_out:
            row = table.setdefault(record["document"], {})
            row[record["task"]] = row.get(record["task"], 0) + 1
        return {document: dict(sorted(row.items())) for document, row in sorted(table.items())}


def build_manufacturing(seed: int = 42, lots: int = LOTS) -> Track:
    """Draft, clean, split by group, remove what is alike across parts, and measure.

    Raises CourseError when a draft is no valid record (a mistake in a builder).
    """
    from tqdm.auto import tqdm

    builders = {
        "maintenance logs": lambda: maintenance.maintenance_drafts(seed),
        "manuals and documentation": lambda: manuals.manual_drafts(seed),
        "quality reports": lambda: quality_records.quality_drafts(seed, lots),
    }
    drafts: list[Draft] = []
    for name, build in (bar := tqdm(builders.items(), desc="building", unit="kind", leave=False)):
        bar.set_postfix_str(name)
        drafts += build()
    return assemble(drafts, seed)


def assemble(drafts: Sequence[Draft], seed: int) -> Track:
    """Clean drafts, cap their templates, split them and prune what is alike across parts."""
    for draft in drafts:
        check_draft(draft, "manufacturing", ("task", "document", "source", "group"))
    kept = _without_copies(drafts)
    dropped = {"exact duplicate (same prompt)": len(drafts) - len(kept)}
    capped = _without_surplus(kept, seed)
    dropped["wording that carried more than its share of the task"] = len(kept) - len(capped)
    parts = _split(capped, seed)
    silver = sum(map(_is_silver, parts["test"]))
    parts["test"] = [draft for draft in parts["test"] if not _is_silver(draft)]
    dropped["work order without gold labels in the test part"] = silver
    before = sum(map(len, parts.values()))
    parts = pruned(parts)
    after = sum(map(len, parts.values()))
    dropped["near duplicate of a record in another part"] = before - after
    final = [draft for part in parts.values() for draft in part]
    order = random.Random(seed)
    for part in parts.values():
        order.shuffle(part)
    return Track(
        parts={name: [draft.record for draft in part] for name, part in parts.items()},
        drafts=len(drafts),
        dropped=dropped,
        templates=template_shares(final),
    )


def _without_copies(drafts: Iterable[Draft]) -> list[Draft]:
    first = {}
    for draft in drafts:
        prompt = f"{draft.record['instruction']}\n{draft.record['input']}"
        first.setdefault(splits.normalise(prompt), draft)
    return list(first.values())


def _without_surplus(drafts: Sequence[Draft], seed: int) -> list[Draft]:
    """No wording carries more than its share of a task; which of its records go is drawn."""
    order = list(range(len(drafts)))
    random.Random(seed).shuffle(order)
    sizes = Counter(draft.record["task"] for draft in drafts)
    seen: Counter = Counter()
    keep = set()
    for index in order:
        draft = drafts[index]
        # Half the share: pruning below makes the task smaller, and the share must still hold.
        limit = max(1, int(LARGEST_TEMPLATE_SHARE * 0.5 * sizes[draft.record["task"]]))
        seen[draft.record["task"], draft.template] += 1
        if seen[draft.record["task"], draft.template] <= limit:
            keep.add(index)
    return [draft for index, draft in enumerate(drafts) if index in keep]


def _split(drafts: Sequence[Draft], seed: int) -> dict[str, list[Draft]]:
    """Each group whole in one part; each document kind in the shares of PARTS.

    Gold orders are test records, whatever their share; the others are split without them.
    """
    parts: dict[str, list[Draft]] = {name: [] for name in PARTS}
    parts["test"] = [draft for draft in drafts if is_gold(draft.record)]
    drafts = [draft for draft in drafts if not is_gold(draft.record)]
    home: dict[str, str] = {}  # a group may hold records of several document kinds
    for document in sorted({draft.record["document"] for draft in drafts}):
        groups: dict[str, list[Draft]] = {}
        for draft in drafts:
            if draft.record["document"] == document:
                groups.setdefault(draft.record["group"], []).append(draft)
        names = sorted(groups)
        random.Random(f"{seed}/{document}").shuffle(names)
        total = sum(map(len, groups.values()))
        room = {name: share * total for name, share in PARTS.items()}
        for group in names:
            # The part with the most room left, as a share of its size: small parts fill evenly.
            emptiest = max(room, key=lambda name: room[name] / PARTS[name])
            part = home.setdefault(group, emptiest)
            parts[part] += groups[group]
            room[part] -= len(groups[group])
    return parts


def _is_silver(draft: Draft) -> bool:
    """A work order to be turned into JSON, with labels that nobody read: not to be tested on."""
    record = draft.record
    kind = (record["task"], record["document"])
    return kind == ("understanding", "maintenance_log") and not is_gold(record)


def write_track(track: Track, folder: Path, seed: int) -> dict[str, Any]:
    """Write train, val, test (JSON lines) and summary.json; return the summary."""
    return write_parts(track.parts, summarise(track, seed), folder)


def summarise(track: Track, seed: int, overlap: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What was built: counts, templates, diversity, overlap between the parts (if not given)."""
    overlap = overlap or splits.overlap(track.parts)
    return {
        "track": "manufacturing",
        "seed": seed,
        "drafts": track.drafts,
        "dropped": track.dropped,
        "kept": len(track.handed_out),
        "parts": {name: len(part) for name, part in handed_out(track.parts).items()},
        "reserve": {
            **reserve_of(track.parts),
            "tasks": dict(sorted(Counter(r["task"] for r in track.parts[RESERVE]).items())),
        },
        "tasks": track.counts("task"),
        "documents": track.counts("document"),
        "cross": track.cross(),
        "groups": len({record["group"] for record in track.handed_out}),
        "overlap": overlap,
        "templates": {
            task: {"largest": name, "share": share, "templates": number}
            for task, (name, share, number) in track.templates.items()
        },
        "diversity": diversity(track.handed_out),
    }


def shortfalls(summary: Mapping[str, Any]) -> list[str]:
    """What of the track's promises does not hold; empty when all do."""
    wrong = []
    if summary["kept"] < LEAST["records"]:
        wrong.append(f"{summary['kept']} records, {LEAST['records']} are promised")
    for kind, key in (("tasks", "task"), ("documents", "document")):
        for name in schemas.SCHEMAS["manufacturing"].choices[key]:
            count = summary[kind].get(name, 0)
            if count < LEAST[key]:
                wrong.append(f"{name}: {count} records, {LEAST[key]} are promised")
    for task, count in summary["tasks"].items():
        kept_back = summary["reserve"]["tasks"].get(task, 0)
        if kept_back < LEAST_RESERVE * (count + kept_back):
            wrong.append(f"{task}: {kept_back} records in reserve, 8 % are promised")
    for task, figures in summary["templates"].items():
        if figures["share"] > LARGEST_TEMPLATE_SHARE:
            wrong.append(f"{task}: one wording carries {figures['share']:.1%} of the records")
    for name in ("exact", "near", "groups"):
        if summary["overlap"][name]:
            wrong.append(f"overlap between the parts: {summary['overlap'][name]} {name}")
    return wrong
