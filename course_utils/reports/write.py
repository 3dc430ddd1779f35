"""The week-5 report in the format that was asked for.

course report my_lab --format pdf
course report runs/r8 runs/r16 runs/r32 --format pptx
"""

from collections.abc import Sequence
from pathlib import Path

from course_utils import ownership
from course_utils.errors import CourseError
from course_utils.reports.content import collect, run_folder
from course_utils.reports.pages import write_html, write_markdown
from course_utils.reports.pdf import write_pdf
from course_utils.reports.pptx import write_pptx

WRITERS = {"pdf": write_pdf, "pptx": write_pptx, "html": write_html, "md": write_markdown}
FORMATS = tuple(WRITERS)
EDITED = ("pptx", "md")  # the student writes into these: an old file is not replaced unasked


def write_report(
    runs: Sequence[Path],
    form: str = "pdf",
    out: Path | None = None,
    group: str = "",
    overwrite: bool = False,
) -> Path:
    """Write the report of the runs; returns its path, by default report.FORM in the first run.

    Beside the report.html that `course run` wrote, an HTML report is called lab_report.html.

    Raises CourseError for a run that can't be read, an unknown format, a missing library, and,
    without `overwrite`, for a .pptx or .md that is there already (it may hold what a student
    wrote) and for a .pdf or .html that this kit did not make.
    """
    if form not in FORMATS:
        raise CourseError(f"there is no format {form!r}", f"choose one of: {', '.join(FORMATS)}")
    folders = [run_folder(run) for run in runs]
    out = Path(out) if out else folders[0] / default_name(folders[0], form) if folders else Path()
    if out.is_dir() and folders:
        raise CourseError(f"{out}: this is a folder", f"name a file: {out / f'report.{form}'}")
    if out.exists() and form in EDITED and not overwrite:
        raise CourseError(
            f"{out}: is there already, and you may have written into it",
            "add --overwrite to replace it, or --out for another file",
        )
    if not overwrite:
        ownership.check_file(out, "add --overwrite to replace it, or --out for another file")
    return WRITERS[form](collect(folders, group), out)


def default_name(folder: Path, form: str) -> str:
    """report.FORM, unless `course run` keeps its own report under that name in the folder."""
    ours = form == "html" and (folder / "settings.json").is_file()
    return "lab_report.html" if ours else f"report.{form}"
