"""An independent reader of the records on equipment: it recomputes each answer from the texts.

It parses instruction and input as a person would read them, calls no builder and knows no
knowledge base; what it finds must agree with facts and output, in every record of a build.
"""

import json
import re
from decimal import Decimal

import pytest

from course_utils.tracks.manufacturing import manuals

NUMBER = r"-?\d+(?:\.\d+)?"
LIMIT = re.compile(rf"(at most|at least) ({NUMBER})|(between) ({NUMBER}) and ({NUMBER})")
RULE_WORDS = ("out of service", "repair at the next stop", "keep in service")


@pytest.fixture(scope="module")
def records():
    return [draft.record for draft in manuals.manual_drafts(42)]


def of(records, task, form, document=None):
    found = [r for r in records if r["task"] == task and r.get("form") == form]
    found = [r for r in found if document in (None, r["document"])]
    assert len(found) > 100
    return found


def facts_of(record):
    """name -> right value, as it is written."""
    parts = [part.partition("=") for part in record["facts"].split("; ")]
    return {name: value.split(" | ")[0] for name, _, value in parts}


class Limit:
    def __init__(self, text):
        kind, value, between, low, high = LIMIT.search(text).groups()
        self.low = Decimal(low if between else value) if kind != "at most" else None
        self.high = Decimal(high if between else value) if kind != "at least" else None

    def holds(self, value):
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def nearest(self, value):
        """(the nearer end, what it is called)"""
        if self.low is None or self.high is None:
            return (self.low if self.high is None else self.high), "limit"
        low, high = abs(value - self.low), abs(value - self.high)
        assert low != high
        return (self.low, "lower end") if low < high else (self.high, "upper end")


def verdicts(limit, mean):
    end, name = limit.nearest(mean)
    side = f"{'over' if mean > end else 'under'} the {name}"
    return abs(mean - end), side, f"{'within' if limit.holds(mean) else 'outside'} the limit"


# --- Inspection reports -------------------------------------------------------------------------


def complaint(sheet):
    return re.search(
        r"(?:Complaint: |Reported: |complaint,|The crew noticed: )(.+?)"
        r"(?=\n|\. Fault suspected|\. Entry of the manual)",
        sheet,
    )[1]


def disposition(sheet, verdict):
    """By the rule that the last line prints: a stop sign first, then the reading and the class."""
    rule = sheet.splitlines()[-1]
    assert all(word in rule for word in RULE_WORDS)
    listed = re.search(r"^(?:Stop signs|Signs that demand a stop|Stop list of the manual): (.+)$",
                       sheet, re.M)[1]  # fmt: skip
    if complaint(sheet) in listed.split("; "):
        return "out of service"
    if verdict == "within the limit":
        return "keep in service"
    critical = re.search(r"\b(?:class[ ,]|class )([AB])\b", sheet)[1] == "A"
    return "out of service" if critical else "repair at the next stop"


def remedy(sheet):
    """(action, repair, safety step) of the manual for the cause that the inspector suspects."""
    found = re.search(
        r"^(?:Suspected cause|Cause in view|The inspector points to this cause): (.+)$", sheet, re.M
    )
    cause = re.escape(found[1])
    rows = re.findall(
        rf"^- {cause} -> (.+?)(?: \(stop sign or broken limit: also (.+)\))? \[first: (.+)\]$",
        sheet, re.M,
    )  # fmt: skip
    assert len(rows) == 1, sheet
    return rows[0]


def conclusions(record, limit, mean):
    sheet, facts = record["input"], facts_of(record)
    deviation, side, verdict = verdicts(limit, mean)
    expected = {"side": side, "verdict": verdict, "disposition": disposition(sheet, verdict)}
    if "action" in facts:
        expected["action"], repair, expected["safety"] = remedy(sheet)
        if repair and expected["disposition"] != "keep in service":
            expected["repair"] = repair
    if "component" in facts:
        place = re.search(r"^Component: (.+?)(?:; suspected cause mended at: (.+))?$", sheet, re.M)
        expected["component"] = place[1]
        expected |= {"origin": place[2]} if place[2] else {}
    number, unit = facts["deviation"].split(maxsplit=1)
    assert Decimal(number) == deviation
    share = (facts.get("reading") or facts.get("mean") or unit).endswith("%")
    assert unit != "%"
    assert not share or re.fullmatch("percentage points?", unit), record
    assert facts["deviation"] in record["output"]
    for value in expected.values():
        assert value.casefold() in record["output"].casefold(), record
    rivals = {"side", "verdict", "disposition"}
    others = [one for part in record["facts"].split("; ") if part.split("=")[0] in rivals
              for one in part.split(" | ")[1:]]  # fmt: skip
    assert not any(one in record["output"] for one in others), record
    return expected


def raw_readings(sheet):
    line = next(line for line in sheet.splitlines() if LIMIT.search(line))
    values = re.search(rf": ({NUMBER}(?:, {NUMBER})*)", line)[1]
    return [Decimal(value) for value in values.split(", ")], Limit(line)


def test_reports_with_working_follow_from_their_readings(records):
    for record in of(records, "report", "working shown"):
        values, limit = raw_readings(record["input"])
        mean, facts = sum(values) / len(values), facts_of(record)
        expected = conclusions(record, limit, mean)
        if len(values) > 1:
            assert Decimal(facts["mean"].split()[0]) == mean
        rest = {name: facts[name] for name in facts if name not in ("mean", "deviation")}
        assert rest == expected, record


def test_every_calculation_that_a_report_writes_out_is_right(records):
    lines = 0
    for record in of(records, "report", "working shown"):
        for line in record["output"].splitlines():
            if re.match(r"(Mean|Deviation) = ", line):
                parts = line.split(" = ")[1:]
                values = [re.match(rf"[\d(][\d.+\-/ ()]*|{NUMBER}", part)[0] for part in parts]
                totals = {round(eval(value), 9) for value in values}
                assert len(totals) == 1, line
                lines += 1
    assert lines > 500


def table(sheet):
    rows = [line.split(" | ") for line in sheet.splitlines() if line.count(" | ") == 5][1:]
    return {row[0]: row[1:] for row in rows}


def test_reports_on_given_figures_choose_the_right_row_and_conclude_from_it(records):
    for record in of(records, "report", "figures given"):
        rows, facts = table(record["input"]), facts_of(record)
        named = max((name for name in rows if name in record["instruction"]), key=len)
        low, high, mean, limit, signed = rows[named]
        assert (facts["reading"], facts["limit"]) == (mean, limit)
        number = Decimal(mean.split()[0])
        expected = conclusions(record, Limit(limit), number)
        own = ("reading", "limit", "deviation")
        assert {name: facts[name] for name in facts if name not in own} == expected
        assert signed[1:] == facts["deviation"]


def test_every_row_of_a_table_of_given_figures_is_right(records):
    for record in of(records, "report", "figures given"):
        for low, high, mean, limit, signed in table(record["input"]).values():
            number = Decimal(mean.split()[0])
            end, _ = Limit(limit).nearest(number)
            assert Decimal(signed.split()[0]) == number - end
            assert Decimal(low) <= number <= Decimal(high)


def test_no_report_keeps_a_machine_in_service_that_has_a_reading_outside_its_limit(records):
    for record in of(records, "report", "figures given"):
        if facts_of(record)["disposition"] == "keep in service":
            for _, _, mean, limit, _ in table(record["input"]).values():
                assert Limit(limit).holds(Decimal(mean.split()[0])), record


# --- Questions on a page of a manual ------------------------------------------------------------


def entries(page):
    """[(fault, the text of its entry)]"""
    found = re.split(r"^(?:Fault: (.+)$|Entry: (.+?)\. )", page, flags=re.M)
    return [
        (a or b, text) for a, b, text in zip(found[1::3], found[2::3], found[3::3], strict=True)
    ]


def named(names, instruction):
    """The longest of the names that the instruction holds."""
    return max((name for name in names if name in instruction), key=len)


def test_limits_are_read_off_the_page(records):
    for record in of(records, "qa", "number and unit only", "equipment_manual"):
        name = re.escape(subject(record["instruction"], record["input"]))
        told = set(re.findall(rf"(?<![\w-]){name}: (.+?)\.?(?=;| / |\n|\. |$)", record["input"]))
        assert told == {record["output"]} == {facts_of(record)["answer"]}, record


def subject(instruction, page):
    """The quantity that is asked for: what stands before a limit, as far as the question has it."""
    names = set()
    for match in re.finditer(r": (?=(?:at most |at least |between )?-?\d)", page):
        words = page[: match.start()].splitlines()[-1].split(" ")
        names |= {" ".join(words[start:]) for start in range(len(words))}
    return named(names, instruction)


BROKEN = re.compile(r"break|violate|out of limit|broken|breach")


def test_yes_or_no_on_a_reading_follows_from_the_limit(records):
    asked = of(records, "qa", "yes or no, then the reason", "equipment_manual")
    readings = [record for record in asked if "limit" in facts_of(record)]
    assert len(readings) > 100
    for record in readings:
        question = record["instruction"]
        facts = facts_of(record)
        name = subject(question, record["input"])
        limit = re.search(
            rf"(?<![\w-]){re.escape(name)}: (.+?)\.?(?=;| / |\n|\. |$)", record["input"]
        )
        assert limit[1] == facts["limit"], record
        value = Decimal(re.search(rf"({NUMBER})", question.replace(name, ""))[1])
        wants = not BROKEN.search(question)
        answer = "yes" if Limit(limit[1]).holds(value) == wants else "no"
        assert facts["answer"] == answer, record
        assert record["output"].lower().startswith(answer)
        assert limit[1] in record["output"]


STOP_LABELS = r"(?:Stop signs, do not run on|Stop the machine at once on|Signs that demand a stop)"


def test_a_sign_demands_a_stop_where_the_page_lists_it_as_a_stop_sign(records):
    asked = of(records, "qa", "yes or no, then the reason", "equipment_manual")
    signs = [record for record in asked if "fault" in facts_of(record)]
    assert len(signs) > 100
    for record in signs:
        holding = []
        for fault, text in entries(record["input"]):
            stops = re.search(rf"{STOP_LABELS}(?:: | \| |:\n)((?:- .+\n?)+|.+)", text)[1]
            stops = re.split(r"\. (?=[A-Z])|\.$", stops)[0]
            items = re.findall(r"[^;/\n]+", re.sub(r"^- ", "", stops, flags=re.M))
            stops = [item.strip() for item in items]
            other = text.replace("\n", " ; ")
            parts = re.split(r"; | \| | / |: |- |\. ?", other)
            for sign in {part.strip() for part in parts if len(part) > 6}:
                if f": {sign}" in record["instruction"] and sign not in stops:
                    holding.append((len(sign), fault, "no"))
            holding += [(len(s), fault, "yes") for s in stops if f": {s}" in record["instruction"]]
        _, fault, answer = max(holding)
        facts = facts_of(record)
        assert (facts["answer"], facts["fault"]) == (answer, fault), record
        assert record["output"].lower().startswith(answer)
        assert fault in record["output"]


def test_a_cure_is_the_action_and_the_repair_of_the_row_of_its_cause(records):
    asked = [r for r in records if r["task"] == "qa" and "action=" in r["facts"]]
    assert len(asked) > 100
    for record in asked:
        rows = re.findall(
            r"(?:^- |: |\| | / |; )([^;:|\n]+?) -> ([^\n|;]+?)"
            r"(?: \(stop sign or broken limit: also (.+?)\))?(?=;| / |\n|\. |\.$|$)",
            record["input"],
            re.M,
        )
        by_cause = [row[1:] for row in rows if row[0].split(" / ")[-1] in record["instruction"]]
        facts = facts_of(record)
        assert (facts["action"], facts.get("repair", "")) in by_cause, record
        assert all(part.casefold() in record["output"].casefold() for part in facts.values())


def test_actions_causes_and_safety_steps_stand_in_one_row_of_the_page(records):
    seen = 0
    for record in records:
        if record["task"] != "qa" or " -> " not in record["input"]:
            continue
        if "action=" in record["facts"]:  # a cure: the test above
            continue
        rows = re.findall(
            r"(?:^- |: |\| | / |; )([^;:|\n]+?) -> ([^\n|;]+?)(?: \[first: (.+?)\])?"
            r"(?=;| / |\n|\. |\.$|$)",
            record["input"],
            re.M,
        )
        rows = [(cause.split(" / ")[-1], action, safety) for cause, action, safety in rows]
        answer = facts_of(record)["answer"]
        instruction = record["instruction"].casefold()
        by_action = [row for row in rows if row[1].casefold() in instruction]
        by_cause = [row for row in rows if row[0].casefold() in instruction]
        right = {row[2] for row in by_action} | {row[1] for row in by_cause}
        right |= {" & ".join(row[0] for row in by_action)}
        assert answer in right, record
        seen += 1
    assert seen > 150


# --- Technical documentation --------------------------------------------------------------------


def sheet_rows(sheet):
    """The rows of a data sheet, set as lines or as running text."""
    if ". Figures: " in sheet:
        return sheet.split(". Figures: ")[1].rstrip(".").split("; ")
    return sheet.splitlines()[1:]


def test_figures_of_a_data_sheet_stand_in_its_row(records):
    for record in of(records, "qa", "number and unit only", "technical_documentation"):
        rows = sheet_rows(record["input"])
        endings = tuple(f"{mark}{record['output']}" for mark in (": ", " | ", " - ", " "))
        rows = [row for row in rows if row.endswith(endings)]
        name = [row[: -len(record["output"])].rstrip(" :|-") for row in rows]
        assert named(name, record["instruction"]), record
        assert facts_of(record)["answer"] == record["output"]


def test_names_of_a_data_sheet_and_a_parts_list_stand_beside_what_was_asked(records):
    for record in of(records, "qa", "name only", "technical_documentation"):
        if facts_of(record)["answer"].startswith(("every", "daily", "before")):
            continue
        for name in record["output"].split("; "):
            lines = re.split(r"\n|; |(?<=\.) ", record["input"])
            (line,) = [
                line for line in lines
                if re.match(rf"(The |- |Job of the |.*Figures: )?{re.escape(name)}(: | \| | - | )",
                            line, re.I)
                and rest(line, name) in record["instruction"]
            ]  # fmt: skip
            assert line


def rest(line, name):
    """What a row says of its name."""
    found = re.split(rf"{re.escape(name)}(?:: | \| | - | )", line, maxsplit=1, flags=re.I)[1]
    return found.rstrip(".")


def test_yes_or_no_on_a_data_sheet_follows_from_its_row(records):
    asked = of(records, "qa", "yes or no, then the reason", "technical_documentation")
    for record in asked:
        facts, question = facts_of(record), record["instruction"]
        if "interval" in facts:
            since = int(re.search(r"(\d+) h", question)[1])
            work = re.split(r": ", question, maxsplit=1)[1]
            rows = [
                row for row in record["input"].splitlines() if row.split(": ", 1)[-1] in question
            ]
            (hours,) = {re.search(r"every (\d+) h", row)[1] for row in rows if "every" in row}
            assert facts == {
                "answer": "yes" if since >= int(hours) else "no",
                "interval": f"{hours} h",
            }
            assert work
            continue
        told = facts.get("figure") or facts["limit"]
        ends = [row[: -len(told)].rstrip(" :|-") for row in sheet_rows(record["input"])
                if row.endswith(told)]  # fmt: skip
        name = named(ends, question)
        number = Decimal(re.search(rf"(?<![\w.])({NUMBER})", question.replace(name, ""))[1])
        if "limit" in facts:
            right = Limit(told).holds(number)
        else:
            right = Decimal(told.split()[0]) == number
        assert facts["answer"] == ("yes" if right else "no"), record
        assert record["output"].lower().startswith(facts["answer"])
        assert told in record["output"]


def test_json_keeps_limit_value_and_unit_as_the_text_says_them(records):
    seen = 0
    for record in records:
        if record["task"] != "understanding":
            continue
        answer = json.loads(record["output"])
        if "value" not in answer:
            assert not LIMIT.search(record["input"])
            continue
        limit = answer.get("limit", "")
        both = f"{answer['value']} and {answer['upper']}" if "upper" in answer else answer["value"]
        text = " ".join(filter(None, (limit, both, answer.get("unit", ""))))
        assert text in record["input"], record
        assert ("upper" in answer) == (limit == "between")
        seen += bool(limit)
    assert seen > 150
