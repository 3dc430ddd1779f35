"""Which program writes which report."""

from collections.abc import Callable, Mapping, Sequence

from course_utils.report_program import inspections, lots, orders
from course_utils.report_program.reading import Unreadable
from course_utils.schemas import REPORT_FORMS
from course_utils.scoring import input_of

PROGRAMS: dict[str, Callable[[str, str, bool], str]] = {
    "equipment_manual": inspections.write,
    "maintenance_log": orders.write,
    "quality_report": lots.write,
}


def write_reports(
    train: Sequence[Mapping[str, str]], test: Sequence[Mapping[str, str]]
) -> list[str]:
    """A report for each test record, from its instruction and its sheet; "" where it has no rule.

    `train` is not read: what there is to learn from it was learned by who wrote the program.
    """
    return [_written(record) for record in test]


def _written(record: Mapping[str, str]) -> str:
    program = PROGRAMS.get(record.get("document", ""))
    shown = record.get("form", "") == REPORT_FORMS[0]
    try:
        return program(record["instruction"], input_of(record), shown) if program else ""
    except (Unreadable, LookupError, ValueError, ArithmeticError):  # a sheet of another layout
        return ""
