"""An archive to publish has no file that quotes a work order, and says how to build them again."""

import hashlib
import json
import zipfile

import pytest
from submissions import check, edit_json

from course_utils import sources
from course_utils.assignments import week09_10
from course_utils.assignments.folder import LEFT_OUT, scan

PARTS = [f"data/{part}.jsonl" for part in ("test", "train", "val")]


@pytest.fixture
def quoting(folder):
    """A submission whose train part, and one prediction, quote an order."""
    path = folder / PARTS[1]
    first, *rest = path.read_text().splitlines()
    order = json.loads(first) | {"document": "maintenance_log"}
    path.write_text("\n".join([json.dumps(order), *rest]) + "\n")

    def mark(content):
        content["predictions"][0]["document"] = "maintenance_log"

    edit_json(folder / "run" / "evaluation.json", mark)
    return folder


@pytest.fixture
def unpacked(quoting, tmp_path):
    """(what was packed, the public archive unpacked, its note)"""
    made = week09_10.pack_submission(quoting, tmp_path / "public.zip", force=True, public=True)
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "unpacked")
    note = json.loads((tmp_path / "unpacked" / LEFT_OUT).read_text())
    return quoting, tmp_path / "unpacked", note


def of_path(root, name):
    return [found for found in check(root).findings if found.path == name]


def test_what_quotes_orders_is_not_in_it_and_all_else_is(unpacked):
    whole, root, note = unpacked
    left = set(scan(whole).files) - set(scan(root).files)
    assert set(note["files"]) == {PARTS[1], "run/evaluation.json"} <= left
    assert {PARTS[0], PARTS[2], "run/baseline.json", "README.md"} <= set(scan(root).files)


def test_kit_seed_and_checksum_stand_in_their_place(unpacked):
    whole, _, note = unpacked
    about = note["files"][PARTS[1]]
    assert about["sha256"] == hashlib.sha256((whole / PARTS[1]).read_bytes()).hexdigest()
    assert (about["rows_that_quote"], note["seed"]) == (1, 42)
    assert about["again"] == "run python scripts/prepare_data.py, which writes it"
    assert note["kit"].startswith("0.")
    assert "sha256" not in note["files"]["run/evaluation.json"]  # answers hold times


def test_the_check_names_what_is_missing_and_why(unpacked):
    _, root, _ = unpacked
    for name in (PARTS[1], "run/evaluation.json"):
        [found] = of_path(root, name)
        assert (found.state, found.message_id) == ("missing", "file.left_out")
        assert "public archive" in found.message


def test_a_part_that_was_built_again_is_known_by_its_checksum(unpacked):
    whole, root, _ = unpacked
    (root / PARTS[1]).write_bytes((whole / PARTS[1]).read_bytes())
    assert all(found.state == "ok" for found in of_path(root, PARTS[1]))
    (root / PARTS[1]).write_bytes((whole / PARTS[1]).read_bytes() + b"\n")
    found = of_path(root, PARTS[1])[0]
    assert (found.state, found.message_id) == ("wrong", "file.left_out")
    assert "another" in found.message


def test_an_order_is_known_by_its_text_too(folder, tmp_path):
    """Records in a form of one's own, such as those of week 5, name no kind of document."""
    text = max(sources.load_work_orders()["OriginalShorttext"], key=len)
    (folder / "reports" / "mine.jsonl").write_text(json.dumps({"seen": f" {text.lower()}\t"}))
    made = week09_10.pack_submission(folder, tmp_path / "public.zip", force=True, public=True)
    names = zipfile.ZipFile(made).namelist()
    assert "reports/mine.jsonl" not in names
    assert LEFT_OUT in names


@pytest.mark.parametrize("spoilt", [b'{"instruction": "half a li\n', b'{"note": "20 \xb0C"}\n'])
def test_a_broken_line_or_another_encoding_hides_no_order(quoting, tmp_path, spoilt):
    (quoting / PARTS[1]).write_bytes(spoilt + (quoting / PARTS[1]).read_bytes())
    made = week09_10.pack_submission(quoting, tmp_path / "public.zip", force=True, public=True)
    with zipfile.ZipFile(made) as archive:
        assert PARTS[1] not in archive.namelist()
        assert json.loads(archive.read(LEFT_OUT))["files"][PARTS[1]]["rows_that_quote"] == 1


def test_what_cannot_be_read_through_stays_out_and_is_named(folder, tmp_path, capsys):
    (folder / "reports" / "mine.JSON").write_text('{"seen": "boom cylinder leaking oil"')
    made = week09_10.pack_submission(folder, tmp_path / "public.zip", force=True, public=True)
    with zipfile.ZipFile(made) as archive:
        assert "reports/mine.JSON" not in archive.namelist()
        assert json.loads(archive.read(LEFT_OUT))["files"]["reports/mine.JSON"]["lines_not_read"]
    assert "reports/mine.JSON cannot be read through" in capsys.readouterr().out


def test_without_orders_nothing_is_left_out(folder, tmp_path, capsys):
    whole = week09_10.pack_submission(folder, tmp_path / "a.zip", force=True)
    public = week09_10.pack_submission(folder, tmp_path / "b.zip", force=True, public=True)
    assert whole.read_bytes() == public.read_bytes()
    assert "no file quotes work orders" in capsys.readouterr().out


def test_a_whole_archive_packed_from_an_unpacked_public_one_has_no_note(unpacked, tmp_path):
    _, root, _ = unpacked
    again = week09_10.pack_submission(root, tmp_path / "again.zip", force=True)
    assert LEFT_OUT not in zipfile.ZipFile(again).namelist()


@pytest.mark.parametrize("content", ["[]", "{", '{"files": 1}', '{"files": {"README.md": 1}}'])
def test_a_note_of_any_content_leaves_the_check_as_it_is(folder, content):
    (folder / LEFT_OUT).write_text(content)
    assert scan(folder.resolve()).left_out == {}
    assert all(found.message_id != "file.left_out" for found in check(folder).findings)
