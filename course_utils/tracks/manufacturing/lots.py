"""Records of the kind `quality_report`: reports on lots, questions about them, inspectors' notes.

Everything is invented and drawn from a seed; every number in an answer was computed from the lot
(control_charts.py, lot_figures.py). Read some:
python -m course_utils.tracks.manufacturing.lots 7
"""

import random
import sys

from course_utils.tracks.manufacturing.inspectors_notes import note_draft
from course_utils.tracks.manufacturing.lot_given import given_draft
from course_utils.tracks.manufacturing.lot_questions import question_drafts
from course_utils.tracks.manufacturing.lot_sheets import draw_sheet
from course_utils.tracks.manufacturing.lot_working import working_draft
from course_utils.tracks.wording import Draft


def quality_drafts(seed: int, lots: int) -> list[Draft]:
    """Reports (1 or 2 a lot), questions (2 a lot) and notes (1 in two lots) of simulated lots."""
    drafts = []
    for number in range(1, lots + 1):
        # One generator a lot: the first 100 lots are the same however many are asked for.
        rng = random.Random(f"{seed} lot {number}")
        group = f"lot-{number:04d}"
        sheet = draw_sheet(rng)
        forms = [working_draft, given_draft]
        rng.shuffle(forms)
        drafts += [report(sheet, rng, group) for report in forms[: rng.choice((1, 2))]]
        drafts += question_drafts(sheet, rng, group)
        if number % 2:
            drafts.append(note_draft(rng, group))
    return drafts


if __name__ == "__main__":
    for shown in quality_drafts(int(sys.argv[1]) if len(sys.argv) > 1 else 0, 3):
        print(*(f"{name}: {text}" for name, text in shown.record.items()), sep="\n", end="\n\n")
