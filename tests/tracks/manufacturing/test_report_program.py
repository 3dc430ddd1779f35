"""The report program on records of the builders, made with a seed that nobody trained on."""

import random

from course_utils import scoring
from course_utils.report_program.writing import write_reports
from course_utils.schemas import REPORT_FORMS
from course_utils.tracks.manufacturing import lots, manuals, order_records


def share_right(drafts, count):
    reports = [draft.record for draft in drafts if draft.record["task"] == "report"]
    drawn = random.Random(3).sample(reports, count)
    assert {record["form"] for record in drawn} == set(REPORT_FORMS)
    texts = write_reports([], drawn)
    counts = [
        scoring.report_counts(text, record) for text, record in zip(texts, drawn, strict=True)
    ]
    scores = [one.f1 for one in counts if one]
    assert len(scores) > 0.9 * count
    return sum(scores) / len(scores)


def test_reports_of_lots_are_right_each_time():
    assert share_right(lots.quality_drafts(11, 80), 60) > 0.98


def test_reports_of_inspections_are_right_each_time():
    assert share_right(manuals.manual_drafts(11), 60) > 0.98


def test_reports_of_work_orders_are_right_each_time(prepared):
    orders = order_records.read_orders(order_records.load_work_orders())
    assert share_right(order_records.report_drafts(orders, 11), 60) > 0.98
