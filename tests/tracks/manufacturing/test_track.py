"""A track is cleaned, split by group and pruned; properties over every record that is built."""

import json
import random
import re
from collections import Counter

import pytest

from course_utils import ownership, selfcheck, tasks
from course_utils.errors import CourseError
from course_utils.facts import parse_facts
from course_utils.records import SCHEMAS, read_records, text_of, validate, write_records
from course_utils.tracks.manufacturing import lots as quality_records
from course_utils.tracks.manufacturing import manuals
from course_utils.tracks.manufacturing import order_records as maintenance
from course_utils.tracks.manufacturing import track as tracks
from course_utils.tracks.wording import Draft

DOCUMENTS = SCHEMAS["manufacturing"].choices["document"]
WORDS = [f"{a}{b}{c}" for a in "bdgkmpst" for b in "aeiou" for c in "lnrvxz"]


def draft(text, group="g", template="t", **changes):
    record = {
        "instruction": "Answer from the text.",
        "input": text,
        "output": "It is so.",
        "task": "qa",
        "document": "maintenance_log",
        "source": "made up",
        "group": group,
    }
    return Draft(record | changes, template)


def many(count, per_group=1, seed=1, documents=DOCUMENTS):
    """Drafts of unlike texts, `per_group` in each group, each with a wording of its own."""
    rng = random.Random(seed)
    return [
        draft(
            " ".join(rng.sample(WORDS, 12)),
            group=f"group-{number // per_group}",
            template=f"t{number}",
            document=documents[number // per_group % len(documents)],
        )
        for number in range(count)
    ]


def home(track):
    """group -> parts that hold records of it."""
    places = {}
    for name, part in track.parts.items():
        for record in part:
            places.setdefault(record["group"], set()).add(name)
    return places


# --- assemble ---


def test_a_group_stays_in_one_part():
    track = tracks.assemble(many(400, per_group=5), seed=3)
    assert len(track.records) == track.drafts == 400
    assert all(len(parts) == 1 for parts in home(track).values())
    assert len(home(track)) == 80
    assert sum(track.dropped.values()) == 0


def test_a_group_with_records_of_several_documents_stays_in_one_part_too():
    drafts = many(200)
    mixed = [
        Draft(one.record | {"group": f"group-{number // 4}"}, one.template)
        for number, one in enumerate(drafts)
    ]
    assert len({one.record["document"] for one in mixed[:4]}) == 4
    track = tracks.assemble(mixed, seed=3)
    assert all(len(parts) == 1 for parts in home(track).values())


def test_every_document_is_split_by_the_shares_of_the_parts():
    track = tracks.assemble(many(800, per_group=4), seed=5)
    for document in DOCUMENTS:
        sizes = {
            name: sum(record["document"] == document for record in part)
            for name, part in track.parts.items()
        }
        assert sum(sizes.values()) == 200
        for name, share in tracks.PARTS.items():
            assert abs(sizes[name] - 200 * share) <= 8, (document, sizes)


def test_the_same_prompt_is_kept_once_whatever_its_case_and_spaces():
    text = "The seal of the pump is worn."
    copies = [
        draft(text),
        draft(text.upper().replace(" ", "\n ")),
        draft(text, output="Another answer."),
    ]
    track = tracks.assemble(
        [*copies, draft(text, template="u", instruction="Name the part.")], seed=1
    )
    assert len(track.records) == 2
    assert track.dropped["exact duplicate (same prompt)"] == 2
    assert "Another answer." not in {record["output"] for record in track.records}


def test_a_near_copy_in_another_part_is_dropped_and_the_test_part_keeps_its_own():
    """Without the planted copies nothing is dropped: the texts are unlike."""
    drafts = many(300)
    clean = tracks.assemble(drafts, seed=2)
    assert sum(clean.dropped.values()) == 0
    parts = {record["input"]: name for name, part in clean.parts.items() for record in part}
    # A changed letter at the end: same text for a reader, another group for the split.
    planted = [
        draft(one.record["input"] + "s", f"copy-{number}", f"copy{number}")
        for number, one in enumerate(drafts)
        if parts[one.record["input"]] == "test"
    ]
    track = tracks.assemble([*drafts, *planted], seed=2)
    dropped = track.dropped["near duplicate of a record in another part"]
    assert dropped > len(planted) / 2
    assert len(track.records) == len(drafts) + len(planted) - dropped
    overlap = tracks.summarise(track, 2)["overlap"]
    assert (overlap["exact"], overlap["near"], overlap["groups"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("own", "other", "left"),
    [
        ("train", "val", "val"),
        ("train", "test", "test"),
        ("val", "test", "test"),
        ("test", "reserve", "reserve"),
    ],
)
def test_of_two_near_copies_the_one_that_is_trained_on_goes(own, other, left):
    parts = {name: [draft(f"{name} stands alone here")] for name in tracks.PARTS}
    text = "the seal of the centrifugal pump leaks at the shaft"
    parts[own].append(draft(text))
    parts[other].append(draft(text + "s"))
    parts = tracks.pruned(parts)
    found = [name for name, part in parts.items() if len(part) == 2]
    assert found == [left]
    assert sum(map(len, parts.values())) == len(tracks.PARTS) + 1


def test_near_copies_inside_one_part_may_stay():
    parts = {name: [] for name in tracks.PARTS}
    parts["train"] = [draft("the seal of the pump leaks"), draft("the seal of the pump leaks.")]
    parts = tracks.pruned(parts)
    assert len(parts["train"]) == 2


def test_a_wording_that_carries_too_much_of_its_task_is_cut_down():
    drafts = many(1000)
    worn = [Draft(one.record, "worn" if n < 300 else one.template) for n, one in enumerate(drafts)]
    track = tracks.assemble(worn, seed=1)
    template, share, number = track.templates["qa"]
    assert template == "worn"
    assert 0.005 < share <= tracks.LARGEST_TEMPLATE_SHARE
    assert number == 701
    assert len(track.records) == 1000 - sum(track.dropped.values()) == 710
    kept = {record["input"] for record in track.records}
    assert {one.record["input"] for one in drafts[300:]} <= kept


def test_the_cap_is_counted_for_each_task():
    drafts = many(400)
    both = [
        Draft(one.record | {"task": "qa" if n % 2 else "report"}, f"t{n // 4}")
        for n, one in enumerate(drafts)
    ]
    track = tracks.assemble(both, seed=1)  # 2 of a wording in each task of 200: all may stay
    assert len(track.records) == 400


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"task": "translation"}, "task"),
        ({"document": "novel"}, "document"),
        ({"output": ""}, "output"),
        ({"output": " padded "}, "output"),
        ({"instruction": 7}, "instruction"),
        ({"colour": "red"}, "colour"),
        ({"input": "a\x07b"}, "input"),
        ({"facts": 3}, "facts"),
    ],
)
def test_a_wrong_draft_stops_the_build_with_its_template(changes, what):
    with pytest.raises(CourseError, match=rf"(?s)drafted record is wrong: .*{what}.*\(worn: "):
        tracks.assemble([*many(3), draft("x", template="worn", **changes)], seed=1)


@pytest.mark.parametrize("name", ["task", "document", "source", "group", "output"])
def test_a_draft_without_a_field_stops_the_build(name):
    wrong = draft("x")
    del wrong.record[name]
    with pytest.raises(CourseError, match=name):
        tracks.assemble([wrong], seed=1)


def test_the_split_follows_the_seed_and_only_the_seed():
    drafts = many(200, per_group=2)
    first, again, other = (tracks.assemble(drafts, seed) for seed in (1, 1, 2))
    assert first.parts == again.parts
    assert first.parts != other.parts
    assert {len(track.records) for track in (first, other)} == {200}


def test_no_drafts_are_an_empty_track():
    track = tracks.assemble([], seed=1)
    assert track.records == []
    assert track.counts("task") == {}


# --- shortfalls ---

GOOD = {
    "kept": 8000,
    "tasks": {"qa": 4000, "report": 1500, "understanding": 2500},
    "documents": dict.fromkeys(DOCUMENTS, 2000),
    "templates": {"qa": {"share": 0.02}},
    "reserve": {"tasks": {"qa": 400, "report": 150, "understanding": 250}},
    "overlap": {"exact": 0, "near": 0, "groups": 0},
}


def test_a_track_that_keeps_its_promises_falls_short_of_nothing():
    assert tracks.shortfalls(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"kept": 7999}, "7999 records, 8000"),
        ({"tasks": GOOD["tasks"] | {"report": 1499}}, "report: 1499 records, 1500"),
        ({"tasks": {"qa": 8000}}, "understanding: 0 records"),
        ({"reserve": {"tasks": {"report": 150, "understanding": 250}}}, "qa: 0 records in reserve"),
        ({"documents": GOOD["documents"] | {"quality_report": 999}}, "quality_report: 999"),
        ({"documents": {"quality_report": 8000}}, "maintenance_log: 0 records, 1000"),
        ({"templates": {"qa": {"share": 0.021}}}, "qa: one wording carries 2.1%"),
        ({"overlap": GOOD["overlap"] | {"near": 3}}, "between the parts: 3 near"),
        ({"overlap": GOOD["overlap"] | {"exact": 1}}, "between the parts: 1 exact"),
        ({"overlap": GOOD["overlap"] | {"groups": 2}}, "between the parts: 2 groups"),
    ],
)
def test_shortfalls_name_what_is_missing(changes, what):
    assert what in "; ".join(tracks.shortfalls(GOOD | changes))


# --- The whole track ---


@pytest.fixture(scope="module")
def track(prepared):
    return tracks.build_manufacturing(42)


@pytest.fixture(scope="module")
def written(track, tmp_path_factory):
    """(summary, folder of the first writing)."""
    folder = tmp_path_factory.mktemp("track")
    return tracks.write_track(track, folder, 42), folder


def of(track, task):
    return [record for record in track.records if record["task"] == task]


def test_the_track_keeps_its_promises(written):
    summary, _ = written
    assert tracks.shortfalls(summary) == []
    assert summary["kept"] >= 8000
    assert set(summary["tasks"]) == set(tasks.TASKS)
    assert set(summary["documents"]) == set(DOCUMENTS)
    assert min(summary["tasks"].values()) >= 1500
    assert min(summary["documents"].values()) >= 1000
    overlap = summary["overlap"]
    assert (overlap["exact"], overlap["near"], overlap["groups"]) == (0, 0, 0)
    assert all(figures["share"] <= 0.02 for figures in summary["templates"].values())


def test_the_summary_counts_what_was_written(written):
    summary, folder = written
    names = [name for name in tracks.PARTS if name != "reserve"]
    parts = {name: read_records(folder / f"{name}.jsonl", "manufacturing") for name in names}
    assert summary["parts"] == {name: len(part) for name, part in parts.items()}
    assert summary["kept"] == sum(summary["parts"].values())
    everything = summary["kept"] + summary["reserve"]["records"]
    assert everything + sum(summary["dropped"].values()) == summary["drafts"]
    assert summary["tasks"] == Counter(r["task"] for part in parts.values() for r in part)
    assert json.loads((folder / "summary.json").read_text()) == summary
    for name in names:
        assert abs(summary["parts"][name] / everything - tracks.PARTS[name]) < 0.03


def test_the_reserve_is_whole_groups_of_every_task_and_on_no_disk(track, written):
    summary, folder = written
    kept_back = track.parts["reserve"]
    assert not (folder / "reserve.jsonl").exists()
    handed_out = "".join((folder / f"{part}.jsonl").read_text() for part in summary["parts"])
    assert not any(json.dumps(r["output"], ensure_ascii=False) in handed_out
                   for r in kept_back if r["task"] == "report")  # fmt: skip
    assert summary["reserve"]["records"] == len(kept_back)
    for task, count in summary["tasks"].items():
        own = summary["reserve"]["tasks"][task]
        assert own / (own + count) >= tracks.LEAST_RESERVE


def test_every_part_holds_every_task_of_every_document_it_can(track):
    kinds = {(r["document"], r["task"]) for r in track.records}
    for part in track.parts.values():
        assert {(r["document"], r["task"]) for r in part} == kinds


def test_a_second_build_is_the_same_bytes(track, written, tmp_path):
    """The builders again, not only the writing again."""
    drafts = [
        *maintenance.maintenance_drafts(42),
        *manuals.manual_drafts(42),
        *quality_records.quality_drafts(42, tracks.LOTS),
    ]
    again = tracks.assemble(drafts, 42)
    assert again.parts["reserve"] == track.parts["reserve"]
    for name in written[0]["parts"]:
        part = again.parts[name]
        write_records(tmp_path / f"{name}.jsonl", part)
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (
            written[1] / f"{name}.jsonl"
        ).read_bytes()
    assert again.templates == track.templates
    assert again.dropped == track.dropped


def test_the_summary_is_the_same_bytes_when_it_is_written_again(tmp_path):
    small = tracks.assemble(many(60), seed=1)
    for folder in ("a", "b"):
        tracks.write_track(small, tmp_path / folder, 1)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    parts = ["summary.json", "test.jsonl", "train.jsonl", "val.jsonl"]
    assert files == [ownership.MARK, *parts]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_every_record_of_the_track_is_valid_and_stripped(track):
    for record in track.records:
        assert validate(record, "manufacturing") == [], record
        assert all(text == text.strip() for text in record.values()), record
        assert record["source"]
        assert record["group"]


def test_every_report_states_all_its_facts(track):
    for record in of(track, "report"):
        assert tasks.main_score(record["output"], record) == 1, record


def test_every_question_with_a_number_is_answered_by_its_reference(track):
    numeric = 0
    for record in of(track, "qa"):
        facts = parse_facts(record.get("facts", ""))
        if facts:
            assert tasks.main_score(record["output"], record) == 1, record
        numeric += len(facts) == 1 and facts[0].number is not None
    assert numeric > 1000


def test_a_reference_scores_full_marks_on_every_task(track):
    for task in tasks.TASKS:
        own = of(track, task)[:200]
        answers = [record["output"] for record in own]
        scores = tasks.score_task(answers, own, [0.0] * len(own), [1] * len(own))
        assert scores.pop("bleu", 100) == pytest.approx(100)
        assert not scores.pop("cut", 0)
        assert all(score in (None, pytest.approx(1)) for score in scores.values()), scores


def test_answers_that_understand_nothing_are_not_paid(track):
    results = selfcheck.check(track.parts, sample=60)
    print(selfcheck.table(results))
    assert selfcheck.verdict(results) == "nothing can be fooled"


def test_an_answer_to_another_record_scores_little(track):
    """No report can be had by heart: the facts of one sheet are not those of another."""
    own = of(track, "report")[:400]
    shifted = [record["output"] for record in own[1:] + own[:1]]
    scores = tasks.score_task(shifted, own, [0.0] * len(own), [1] * len(own))
    assert scores["fact_f1"] < 0.1


def test_every_understanding_answer_is_a_flat_json_object(track):
    for record in of(track, "understanding"):
        answer = json.loads(record["output"])
        assert isinstance(answer, dict)
        assert answer or record["document"] == "maintenance_log"
        for value in answer.values():
            assert isinstance(value, int) or (isinstance(value, str) and value.strip()), record


def test_inputs_and_answers_are_no_strangers(track):
    """What is asked for stands somewhere: a number in a direct answer is found in the prompt."""
    for record in of(track, "qa"):
        if record["document"] not in ("equipment_manual", "technical_documentation"):
            continue
        prompt = f"{record['instruction']}\n{record['input']}".casefold()
        for number in re.findall(r"\d+(?:\.\d+)?", record["output"]):
            assert number in prompt, record


def own_words(record):
    """The texts of a record that the kit's wordings made, without work orders and notes."""
    texts = [record["instruction"]]
    note = record["document"] == "quality_report" and record["task"] == "understanding"
    if record["document"] != "maintenance_log" and not note:  # people typed these in haste
        texts.append(record["input"])
    if record["task"] != "understanding":
        texts.append(re.sub(r'"[^"]*"', "'x'", record["output"]))
    return texts


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("a place that was not filled", r"[{}]|\bNone\b(?! of)|\bnan\b"),
        ("a doubled space", r"  "),
        ("a space before a full stop or comma", r"\w [.,;](?!\w)"),
        ("two full stops", r"\.\.(?!\d)|\. \."),
        ("a full stop after another mark", r"[,;:]\.(?!\d)"),
        ("two commas", r",,(?=\D)"),
        ("a for an", r"\ba [aeio](?!ne\b|ne-)"),
    ],
)
def test_no_wording_leaves_behind(track, fault, pattern):
    for record in track.records:
        for text in own_words(record):
            found = re.search(pattern, text)
            assert not found, (fault, text[max(0, found.start() - 40) : found.end() + 40], record)


def test_every_answer_begins_with_a_capital_a_number_or_a_quotation(track):
    """A bare answer is the name as the input writes it: "gear wheel"."""
    bare = ("number and unit only", "name only")
    for task in ("qa", "report"):
        for record in of(track, task):
            if record["form"] in bare:
                continue
            first = record["output"][0]
            assert first.isupper() or first.isdigit() or first in '"|(', record["output"]


def test_no_prompt_tells_its_answer_by_the_group(track):
    """`source` and `group` are for the split and never part of what a model reads."""
    for record in track.records[:500]:
        assert record["group"] not in text_of(record)
