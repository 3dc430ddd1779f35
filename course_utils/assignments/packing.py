"""Packing a submission: the structure's files as one .zip, the same bytes for the same files."""

import stat
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from course_utils import ownership
from course_utils.assignments.checklist import Checklist
from course_utils.assignments.findings import SubmissionReport
from course_utils.assignments.folder import (
    LEFT_OUT,
    Folder,
    kind_problem,
    listed,
    scan,
    size_text,
)
from course_utils.assignments.public import told, without_orders
from course_utils.assignments.scrubbing import Scrubber
from course_utils.errors import CourseError
from course_utils.files import atomic_path


def archive_path(root: Path, target: str | Path | None, overwrite: bool) -> Path:
    """Where the archive goes: FOLDER.zip beside the folder by default.

    Raises CourseError for another ending, and for a file that exists (with `overwrite`: only for
    one that `pack` did not make).
    """
    target = Path(target).expanduser() if target else root.with_name(f"{root.name}.zip")
    if target.is_dir() or target.suffix.lower() != ".zip":
        raise CourseError(f"{target}: not the name of a .zip file", "for example submission.zip")
    if target.exists() and not overwrite:
        raise CourseError(f"{target}: exists already", "choose another name, or overwrite it")
    if overwrite:  # an archive of an earlier time, and nothing else
        ownership.check_file(target, "choose another name, or remove it yourself")
    return target


def pack(
    report: SubmissionReport, checklist: Checklist, target: Path, force: bool, public: bool = False
) -> Path:
    """Write the structure's files as one .zip, the same bytes for the same files; print sizes.

    `public`: without the files that quote work orders, which left_out.json then names.

    Raises CourseError when the report is not ok (unless `force`). Links, pickle files, base
    weights and files above their limit are left out even with `force`.
    """
    root = report.folder
    if not report.ok and not force:
        bad = report.of_state("missing", "wrong")
        named = "; ".join(f"{finding.path}: {finding.message}" for finding in bad[:3])
        more = f"; and {len(bad) - 3} more" if bad[3:] else ""
        cure = f"course submit check {root} shows all of it and how to mend it"
        raise CourseError(f"not packed, the submission is not complete: {named}{more}", cure)
    found = scan(root)
    names = sorted(
        name
        for name in found.files
        if checklist.belongs(name) and not kind_problem(name) and not found.size_problem(name)
    )
    names = [name for name in names if name != LEFT_OUT]  # of another archive
    names, note = without_orders(found, names, checklist) if public else (names, b"")
    left = sorted({*found.files, *found.links, *found.strange} - set(names)) + found.aside
    scrubber = Scrubber(root)
    with atomic_path(target) as temporary:
        _write_archive(temporary, found, names, scrubber, note)
    lines = [told(note) if public else "", scrubber.told()]
    print("\n".join(filter(None, [*lines, *_packing_lines(target, found, names, left)])))
    return target


def _write_archive(
    target: Path, found: Folder, names: Sequence[str], scrubber: Scrubber, note: bytes
) -> None:
    """Sorted names, one date, one mode, no paths of this machine: equal files give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.comment = ownership.MAKER.encode()
        for name in sorted([*names, LEFT_OUT] if note else names):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            content = note if name == LEFT_OUT else scrubber.clean(name, found.bytes_of(name))
            archive.writestr(entry, content)


def _packing_lines(
    target: Path, found: Folder, names: Sequence[str], left: Sequence[str]
) -> list[str]:
    sizes: Counter[str] = Counter()
    for name in names:
        top = name.partition("/")[0]
        sizes[f"{top}/" if "/" in name else top] += found.files[name]
    lines = [f"{size_text(size):>12}  {name}" for name, size in sizes.items()]
    lines.append(f"left out: {listed(left, 8)}" if left else "left out: nothing")
    return [*lines, f"{size_text(target.stat().st_size):>12}  {target.name}, {len(names)} files"]
