"""A stranger's archive: bounded, and nothing of it leaves the folder it goes to."""

import contextlib
import io
import random
import stat
import struct
import tarfile
import zipfile

import pytest

from course_utils.grading import archives
from course_utils.grading.archives import unpack
from course_utils.messages import Explained


def refusal(path, target):
    with pytest.raises(Explained) as told:
        unpack(path, target)
    assert told.value.cure
    return told.value.id


def zipped(path, *entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "C:/x", "a\\..\\..\\x", "a\nb", "\u202egpj.exe", "x" * 300],
)
def test_names_that_lead_out_are_refused_and_nothing_is_written(tmp_path, name):
    path = zipped(tmp_path / "a.zip", ("data/ok.jsonl", "{}"), (name, "x"))
    assert refusal(path, tmp_path / "out") == "inbox.name_leads_out"
    assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    "names", [("a.txt", "A.TXT"), ("a", "a/b"), ("é.txt", "e\u0301.txt"), ("A/b", "a")]
)
def test_a_name_that_stands_twice_is_refused(tmp_path, names):
    path = zipped(tmp_path / "a.zip", *((name, "x") for name in names))
    assert refusal(path, tmp_path / "out") == "inbox.name_twice"


def test_a_bomb_stops_at_the_limit_whatever_its_header_says(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FLOOR", 1_000_000)
    path = zipped(tmp_path / "a.zip", ("data/train.jsonl", b"\0" * 50_000_000))
    assert refusal(path, tmp_path / "out") == "inbox.bomb"
    written = sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written <= max(1_000_000, 200 * path.stat().st_size)


def test_many_files_that_fill_the_disk_together_stop_too(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FLOOR", 1_000_000)
    monkeypatch.setattr(archives, "RATIO", 1)
    path = zipped(tmp_path / "a.zip", *((f"{n}.jsonl", b"\0" * 400_000) for n in range(5)))
    assert refusal(path, tmp_path / "out") == "inbox.bomb"


def test_too_many_files_are_refused_before_one_is_written(tmp_path):
    path = zipped(tmp_path / "a.zip", *((f"{n}", "") for n in range(10_001)))
    assert refusal(path, tmp_path / "out") == "inbox.too_many_files"
    assert not (tmp_path / "out").exists()


def test_folders_too_deep_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", ("d/" * 14 + "x", "x"))
    assert refusal(path, tmp_path / "out") == "inbox.too_deep"


def test_a_link_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("data/train.jsonl")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert refusal(path, tmp_path / "out") == "inbox.link"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_a_link_or_a_device_in_a_tar_is_refused(tmp_path, kind):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("data/train.jsonl")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    assert refusal(path, tmp_path / "out") == "inbox.link"


def test_names_in_another_code_page_are_refused_and_macs_utf8_is_read(tmp_path):
    latin = tmp_path / "latin.zip"
    zipped(latin, ("m__ller.md", "x"))
    latin.write_bytes(latin.read_bytes().replace(b"m__ller", b"m\xfc\xfcller"))
    assert refusal(latin, tmp_path / "out") == "inbox.name_not_utf8"
    mac = tmp_path / "mac.zip"
    zipped(mac, ("m__ller.md", "x"))
    mac.write_bytes(mac.read_bytes().replace(b"m__ller", "müller".encode()))
    assert (unpack(mac, tmp_path / "mac") / "müller.md").read_text() == "x"


def test_a_name_in_another_code_page_in_a_tar_is_refused(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("müller.md"), io.BytesIO())
    assert refusal(path, tmp_path / "out") == "inbox.name_not_utf8"


def test_an_encrypted_file_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", ("x.md", "x"))
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.index(mark) + offset
        raw[at : at + 2] = struct.pack("<H", 1)
    path.write_bytes(bytes(raw))
    assert refusal(path, tmp_path / "out") == "inbox.encrypted"


@pytest.mark.parametrize("name", ["", "."])
def test_a_file_without_a_name_is_refused(tmp_path, name):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    assert refusal(path, tmp_path / "out") == "inbox.name_leads_out"


KINDS = {  # ending -> how it is written
    "zip": [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
    "tar": ["w"],
    "tar.gz": ["w:gz"],
    "tar.bz2": ["w:bz2"],
    "tar.xz": ["w:xz"],
}


def written(path, how):
    """An archive of one file of random bytes."""
    content = random.Random(3).randbytes(2000)
    if isinstance(how, int):
        with zipfile.ZipFile(path, "w", how) as archive:
            archive.writestr("x.jsonl", content)
    else:
        with tarfile.open(path, how) as archive:
            entry = tarfile.TarInfo("x.jsonl")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("ending", "how"), [(ending, how) for ending, ways in KINDS.items() for how in ways]
)
def test_changed_bytes_refuse_an_archive_and_never_end_in_a_traceback(tmp_path, ending, how):
    path, rng = tmp_path / f"a.{ending}", random.Random(5)
    whole = written(path, how)
    for number in range(150):
        raw = bytearray(whole)
        for _ in range(rng.choice((1, 3))):
            raw[rng.randrange(len(raw))] ^= rng.randrange(1, 256)
        path.write_bytes(raw)
        with contextlib.suppress(Explained):
            unpack(path, tmp_path / f"out{number}")


@pytest.mark.parametrize("size", [2, 2**70])
def test_headers_that_lead_nowhere_refuse_a_tar(tmp_path, size):
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, size
    header = entry.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(header * 2000)
    assert refusal(tmp_path / "a.tar", tmp_path / "out") == "inbox.archive_broken"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 40, b"\x1f\x8b"])
def test_what_is_no_archive_is_refused_with_a_message(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path, tmp_path / "out") == "inbox.archive_broken"


def test_an_archive_that_was_cut_off_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("x.jsonl")
        entry.size = 200_000
        archive.addfile(entry, io.BytesIO(bytes(range(256)) * 782))
    path = tmp_path / "a.tar.gz"
    path.write_bytes(path.read_bytes()[:300])
    assert refusal(path, tmp_path / "out") == "inbox.archive_broken"


def test_what_a_mac_adds_is_left_out(tmp_path):
    path = zipped(tmp_path / "a.zip", ("a.md", "x"), ("__MACOSX/._a.md", "x"), (".DS_Store", "x"))
    out = unpack(path, tmp_path / "out")
    assert [p.name for p in out.rglob("*")] == ["a.md"]
