"""Records of the kind `quality_report`: lot sheets, reports on them, questions, inspector's notes.

Everything is invented and drawn from a seed; every number in an answer was computed from the lot
(control_charts.py). Read some:  python -m course_utils.tracks.manufacturing.lots 7
"""

import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from course_utils.facts import Fact, format_facts
from course_utils.tracks.manufacturing.control_charts import (
    BEYOND,
    FALLING,
    RANGE,
    RISING,
    TWO_OF_THREE,
    Figures,
    Lot,
    Signal,
    constants,
    figures,
    simulate_lot,
)
from course_utils.tracks.wording import Draft, Realiser

SOURCE = "simulated lot"


def quality_drafts(seed: int, lots: int) -> list[Draft]:
    """Reports (1 or 2 a lot), questions (2 a lot) and notes (1 in two lots) of simulated lots."""
    drafts = []
    for number in range(1, lots + 1):
        # One generator a lot: the first 100 lots are the same however many are asked for.
        rng = random.Random(f"{seed} lot {number}")
        group = f"lot-{number:04d}"
        sheet = _sheet(rng)
        kinds = ["summary", "subgroups"]
        rng.shuffle(kinds)
        for kind in kinds[: rng.choice((1, 2))]:
            drafts.append(_report(sheet, kind, rng, group))
        for question in _questions(sheet, rng):
            drafts.append(_qa(sheet, question, rng, group))
        if number % 2:
            drafts.append(_note(rng, group))
    return drafts


def _draft(say: Realiser, task: str, group: str, facts: Sequence[Fact] = (), **texts) -> Draft:
    record = {**texts, "task": task, "document": "quality_report", "source": SOURCE, "group": group}
    if facts:
        record["facts"] = format_facts(facts)
    return Draft(record, say.template)


# ---------------------------------------------------------------------------------------------
# The lot sheet
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A lot with its figures and what else stands in the header of its sheet."""

    lot: Lot
    fig: Figures
    code: str
    extras: tuple[tuple[str, str], ...]

    def length(self, value: float, more: int = 1) -> str:
        """A value at the tolerance's decimals plus `more`, without the unit."""
        return f"{value:.{self.lot.part.decimals + more}f}"

    @property
    def unit(self) -> str:
        return self.lot.part.unit

    @property
    def noun(self) -> str:
        return self.lot.part.plural

    @property
    def mean(self) -> str:
        return f"{self.length(self.fig.mean)} {self.unit}"


PEOPLE = (
    "Okafor", "Lindqvist", "Tanaka", "Moreau", "Silva", "Novak", "Haddad", "Kowalski", "Reyes",
    "Bauer", "Iyer", "Duncan", "Petrov", "Nguyen", "Marino", "Larsen", "Adeyemi", "Costa",
)  # fmt: skip
CUSTOMERS = (
    "Northgate Pumps", "Helio Drives", "Marsh & Lowe", "Brightwater", "Castell Medical",
    "Orbis Rail", "Fenwick Foods", "Kestrel Motors", "Vantage Power", "Delta Agri",
)  # fmt: skip
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _sheet(rng: random.Random) -> Sheet:
    lot = simulate_lot(rng)
    return Sheet(lot, figures(lot), _code(rng), _extras(lot.part.station, rng))


def _code(rng: random.Random) -> str:
    form = rng.randrange(6)
    number = rng.randint(1000, 99999)
    letters = "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(2))
    return (
        f"{letters}{number}", f"{number}", f"{letters}-{number % 1000:03d}",
        f"{rng.randint(23, 26)}-{number % 10000:04d}", f"{number}/{rng.randint(1, 9)}",
        f"{letters[0]}{rng.randint(10, 99)}.{number % 1000:03d}",
    )[form]  # fmt: skip


def _date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2022, 2026)
    return (
        f"{year}-{month:02d}-{day:02d}", f"{day} {MONTHS[month - 1]} {year}",
        f"{day:02d}.{month:02d}.{year}", f"{day:02d}/{month:02d}/{year % 100}",
    )[rng.randrange(4)]  # fmt: skip


def _extras(station: str, rng: random.Random) -> tuple[tuple[str, str], ...]:
    number = rng.randint(1, 14)
    choices = [
        (rng.choice(("Date", "Produced on", "Made")), _date(rng)),
        (rng.choice(("Station", "Made on", "Run on")), f"{station} {number}"),
        ("Shift", rng.choice(("early", "late", "night", "A", "B", "C", "day"))),
        (rng.choice(("Inspector", "Checked by", "QC")), rng.choice(PEOPLE)),
        (rng.choice(("Order", "Work order", "PO")), str(rng.randint(40000, 79999))),
        (rng.choice(("Customer", "For")), rng.choice(CUSTOMERS)),
        (rng.choice(("Gauge", "Instrument")), f"{rng.choice('GMK')}{rng.randint(100, 999)}"),
        (rng.choice(("Tool", "Tool set", "Fixture")), f"T{rng.randint(10, 99)}"),
    ]
    return tuple(rng.sample(choices, rng.randint(2, 4)))


def _tolerance(say: Realiser, sheet: Sheet) -> str:
    """The specification, in one of the usual spellings."""
    lot, unit = sheet.lot, sheet.unit
    low, high = (None if v is None else sheet.length(v, 0) for v in (lot.lower, lot.upper))
    if low is None:
        return say("spec", ["max {v} {u}", "at most {v} {u}", "<= {v} {u}", "USL {v} {u}"],
                   v=high, u=unit)  # fmt: skip
    if high is None:
        return say("spec", ["min {v} {u}", "at least {v} {u}", ">= {v} {u}", "LSL {v} {u}"],
                   v=low, u=unit)  # fmt: skip
    half = sheet.length(lot.upper - lot.nominal, 0)
    return say(
        "spec",
        ["{n} ± {t} {u}", "{n} +/- {t} {u}", "{l} to {h} {u}", "LSL {l}, USL {h} {u}",
         "{l}..{h} {u}", "nominal {n}, tolerance ±{t} {u}"],
        n=sheet.length(lot.nominal, 0), t=half, l=low, h=high, u=unit,
    )  # fmt: skip


def _counts(say: Realiser, sheet: Sheet) -> str:
    lot = sheet.lot
    return say(
        "counts",
        ["{p} produced, {s} scrap, {r} rework", "produced {p}, scrapped {s}, reworked {r}",
         "{p} {noun} made; scrap {s}; rework {r}", "qty {p} / scrap {s} / rework {r}",
         "output {p}, of which {s} scrap and {r} rework", "scrap {s}, rework {r}, out of {p} made"],
        p=lot.produced, s=lot.scrap, r=lot.rework, noun=sheet.noun,
    )  # fmt: skip


def _defect_list(say: Realiser, sheet: Sheet, shares: bool = False) -> str:
    """Counts by kind; the sheet's own order is that of the inspection plan, so it is drawn."""
    items = list(sheet.lot.defects.items())
    say.rng.shuffle(items)
    pattern = say("defectitem", ["{k} {c}", "{k}: {c}", "{c} x {k}", "{c} {k}", "{k} = {c}"],
                  k="{k}", c="{c}")  # fmt: skip
    texts = [pattern.format(k=kind, c=count) for kind, count in items]
    text = say("defectjoin", [", ", "; ", " | ", " / "]).join(texts)
    if shares:
        text += f" (largest {sheet.fig.defect}, {sheet.fig.defect_percent:.1f} %)"
    return text


def _header(say: Realiser, sheet: Sheet, few: bool = False) -> list[tuple[str, str]]:
    part = sheet.lot.part
    title = say("title", ["{p}, {c}", "{c} of {p}", "{p} ({c})", "{p} - {c}"],
                p=part.name, c=part.characteristic)  # fmt: skip
    fields = [
        (say("lotlabel", ["Lot", "Batch", "Lot no.", "Lot number"]), sheet.code),
        (say("partlabel", ["Part", "Product", "Item", "Measured"]), title),
        (say("speclabel", ["Spec", "Tolerance", "Limits", "Drawing"]), _tolerance(say, sheet)),
    ]
    extras = list(sheet.extras[: 1 if few else None])
    return say.order("header", [*fields, *extras])


def _series(say: Realiser, sheet: Sheet) -> str:
    """Subgroup means and ranges in one of several notations."""
    means = [sheet.length(value) for value in sheet.fig.means]
    ranges = [sheet.length(value, 0) for value in sheet.fig.ranges]
    pairs = list(zip(means, ranges, strict=True))
    n, u = sheet.lot.size, sheet.unit
    form = say("series", ["rows", "lines", "csv", "brackets", "pipes", "text"])
    if form == "rows":
        rows = "\n".join(f"{i}: {m} / {r}" for i, (m, r) in enumerate(pairs, 1))
        return f"Subgroup: mean / range ({u}, n = {n})\n{rows}"
    if form == "lines":
        return f"n = {n}\nMeans ({u}): {', '.join(means)}\nRanges: {', '.join(ranges)}"
    if form == "csv":
        rows = "\n".join(f"{i},{m},{r}" for i, (m, r) in enumerate(pairs, 1))
        return f"group,xbar_{u},R (n={n})\n{rows}"
    if form == "brackets":
        listed = "; ".join(f"{m} ({r})" for m, r in pairs)
        return f"Mean (range) of {n} readings each, {u}: {listed}"
    if form == "pipes":
        cells = "\n".join(
            f"{name} | {' | '.join(row)}" for name, row in (("x-bar", means), ("R", ranges))
        )
        return f"{len(pairs)} subgroups of {n}, {u}\n{cells}"
    return (
        f"{len(pairs)} subgroups of {n} gave the means {' '.join(means)} {u} "
        f"with ranges {' '.join(ranges)}."
    )


def _summary(say: Realiser, sheet: Sheet) -> str:
    """Figures as a measuring program prints them."""
    fig = sheet.fig
    items = [
        ("mean", f"{sheet.length(fig.mean)} {sheet.unit}"),
        ("Rbar", sheet.length(fig.mean_range)),
        ("sigma", sheet.length(fig.sigma, 2)),
        *([("Cp", f"{fig.cp:.2f}")] if fig.cp is not None else []),
        ("Cpk", f"{fig.cpk:.2f}"),
        ("yield", f"{fig.yield_percent:.1f} %"),
        ("chart", _chart_note(fig.signals)),
    ]
    pattern, joint = say(
        "summary",
        ["{k} {v}|, ", "{k}={v}|; ", "{k}: {v}|\n", "{k} = {v}|\n", "{k}: {v}|, ", "{k} {v}| / "],
        k="{k}", v="{v}",
    ).split("|")  # fmt: skip
    body = joint.join(pattern.format(k=key, v=value) for key, value in items)
    return f"{len(fig.means)} subgroups of {sheet.lot.size}\n{body}"


def _chart_note(found: Sequence[Signal]) -> str:
    if not found:
        return "no signal"
    return f"{found[0].rule} (subgroup {' '.join(map(str, found[0].subgroups))})"


def _lay_out(say: Realiser, header: Sequence[tuple[str, str]], blocks: Sequence[str]) -> str:
    """Header and blocks as lines, in one line with bars, or as running text."""
    form = say("layout", ["lines", "bars", "sentence", "comma", "dash"])
    if form == "lines":
        head = "\n".join(f"{label}: {value}" for label, value in header)
    elif form == "bars":
        head = " | ".join(f"{label} {value}" for label, value in header)
    elif form == "comma":
        head = ",".join(label for label, _ in header) + "\n"
        head += ",".join(value.replace(",", "") for _, value in header)
    elif form == "dash":
        head = "\n".join(f"- {label.lower()} {value}" for label, value in header)
    else:
        head = "; ".join(f"{label.lower()} {value}" for label, value in header) + "."
        head = head[0].upper() + head[1:]
    return "\n".join([head, *blocks])


# ---------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------

REPORT_ASKED = [
    "Write the quality report for this lot: output and first-pass yield, mean, capability, chart "
    "signal, largest defect with its share, decision.",
    "Turn the lot sheet into a short quality report. End with one decision: release, adjust, hold "
    "or not capable.",
    "Report on this lot for the quality meeting. State yield, process mean, capability indices, "
    "control-chart signal, main defect and what to do.",
    "Summarise the inspection data in a paragraph that a production manager can act on, with the "
    "capability and the Pareto leader.",
    "What does this sheet say about the lot and its process? Answer as a quality report with the "
    "figures and a decision.",
    "Prepare the inspection report: first-pass yield, mean, Cpk, rule signals, leading defect and "
    "its share, then release, adjust, hold or not capable.",
    "Draft the lot report from these data. Give every figure with its unit and say whether the "
    "process is in control and capable.",
]

OPENINGS = [
    "Lot {code}: {p} {noun} were made, {losses}, which is a first-pass yield of {y} %.",
    "First-pass yield of lot {code} is {y} %: of {p} {noun}, {bad} failed the first inspection "
    "({losses}).",
    "Of the {p} {noun} in lot {code}, {good} were right first time; with {losses}, first-pass "
    "yield is {y} %.",
    "This report covers lot {code}, {p} {noun} checked for {char}. With {losses}, the first-pass "
    "yield comes to {y} %.",
    "Production of lot {code} came to {p} {noun}. Rejects: {losses}; first-pass yield {y} %.",
    "Lot {code} ({part}, {p} {noun}) reached a first-pass yield of {y} %; {losses}.",
    "{good} of {p} {noun} in lot {code} passed at the first attempt, a yield of {y} %. The rest: "
    "{losses}.",
]
MEANS = [
    "The {char} averages {mean} over {k} subgroups of {n}, {place}.",
    "{k} subgroups of {n} readings give a mean {char} of {mean}, {place}.",
    "Mean {char} is {mean}, {place}; it rests on {total} readings.",
    "At {mean}, the mean {char} lies {place}.",
    "Readings of {char} centre on {mean}, {place}, with an average range of {rbar} {u}.",
    "Taken over all {total} readings, {char} has a mean of {mean}, {place}.",
]
CAPABILITY = [
    "Cp is {cp} and Cpk is {cpk}, {against}.",
    "The within-subgroup sigma of {sigma} {u} gives Cp {cp} and Cpk {cpk}, {against}.",
    "Capability: Cp {cp}, Cpk {cpk}, {against}.",
    "With Rbar at {rbar} {u}, Cp works out at {cp} and Cpk at {cpk}, {against}.",
    "The indices are Cp = {cp} and Cpk = {cpk}, {against}.",
    "Against the tolerance the process reaches Cp {cp}; allowing for its centre, Cpk is {cpk}, "
    "{against}.",
]
CAPABILITY_ONE = [
    "Only one limit applies, so there is no Cp; Cpk is {cpk}, {against}.",
    "Cpk is {cpk}, {against}.",
    "The within-subgroup sigma of {sigma} {u} gives a Cpk of {cpk}, {against}.",
    "For the single limit, Cpk works out at {cpk}, {against}.",
    "Capability towards the one limit: Cpk {cpk}, {against}.",
    "With Rbar at {rbar} {u}, Cpk reaches {cpk}, {against}.",
]
QUIET = [
    "The control charts show no signal.",
    "There is no signal on the X-bar chart or the R chart.",
    "Neither means nor ranges break a rule: no signal.",
    "Control chart: no signal in {k} subgroups.",
    "We checked points, trends and ranges and found no signal.",
    "All {k} means and ranges stay inside their limits, with no signal from trend or run.",
]
LOUD = {
    BEYOND: [
        "On the X-bar chart, {where} {lies} beyond 3 sigma.",
        "The chart signals: {where} {has} a mean beyond 3 sigma.",
        "A mean beyond 3 sigma shows a special cause ({where}).",
        "Special cause at {where}: mean beyond 3 sigma, limits {lcl} to {ucl} {u}.",
        "The limits are {lcl} to {ucl} {u}, and {where} {lies} outside, that is beyond 3 sigma.",
    ],
    RANGE: [
        "On the R chart, {where} {has} a range above its limit of {rucl} {u}.",
        "The spread is not stable: range above its limit in {where}.",
        "One rule is broken, a range above its limit ({where}; upper limit {rucl} {u}).",
        "A range above its limit in {where} points to a special cause within the subgroup.",
        "In {where} the chart shows a range above its limit, {rucl} {u}.",
    ],
    TWO_OF_THREE: [
        "The means signal, with two of three beyond 2 sigma ({where}).",
        "No mean leaves the limits, but {where} make two of three beyond 2 sigma on one side.",
        "Chart signal: two of three beyond 2 sigma, namely {where}.",
        "Two of three beyond 2 sigma is the rule broken, by {where}.",
        "At {where} the chart reads two of three beyond 2 sigma, a sign of a shift.",
    ],
    "trend": [
        "The means follow a {rule}: {where}, six or more in a row.",
        "A {rule} runs through {where}.",
        "The X-bar chart shows a {rule} over {where}, which chance rarely produces.",
        "Chart signal: {rule}, {where}.",
        "From {where} the picture is a {rule}, so the process is drifting.",
    ],
    "run": [
        "The chart shows a {rule}: {where}, all on one side.",
        "There is a {rule} over {where}.",
        "All means of {where} lie on one side, a {rule}.",
        "Chart signal: {rule} ({where}).",
        "No mean leaves the limits, yet a {rule} covers {where}.",
    ],
}
DEFECTS = [
    "{defect} leads the Pareto with {count} of {bad} rejects, {share} %.",
    "The largest defect is {defect}: {count} pieces, {share} % of the rejects.",
    "{share} % of all rejects are due to {defect} ({count} of {bad}).",
    "No fault is more common than {defect}, with {count} of the {bad} rejects, or {share} %.",
    "Among {bad} rejects, {defect} comes first with {count}, a share of {share} %.",
    "Pareto: {defect} {count} of {bad}, {share} %.",
]
ENDINGS = {
    "release": [
        "Decision: release. The process is in control and meets its capability requirement.",
        "We recommend to release the lot; control and capability are both as required.",
        "Nothing speaks against the lot, so the good {noun} are free for release.",
        "Conclusion: release the lot once the rejects are booked out.",
        "The process can run on as it is: release.",
        "With stable charts and enough capability, the decision is release.",
    ],
    "adjust": [
        "Decision: adjust the setting by {shift} {u} to bring the mean to nominal.",
        "The spread is small enough, the centre is not right: adjust by {shift} {u}.",
        "Conclusion: adjust. Moving the mean by {shift} {u} would bring Cpk up to Cp.",
        "Before the next lot, adjust the process by {shift} {u}; its spread needs no work.",
        "The remedy is to adjust the centre by {shift} {u} and to verify it with new subgroups.",
        "What the process needs is centring, not less spread; adjust it by {shift} {u}.",
    ],
    "hold": [
        "Decision: hold. The special cause has to be found before the indices mean anything.",
        "We put the lot on hold, since capability cannot be judged while the process is unstable.",
        "Conclusion: hold the lot, find the cause and take new subgroups.",
        "Until the cause is known the lot stays on hold; the indices are for information only.",
        "The process is not in control, therefore hold the lot and check the {noun} made around "
        "the signal.",
        "Hold the lot; an unstable process has no capability to speak of.",
    ],
    "not capable": [
        "Decision: not capable. The spread must come down before the tolerance can be kept.",
        "The process is stable but not capable: its spread takes up too much of the tolerance.",
        "Conclusion: not capable; inspect more closely and reduce the common-cause spread.",
        "Without less variation the requirement cannot be met: the process is not capable.",
        "As it stands the process is not capable. Work on the spread comes before the next lot.",
        "The verdict is not capable, so tighter inspection stays in place until the spread is cut.",
    ],
}  # fmt: skip
# Where the mean is too near a single limit, or Cp would do, spread need not be the cure.
ENDINGS_ONE = [
    "Decision: not capable. Either the mean moves away from the limit or the spread shrinks.",
    "The process is stable but not capable towards its one limit.",
    "Conclusion: not capable; more distance to the limit or less spread is needed.",
    "As it stands the process is not capable, and the lot needs tighter inspection.",
    "Too little room is left to the limit: the process is not capable.",
    "The verdict is not capable, so the next lots need closer checks.",
]
OWN_LABEL = re.compile(r"^(?:Decision|Conclusion|Capability|Control chart|Chart signal|Pareto): ")
LABELS = {
    "opening": ("Output", "Yield", "Summary"),
    "mean": ("Mean", "Location", "Process mean"),
    "capability": ("Indices", "Against tolerance", "Process capability"),
    "signal": ("Control", "SPC", "Stability"),
    "defect": ("Defects", "Rejects", "Quality losses"),
    "ending": ("Next step", "Action", "Result"),
}


def _report(sheet: Sheet, kind: str, rng: random.Random, group: str) -> Draft:
    say = Realiser(rng, f"quality/report/{kind}")
    asked = say("asked", REPORT_ASKED)
    data = _summary(say, sheet) if kind == "summary" else _series(say, sheet)
    required = say("required", ["Required Cpk {r}", "Cpk at least {r}", "Cpk target {r}",
                                "Capability requirement: Cpk {r}"],
                   r=f"{sheet.lot.part.required:.2f}")  # fmt: skip
    blocks = [
        f"{_counts(say, sheet)}",
        f"{say('defectlabel', ['Defects', 'Rejects by kind', 'Pareto', 'Faults'])}: "
        f"{_defect_list(say, sheet, shares=kind == 'summary')}",
        data,
    ]
    text = _lay_out(say, _header(say, sheet), [*say.order("blocks", blocks), required])
    answer = _report_text(say, sheet)
    return _draft(
        say, "report", group, report_facts(sheet), instruction=asked, input=text, output=answer
    )


def report_facts(sheet: Sheet) -> list[Fact]:
    """Up to 8 facts; the output, which is copied and not computed, gives way to Cp."""
    fig = sheet.fig
    first = (
        Fact("produced", str(sheet.lot.produced), sheet.noun)
        if fig.cp is None
        else Fact("Cp", f"{fig.cp:.2f}")
    )
    return [
        Fact("first-pass yield", f"{fig.yield_percent:.1f}", "%"),
        Fact("mean", sheet.length(fig.mean), sheet.unit),
        first,
        Fact("Cpk", f"{fig.cpk:.2f}"),
        Fact("signal", fig.signals[0].rule if fig.signals else "no signal"),
        Fact("largest defect", fig.defect),
        Fact("defect share", f"{fig.defect_percent:.1f}", "%"),
        Fact("decision", fig.decision),
    ]


def _report_text(say: Realiser, sheet: Sheet) -> str:
    middle = {
        "mean": _mean_sentence(say, sheet),
        "capability": _capability_sentence(say, sheet),
        "signal": _signal_sentence(say, sheet),
        "defect": _defect_sentence(say, sheet),
    }
    names = say.order("order", list(middle))
    sentences = {"opening": _opening(say, sheet), **middle, "ending": _ending(say, sheet)}
    shape = say("shape", ["usual", "usual", "ending first", "labels", "paragraphs", "free"])
    if shape == "free":  # the opening may stand anywhere before the ending
        names.insert(say.rng.randrange(3), "opening")
        return " ".join(sentences[name] for name in [*names, "ending"])
    if shape == "ending first":
        return " ".join(sentences[name] for name in ["ending", "opening", *names])
    names = ["opening", *names, "ending"]
    if shape == "labels":
        which = say.rng.randrange(3)
        bare = {name: _sentence(OWN_LABEL.sub("", sentences[name])) for name in names}
        return "\n".join(f"{LABELS[name][which]}: {bare[name]}" for name in names)
    if shape == "paragraphs":
        halves = names[:3], names[3:]
        return "\n".join(" ".join(sentences[name] for name in half) for half in halves)
    return " ".join(sentences[name] for name in names)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _losses(lot: Lot) -> str:
    def many(count: int) -> str:
        return str(count) if count else "none"

    return f"{many(lot.scrap)} scrapped and {many(lot.rework)} reworked"


def _opening(say: Realiser, sheet: Sheet) -> str:
    lot = sheet.lot
    return _sentence(
        say("opening", OPENINGS, code=sheet.code, p=lot.produced, noun=sheet.noun,
            losses=_losses(lot), y=f"{sheet.fig.yield_percent:.1f}", bad=lot.rejected,
            good=lot.produced - lot.rejected, char=lot.part.characteristic, part=lot.part.name)
    )  # fmt: skip


def _mean_sentence(say: Realiser, sheet: Sheet) -> str:
    lot, fig = sheet.lot, sheet.fig
    return _sentence(
        say("mean", MEANS, char=lot.part.characteristic, mean=sheet.mean, k=len(fig.means),
            n=lot.size, total=len(fig.means) * lot.size, rbar=sheet.length(fig.mean_range),
            u=sheet.unit, place=_place(sheet))
    )  # fmt: skip


def _place(sheet: Sheet) -> str:
    """Where the mean lies: "0.0021 mm above nominal"."""
    lot, fig = sheet.lot, sheet.fig
    if lot.nominal is not None:
        off = round(fig.mean - lot.nominal, lot.part.decimals + 1)
        if off == 0:
            return "on nominal"
        where = "above" if off > 0 else "below"
        return f"{sheet.length(abs(off))} {sheet.unit} {where} nominal"
    limit = lot.upper if lot.lower is None else lot.lower
    where = "below" if fig.mean < limit else "above"
    name = "upper" if lot.lower is None else "lower"
    return f"{sheet.length(abs(fig.mean - limit))} {sheet.unit} {where} the {name} limit"


def _capability_sentence(say: Realiser, sheet: Sheet) -> str:
    fig, required = sheet.fig, sheet.lot.part.required
    enough = [
        "above the required {r}",
        "which meets the requirement of {r}",
        "against {r} required",
    ]
    short = ["below the required {r}", "short of the {r} required", "where {r} is required"]
    against = say("against", enough if fig.cpk >= required else short, r=f"{required:.2f}")
    if fig.cpk == required:
        against = f"exactly the required {required:.2f}"
    return say(
        "capability", CAPABILITY if fig.cp is not None else CAPABILITY_ONE,
        cp=f"{fig.cp or 0:.2f}", cpk=f"{fig.cpk:.2f}", against=against, u=sheet.unit,
        sigma=sheet.length(fig.sigma, 2), rbar=sheet.length(fig.mean_range),
    )  # fmt: skip


def _subgroups(numbers: Sequence[int]) -> str:
    """ "subgroup 4", "subgroups 2 and 5", "subgroups 1 to 8"."""
    if len(numbers) == 1:
        return f"subgroup {numbers[0]}"
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"subgroups {numbers[0]} to {numbers[-1]}"
    return f"subgroups {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _signal_sentence(say: Realiser, sheet: Sheet) -> str:
    fig = sheet.fig
    if not fig.signals:
        return say("quiet", QUIET, k=len(fig.means))
    signal = fig.signals[0]
    kind = signal.rule
    if kind in (RISING, FALLING):
        kind = "trend"
    elif kind not in LOUD:
        kind = "run"
    one = len(signal.subgroups) == 1
    return _sentence(
        say(f"loud {kind}", LOUD[kind], rule=signal.rule, where=_subgroups(signal.subgroups),
            lies="lies" if one else "lie", has="has" if one else "have",
            lcl=sheet.length(fig.limits.mean_low), ucl=sheet.length(fig.limits.mean_high),
            rucl=sheet.length(fig.limits.range_high), u=sheet.unit)
    )  # fmt: skip


def _defect_sentence(say: Realiser, sheet: Sheet) -> str:
    fig = sheet.fig
    return _sentence(
        say("defect", DEFECTS, defect=fig.defect, count=fig.defect_count,
            bad=sheet.lot.rejected, share=f"{fig.defect_percent:.1f}")
    )  # fmt: skip


def _ending(say: Realiser, sheet: Sheet) -> str:
    lot, fig = sheet.lot, sheet.fig
    wordings, shift = ENDINGS[fig.decision], ""
    if fig.decision == "not capable" and lot.nominal is None:
        wordings = ENDINGS_ONE
    if fig.decision == "adjust":
        shift = f"{lot.nominal - fig.mean:+.{lot.part.decimals + 1}f}"
    return say(f"ending {fig.decision}", wordings, noun=sheet.noun, shift=shift, u=sheet.unit)


# ---------------------------------------------------------------------------------------------
# Questions
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """What is asked, which part of the sheet answers it, how the answer may be worded."""

    name: str
    asked: list[str]
    shown: str  # "counts" | "defects" | "process" | "series"
    answers: list[str]
    facts: list[Fact]
    values: dict[str, object]


def _questions(sheet: Sheet, rng: random.Random) -> list[Question]:
    """Two questions of different kinds."""
    kinds = [_ask_yield, _ask_scrap, _ask_rework, _ask_good, _ask_leader, _ask_share, _ask_cpk,
             _ask_sigma, _ask_signal, _ask_limit, _ask_mean, _ask_spread, _ask_offset]  # fmt: skip
    if sheet.fig.cp is not None:
        kinds.append(_ask_cp)
    if not sheet.lot.scrap:
        kinds.remove(_ask_scrap)
    if not sheet.lot.rework:
        kinds.remove(_ask_rework)
    rng.shuffle(kinds)
    return [kind(sheet) for kind in kinds[:2]]


def _ask_yield(sheet: Sheet) -> Question:
    lot, y = sheet.lot, f"{sheet.fig.yield_percent:.1f}"
    return Question(
        "yield",
        ["What is the first-pass yield of the lot?", "How high was first-pass yield, in percent?",
         "Which share of the {noun} was right first time?",
         "Calculate the first-pass yield from the counts.",
         "What percentage of the {noun} needed neither scrapping nor rework?",
         "Give first-pass yield to one decimal."],
        "counts",
        ["First-pass yield is {y} %.", "{y} % of the {noun} were right first time.",
         "({p} - {s} - {r}) / {p} gives {y} %.", "{good} of {p} {noun} passed at once, so {y} %.",
         "It was {y} %, since {bad} of {p} {noun} were rejected.",
         "The lot reached {y} % first-pass yield."],
        [Fact("answer", y, "%")],
        {"y": y, "p": lot.produced, "s": lot.scrap, "r": lot.rework, "bad": lot.rejected,
         "good": lot.produced - lot.rejected},
    )  # fmt: skip


def _ask_scrap(sheet: Sheet) -> Question:
    y = f"{sheet.fig.scrap_percent:.1f}"
    return Question(
        "scrap",
        ["What is the scrap rate?", "How much of the lot was scrapped, in percent?",
         "Which percentage of the {noun} was thrown away?", "Work out the scrap rate of this lot.",
         "What share of production ended as scrap?", "State the scrap rate to one decimal."],
        "counts",
        ["The scrap rate is {y} %.", "{s} of {p} {noun} were scrapped, which is {y} %.",
         "Scrap came to {y} % of production.", "{s} / {p} gives {y} %.",
         "{y} % of the {noun} were thrown away.", "It is {y} %, that is {s} out of {p}."],
        [Fact("answer", y, "%")],
        {"y": y, "s": sheet.lot.scrap, "p": sheet.lot.produced},
    )  # fmt: skip


def _ask_rework(sheet: Sheet) -> Question:
    y = f"{sheet.fig.rework_percent:.1f}"
    return Question(
        "rework",
        ["What is the rework rate?", "How large a share of the {noun} went back for rework?",
         "Which percentage of the lot was reworked?", "Give the rework rate in percent.",
         "How much rework did this lot cause, as a share of production?"],
        "counts",
        ["The rework rate is {y} %.", "{r} of {p} {noun} were reworked, or {y} %.",
         "Rework took {y} % of production.", "{r} / {p} gives {y} %.",
         "{y} % of the {noun} had to be reworked."],
        [Fact("answer", y, "%")],
        {"y": y, "r": sheet.lot.rework, "p": sheet.lot.produced},
    )  # fmt: skip


def _ask_good(sheet: Sheet) -> Question:
    lot = sheet.lot
    good = lot.produced - lot.rejected
    return Question(
        "good",
        ["How many {noun} were right first time?", "How many {noun} passed without rework?",
         "Count the {noun} that were neither scrapped nor reworked.",
         "How many good {noun} came out of the first inspection?",
         "What number of {noun} needed no second treatment?"],
        "counts",
        ["{good} {noun} were right first time.", "{p} less {bad} rejects leaves {good} {noun}.",
         "After {s} scrapped and {r} reworked, {good} {noun} remain.",
         "The first inspection passed {good} {noun}.", "There were {good} {noun}."],
        [Fact("answer", str(good), sheet.noun)],
        {"good": good, "p": lot.produced, "bad": lot.rejected, "s": lot.scrap, "r": lot.rework},
    )  # fmt: skip


def _ask_leader(sheet: Sheet) -> Question:
    fig = sheet.fig
    return Question(
        "leader",
        ["Which defect leads the Pareto?", "What is the most frequent defect?",
         "Which fault should be tackled first, by count?", "Name the largest defect kind.",
         "What were most pieces rejected for?", "Which kind of defect has the highest count?"],
        "defects",
        ["It is {d}, with {c} pieces.", "The largest kind is {d} ({c}).",
         "{d} comes first with a count of {c}.", "Most frequent is {d}: {c} of {bad} rejects.",
         "The list is led by {d}, which was counted on {c} pieces.", "By count, {d} with {c}."],
        [Fact("answer", fig.defect)],
        {"d": fig.defect, "c": fig.defect_count, "bad": sheet.lot.rejected},
    )  # fmt: skip


def _ask_share(sheet: Sheet) -> Question:
    fig, y = sheet.fig, f"{sheet.fig.defect_percent:.1f}"
    return Question(
        "share",
        ["What share of the defects is {d}?", "How much of the total does {d} make up, in percent?",
         "Which percentage of the rejects is due to {d}?", "Calculate the Pareto share of {d}.",
         "How large a part of all rejects does {d} cause?"],
        "defects",
        ["{d} makes up {y} % of the rejects.", "It is {c} of {bad}, which is {y} %.",
         "{y} % of the rejects are due to {d}.", "The share is {y} % ({c} of {bad}).",
         "{c} / {bad} gives {y} %."],
        [Fact("answer", y, "%")],
        {"d": fig.defect, "y": y, "c": fig.defect_count, "bad": sheet.lot.rejected},
    )  # fmt: skip


def _ask_cpk(sheet: Sheet) -> Question:
    fig, part = sheet.fig, sheet.lot.part
    lot = sheet.lot
    near = lot.upper if lot.lower is None else lot.lower
    if lot.lower is not None and lot.upper is not None and lot.upper - fig.mean < fig.mean - near:
        near = lot.upper
    return Question(
        "cpk",
        ["What is Cpk?", "How large is Cpk for the {char}?", "Calculate Cpk from mean and sigma.",
         "Which Cpk follows from these figures?", "Give the Cpk of this process to two decimals.",
         "Determine Cpk for the limit nearest to the mean."],
        "process",
        ["Cpk is {v}.", "The nearer limit is {near} {u}, which gives a Cpk of {v}.",
         "|{near} - {m}| / (3 x {sigma}) gives Cpk = {v}.", "Cpk works out at {v}.",
         "With sigma {sigma} {u}, Cpk comes to {v}.", "For the {char}, Cpk equals {v}."],
        [Fact("Cpk", f"{fig.cpk:.2f}")],
        {"v": f"{fig.cpk:.2f}", "near": sheet.length(near, 0), "m": sheet.length(fig.mean),
         "sigma": sheet.length(fig.sigma, 2), "char": part.characteristic},
    )  # fmt: skip


def _ask_cp(sheet: Sheet) -> Question:
    fig, lot = sheet.fig, sheet.lot
    return Question(
        "cp",
        ["What is Cp?", "How large is Cp, whatever the centring?", "Calculate Cp from sigma.",
         "Which Cp do tolerance and spread give?", "Give Cp to two decimals.",
         "Compare tolerance width with process spread: what is Cp?"],
        "process",
        ["Cp is {v}.", "A tolerance of {w} {u} over 6 x {sigma} gives Cp = {v}.",
         "Cp works out at {v}.", "With sigma {sigma} {u}, Cp comes to {v}.", "Cp equals {v}.",
         "The tolerance is {w} {u} wide, so Cp is {v}."],
        [Fact("Cp", f"{fig.cp:.2f}")],
        {"v": f"{fig.cp:.2f}", "w": sheet.length(lot.upper - lot.lower, 0),
         "sigma": sheet.length(fig.sigma, 2)},
    )  # fmt: skip


def _ask_offset(sheet: Sheet) -> Question:
    lot, fig = sheet.lot, sheet.fig
    place = _place(sheet)
    value = place.split()[0] if place[0].isdigit() else sheet.length(0)
    target = "the nominal value" if lot.nominal is not None else "the limit"
    return Question(
        "offset",
        ["How far is the mean from {target}?", "What distance separates the mean from {target}?",
         "What is the distance between mean and {target}?",
         "By how much does the mean differ from {target}?",
         "Give the offset of the mean from {target}."],
        "process",
        ["The mean is {value} {u} away: {place}." if value != sheet.length(0) else
         "The mean is exactly on nominal, an offset of {value} {u}.",
         "It differs by {value} {u}.", "The distance is {value} {u}.",
         "Mean and {target} are {value} {u} apart.",
         "At a mean of {m} {u}, the distance is {value} {u}."],
        [Fact("answer", value, sheet.unit)],
        {"value": value, "place": place, "target": target, "m": sheet.length(fig.mean)},
    )  # fmt: skip


def _ask_sigma(sheet: Sheet) -> Question:
    fig, lot = sheet.fig, sheet.lot
    d2 = f"{constants(lot.size).d2:.3f}"
    return Question(
        "sigma",
        ["What is the within-subgroup sigma? d2 is {d2}.", "Estimate sigma from Rbar (d2 = {d2}).",
         "With d2 = {d2}, which standard deviation follows from the mean range?",
         "How large is sigma within subgroups, taking d2 as {d2}?",
         "Divide the mean range by d2 = {d2}: what is sigma?"],
        "ranges",
        ["Sigma is {v} {u}.", "{r} / {d2} gives {v} {u}.",
         "The mean range of {r} {u} corresponds to a sigma of {v} {u}.",
         "Within subgroups, sigma is estimated at {v} {u}.", "It comes to {v} {u}."],
        [Fact("answer", sheet.length(fig.sigma, 2), sheet.unit)],
        {"v": sheet.length(fig.sigma, 2), "r": sheet.length(fig.mean_range), "d2": d2},
    )  # fmt: skip


def _ask_limit(sheet: Sheet) -> Question:
    fig, a2 = sheet.fig, f"{constants(sheet.lot.size).a2:.3f}"
    high = sheet.length(fig.limits.mean_high)
    return Question(
        "limit",
        ["What is the upper control limit of the X-bar chart (A2 = {a2})?",
         "Taking A2 as {a2}, where does the upper limit for subgroup means lie?",
         "Compute the UCL of the means with A2 = {a2}.",
         "Up to which subgroup mean is the process in control, if A2 is {a2}?",
         "Which UCL follows for the X-bar chart with A2 = {a2}?"],
        "ranges",
        ["The upper limit is {v} {u}.", "{m} + {a2} x {r} gives {v} {u}.", "UCL = {v} {u}.",
         "Subgroup means may go up to {v} {u}.",
         "It lies at {v} {u}, that is A2 times Rbar above the mean."],
        [Fact("answer", high, sheet.unit)],
        {"v": high, "m": sheet.length(fig.mean), "r": sheet.length(fig.mean_range), "a2": a2},
    )  # fmt: skip


def _ask_signal(sheet: Sheet) -> Question:
    fig = sheet.fig
    values = {"k": len(fig.means), "lcl": sheet.length(fig.limits.mean_low),
              "ucl": sheet.length(fig.limits.mean_high)}  # fmt: skip
    asked = [
        "Does the control chart signal, and where?", "Which subgroups break a control-chart rule?",
        "Is the process in control? Name the rule and the subgroups if not.",
        "Which rule, if any, do the subgroup means and ranges break?",
        "Check the chart for signals.", "Which subgroups stand out on the X-bar and R charts?",
    ]  # fmt: skip
    if not fig.signals:
        answers = [
            "There is no signal.", "None of the {k} subgroups breaks a rule: no signal.",
            "No signal: the process is in control.", "The charts show no signal.",
            "Means and ranges stay within limits, with no signal from any rule.",
        ]  # fmt: skip
        return Question("signal", asked, "series", answers, [Fact("signal", "no signal")], values)
    signal = fig.signals[0]
    values |= {"rule": signal.rule, "where": _subgroups(signal.subgroups)}
    answers = [
        "Yes: {rule}, {where}.", "The rule broken is {rule}, by {where}.",
        "{where} signal: {rule}.", "The chart shows this signal: {rule} ({where}).",
        "There is a signal at {where}, namely {rule}.",
    ]  # fmt: skip
    if len(signal.subgroups) == 1:
        answers[2] = "{where} signals: {rule}."
    facts = [Fact("signal", signal.rule), Fact("where", values["where"])]
    return Question("signal", asked, "series", answers, facts, values)


def _ask_mean(sheet: Sheet) -> Question:
    return Question(
        "mean",
        ["What is the grand mean?", "Average the subgroup means.", "What is the process mean?",
         "Around which value does the {char} centre?", "Give the mean of all subgroup means.",
         "How large is the {char} on average?"],
        "series",
        ["The grand mean is {v} {u}.", "{k} subgroups average {v} {u}.",
         "The process centres on {v} {u}.", "It is {v} {u}.",
         "The {char} averages {v} {u}."],
        [Fact("answer", sheet.length(sheet.fig.mean), sheet.unit)],
        {"v": sheet.length(sheet.fig.mean), "k": len(sheet.fig.means)},
    )  # fmt: skip


def _ask_spread(sheet: Sheet) -> Question:
    top = max(sheet.fig.ranges)
    where = [i for i, value in enumerate(sheet.fig.ranges, 1) if value == top]
    value = sheet.length(top, 0)
    return Question(
        "spread",
        ["Where is the largest range, and how large is it?", "How wide is the widest subgroup?",
         "Which subgroup scatters most, and by how much?", "What is the highest range?",
         "State the largest range with its subgroup."],
        "series",
        ["The largest range is {v} {u}, in {where}.", "{where}: {v} {u}.",
         "The widest scatter is {v} {u} ({where}).", "At {v} {u}, {where} comes first.",
         "It reaches {v} {u} in {where}."],
        [Fact("answer", value, sheet.unit), Fact("where", _subgroups(where))],
        {"v": value, "where": _subgroups(where)},
    )  # fmt: skip


def _shown(say: Realiser, sheet: Sheet, what: str) -> list[str]:
    """The block of the sheet that answers a question."""
    fig = sheet.fig
    if what == "counts":
        return [_counts(say, sheet)]
    if what == "defects":
        label = say("defectlabel", ["Defects", "Rejects", "Faults found", "Tally"])
        return [f"{label}: {_defect_list(say, sheet)}"]
    if what == "series":
        return [_series(say, sheet)]
    mean, u = sheet.length(fig.mean), sheet.unit
    if what == "ranges":
        return [
            say("ranges",
                ["{k} subgroups of {n}: mean {m} {u}, Rbar {r} {u}", "n = {n}, x-barbar {m} {u}, "
                 "mean range {r} {u}", "mean of means {m}, mean range {r} (both {u})",
                 "average {m} {u}; average range {r} {u}; subgroup size {n}",
                 "Rbar={r} {u}, mean={m} {u}, {k} x {n} readings"],
                k=len(fig.means), n=sheet.lot.size, m=mean, r=sheet.length(fig.mean_range), u=u)
        ]  # fmt: skip
    return [
        say("process",
            ["mean {m} {u}, sigma {s} {u}", "sigma (within) {s} {u}; mean {m} {u}",
             "average {m} {u}, standard deviation {s} {u}", "x-barbar = {m}, Rbar/d2 = {s} ({u})",
             "m={m} {u} / s={s} {u}"],
            m=mean, s=sheet.length(fig.sigma, 2), u=u)
    ]  # fmt: skip


def _qa(sheet: Sheet, question: Question, rng: random.Random, group: str) -> Draft:
    say = Realiser(rng, f"quality/qa/{question.name}")
    values = {**question.values, "noun": sheet.noun, "u": sheet.unit,
              "char": sheet.lot.part.characteristic}  # fmt: skip
    asked = say("asked", question.asked, **values)
    lead = say("lead", ["", "", "", "Lot {code}: ", "On lot {code}: ", "Quality check. "],
               code=sheet.code)  # fmt: skip
    blocks = _shown(say, sheet, question.shown)
    text = _lay_out(say, _header(say, sheet, few=question.shown == "series"), blocks)
    answer = _sentence(say("answer", question.answers, **values))
    return _draft(
        say, "qa", group, question.facts,
        instruction=lead + asked, input=text, output=answer,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------
# Inspector's notes
# ---------------------------------------------------------------------------------------------

NOTE_ASKED = [
    "Turn the inspector's note into JSON with the keys part, characteristic, defect, quantity, "
    "disposition. Leave out what is not stated.",
    "Extract part, characteristic, defect, quantity and disposition as JSON; omit what the note "
    "does not say.",
    "Read the shop-floor note and answer with one JSON object: part, characteristic, defect, "
    "quantity, disposition, only where stated.",
    "Which nonconformity does the note record? Give JSON (part, characteristic, defect, quantity, "
    "disposition) without keys that are not stated.",
    "Fill the nonconformity form from this note. JSON keys: part, characteristic, defect, "
    "quantity, disposition; skip unknown ones.",
]
DISPOSITIONS = {
    "scrap": ["scrapped", "to scrap", "all scrap", "binned as scrap", "scrap"],
    "rework": ["sent to rework", "to be reworked", "rework", "back for rework", "rework ordered"],
    "hold": ["on hold", "put on hold", "held for the engineer", "hold tag attached", "hold"],
    "sort": ["sort 100 %", "to be sorted", "sorting ordered", "sort the rest of the lot", "sort"],
    "use as is": ["use as is", "accepted under concession", "concession granted, use as is",
                  "used as is", "UAI"],
}  # fmt: skip


def _note(rng: random.Random, group: str) -> Draft:
    """A free note and the JSON of what it states; a fact that is left out has no key."""
    say = Realiser(rng, "quality/note")
    lot = simulate_lot(rng)
    part, answer = lot.part, {"part": lot.part.name}
    measured = rng.random() < 0.5
    outside = [name for name in (part.high, part.low) if name]
    if measured:
        answer["characteristic"] = part.characteristic
        answer["defect"] = rng.choice(outside)
    else:
        answer["defect"] = rng.choice(part.defects)
    if rng.random() < 0.85:
        answer["quantity"] = rng.randint(1, 60)
    if rng.random() < 0.85:
        answer["disposition"] = rng.choice(_allowed(part.reworkable, answer["defect"]))
    asked = say("asked", NOTE_ASKED)
    style = say("style", ["telegram", "sentence", "log", "mail", "telegram", "card"])
    # "flatness" + "flatness error": the characteristic is part of the defect's name.
    text = re.sub(r"\b(\w{4,}(?: \w+)?) \1\b", r"\1", _NOTES[style](say, answer, part.station))
    output = json.dumps(answer, ensure_ascii=False)
    return _draft(say, "understanding", group, instruction=asked, input=text, output=output)


# What an inspector may pass under a concession, and what no rework brings back.
COSMETIC = frozenset({
    "scratch", "stain", "faded print", "colour deviation", "crooked label", "misprint", "die line",
    "illegible marking", "tool marks", "orange peel", "hob feed marks", "sink mark",
})  # fmt: skip
FINAL = frozenset({
    "undersize journal", "oversize bore", "porosity", "casting pore", "quench crack", "bubble",
    "surface crack", "thin centre", "thin tooth", "grinding burn", "edge chip", "excess width",
    "insufficient width", "warp", "uneven pitch", "blister", "die line", "undersize diameter",
})  # fmt: skip


def _allowed(reworkable: bool, defect: str) -> list[str]:
    """Dispositions that make sense for a defect."""
    allowed = ["scrap", "hold", "sort"]
    allowed += ["rework"] if reworkable and defect not in FINAL else []
    return allowed + (["use as is"] if defect in COSMETIC else [])


def _fate(say: Realiser, answer: dict) -> str:
    name = answer.get("disposition")
    return say(f"fate {name}", DISPOSITIONS[name]) if name else ""


def _noise(say: Realiser, station: str) -> dict[str, str]:
    """Details that belong in no field."""
    rng = say.rng
    shift = rng.choice(("early", "late", "night"))
    hour = {"early": 6, "late": 14, "night": 22}[shift] + rng.randrange(8)
    minute = rng.choice((5, 10, 15, 20, 30, 35, 40, 50))
    return {
        "who": rng.choice(PEOPLE), "date": _date(rng), "lot": _code(rng),
        "where": f"{station} {rng.randint(1, 14)}",
        "time": f"{hour % 24:02d}:{minute:02d}", "shift": shift,
    }  # fmt: skip


def _telegram(say: Realiser, answer: dict, station: str) -> str:
    noise = _noise(say, station)
    quantity = ""
    if "quantity" in answer:
        quantity = say("many", ["{q}x", "{q} pcs", "qty {q}", "{q} off", "{q} pc."],
                       q=answer["quantity"])  # fmt: skip
    what = " ".join(filter(None, [answer.get("characteristic"), answer["defect"]]))
    parts = [answer["part"], f"{quantity} {what}".strip(), _fate(say, answer)]
    details = say("details", ["lot {lot}", "{where}", "{date} {who}", "{shift}, {where}",
                              "lot {lot}, {who}", "{time}"], **noise)  # fmt: skip
    where = say.rng.randrange(3)
    parts = [part for part in parts if part]
    parts.insert(min(where, len(parts)), details)
    joint = say("joint", [" - ", ", ", " / ", "; ", ". "])
    text = joint.join(parts)
    return text.upper() if say("case", ["as is", "as is", "as is", "upper"]) == "upper" else text


def _subject(say: Realiser, answer: dict) -> str:
    """ "14 pieces of the drive shaft" or the part alone where no number is stated."""
    if "quantity" not in answer:
        return say("subject", ["some pieces of the {p}", "a few {p} parts", "several pieces of "
                               "{p}", "the {p} from this box"], p=answer["part"])  # fmt: skip
    q = answer["quantity"]
    pieces = "piece" if q == 1 else "pieces"
    return say("subjectq", ["{q} {pieces} of the {p}", "{q} {pieces} of {p}",
                            "{p}, {q} {pieces},", "{q} {pieces} ({p})"],
               q=q, p=answer["part"], pieces=pieces)  # fmt: skip


def _finding(say: Realiser, answer: dict) -> str:
    if "characteristic" in answer:
        return say("measured", ["{c} measured, result: {d}", "{c} out of tolerance, {d}",
                                "failed on {c} ({d})", "{c} not in order: {d}",
                                "rejected for {c}, {d}"],
                   c=answer["characteristic"], d=answer["defect"])  # fmt: skip
    return say("seen", ["rejected for {d}", "defect is {d}", "{d} found on inspection",
                        "visual check shows {d}", "reason: {d}"], d=answer["defect"])  # fmt: skip


def _in_sentences(say: Realiser, answer: dict, station: str) -> str:
    noise, fate = _noise(say, station), _fate(say, answer)
    fields = {"s": _subject(say, answer), "f": _finding(say, answer), **noise}
    text = say("sentence", [
        "Found at {where} this {shift} shift: {s}, {f}.", "While checking lot {lot} I set aside "
        "{s}: {f}.", "{s} from {where}: {f}.", "Patrol inspection at {time}, {where}. {s}: {f}.",
        "Lot {lot}. {s}: {f}.", "At {time} {who} stopped {where}; {s}: {f}.",
    ], **fields)  # fmt: skip
    end = say("end", [" Disposition: {x}.", " Decision: {x}.", " Agreed with {who}: {x}.",
                      " {x}.", " Now {x}."], x=fate, who=noise["who"]) if fate else ""  # fmt: skip
    text = ". ".join(_sentence(part) for part in (text + _dot_case(end)).split(". "))
    return text.replace(",:", ":").replace(",,", ",")


def _dot_case(end: str) -> str:
    return end[:1] + end[1:2].upper() + end[2:]


def _shift_log(say: Realiser, answer: dict, station: str) -> str:
    noise, fate = _noise(say, station), _fate(say, answer)
    fields = {"s": _subject(say, answer), "f": _finding(say, answer), **noise}
    first = say("log", ["{shift} shift, {date}", "{date} {shift}, {who}", "Log {where}, {date}",
                        "{who}, {shift} shift"], **fields)  # fmt: skip
    body = say("body", ["{time} {s}: {f}", "{time} - {f} - {s}", "{time}: lot {lot}, {s}, {f}",
                        "{time} {where} stopped, {s}, {f}"], **fields)  # fmt: skip
    last = say("logend", ["\n{x}", ". {x}", " -> {x}", "\nAction: {x}"], x=fate) if fate else ""
    # A finding may bring a comma of its own to the end of its phrase.
    return re.sub(r",(?=[:,.]| -)", "", first + "\n" + body + last)


def _mail(say: Realiser, answer: dict, station: str) -> str:
    noise, fate = _noise(say, station), _fate(say, answer)
    fields = {"s": _subject(say, answer), "f": _finding(say, answer), **noise}
    text = say("mail", [
        "Hi {who}, about lot {lot}: {s}, {f}.", "{who}, please note for {where}: {s}, {f}.",
        "Hello, on {date} we had {s} at {where}, {f}.", "For the file, lot {lot}: {s}, {f}.",
    ], **fields)  # fmt: skip
    close = say("close", [" What happens with them: {x}.", " Decided: {x}.", " Parts are marked "
                          "'{x}'.", " Status: {x}."], x=fate) if fate else ""  # fmt: skip
    more = say("more", ["", " Regards, {who}", " The rest looks fine.", " Gauge was checked.",
                        " Photos follow."], who=say.rng.choice(PEOPLE))  # fmt: skip
    return (text + close + more).replace(",,", ",")


def _card(say: Realiser, answer: dict, station: str) -> str:
    """A nonconformity card with its own labels, in a drawn order."""
    noise = _noise(say, station)
    labels = {
        "part": ["item", "part", "article"], "characteristic": ["checked", "feature", "measure"],
        "defect": ["fault", "finding", "NC"], "quantity": ["qty", "no. of pieces", "count"],
    }  # fmt: skip
    rows = [
        f"{say(f'label {name}', labels[name])}: {answer[name]}" for name in labels if name in answer
    ]
    if "disposition" in answer:
        rows.append(f"{say('label fate', ['what next', 'status', 'MRB'])}: {_fate(say, answer)}")
    rows += [f"lot: {noise['lot']}", f"{say('by', ['by', 'inspector', 'sign'])}: {noise['who']}"]
    return say("cardjoint", ["\n", " | ", "; "]).join(say.order("card", rows))


_NOTES = {
    "telegram": _telegram, "sentence": _in_sentences, "log": _shift_log, "mail": _mail,
    "card": _card,
}  # fmt: skip


if __name__ == "__main__":
    for shown in quality_drafts(int(sys.argv[1]) if len(sys.argv) > 1 else 0, 3):
        print(*(f"{name}: {text}" for name, text in shown.record.items()), sep="\n", end="\n\n")
