"""The geology track: minerals, their spectra, sensors and methods; real spectra, computed answers.

    course data build --track geology --out data/geology

Built offline from two packaged data sets and data/knowledge/geology/*.yaml; the same bytes from
the same seed. data/README.md says how each kind of record arises.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from course_utils import splits
from course_utils.tracks.geology import knowledge as geology_knowledge
from course_utils.tracks.geology import minerals, spectra
from course_utils.tracks.geology.band_records import band_drafts
from course_utils.tracks.geology.drafts import NUMBER, group_of
from course_utils.tracks.geology.materials import materials
from course_utils.tracks.geology.mineral_records import mineral_drafts
from course_utils.tracks.geology.mixture_records import can_be_mixed, mixture_drafts
from course_utils.tracks.geology.spectra_records import identification_drafts, spectrum_drafts
from course_utils.tracks.geology.topics import topic_drafts
from course_utils.tracks.parts import (
    LEAST_RESERVE,
    PARTS,
    check_draft,
    handed_out,
    pruned,
    reserve_of,
    write_parts,
)
from course_utils.tracks.wording import Draft, diversity, template_shares

KINDS = ("context", "knowledge", "numeric")
LEAST = {"records": 400, "kind": 60}
DIVERSITY_SAMPLE = 50  # records of each topic; self-BLEU costs the square of it
MIXTURES = {"train": 54, "val": 6, "test": 6, "reserve": 6}  # pairs of materials


def kind_of(record: Mapping[str, str]) -> str:
    """numeric: the answer is a number; context: there is one to read; else knowledge."""
    if record.get("form") == NUMBER:
        return "numeric"
    return "context" if record["context"] else "knowledge"


def topic_of(draft: Draft) -> str:
    """'spectra' of the template 'spectra/depth:question0.answer1'."""
    return draft.template.partition("/")[0]


@dataclass
class Track:
    """A built track: parts of drafts, and what was counted on the way."""

    drafts: dict[str, list[Draft]]
    drafted: int
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, list[dict[str, str]]]:
        """The records of each part."""
        return {name: [draft.record for draft in part] for name, part in self.drafts.items()}

    @property
    def handed_out(self) -> dict[str, list[Draft]]:
        """The drafts of the parts that are written: all but the reserve."""
        return handed_out(self.drafts)


def prepare() -> None:
    """Fetch the two data sets once; afterwards everything is offline."""
    spectra.prepare()
    minerals.prepare()


def is_prepared() -> bool:
    """Whether both data sets lie in the cache."""
    return spectra.is_prepared() and minerals.is_prepared()


def build_geology(seed: int = 42) -> Track:
    """Draft, clean, split by group, mix within the parts, remove what is alike across parts.

    Raises CourseError when a draft is no valid record (a mistake in a builder).
    """
    from tqdm.auto import tqdm

    drafts: list[Draft] = []
    for name, build in (bar := tqdm(BUILDERS.items(), desc="building", unit="kind", leave=False)):
        bar.set_postfix_str(name)
        drafts += build(seed)
    parts = _split(drafts, seed)
    for name, mixtures in _mixture_drafts(parts, seed).items():
        parts[name] += mixtures
        drafts += mixtures
    return assemble(parts, len(drafts), seed)


def _mineral_drafts(seed: int) -> Iterator[Draft]:
    table = minerals.table()
    for mineral in table:
        yield from mineral_drafts(mineral, [other for other in table if other != mineral], seed)


def _spectrum_drafts(seed: int) -> Iterator[Draft]:
    for material in materials():
        yield from spectrum_drafts(material, seed)
        yield from band_drafts(material, seed)
    for material in materials():
        yield from identification_drafts(material, materials(), seed)


def _topic_drafts(seed: int) -> Iterator[Draft]:
    yield from topic_drafts(geology_knowledge.load(), seed)


BUILDERS: Mapping[str, Callable[[int], Iterator[Draft]]] = {
    "minerals": _mineral_drafts,
    "spectra": _spectrum_drafts,
    "methods and sensors": _topic_drafts,
}


def _split(drafts: Sequence[Draft], seed: int) -> dict[str, list[Draft]]:
    """Each group whole in one part; each stratum (spectra, other minerals, topics) in PARTS."""
    strata: dict[str, list[int]] = {}
    has_spectra = {d.record["group"] for d in drafts if topic_of(d) == "spectra"}
    for index, draft in enumerate(drafts):
        group = draft.record["group"]
        stratum = "spectra" if group in has_spectra else group.partition("/")[0]
        strata.setdefault(stratum, []).append(index)
    parts: dict[str, list[Draft]] = {name: [] for name in PARTS}
    for indices in strata.values():
        numbered = [{"index": index} for index in indices]
        groups = [drafts[index].record["group"] for index in indices]
        sizes = {name: int(share * len(indices)) for name, share in PARTS.items()}
        sizes["train"] += len(indices) - sum(sizes.values())
        chosen = splits.split_by_group(numbered, groups, sizes, seed)
        taken = {one["index"] for part in chosen.values() for one in part}
        for name, part in chosen.items():
            parts[name] += [drafts[one["index"]] for one in part]
        # Whole groups rarely add up to the wanted sizes; what is left over is trained on.
        parts["train"] += [drafts[index] for index in indices if index not in taken]
    return parts


def _mixture_drafts(parts: Mapping[str, Sequence[Draft]], seed: int) -> dict[str, list[Draft]]:
    """Only materials of the same part are mixed, so no spectrum is in two parts."""
    home = {draft.record["group"]: name for name, part in parts.items() for draft in part}
    mixed: dict[str, list[Draft]] = {}
    for name in parts:
        own = [one for one in materials() if home.get(group_of(one.family)) == name]
        pairs = [pair for pair in combinations(own, 2) if can_be_mixed(*pair)]
        random.Random(f"{seed}/{name}/pairs").shuffle(pairs)
        chosen = pairs[: MIXTURES[name]]
        mixed[name] = [draft for pair in chosen for draft in mixture_drafts(*pair, seed)]
    return mixed


def assemble(parts: Mapping[str, Sequence[Draft]], drafted: int, seed: int) -> Track:
    """Check every draft, drop copies and surplus wordings, prune what is alike across parts."""
    for draft in (draft for part in parts.values() for draft in part):
        check_draft(draft, "geology", ("source", "group"))
    dropped: dict[str, int] = {}
    single = _without_copies(parts)
    dropped["exact duplicate (same question and context)"] = _size(parts) - _size(single)
    kept = pruned(single)
    dropped["near duplicate of a record in another part"] = _size(single) - _size(kept)
    order = random.Random(seed)
    for part in kept.values():
        order.shuffle(part)
    return Track(kept, drafted, dropped)


def _size(parts: Mapping[str, Sequence[Draft]]) -> int:
    return sum(map(len, parts.values()))


def _without_copies(parts: Mapping[str, Sequence[Draft]]) -> dict[str, list[Draft]]:
    """The first of each question with its context; the small parts keep theirs before train."""
    seen: set[str] = set()
    single: dict[str, list[Draft]] = {}
    for name in sorted(parts, key=lambda part: PARTS[part]):
        single[name] = []
        for draft in parts[name]:
            key = splits.normalise(splits.text_of(draft.record))
            if key not in seen:
                seen.add(key)
                single[name].append(draft)
    return {name: single[name] for name in PARTS}


# --- Writing and measuring ----------------------------------------------------------------------


def write_track(track: Track, folder: Path, seed: int) -> dict[str, Any]:
    """Write train, val, test (JSON lines) and summary.json, not the reserve; return the summary."""
    return write_parts(track.parts, summarise(track, seed), folder)


def summarise(track: Track, seed: int) -> dict[str, Any]:
    """What was built: counts by topic and kind, wordings, diversity, overlap between all parts.

    All counts are of the parts that are written; the reserve is counted apart.
    """
    parts = track.handed_out
    drafts = [draft for part in parts.values() for draft in part]
    cross: dict[str, Counter] = {}
    for draft in drafts:
        cross.setdefault(topic_of(draft), Counter())[kind_of(draft.record)] += 1
    as_qa = [_for_diversity(draft) for draft in drafts]
    shares = template_shares(Draft({"task": topic_of(draft)}, draft.template) for draft in drafts)
    return {
        "track": "geology",
        "seed": seed,
        "drafts": track.drafted,
        "dropped": track.dropped,
        "kept": len(drafts),
        "parts": {name: len(part) for name, part in parts.items()},
        "kinds_by_part": {
            name: dict(Counter(kind_of(draft.record) for draft in part))
            for name, part in parts.items()
        },
        "forms": dict(sorted(Counter(draft.record["form"] for draft in drafts).items())),
        "reserve": reserve_of(track.parts),
        "kinds": {kind: sum(row[kind] for row in cross.values()) for kind in KINDS},
        "topics": {topic: cross[topic].total() for topic in sorted(cross)},
        "cross": {topic: {kind: cross[topic][kind] for kind in KINDS} for topic in sorted(cross)},
        "groups": len({draft.record["group"] for draft in drafts}),
        "overlap": splits.overlap(track.parts),
        "templates": {
            topic: {"largest": name, "share": share, "templates": count}
            for topic, (name, share, count) in shares.items()
        },
        "diversity": diversity(as_qa, sample=DIVERSITY_SAMPLE, sides=("prompt",)),
    }


def _for_diversity(draft: Draft) -> dict[str, str]:
    """The record with the field names that `wording.diversity` knows."""
    record = draft.record
    return {
        "task": topic_of(draft),
        "instruction": record["instruction"],
        "input": record["context"],
        "output": record["answer"],
    }


def shortfalls(summary: Mapping[str, Any]) -> list[str]:
    """What of the track's promises does not hold; empty when all do."""
    wrong = []
    if summary["kept"] < LEAST["records"]:
        wrong.append(f"{summary['kept']} records, {LEAST['records']} are promised")
    for kind, count in summary["kinds"].items():
        if count < LEAST["kind"]:
            wrong.append(f"{kind}: {count} records, {LEAST['kind']} are promised")
    if summary["reserve"]["share"] < LEAST_RESERVE:
        wrong.append(
            f"{summary['reserve']['share']:.1%} in reserve, {LEAST_RESERVE:.0%} are promised"
        )
    for name in ("exact", "near", "groups"):
        if summary["overlap"][name]:
            wrong.append(f"overlap between the parts: {summary['overlap'][name]} {name}")
    return wrong


def summary_table(summary: Mapping[str, Any]) -> str:
    """What was built, as lines for a terminal."""
    lines = [f"{summary['drafts']:>7,} drafted"]
    lines += [f"{-count:>7,} {reason}" for reason, count in summary["dropped"].items()]
    parts = ", ".join(f"{name} {count:,}" for name, count in summary["parts"].items())
    lines.append(f"{summary['kept']:>7,} kept ({parts}) in {summary['groups']:,} groups")
    reserve = summary["reserve"]
    lines.append(f"{reserve['records']:>7,} in reserve, not written ({reserve['groups']} groups)")
    lines.append(f"{'topic':<15}" + "".join(f"{kind:>11}" for kind in (*KINDS, "all")))
    for topic, row in summary["cross"].items():
        cells = [*(row[kind] for kind in KINDS), sum(row.values())]
        lines.append(f"{topic:<15}" + "".join(f"{count:>11,}" for count in cells))
    cells = [*(summary["kinds"][kind] for kind in KINDS), summary["kept"]]
    lines.append(f"{'all':<15}" + "".join(f"{count:>11,}" for count in cells))
    return "\n".join(lines)
