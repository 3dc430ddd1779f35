"""Whose submission it is, from the names that an LMS gives, and what is never opened."""

import json
import os
import shutil
import tarfile
import zipfile

import pytest

from course_utils.errors import CourseError
from course_utils.grading.inbox import find_submissions, looks_like_inbox, opened
from course_utils.messages import Explained

RELEASE = {
    "schema": "classroom50/result/v1",
    "classroom": "ml",
    "assignment": "week05",
    "assignment_type": "individual",
    "owner": "Ada",
    "submission": "submit/2026-11-01T10-00-00Z-a1b2c3d",
    "commit": "https://github.com/x/ml-week05-ada/commit/abc",
    "release": "https://github.com/x/ml-week05-ada/releases/tag/y",
    "review": "https://github.com/x/ml-week05-ada/commit/abc",
    "datetime": "2026-11-01T10:00:00Z",
    "score": 99,
    "max-score": 99,
    "tests": [],
}


def pack(path, files=("records.jsonl",), top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for name in files:
            archive.writestr(f"{top}{name}", "{}\n")
    return path


def only(inbox):
    (found,) = find_submissions(inbox)
    return found


def refused(submission, tmp_path):
    with pytest.raises(Explained) as told, opened(submission, tmp_path / "work"):
        pass
    assert told.value.cure
    return told.value.id


def test_folders_and_archives_are_submissions(tmp_path):
    (tmp_path / "ada").mkdir()
    pack(tmp_path / "grace.zip")
    with tarfile.open(tmp_path / "emmy.tar.gz", "w:gz") as archive:
        source = tmp_path / "ada" / "records.jsonl"
        source.write_text("{}\n")
        archive.add(source, "my_lab/records.jsonl")
    found = {s.slug: s for s in find_submissions(tmp_path)}
    assert list(found) == ["ada", "emmy", "grace"]
    for submission in found.values():
        with opened(submission, tmp_path / "work") as folder:
            assert (folder / "records.jsonl").read_text() == "{}\n"
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("name", "user", "late"),
    [
        ("doejane_1234_56789_my_lab.zip", "1234", False),
        ("doejane_LATE_1234_56789_my_lab-1.zip", "1234", True),
    ],
)
def test_canvas_names_tell_user_and_lateness(tmp_path, name, user, late):
    pack(tmp_path / name)
    found = only(tmp_path)
    assert (found.lms, found.name, found.ids["canvas"], found.late) == (
        *("canvas", "doejane", user, late),
    )
    assert found.slug == "doejane-1234"


def test_the_last_try_on_canvas_counts_and_the_others_are_named(tmp_path):
    for name in ("submission.zip", "submission-1.zip", "submission-10.zip", "submission-2.zip"):
        pack(tmp_path / f"doejane_1234_56789_{name}")
    found = only(tmp_path)
    assert found.path.name.endswith("-10.zip")
    assert "submission-2.zip" in found.notes[0]


@pytest.mark.parametrize(
    "names",
    [
        ["week05_2026_11_28_jane.zip"],
        ["week05_2026_11_28_jane.zip", "week05_2026_11_28_bob.zip", "week05_2026_11_28_li.zip"],
        ["week05_2026_11_28_jane.zip", "week05_2026_12_01_bob.zip"],
        ["week05_2026_1128_jane.zip", "week05_2026_1128_bob.zip"],
        ["week05_2026_1128_jane.zip", "week05_2026_1201_bob.zip"],
        ["lab_101_201_jane.zip", "lab_102_202_bob.zip"],
        ["jane_2026_1128_lab.zip", "bob_2026_1129_lab.zip"],
    ],
)
def test_dates_and_counts_in_plain_names_are_no_numbers_of_canvas(tmp_path, names):
    for name in names:
        pack(tmp_path / name)
    found = find_submissions(tmp_path)
    assert sorted(f"{s.name}.zip" for s in found) == sorted(names)
    assert {s.lms for s in found} == {"folder"}


def test_several_files_of_several_students_on_canvas_are_one_row_each(tmp_path):
    for name in ("doejane_1234_56789_lab.zip", "doejane_1234_56790_slides.zip"):
        pack(tmp_path / name)
    pack(tmp_path / "roebob_LATE_1235_56791_lab.zip")
    pack(tmp_path / "doejane_1236_56792_lab.zip")
    found = {s.ids["canvas"]: s.name for s in find_submissions(tmp_path)}
    assert found == {"1234": "doejane", "1235": "roebob", "1236": "doejane"}


@pytest.mark.parametrize("inner", [True, False])
def test_moodle_names_tell_the_participant(tmp_path, inner):
    name = "Zoë Müller_123456_assignsubmission_file"
    if inner:
        (tmp_path / name).mkdir()
        pack(tmp_path / name / "hand in.zip", top="my_lab/")
    else:
        pack(tmp_path / f"{name}_hand in.zip", top="my_lab/")
    found = only(tmp_path)
    assert (found.lms, found.name, found.ids) == ("moodle", "Zoë Müller", {"moodle": "123456"})
    with opened(found, tmp_path / "work") as folder:
        assert (folder / "records.jsonl").exists()


def test_a_file_named_like_another_participants_stays_its_owners(tmp_path):
    pack(tmp_path / "Jane Doe_123456_assignsubmission_file_lab.zip")
    pack(
        tmp_path / "Bob_777_assignsubmission_file_x_123456_assignsubmission_file_lab.zip",
    )
    found = {s.name: s.ids["moodle"] for s in find_submissions(tmp_path)}
    assert found == {"Jane Doe": "123456", "Bob": "777"}


def test_two_archives_in_a_moodle_folder_are_as_in_the_flat_form(tmp_path):
    name = "Jane Doe_123456_assignsubmission_file"
    (tmp_path / "flat").mkdir()
    (tmp_path / "folders" / name).mkdir(parents=True)
    for file in ("lab.zip", "lab_v2.zip"):
        pack(tmp_path / "flat" / f"{name}_{file}")
        pack(tmp_path / "folders" / name / file)
    flat, found = only(tmp_path / "flat"), only(tmp_path / "folders")
    assert flat.path.name.endswith("lab_v2.zip")
    assert found.path.name == "lab_v2.zip"
    assert found.notes[0].endswith("lab_v2.zip (lab.zip)")
    assert found.owner() == flat.owner()
    with opened(found, tmp_path / "work") as folder:
        assert (folder / "records.jsonl").exists()


@pytest.mark.parametrize("more", ["old.zip", "pictures/1.png", "result.json"])
def test_archives_of_which_no_name_says_what_counts_are_refused(tmp_path, more):
    folder = tmp_path / "inbox" / "ml-week05-ada"
    folder.mkdir(parents=True)
    pack(folder / "lab.zip")
    if more == "result.json":
        pack(folder / "lab_v2.zip")
        (folder / more).write_text(json.dumps(RELEASE))
    else:
        (folder / more).parent.mkdir(exist_ok=True)
        pack(folder / more)
    assert refused(only(tmp_path / "inbox"), tmp_path) == "inbox.unopened"


def test_what_moodle_typed_online_is_no_second_submission(tmp_path):
    for kind in ("file", "onlinetext"):
        (tmp_path / f"Zoë_12_assignsubmission_{kind}").mkdir()
    assert only(tmp_path).path.name.endswith("_file")


def test_a_release_of_classroom50_keeps_what_it_says_of_the_submission(tmp_path):
    folder = tmp_path / "ml-week05-ada"
    folder.mkdir()
    (folder / "records.jsonl").write_text("{}\n")
    (folder / "result.json").write_text(json.dumps(RELEASE))
    (tmp_path / "scores.csv").write_text("username\n")
    found = only(tmp_path)
    assert (found.lms, found.name) == ("classroom50", "Ada")
    assert found.ids == {"owner": "Ada", "repository": "ml-week05-ada"}
    assert found.release["datetime"] == RELEASE["datetime"]
    assert not found.release.keys() & {"score", "max-score", "tests"}


def test_an_owner_whom_the_repository_does_not_name_is_not_believed(tmp_path):
    (tmp_path / "bob-roe").mkdir()
    (tmp_path / "bob-roe" / "result.json").write_text(json.dumps(RELEASE | {"owner": "Jane Doe"}))
    found = only(tmp_path)
    assert (found.name, found.owner().name) == ("bob-roe", "bob-roe")


def deep(levels):
    return {"a": deep(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    "change",
    [
        {"submitted_by": deep(300)},
        {"submitted_by": {"username": ["ada"]}},
        {"submitted_by": {"username": "x" * 501}},
        {"submitted_by": {f"{n}": n for n in range(21)}},
        {"submitted_by": {"id": 10**400}},
        {"assignment_type": deep(300)},
    ],
    ids=str,
)
def test_only_short_texts_and_numbers_of_a_release_are_kept(tmp_path, change):
    (tmp_path / "ml-week05-ada").mkdir()
    (tmp_path / "ml-week05-ada" / "result.json").write_text(json.dumps(RELEASE | change))
    found = only(tmp_path)
    assert found.name == "Ada"
    assert not found.release.keys() & change.keys()


def test_who_submitted_a_release_is_kept(tmp_path):
    (tmp_path / "ml-week05-ada").mkdir()
    who = {"submitted_by": {"username": "ada", "id": 7, "email": None}}
    (tmp_path / "ml-week05-ada" / "result.json").write_text(json.dumps(RELEASE | who))
    assert only(tmp_path).release["submitted_by"] == who["submitted_by"]


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "{}", '{"schema": "classroom50/result/v1"}', ""]
)
def test_a_file_that_only_looks_like_a_release_makes_no_release(tmp_path, content):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "result.json").write_text(content)
    assert only(tmp_path).lms == "folder"


def test_other_scripts_keep_their_name_and_get_a_safe_folder(tmp_path):
    names = ["王小明", "عبد الله", "Zoë", "zoe", "Zoe", "CON", "con"]
    for name in names:
        (tmp_path / name).mkdir()
    found = find_submissions(tmp_path)
    assert sorted(s.name for s in found) == sorted(names)
    slugs = [s.slug for s in found]
    assert all(slug.isascii() and slug == slug.casefold() for slug in slugs)
    assert len(set(slugs)) == len(names)
    assert "con" not in slugs


def test_a_folders_name_does_not_depend_on_what_else_lies_there(tmp_path):
    (tmp_path / "Jane Doe").mkdir()
    before = only(tmp_path).slug
    (tmp_path / "jane-doe").mkdir()
    assert before in {s.slug for s in find_submissions(tmp_path)}


def test_a_name_that_is_no_utf8_is_refused_with_a_message(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/m\xfcller")
    found = only(tmp_path)
    assert found.problem.id == "inbox.name_not_utf8"
    assert "\\xfc" in found.problem.message
    found.owner().name.encode()  # can be written


def test_a_long_name_that_is_no_utf8_fits_into_a_result(tmp_path):
    name = "Лабораторная работа " * 4 + ".zip"
    open(os.fsencode(tmp_path) + b"/" + name.encode("cp866"), "xb").close()
    assert only(tmp_path).owner().name.endswith("…")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_pipes_are_not_waited_for(tmp_path):
    (tmp_path / "inbox" / "ada").mkdir(parents=True)
    os.mkfifo(tmp_path / "inbox" / "ada" / "result.json")
    os.mkfifo(tmp_path / "inbox" / "jane.zip")
    found = {s.name: s for s in find_submissions(tmp_path / "inbox")}
    assert found["ada"].lms == "folder"
    assert refused(found["jane"], tmp_path) == "inbox.no_submission"


def test_links_files_and_empty_folders_are_refused_with_a_message(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (inbox / "link").symlink_to(tmp_path / "elsewhere")
    (inbox / "other.zip").symlink_to(pack(tmp_path / "real.zip"))
    (inbox / "essay.docx").write_text("x")
    (inbox / "nothing").mkdir()
    said = {}
    for submission in find_submissions(inbox):
        said[submission.path.name] = refused(submission, tmp_path)
    assert said == {
        "link": "inbox.link",
        "other.zip": "inbox.link",
        "essay.docx": "inbox.no_submission",
        "nothing": "inbox.empty",
    }


def test_an_archive_in_an_archive_stays_closed(tmp_path):
    inner = pack(tmp_path / "inner.zip")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with zipfile.ZipFile(inbox / "ada.zip", "w") as archive:
        archive.write(inner, "inner.zip")
    assert refused(only(inbox), tmp_path) == "inbox.unopened"


def test_an_inbox_is_told_from_a_submission(tmp_path):
    (tmp_path / "ada").mkdir()
    assert looks_like_inbox(tmp_path)
    (tmp_path / "records.jsonl").write_text("{}\n")
    assert not looks_like_inbox(tmp_path)


@pytest.mark.parametrize("kind", ["nothing", "archive", "no folder"])
def test_where_there_is_no_inbox_the_message_says_what_to_do(tmp_path, kind):
    place = {"nothing": tmp_path, "archive": tmp_path / "a.zip", "no folder": tmp_path / "x"}[kind]
    if kind == "archive":
        pack(place)
    with pytest.raises(CourseError) as told:
        find_submissions(place)
    assert told.value.cure


def test_nothing_of_the_inbox_is_changed_by_opening(tmp_path):
    inbox = tmp_path / "inbox"
    (inbox / "ada").mkdir(parents=True)
    pack(inbox / "ada" / "lab.zip")
    before = sorted(path.relative_to(inbox) for path in inbox.rglob("*"))
    with opened(only(inbox), tmp_path / "work"):
        pass
    assert sorted(path.relative_to(inbox) for path in inbox.rglob("*")) == before
    shutil.rmtree(tmp_path / "work", ignore_errors=True)
