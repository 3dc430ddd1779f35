"""Hidden records: of the handed-out kinds, near to none of them, the same for one secret."""

from collections import Counter

import pytest

from course_utils import kit, records, schemas, splits, tasks
from course_utils.errors import CourseError
from course_utils.grading import hidden as module
from course_utils.grading.cache import Shared
from course_utils.grading.hidden import HiddenRecords, draw_geology, draw_manufacturing
from course_utils.grading.secret import Secret
from course_utils.tracks.geology import track as geology
from course_utils.tracks.manufacturing import lots, manuals, order_records, track
from course_utils.tracks.parts import RESERVE

SEED = 42
ASSETS = tuple(f"excavator {asset} {year}-Q{quarter}" for asset in "BC" for year in (2003, 2004)
               for quarter in (1, 2, 3, 4))  # fmt: skip


@pytest.fixture(scope="module")
def given(prepared):
    """A small handed-out track: some excavators' years, all manuals, eighty lots."""
    drafts = order_records.maintenance_drafts(SEED, ASSETS) + manuals.manual_drafts(SEED)
    return track.assemble(drafts + lots.quality_drafts(SEED, 80), SEED)


@pytest.fixture(scope="module")
def hidden(given):
    return draw_manufacturing(7, given)


def drawn(hidden):
    return [record for task in hidden.tasks for record in hidden.records(task, 1000)]


def test_all_tasks_and_documents_are_there_and_every_record_is_valid(hidden):
    records = drawn(hidden)
    assert hidden.tasks == list(tasks.TASKS)
    assert {r["document"] for r in records} == set(
        schemas.SCHEMAS["manufacturing"].choices["document"]
    )
    assert not [r for r in records if schemas.validate(r, "manufacturing")]


def test_they_have_the_fields_and_forms_of_the_handed_out_records(hidden, given):
    def kinds(records):
        return {(*sorted(r), r["task"], r["document"], r.get("form", "")) for r in records}

    assert kinds(drawn(hidden)) <= kinds(given.handed_out)


def test_none_is_nearly_equal_to_a_record_that_was_handed_out(hidden, given):
    assert not splits.close_to(drawn(hidden), given.handed_out)


def test_what_is_no_real_order_is_not_in_the_reserve_that_anybody_can_build(hidden, given):
    simulated = [r for r in drawn(hidden) if r["document"] != "maintenance_log"]
    assert len(simulated) > 100
    assert not splits.close_to(simulated, given.parts[RESERVE])


def test_orders_and_pages_come_from_groups_that_were_kept_back(hidden, given):
    kept_back = {record["group"] for record in given.parts[RESERVE]}
    groups = {r["group"] for r in drawn(hidden) if not r["group"].startswith("hidden-lot-")}
    assert groups <= kept_back
    assert not groups & {record["group"] for record in given.handed_out}


def test_one_seed_gives_the_same_records_and_another_seed_others(hidden, given):
    assert draw_manufacturing(7, given).by_task == hidden.by_task
    other = draw_manufacturing(8, given)
    shared = Counter(r["input"] for r in drawn(hidden)) & Counter(r["input"] for r in drawn(other))
    real = {r["input"] for r in drawn(hidden) if r["document"] == "maintenance_log"}
    # A data sheet's one line has few wordings, so a handful may come out alike.
    assert len(set(shared) - real) <= 0.02 * len(drawn(hidden))


def test_the_first_records_of_a_task_are_mixed_like_the_whole(hidden, given):
    """So that a check with 24 records asks about every kind of document, not about one."""
    wanted = Counter(r["document"] for r in given.handed_out if r["task"] == "qa")
    first = Counter(r["document"] for r in hidden.records("qa", 24))
    for document, count in wanted.items():
        assert first[document] == pytest.approx(24 * count / wanted.total(), abs=2)
    assert hidden.records("qa", 5) == hidden.records("qa", 24)[:5]


def test_whoever_trained_on_a_record_of_another_seed_is_not_asked_it(hidden):
    own = hidden.records("understanding", 3)
    left = hidden.records("understanding", 1000, unlike=own)
    assert own[0] not in left
    assert not {r["group"] for r in left} & {r["group"] for r in own}


def test_what_the_kit_handed_out_is_known(hidden, given):
    assert all(hidden.was_given(record) for record in given.handed_out[:50])
    assert not any(map(hidden.was_given, drawn(hidden)))


def test_a_task_without_hidden_records_is_named(hidden):
    with pytest.raises(CourseError, match="no hidden records of the task 'poetry'"):
        hidden.records("poetry", 3)


def test_an_instructors_own_are_read_from_a_file_and_kept_from_who_has_them(tmp_path):
    example = records.read_records(kit.DATA / "examples" / "brewing.jsonl")
    kept = records.write_records(tmp_path / "hidden.jsonl", example[:6] + example[30:36])
    (tmp_path / "grades").mkdir()
    kept = module.keep_own(kept, tmp_path / "grades")
    assert kept.stat().st_mode & 0o077 == 0  # nobody else reads it
    own = module.own_records(kept, 7)
    assert {task: len(own.records(task, 100)) for task in own.tasks} == {
        "understanding": 6,
        "qa": 6,
    }
    leaked = own.records("qa", 100)[0]
    left = own.records("qa", 100, unlike=[leaked])
    assert not [record for record in left if record["group"] == leaked["group"]]


def test_its_text_form_shows_no_record(hidden):
    assert repr(hidden) == "HiddenRecords(" + ", ".join(
        f"{task} {len(own)}" for task, own in hidden.by_task.items()
    ) + ")"  # fmt: skip


# --- Week 5, and what is kept -------------------------------------------------------------------


@pytest.fixture(scope="module")
def rocks(prepared):
    return geology.build_geology(SEED)


def test_week_5_has_questions_on_groups_that_were_kept_back(rocks):
    hidden = draw_geology(7, rocks)
    records = hidden.records("qa", 1000)
    handed_out = [draft.record for part in rocks.handed_out.values() for draft in part]
    assert len(records) >= 60
    assert not [r for r in records if schemas.validate(r, "geology")]
    assert not splits.close_to(records, [*handed_out, *rocks.parts[RESERVE]])
    assert {r["group"] for r in records} <= {r["group"] for r in rocks.parts[RESERVE]}
    assert len({r["form"] for r in records}) == 4


def test_they_are_drawn_once_for_a_folder_of_grades(tmp_path, monkeypatch):
    drawn_with = []

    def draw(seed):
        drawn_with.append(seed)
        return HiddenRecords({"qa": [{"instruction": str(seed), "group": "g"}]}, {"mark"})

    monkeypatch.setattr(module, "DRAWN", {"week05_parameter_lab": draw})
    for name in ("one", "one", "two"):
        secret = Secret.of(tmp_path / name)
        shared = Shared(tmp_path / name / ".cache", salt=secret.fingerprint)
        found = module.hidden_records("week05_parameter_lab", secret, shared)
        assert found.records("qa", 1)[0]["instruction"] == str(drawn_with[-1])
        assert found.given == {"mark"}
    assert len(set(drawn_with)) == len(drawn_with) == 2
    with pytest.raises(CourseError, match="no hidden records for week99"):
        module.hidden_records("week99", secret, shared)
