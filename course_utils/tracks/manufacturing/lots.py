"""Records of the kind `quality_report`: reports on lots, questions about them, inspectors' notes.

Everything is invented and drawn from a seed; every number in an answer was computed from the lot
(control_charts.py). Read some:  python -m course_utils.tracks.manufacturing.lots 7
"""

import random
import sys

from course_utils.tracks.manufacturing.inspectors_notes import note_draft
from course_utils.tracks.manufacturing.lot_questions import draw_questions, question_draft
from course_utils.tracks.manufacturing.lot_reports import report_draft
from course_utils.tracks.manufacturing.lot_sheets import draw_sheet
from course_utils.tracks.wording import Draft


def quality_drafts(seed: int, lots: int) -> list[Draft]:
    """Reports (1 or 2 a lot), questions (2 a lot) and notes (1 in two lots) of simulated lots."""
    drafts = []
    for number in range(1, lots + 1):
        # One generator a lot: the first 100 lots are the same however many are asked for.
        rng = random.Random(f"{seed} lot {number}")
        group = f"lot-{number:04d}"
        sheet = draw_sheet(rng)
        kinds = ["summary", "subgroups"]
        rng.shuffle(kinds)
        for kind in kinds[: rng.choice((1, 2))]:
            drafts.append(report_draft(sheet, kind, rng, group))
        for question in draw_questions(sheet, rng):
            drafts.append(question_draft(sheet, question, rng, group))
        if number % 2:
            drafts.append(note_draft(rng, group))
    return drafts


if __name__ == "__main__":
    for shown in quality_drafts(int(sys.argv[1]) if len(sys.argv) > 1 else 0, 3):
        print(*(f"{name}: {text}" for name, text in shown.record.items()), sep="\n", end="\n\n")
