"""Inspection reports: a reading against its limit, the rule of the sheet, the remedy."""

import re
from decimal import Decimal

from course_utils.report_program.reading import (
    NUMBER,
    Unreadable,
    decimals,
    find,
    numbers,
    rounded,
)

LIMIT = (
    rf"(?P<limit>(?P<kind>at most|at least|between) (?P<low>{NUMBER})(?: and (?P<high>{NUMBER}))?)"
)


def write(instruction: str, sheet: str, shown: bool) -> str:
    """The report, its working shown or the given figures put into sentences."""
    asked = instruction.casefold()
    said, outside = (_computed if shown else _given)(asked, sheet)
    stopped = any(sign in sheet.split("Component:")[0] for sign in _stop_signs(sheet))
    said.append(_disposition(sheet, outside, stopped))
    if re.search(r"component|part with the fault|where the fault sits|part concerned", asked):
        said.append(_place(sheet))
    if re.search(r"remed|action", asked):
        said += _remedy(sheet, due=outside or stopped)
    return "\n".join(said)


def _stop_signs(sheet: str) -> list[str]:
    found = find(r"^(?:Stop|Signs that demand)[^:\n]*: (.+)$", sheet)[1]
    return [] if found == "none" else found.split("; ")


def _computed(asked: str, sheet: str) -> tuple[list[str], bool]:
    """Mean and deviation, worked out; whether the reading is outside its limit."""
    line = next((line for line in sheet.split("\n") if re.search(LIMIT, line)), "")
    limit = find(LIMIT + r" ?(?P<unit>.*?)(?:, for the mean)?$", line)
    unit = limit["unit"]
    if unit.count(")") > unit.count("("):  # the limit stands in brackets
        unit = unit.removesuffix(")").removesuffix(", for the mean")
    before = line[: limit.start()]
    texts = re.findall(rf"(?::|,) ?({NUMBER})(?=[ ,;.]|$)", before)
    readings = [Decimal(text) for text in texts]
    if not readings:
        raise Unreadable(line)
    said, mean = [], readings[0]
    if len(readings) > 1:
        total = sum(readings)
        mean = rounded(total / len(readings), max(map(decimals, readings)))
        terms = " + ".join(map(str, readings))
        if "mean" in asked:
            count = len(readings)
            said.append(f"Mean = ({terms}) / {count} = {total} / {count} = {mean} {unit}")
    end, over, outside = _against(limit, mean)
    large, small = max(mean, end), min(mean, end)
    apart = "percentage points" if unit == "%" else unit
    said.append(
        f"Deviation = {large} - {small} = {large - small} {apart} {_side(limit, end, over)}"
    )
    verdict = "outside" if outside else "within"
    said.append(f"Reading: {verdict} the limit ({limit['limit']} {unit})")
    return said, outside


def _against(limit: re.Match, value: Decimal) -> tuple[Decimal, bool, bool]:
    """The nearer end of the limit, whether the value is over it, whether it is outside."""
    low = Decimal(limit["low"])
    ends = [low, Decimal(limit["high"])] if limit["high"] else [low]
    end = min(ends, key=lambda end: abs(value - end))
    outside = {
        "at most": value > ends[0],
        "at least": value < ends[0],
        "between": value < ends[0] or value > ends[-1],
    }[limit["kind"]]
    return end, value > end, outside


def _side(limit: re.Match, end: Decimal, over: bool) -> str:
    """ "under the limit", or of a range "over the upper end"."""
    side = "over" if over else "under"
    if not limit["high"]:
        return f"{side} the limit"
    return f"{side} the {'lower' if end == Decimal(limit['low']) else 'upper'} end"


def _given(asked: str, sheet: str) -> tuple[list[str], bool]:
    """The row that the instruction is about, in sentences; whether its mean is outside."""
    rows = [line.split(" | ") for line in sheet.split("\n") if line.count(" | ") == 5]
    named = [row for row in rows if row[0].casefold() in asked]
    if not named:
        raise Unreadable("no row of the table is named")
    name, _, _, mean, told, less = max(named, key=lambda row: len(row[0]))
    limit = find(LIMIT, told)
    value = numbers(mean)[0]
    end, over, outside = _against(limit, value)
    side, verdict = _side(limit, end, over), "outside" if outside else "within"
    said = (
        f"{name}: mean {mean}, limit {told}; the mean lies {less.lstrip('+-')} {side} "
        f"and is {verdict} the limit."
    )
    return [said], outside


def _disposition(sheet: str, outside: bool, stopped: bool) -> str:
    fault = find(r"class\W+([AB])\b", sheet.split("Component:")[0])[1]
    if stopped:
        return "Disposition: out of service, because the complaint is a stop sign."
    if outside:
        fate = "out of service" if fault == "A" else "repair at the next stop"
        return f"Disposition: {fate}, because a class {fault} fault reads outside the limit."
    return "Disposition: keep in service."


def _place(sheet: str) -> str:
    place = find(r"^Component: ([^;\n]+)(?:; suspected cause mended at: (.+))?$", sheet)
    return f"Place: {place[1]}" + (f"; suspected cause mended at: {place[2]}" if place[2] else "")


def _remedy(sheet: str, due: bool) -> list[str]:
    remedies = re.findall(
        r"^- (.+?) -> (.+?)(?: \([^()]*: also (.+)\))? \[first: (.+)\]$", sheet, re.M
    )
    causes = [line.split(": ", 1)[1] for line in sheet.split("\n") if _names_cause(line)]
    for cause, action, repair, safety in remedies:
        if cause in causes:
            extra = f"; for the damage, {repair}" if due and repair else ""
            return [f"Remedy: first {safety}; then {action}{extra}"]
    raise Unreadable("no remedy fits the suspected cause")


def _names_cause(line: str) -> bool:
    head = line.split(": ", 1)[0].casefold() if ": " in line else ""
    return "cause" in head and "->" not in line and not head.startswith(("component", "manual"))
