"""Inspection reports: readings are drawn and held against the limits of the knowledge base.

Two variants. "working shown": the sheet gives single readings, the report computes line by line.
"figures given": mean and deviation stand in a table with many other figures, the report chooses
them and concludes. What is done with the machine follows from the rule that the sheet prints.
The sentences: data/wordings/manufacturing/inspections.yaml.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from course_utils.facts import Fact
from course_utils.schemas import REPORT_FORMS
from course_utils.tracks.knowledge import FailureMode, Quantity, Remedy, Symptom
from course_utils.tracks.manufacturing.equipment_text import (
    MANUAL,
    article,
    draft,
    inside,
    limit_fact,
    limit_text,
    name_fact,
    rivals,
    verb,
)
from course_utils.tracks.manufacturing.manual_pages import Page
from course_utils.tracks.manufacturing.readings import COUNTED, VERDICTS, Reading, draw_reading
from course_utils.tracks.wording import Draft, Realiser, capital, listing
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/inspections")
WORKING, GIVEN = REPORT_FORMS
STOP, REPAIR, KEEP = DISPOSITIONS = ("out of service", "repair at the next stop", "keep in service")
EACH = 3  # reports of each variant for a failure mode
WITHIN_SHARE = 0.45  # of the readings
REMEDY_SHARE, PLACE_SHARE = 0.7, 0.5  # of the reports that are asked for them too
OPERATING_DATA = 6  # figures of a figures-given sheet that have nothing to do with the limit


@dataclass(frozen=True)
class Inspection:
    """What was found on one machine: a complaint, a reading, a cause with its remedy."""

    page: Page
    mode: FailureMode
    asset: str
    sign: Symptom
    remedy: Remedy
    reading: Reading

    @property
    def critical(self) -> bool:
        """Class A: a fault that can demand a stop may not run beyond a limit either."""
        return any(sign.stop for sign in self.mode.reported)

    @property
    def disposition(self) -> str:
        """The rule of the sheet: the complaint outranks the reading, then the reading decides."""
        if self.sign.stop:
            return STOP
        if self.reading.within:
            return KEEP
        return STOP if self.critical else REPAIR

    @property
    def repair(self) -> str:
        """What the damaged part needs beside the remedy; nothing while the machine runs on."""
        return "" if self.disposition == KEEP else self.remedy.repair


def inspection_reports(page: Page, mode: FailureMode, rng: random.Random) -> Iterator[Draft]:
    """Reports of both variants on one failure mode."""
    usable = [check for check in mode.checks if check.unit and check.limit != "equal to"]
    averaged = [check for check in usable if check.unit not in COUNTED]
    for number in range(EACH):
        for build, checks, fewest in ((_working_report, usable, 1), (_given_report, averaged, 2)):
            if not checks:
                continue
            check = checks[number % len(checks)]
            found = _inspect(page, mode, check, rng, rng.randint(fewest, 4))
            if found:
                yield build(found, rng)


def _inspect(
    page: Page, mode: FailureMode, check: Quantity, rng: random.Random, count: int
) -> Inspection | None:
    reading = draw_reading(check, rng.random() < WITHIN_SHARE, rng, count)
    letters = "".join(word[0] for word in page.equipment.name.split()).upper()
    asset = f"{letters}-{rng.randint(101, 989)}"
    sign, remedy = rng.choice(mode.reported), rng.choice(mode.remedies)
    return Inspection(page, mode, asset, sign, remedy, reading) if reading else None


# --- Sheets -------------------------------------------------------------------------------------


def _names(found: Inspection) -> dict[str, str]:
    """What sheets and reports say of the machine, the complaint and the cause."""
    machine, mode, check = found.page.equipment, found.mode, found.reading.quantity
    return {
        "machine": machine.name,
        "a_machine": article(machine.name),
        "asset": found.asset,
        "symptom": found.sign.text,
        "component": mode.component,
        "origin": found.remedy.origin,
        "was": verb(machine, mode.component, "was", "were"),
        "fault": mode.name,
        "cause": found.remedy.cause,
        "action": inside(found.remedy.action),
        "repair": inside(found.remedy.repair),
        "safety": inside(found.remedy.safety),
        "check": check.name,
        "limit": limit_text(check),
        "fault_class": "A" if found.critical else "B",
        "stop_signs": "; ".join(found.page.stop_signs) or "none",
        "disposition": found.disposition,
    }


def _sheet(say: Realiser, found: Inspection, figures: Sequence[str]) -> str:
    """The sheet: machine and complaint, figures, what the manual says, the rule."""
    names = _names(found)
    head = say("head", SAY["sheet_head"], **names)
    place = SAY.phrase("sheet_place", "origin" if found.remedy.origin else "plain", **names)
    cause = say("cause", SAY["sheet_cause"], **names)
    remedies = [
        SAY.phrase("sheet_remedy", "repair" if one.repair else "plain", **one.model_dump())
        for one in say.rng.sample(list(found.mode.remedies), len(found.mode.remedies))
    ]
    manual = [say("remedies", SAY["sheet_remedies"]), *remedies]
    stops = say("stops", SAY["sheet_stop_signs"], **names)
    rule = say("rule", SAY["rule"], stop=STOP, repair=REPAIR, keep=KEEP)
    return "\n".join([head, place, *figures, cause, *manual, stops, rule])


def _raw_figures(say: Realiser, found: Inspection) -> list[str]:
    """The single readings, the limit, and how a deviation is taken."""
    reading = found.reading
    values = ", ".join(str(value) for value in reading.values)
    several = "several" if len(reading.values) > 1 else "one"
    unit = reading.quantity.unit
    line = say("readings", SAY["readings"][several], values=values, unit=unit, **_names(found))
    sides = "two_sided" if reading.quantity.limit == "between" else "one_sided"
    return [line, SAY.phrase("how_to_compute", sides)]


def _table(say: Realiser, found: Inspection) -> list[str]:
    """All readings of the page's checks with figures that code has computed, and operating data."""
    rng, rows = say.rng, [found.reading]
    for check in [check for mode in found.page.modes for check in mode.checks]:
        if check.name not in [row.quantity.name for row in rows]:
            # A good reading must not clear a machine of which another reading is bad.
            within = found.reading.within or rng.random() < WITHIN_SHARE
            further = draw_reading(check, within, rng, 3)
            rows += [further] if further else []
    rng.shuffle(rows)
    lines = [SAY.phrase("table_row", **_row(row)) for row in rows]
    data = [
        f"{name} {rng.randrange(low, high)}{f' {unit}' if unit else ''}"
        for name, low, high, unit in rng.sample(_operating_data(), OPERATING_DATA)
    ]
    head = SAY.phrase("table_head")
    return [say("operating", SAY["operating_line"], data="; ".join(data)), head, *lines]


def _operating_data() -> list[tuple[str, int, int, str]]:
    """Name, lowest and highest figure, and unit of what an inspector notes beside the readings."""
    kinds = [[part.strip() for part in kind.split("|")] for kind in SAY["operating_data"]]
    return [(name, int(low), int(high), unit) for name, low, high, unit in kinds]


def _row(reading: Reading) -> dict[str, str]:
    return {
        "check": reading.quantity.name,
        "low": str(min(reading.values)),
        "high": str(max(reading.values)),
        "mean": reading.text(reading.mean),
        "limit": limit_text(reading.quantity),
        "signed": reading.signed,
    }


# --- Reports ------------------------------------------------------------------------------------


def _asked(say: Realiser, names: Sequence[str], wanted: Mapping[str, str]) -> str:
    """What the instruction asks for, in words."""
    return listing([say(f"asked-{name}", SAY["asked"][name], **wanted) for name in names])


def _further(rng: random.Random) -> list[str]:
    """What is asked beside reading, deviation, verdict and disposition."""
    place = ["place"] if rng.random() < PLACE_SHARE else []
    return place + (["remedy"] if rng.random() < REMEDY_SHARE else [])


def _conclusions(found: Inspection, asked: Sequence[str]) -> list[Fact]:
    reading, mode = found.reading, found.mode
    facts = [
        name_fact(reading.side, reading.sides, "side"),
        name_fact(reading.verdict, VERDICTS, "verdict"),
        name_fact(found.disposition, DISPOSITIONS, "disposition"),
    ]
    if "place" in asked:
        facts.append(Fact("component", mode.component))
        facts += [Fact("origin", found.remedy.origin)] if found.remedy.origin else []
    if "remedy" in asked:
        facts += _remedy_facts(found)
    return facts


def _remedy_facts(found: Inspection) -> list[Fact]:
    """Action, repair and safety step; the rivals are what the other causes would ask for."""
    parts = {
        "action": found.remedy.action,
        "repair": found.repair,
        "safety": found.remedy.safety,
    }
    told = " / ".join(parts.values())
    known = {name: [getattr(one, name) for one in found.mode.remedies] for name in parts}
    return [
        Fact(name, part, others=rivals(told, filter(None, known[name])))
        for name, part in parts.items()
        if part
    ]


def _working_report(found: Inspection, rng: random.Random) -> Draft:
    """The sheet gives single readings; the report computes on a line of its own each."""
    say, reading = Realiser(rng, "report/inspection-working"), found.reading
    further = _further(rng)
    several = ["mean"] if len(reading.values) > 1 else []
    asked = [*several, "deviation", "verdict", "disposition", *further]
    request = say(
        "ask", SAY["request"][WORKING], list=_asked(say, asked, _names(found)), **_names(found)
    )
    sheet = _sheet(say, found, _raw_figures(say, found))
    facts = [Fact("mean", str(reading.mean), reading.quantity.unit)] if several else []
    facts.append(Fact("deviation", str(reading.deviation), reading.deviation_unit))
    facts += _conclusions(found, further)
    report = "\n".join(_working_lines(found, further))
    return draft(
        say, "report", MANUAL, found.page.group, request, sheet, report, found.page.equipment,
        facts, WORKING,
    )  # fmt: skip


def _working_lines(found: Inspection, further: Sequence[str]) -> Iterator[str]:
    reading, names = found.reading, _names(found)
    if len(reading.values) > 1:
        total = sum(reading.values, Decimal(0))
        yield SAY.phrase(
            "work_mean",
            sum=" + ".join(map(str, reading.values)),
            total=total,
            number=len(reading.values),
            mean=reading.text(reading.mean),
        )
    high, low = max(reading.mean, reading.end), min(reading.mean, reading.end)
    yield SAY.phrase(
        "work_deviation",
        high=high,
        low=low,
        deviation=reading.deviation_text,
        side=reading.side,
    )
    yield SAY.phrase("work_verdict", verdict=reading.verdict, limit=names["limit"])
    yield SAY.phrase("work_disposition", _reason(found), **names)
    for name in further:
        yield SAY.phrase(f"work_{name}", _case(found, name), **names)


def _reason(found: Inspection) -> str:
    """Which line of the rule decides."""
    if found.sign.stop:
        return "stop"
    if found.reading.within:
        return "within"
    return "critical" if found.critical else "other"


def _case(found: Inspection, name: str) -> str:
    if name == "place":
        return "origin" if found.remedy.origin else "plain"
    if found.disposition == KEEP:
        return "later"
    return "repair" if found.repair else "now"


def _given_report(found: Inspection, rng: random.Random) -> Draft:
    """Code has computed the figures; the report chooses, words and concludes."""
    say, reading = Realiser(rng, "report/inspection-given"), found.reading
    further = _further(rng)
    asked = ["reading", "deviation", "verdict", "disposition", *further]
    request = say(
        "ask", SAY["request"][GIVEN], list=_asked(say, asked, _names(found)), **_names(found)
    )
    sheet = _sheet(say, found, _table(say, found))
    facts = [
        Fact("reading", str(reading.mean), reading.quantity.unit),
        limit_fact(reading.quantity, "limit"),
        Fact("deviation", str(reading.deviation), reading.deviation_unit),
    ]
    report = _prose(say, found, further)
    return draft(
        say, "report", MANUAL, found.page.group, request, sheet, report, found.page.equipment,
        facts + _conclusions(found, further), GIVEN,
    )  # fmt: skip


def _prose(say: Realiser, found: Inspection, further: Sequence[str]) -> str:
    reading, names = found.reading, _names(found)
    names |= {
        "value": reading.text(reading.mean),
        "deviation": reading.deviation_text,
        "side": reading.side,
        "verdict": reading.verdict,
        "Check": capital(names["check"]),
        "Disposition": capital(found.disposition),
    }
    told = [say("open", SAY["opening"], **names)]
    if "place" in further:
        told.append(say("place", SAY["place"][_case(found, "place")], **names))
    told.append(say("finding", SAY["finding"], **names))
    told.append(say("disposition", SAY["disposition"][_reason(found)], **names))
    if "remedy" in further:
        told.append(say("remedy", SAY["remedy"][_case(found, "remedy")], **names))
    return " ".join(told)
