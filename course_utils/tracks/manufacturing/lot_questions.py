"""Questions about production lots, with answers that were computed from the readings.

The sentences: data/wordings/manufacturing/lot_questions.yaml.
"""

import random
from dataclasses import dataclass, field

from course_utils.facts import Fact
from course_utils.tracks.manufacturing.lot_sheets import (
    Sheet,
    counts,
    defect_list,
    draft,
    header,
    lay_out,
    series,
    subgroups,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_questions")


@dataclass(frozen=True)
class Question:
    """A question (an entry of the wordings), what must be shown for it, and what answers it."""

    kind: str
    shown: str  # "counts" | "defects" | "process" | "ranges" | "series"
    facts: list[Fact]
    answers: str = "answers"  # which list of the entry
    values: dict[str, str] = field(default_factory=dict)  # beside those of the sheet


# kind -> what is shown, which value of the sheet is the answer, its unit (or the value naming it)
PLAIN = {
    "yield": ("counts", "yield_percent", "%"),
    "scrap": ("counts", "scrap_percent", "%"),
    "rework": ("counts", "rework_percent", "%"),
    "good": ("counts", "good", "parts"),
    "leader": ("defects", "defect", ""),
    "share": ("defects", "defect_share", "%"),
    "cpk": ("process", "cpk", ""),
    "sigma": ("ranges", "sigma", "unit"),
    "limit": ("ranges", "ucl", "unit"),
    "mean": ("series", "mean", "unit"),
    "cp": ("process", "cp", ""),
}
NAMED = {"cp": "Cp", "cpk": "Cpk"}  # facts that are not called "answer"
KINDS = (
    *("yield", "scrap", "rework", "good", "leader", "share", "cpk", "sigma", "signal", "limit"),
    *("mean", "spread", "offset", "cp"),
)


def draw_questions(sheet: Sheet, rng: random.Random) -> list[Question]:
    """Two questions of different kinds."""
    lot = sheet.lot
    empty = {"scrap": not lot.scrap, "rework": not lot.rework, "cp": sheet.fig.cp is None}
    kinds = [kind for kind in KINDS if not empty.get(kind)]
    rng.shuffle(kinds)
    return [question(sheet, kind) for kind in kinds[:2]]


def question(sheet: Sheet, kind: str) -> Question:
    """The question of this kind about a lot."""
    if kind in PLAIN:
        shown, value, unit = PLAIN[kind]
        fact = Fact(NAMED.get(kind, "answer"), sheet.values[value], sheet.values.get(unit, unit))
        extra = {"nearer_limit": _nearer_limit(sheet)} if kind == "cpk" else {}
        extra |= {"width": _width(sheet)} if kind == "cp" else {}
        return Question(kind, shown, [fact], values=extra)
    return {"signal": _signal, "spread": _spread, "offset": _offset}[kind](sheet)


def _nearer_limit(sheet: Sheet) -> str:
    lot, mean = sheet.lot, sheet.fig.mean
    limits = [limit for limit in (lot.lower, lot.upper) if limit is not None]
    return sheet.length(min(limits, key=lambda limit: abs(limit - mean)), 0)


def _width(sheet: Sheet) -> str:
    return sheet.length(sheet.lot.upper - sheet.lot.lower, 0)


def _signal(sheet: Sheet) -> Question:
    if not sheet.fig.signals:
        return Question("signal", "series", [Fact("signal", "no signal")], "answers_quiet")
    signal = sheet.fig.signals[0]
    where = subgroups(signal.subgroups)
    verb = "signals" if len(signal.subgroups) == 1 else "signal"
    facts = [Fact("signal", signal.rule), Fact("where", where)]
    values = {"rule": signal.rule, "where": where, "signals": verb}
    return Question("signal", "series", facts, values=values)


def _spread(sheet: Sheet) -> Question:
    ranges, largest = sheet.fig.ranges, sheet.values["largest_range"]
    where = subgroups([i for i, value in enumerate(ranges, 1) if value == max(ranges)])
    facts = [Fact("answer", largest, sheet.values["unit"]), Fact("where", where)]
    return Question("spread", "series", facts, values={"where": where})


def _offset(sheet: Sheet) -> Question:
    target = SAY.phrase("target", "limit" if sheet.lot.nominal is None else "nominal")
    fact = Fact("answer", sheet.values["distance"], sheet.values["unit"])
    answers = "answers_on_nominal" if sheet.offset == 0 else "answers"
    return Question("offset", "process", [fact], answers, {"target": target})


def question_draft(sheet: Sheet, asked: Question, rng: random.Random, group: str) -> Draft:
    """The question with the part of the sheet that answers it."""
    say, words = Realiser(rng, f"quality/qa/{asked.kind}"), SAY[asked.kind]
    values = {**sheet.values, **asked.values}
    text = say("asked", words["asked"], **values)
    lead = say("lead", SAY["lead"], **values)
    block = _shown(say, sheet, asked.shown)
    given = lay_out(say, header(say, sheet, few=asked.shown == "series"), [block])
    answer = capital(say("answer", words[asked.answers], **values))
    text = f"{lead} {text}".strip()
    return draft(say, "qa", group, asked.facts, instruction=text, input=given, output=answer)


def _shown(say: Realiser, sheet: Sheet, what: str) -> str:
    """The block of the sheet that answers a question."""
    if what == "counts":
        return counts(say, sheet)
    if what == "defects":
        return f"{say('defectlabel', SAY['defect_label'])}: {defect_list(say, sheet)}"
    if what == "series":
        return series(say, sheet)
    return say(what, SAY[what], **sheet.values)
