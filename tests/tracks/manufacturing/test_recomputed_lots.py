"""Every figure and every conclusion of the lots' records, worked out again from their texts alone.

Nothing of the builders is called but the build itself: numbers are read out of input, output and
facts, and computed by the few lines below. A fact is what a reader gets from the printed sheet,
rounded once, half up, and a conclusion is the one he must draw.
"""

import re
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest

from course_utils.tracks.manufacturing.lots import quality_drafts

# n -> d2, A2, D4; Montgomery, appendix VI, typed in again
TABLE = {
    3: ("1.693", "1.023", "2.574"),
    4: ("2.059", "0.729", "2.282"),
    5: ("2.326", "0.577", "2.114"),
    6: ("2.534", "0.483", "2.004"),
}
N = r"(-?\d+(?:\.\d+)?)"
RULES = {
    "rising trend",
    "falling trend",
    "mean outside limits",
    "two of three in zone A",
    "range above limit",
}


@pytest.fixture(scope="module")
def drafts(prepared):
    """(kind, record) of all questions and reports of a full build."""
    found = [(draft.template.split(":")[0], draft.record) for draft in quality_drafts(42, 1000)]
    return [(kind, record) for kind, record in found if record["task"] != "understanding"]


# --- Reading a sheet ---


def find(text, *patterns):
    """Numbers of the first pattern that fits, else None."""
    for pattern in patterns:
        if match := re.search(pattern.replace("#", N), text, re.IGNORECASE):
            return [Fraction(number) for number in match.groups()]
    return None


def tolerance(text):
    """(lower, nominal, upper), None where there is no such limit."""
    if found := find(text, r"# ± # \S+ \(# to #\)"):
        nominal, room, low, high = found
        assert (nominal - room, nominal + room) == (low, high)
    elif found := find(text, r"# to # \S+, nominal #", r"USL #, LSL #, nominal # \("):
        low, high, nominal = found if found[0] < found[1] else (found[1], found[0], found[2])
    elif found := find(text, r"LSL #, nominal #, USL #"):
        low, nominal, high = found
    elif found := find(text, r"nominal #, #\.\.#"):
        nominal, low, high = found
    else:
        label = r"(?:spec|tolerance|limits|drawing):? "
        high = find(text, label + r"(?:max|at most|<=|USL) #")
        low = find(text, label + r"(?:min|at least|>=|LSL) #")
        assert (high is None) != (low is None), text
        return (low[0] if low else None), None, (high[0] if high else None)
    assert 2 * nominal == low + high
    return low, nominal, high


def counts(text):
    """(produced, scrap, rework)."""
    found = find(
        text, r"# produced, # scrap, # rework", r"produced #, scrapped #, reworked #",
        r"# \w+ made; scrap #; rework #", r"qty # / scrap # / rework #",
        r"output #, of which # scrap and # rework",
    )  # fmt: skip
    if found is None and (found := find(text, r"scrap #, rework #, out of # made")):
        found = [found[2], *found[:2]]
    return found


def defects(text):
    """{kind: count} of the list on a sheet."""
    line = re.search(r"^(?:Defects|Rejects by kind|Pareto|Faults found|Tally): (.+)$", text, re.M)
    found = {}
    for item in re.split(r", |; | \| | / ", line[1]):
        number = re.search(r"\d+", item)[0]
        found[re.sub(r"^\d+ x |^\d+ |[ :=]+\d+$", "", item)] = int(number)
    return found


def series(text):
    """(means, ranges, subgroup size) of a sheet with subgroups, else None."""
    size = find(text, r"n ?= ?#[)\n]", r"of # readings each", r"\d+ subgroups of #")
    if rows := re.findall(rf"^(\d+)(?:: |,){N}(?: / |,){N}$", text, re.M):
        assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
        means, ranges = zip(*[row[1:] for row in rows], strict=True)
    elif pairs := re.findall(rf"{N} \({N}\)(?:;|$)", text, re.M):
        means, ranges = zip(*pairs, strict=True)
    else:
        lines = re.search(r"Means \(\S+\): (.+)\nRanges: (.+)$", text, re.M)
        lines = lines or re.search(r"^x-bar \| (.+)\nR \| (.+)$", text, re.M)
        lines = lines or re.search(r"gave the means (.+) \S+ with ranges (.+)\.$", text, re.M)
        if not lines:
            return None
        means, ranges = (re.findall(N, line) for line in lines.groups())
    assert len(means) == len(ranges)
    return tuple(map(Fraction, means)), tuple(map(Fraction, ranges)), int(size[0])


def mean_and_range(text):
    """(mean, mean range, subgroup size) where they are given, else None."""
    found = find(
        text, r"subgroups of #: mean # \S+, Rbar #", r"n = #, mean # \S+, Rbar #",
        r"subgroups of n = #; mean of means #, Rbar #",
    )  # fmt: skip
    if found:
        return found[1], found[2], int(found[0])
    if found := find(text, r"mean # \S+; Rbar # \S+; subgroup size #"):
        return found[0], found[1], int(found[2])
    if found := find(text, r"Rbar=# \S+, mean=# \S+, \d+ x # readings"):
        return found[1], found[0], int(found[2])
    return None


def mean_and_sigma(text):
    """(mean, sigma) where they are given, else None."""
    found = find(
        text, r"mean # \S+(?:,| /) (?:sigma|standard deviation) #", r"x-barbar = #, sigma = #",
        r"\bgrand mean[ =:]+# .*?\bsigma(?: within)?[ =:]+#",
    )  # fmt: skip
    if found is None and (found := find(text, r"sigma \(within\) # \S+; mean #")):
        found.reverse()
    return found


def readings(text):
    return find(
        text, r"\d+ readings from # to #", r"lowest reading #, highest #", r"readings # to #",
        r"\bmin # \S+, max #",
    )  # fmt: skip


def chart_line(text):
    """{rule: subgroups} of "Chart: rising trend (subgroups 1 and 2), ..."."""
    line = re.search(r"^(?:Control chart|X-bar and R chart|Chart|SPC): (.+)$", text, re.M)
    return rules_in(line[1]) if line else None


def rules_in(text):
    found = re.findall(rf"({'|'.join(RULES)})(?: \(|: )(subgroups? [\d, and]*\d)", text, re.I)
    return {rule.casefold(): numbers_of(where) for rule, where in found}


def numbers_of(where):
    return [int(number) for number in re.findall(r"\d+", where)]


def facts_of(record):
    """{name: (value, others)}, values as they are written."""
    found = {}
    for part in record["facts"].split("; "):
        name, _, value = part.partition("=")
        right, *others = value.split(" | ")
        found[name] = (right, set(others))
    return found


# --- Computing again ---


def limits(mean, mean_range, size):
    """LCL, UCL, zone A below and above, range limit."""
    _, a2, d4 = map(Fraction, TABLE[size])
    reach = a2 * mean_range
    third = reach * Fraction(2, 3)
    return mean - reach, mean + reach, mean - third, mean + third, d4 * mean_range


def broken(means, ranges, size):
    """{rule: subgroups} that the chart breaks, by going through every window."""
    k = len(means)
    low, high, zone_low, zone_high, most = limits(sum(means) / k, sum(ranges) / k, size)
    found = {rule: set() for rule in RULES}
    for i in range(k):
        if means[i] < low or means[i] > high:
            found["mean outside limits"].add(i + 1)
        if ranges[i] > most:
            found["range above limit"].add(i + 1)
        for j in range(i + 5, k):
            steps = [means[n + 1] - means[n] for n in range(i, j)]
            for rule, same in (("rising trend", 1), ("falling trend", -1)):
                if all(same * step > 0 for step in steps):
                    found[rule] |= set(range(i + 1, j + 2))
        window = range(i, min(i + 3, k))
        for side in ({n for n in window if means[n] > zone_high},
                     {n for n in window if means[n] < zone_low}):  # fmt: skip
            if len(side) > 1:
                found["two of three in zone A"] |= {n + 1 for n in side}
    return {rule.casefold(): sorted(numbers) for rule, numbers in found.items() if numbers}


def indices(mean, sigma, low, high):
    sides = [high - mean] if high is not None else []
    sides += [mean - low] if low is not None else []
    return (high - low) / (6 * sigma) if len(sides) == 2 else None, min(sides) / (3 * sigma)


def finding(cp, cpk, required, unstable):
    """The process finding, from indices as they are printed."""
    if unstable:
        return "unstable"
    if cpk >= required:
        return "capable"
    if cp is None:
        return "too near the limit"
    if cp >= required:
        return "off centre"
    return "off centre & spread too large" if cp - cpk >= Fraction("0.2") else "spread too large"


def disposition(unstable, low, high, lowest, highest):
    out = (low is not None and lowest < low) or (high is not None and highest > high)
    return "hold" if unstable else "sort" if out else "release"


def required(text):
    return find(
        text, r"required Cpk[ :=]+#", r"Cpk at least #", r"Cpk target[ :=]+#",
        r"requirement: Cpk #", r"capable if Cpk reaches #", r"capable \(Cpk at least #",
    )[0]  # fmt: skip


def goal(text):
    found = find(
        text, r"(?:yield|FPY) target[ :=]+#", r"target of first-pass yield: #", r"must reach #",
        r"goal #",
    )  # fmt: skip
    return found[0] if found else None


def given_figures(text):
    """What the sheet with figures says, under the names of the facts."""
    labels = {
        "first-pass yield": "first-pass yield|FPY", "scrap rate": "scrap rate|scrap share",
        "mean": "grand mean|mean", "Cp": "Cp", "Cpk": "Cpk", "UCL": "UCL(?: of means)?",
        "LCL": "LCL(?: of means)?", "range limit": "range limit|UCL of ranges",
        "lowest reading": "lowest reading|min", "highest reading": "highest reading|max",
        "correction": "nominal - mean|correction to nominal", "produced": "produced|made|output",
        "sigma": "sigma(?: within)?",
    }  # fmt: skip
    separators = r"(?:^|, |; | / )"
    return {
        name: Fraction(match[1])
        for name, label in labels.items()
        if (match := re.search(rf"{separators}(?:{label})[ :=]+([-+]?\d+(?:\.\d+)?)", text, re.M))
    }


def given_defects(text):
    """{kind: (count, per cent)} of a sheet with figures."""
    pattern = r"(?:^|, |; | / )([^,;/:=\d\n]+?)[ :=]+(\d+) \(([\d.]+) %\)"
    return {
        kind: (int(count), Fraction(share))
        for kind, count, share in re.findall(pattern, text, re.M)
    }


class Sheet:
    """What a record's input says, and what follows from it under the names of the facts."""

    def __init__(self, kind, text):
        self.text = text
        self.low, self.nominal, self.high = tolerance(text)
        self.wanted = {}
        if kind.startswith("quality/given"):
            self.from_figures()
        else:
            self.from_data()

    def from_figures(self):
        text, wanted = self.text, self.wanted
        wanted |= given_figures(text)
        found = given_defects(text)
        total = sum(count for count, _ in found.values())
        for count, share in found.values():
            assert abs(Fraction(100 * count, total) - share) <= Fraction(1, 20)
        self.set_leader({kind: count for kind, (count, _) in found.items()})
        cp, cpk = indices(wanted["mean"], wanted["sigma"], self.low, self.high)
        assert agrees(cpk, wanted["Cpk"], 2)
        assert cp is None or agrees(cp, wanted["Cp"], 2)
        wanted["yield target"] = "met" if wanted["first-pass yield"] >= goal(text) else "missed"
        if check := re.search(r"^(?:Chart|Rules broken).*\): (.+)$", text, re.M):
            self.set_chart(rules_in(check[1]))
            ends = wanted["lowest reading"], wanted["highest reading"]
            wanted["disposition"] = disposition(bool(self.chart), self.low, self.high, *ends)
            wanted["process finding"] = finding(
                wanted.get("Cp"), wanted["Cpk"], required(text), bool(self.chart)
            )

    def from_data(self):
        text, wanted = self.text, self.wanted
        if made := counts(text):
            produced, scrap, rework = made
            wanted["good at once"] = produced - scrap - rework
            wanted["first-pass yield"] = 100 * (produced - scrap - rework) / produced
            wanted["scrap rate"] = 100 * scrap / produced
            wanted["rework rate"] = 100 * rework / produced
            if (target := goal(text)) is not None:
                reached = wanted["first-pass yield"] >= target
                wanted["yield target"] = "met" if reached else "missed"
        if re.search(r"^(?:Defects|Rejects by kind|Pareto|Faults found|Tally): ", text, re.M):
            self.set_leader(defects(text))
        if subgroups := series(text):
            self.means, self.ranges, size = subgroups
            wanted["mean"] = sum(self.means) / len(self.means)
            wanted["mean range"] = sum(self.ranges) / len(self.ranges)
            self.set_chart(broken(*subgroups))
            self.set_limits(wanted["mean"], wanted["mean range"], size)
        if told := mean_and_range(text):
            self.set_limits(*told)
            self.set_process(told[0], told[1] / Fraction(TABLE[told[2]][0]))
        if told := mean_and_sigma(text):
            self.set_process(*told)
        if (line := chart_line(text)) is not None:
            self.set_chart(line)
        if ends := readings(text):
            wanted["lowest reading"], wanted["highest reading"] = ends
            if hasattr(self, "chart"):
                wanted["disposition"] = disposition(bool(self.chart), self.low, self.high, *ends)
        if "Process finding" in text or "Finding words" in text:
            cp, cpk = (
                rounded(wanted[name], 2) if name in wanted else None for name in ("Cp", "Cpk")
            )
            wanted["process finding"] = finding(cp, cpk, required(text), bool(self.chart))

    def set_leader(self, found):
        most, *rest = sorted(found.values(), reverse=True)
        assert not rest or most > rest[0]
        self.defects = found
        self.wanted["rejects"] = total = sum(found.values())
        self.wanted["largest defect"] = next(kind for kind in found if found[kind] == most)
        self.wanted["share of the largest defect"] = Fraction(100 * most, total)
        self.wanted["share of the two largest"] = Fraction(100 * (most + sum(rest[:1])), total)

    def set_chart(self, found):
        self.chart = found
        self.wanted["chart"] = set(found) or {"in control"}
        self.wanted |= found

    def set_limits(self, mean, mean_range, size):
        low, high, _, _, most = limits(mean, mean_range, size)
        self.wanted |= {"LCL": low, "UCL": high, "range limit": most}

    def set_process(self, mean, sigma):
        wanted = self.wanted
        wanted["mean"], wanted["sigma"] = mean, sigma
        cp, wanted["Cpk"] = indices(mean, sigma, self.low, self.high)
        if cp is not None:
            wanted["Cp"] = cp
        self.set_place(mean)

    def set_place(self, mean):
        if self.nominal is None:
            only = self.high if self.low is None else self.low
            self.wanted["room to the limit"] = abs(only - mean)
        else:
            self.wanted["offset"] = abs(mean - self.nominal)
            self.wanted["side"] = "above nominal" if mean > self.nominal else "below nominal"
            self.wanted["correction"] = self.nominal - mean


def rounded(value, decimals):
    """Half up, by adding half a digit and cutting off."""
    cut = int(abs(value) * 10**decimals + Fraction(1, 2))
    return Fraction(cut if value >= 0 else -cut, 10**decimals)


def agrees(value, printed, decimals):
    return rounded(value, decimals) == printed


ANSWERS = {  # kind of question -> the name under which its answer is computed again
    "yield": "first-pass yield", "scrap": "scrap rate", "rework": "rework rate",
    "good": "good at once", "two_largest": "share of the two largest", "cp": "Cp", "cpk": "Cpk",
    "sigma": "sigma", "ucl": "UCL", "lcl": "LCL", "range_limit": "range limit", "mean": "mean",
    "mean_range": "mean range", "offset": "offset", "room": "room to the limit",
}  # fmt: skip


def wanted_of(kind, record):
    """{fact: what it should be} of a record."""
    sheet = Sheet(kind, record["input"])
    wanted, name = dict(sheet.wanted), kind.rpartition("/")[2]
    if kind.startswith("quality/working/averages"):
        sheet.set_place(wanted["mean"])
        wanted |= sheet.wanted
    if not kind.startswith("quality/qa"):
        return wanted
    wanted["answer"] = own_answer(name, sheet, record)
    if name in ("highest", "lowest"):
        wanted["value"] = (max if name == "highest" else min)(sheet.means)
    elif name == "widest":
        wanted["value"] = max(sheet.ranges)
    return wanted


def own_answer(name, sheet, record):
    wanted, text = sheet.wanted, record["input"]
    if name in ANSWERS:
        return wanted[ANSWERS[name]]
    if name == "share":
        kind = next(kind for kind in sheet.defects if kind in record["instruction"])
        return Fraction(100 * sheet.defects[kind], sum(sheet.defects.values()))
    if name == "second":
        return sorted(sheet.defects, key=sheet.defects.get)[-2]
    if name == "needed_sigma":
        return (sheet.high - sheet.low) / (6 * required(text))
    if name in ("highest", "lowest", "widest"):
        values = sheet.ranges if name == "widest" else sheet.means
        best = (min if name == "lowest" else max)(values)
        assert values.count(best) == 1
        return f"subgroup {values.index(best) + 1}"
    yes = {
        "enough": lambda: wanted["Cpk"] >= required(text),
        "centring": lambda: wanted["Cp"] >= required(text),
        "goal": lambda: wanted["first-pass yield"] >= goal(text),
        "tolerance": lambda: (
            disposition(False, sheet.low, sheet.high, *readings(text)) == "release"
        ),
        "mean_inside": lambda: (
            wanted["LCL"]
            <= find(record["instruction"], r"# (?:µm|mm|g|mg|N|Ω|HRC)")[0]
            <= wanted["UCL"]
        ),
        "range_inside": lambda: (
            find(text, r"(?:largest range|Rmax|widest subgroup) #")[0] <= wanted["range limit"]
        ),
    }
    return ("yes" if yes[name]() else "no") if name in yes else None


def differs(fact, written, wanted):
    """Whether a fact as written is not what was computed."""
    if isinstance(wanted, str):
        return written != wanted
    if isinstance(wanted, set):
        return {rule.casefold() for rule in written.split(" & ")} != wanted
    if isinstance(wanted, list):
        return numbers_of(written) != wanted
    number = written.split()[0]
    decimals = max(0, -Decimal(number).as_tuple().exponent)
    return not agrees(wanted, Fraction(number), decimals)


def test_every_fact_is_what_the_printed_sheet_gives(drafts):
    checked, wrong = Counter(), []
    for kind, record in drafts:
        wanted = wanted_of(kind, record)
        for fact, (written, _) in facts_of(record).items():
            name = fact.casefold() if fact in RULES else fact
            checked[fact] += 1
            if differs(fact, written, wanted[name]):
                wrong.append((kind, fact, written, wanted[name], record))
    assert wrong == []
    assert checked.total() > 9000
    assert len(checked) > 25, checked


def test_every_line_of_working_is_right(drafts):
    """ "sigma = 8.25 / 2.326 = 3.55 µm": each side of an equation gives what the last one says."""
    sides = 0
    for _, record in drafts:
        if record.get("form") != "working shown":
            continue
        for equation in re.split(r"\n|; ", record["output"]):
            *terms, result = equation.split(" = ")
            number = re.match(r"[-+]?\d+(?:\.\d+)?", result)
            for value in filter(None, map(value_of, terms)):
                value *= 100 if result.endswith("%") else 1
                decimals = len(number[0].partition(".")[2])
                assert rounded(value, decimals) == Fraction(number[0]), equation
                sides += 1
    assert sides > 2500


def value_of(term):
    """An expression of working with exact fractions; None for a name ("A2 x Rbar")."""
    term = re.sub(r"^.*?[:,] (?=[\d(])", "", term).replace(" x ", " * ")
    if not re.fullmatch(r"[-+*/(). \d]+", term):
        return None
    return eval(re.sub(r"\d+(?:\.\d+)?", r"Fraction('\g<0>')", term), {"Fraction": Fraction})


def test_zone_a_in_the_working_is_that_of_the_sheet(drafts):
    seen = 0
    for kind, record in drafts:
        if kind == "quality/working/chart":
            told = find(record["output"], r"outside # to # ")
            _, _, low, high, _ = limits(*mean_and_range(record["input"]))
            decimals = len(re.search(r"to \d+\.?(\d*) ", record["output"])[1])
            assert agrees(low, told[0], decimals), record
            assert agrees(high, told[1], decimals), record
            seen += 1
    assert seen > 100


def test_every_conclusion_names_its_rivals(drafts):
    sets = {
        "disposition": [{"release", "sort", "hold"}],
        "yield target": [{"met", "missed"}],
        "side": [{"above nominal", "below nominal"}],
        "chart": [RULES | {"in control"}],
        "process finding": [
            {"unstable", "capable", "off centre", "spread too large"},
            {"unstable", "capable", "too near the limit"},
        ],
    }
    for _, record in drafts:
        for fact, (right, others) in facts_of(record).items():
            if fact in sets:
                assert set(right.split(" & ")) | others in sets[fact], record


def test_the_factors_on_a_sheet_are_those_of_the_table(drafts):
    seen = Counter()
    for _, record in drafts:
        for size, name, value in factors(record["input"]):
            assert value == TABLE[size][("d2", "A2", "D4").index(name)], record
            seen[name] += 1
    assert min(seen[name] for name in ("d2", "A2", "D4")) >= 200


def factors(text):
    line = re.search(r"^Factors: (.+)$", text, re.M)
    for part in line[1].split("; ") if line else ():
        size = int(re.search(r"n ?=? ?(\d)|\((\d)\)", part)[0].strip("n =()"))
        for name, value in re.findall(r"(d2|A2|D4)(?:\(\d\) =)? (\d\.\d{3})", part):
            yield size, name, value
