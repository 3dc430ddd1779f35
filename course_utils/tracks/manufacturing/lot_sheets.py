"""The sheet of a production lot: what stands in its header and blocks, and in which notation.

The words: data/wordings/manufacturing/lot_sheets.yaml.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from course_utils.facts import Fact, format_facts
from course_utils.tracks.manufacturing.control_charts import (
    CONSTANTS,
    IN_CONTROL,
    constants,
    first_pass_yield,
    half_up,
    pareto,
)
from course_utils.tracks.manufacturing.lot_figures import (
    Figures,
    draw_lot,
    figures,
    percent,
    written,
    written_counts,
)
from course_utils.tracks.manufacturing.lot_simulation import Lot
from course_utils.tracks.wording import Draft, Realiser, capital, listing
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_sheets")
SOURCE = "simulated lot"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Punctuation only: {k} is a kind of defect and {c} its number.
DEFECT_ITEMS = ["{k} {c}", "{k}: {c}", "{c} x {k}", "{c} {k}", "{k} = {c}"]
YIELD_TARGETS = (94, 95, 96, 97, 98, 99)  # per cent
MET, MISSED = "met", "missed"
FACTORS = ("d2", "a2", "d4")


@dataclass(frozen=True)
class Sheet:
    """A lot with its figures and what else stands in the header of its sheet."""

    lot: Lot
    fig: Figures
    code: str
    extras: tuple[tuple[str, str], ...]
    yield_target: int  # per cent

    def length(self, value: Fraction, more: int = 1) -> str:
        """A length at the decimals of the readings plus `more`, without the unit."""
        return f"{half_up(value, self.lot.part.decimals + more):f}"

    @cached_property
    def values(self) -> dict[str, str]:
        """What the wordings on a lot may say: every figure as it is written, without its unit."""
        lot, fig, part = self.lot, self.fig, self.lot.part
        factors = constants(lot.size)
        told = written(lot, fig) | written_counts(lot)
        if "correction" in told:
            told["distance"] = told["correction"].lstrip("-")
            told["correction"] = signed(told["correction"])
            told["side"] = "above nominal" if fig.mean > lot.nominal else "below nominal"
        for name, limit in (("lower", lot.lower), ("upper", lot.upper), ("nominal", lot.nominal)):
            if limit is not None:
                told[name] = self.length(limit, 0)
        if lot.nominal is not None:
            told["tolerance"] = self.length(lot.upper - lot.nominal, 0)
            told["width"] = self.length(lot.upper - lot.lower, 0)
        return told | {
            "code": self.code,
            "part": part.name,
            "parts": part.plural,
            "reading": part.reading,
            "unit": part.unit,
            "required": f"{part.required:.2f}",
            "yield_target": str(self.yield_target),
            "target_word": self.target_word,
            "produced": str(lot.produced),
            "scrap": str(lot.scrap),
            "rework": str(lot.rework),
            "rejected": str(lot.rejected),
            "good": str(lot.produced - lot.rejected),
            "defect": self.defects[0][0],
            "defect_count": str(self.defects[0][1]),
            "defect_share": self.defects[0][2],
            "groups": str(len(fig.means)),
            "size": str(lot.size),
            "readings": str(len(fig.means) * lot.size),
            "lowest": self.length(fig.lowest, 0),
            "highest": self.length(fig.highest, 0),
            "largest_range": self.length(max(fig.ranges), 0),
            "d2": f"{float(factors.d2):.3f}",
            "a2": f"{float(factors.a2):.3f}",
            "d4": f"{float(factors.d4):.3f}",
            "disposition": fig.disposition,
            "finding": " and ".join(fig.finding),
        }

    @cached_property
    def defects(self) -> list[tuple[str, int, str]]:
        """(kind, count, per cent of the rejects), largest first."""
        return [(kind, count, percent(share)) for kind, count, share in pareto(self.lot.defects)]

    @property
    def target_word(self) -> str:
        """Whether the target of first-pass yield is met or missed."""
        lot = self.lot
        share = first_pass_yield(lot.produced, lot.scrap, lot.rework)
        return MET if 100 * share >= self.yield_target else MISSED


# ---------------------------------------------------------------------------------------------
# Pieces of text
# ---------------------------------------------------------------------------------------------


def draft(say: Realiser, task: str, group: str, facts: Sequence[Fact] = (), **texts: str) -> Draft:
    """A record about a lot."""
    record = {**texts, "task": task, "document": "quality_report", "source": SOURCE, "group": group}
    if facts:
        record["facts"] = format_facts(facts)
    return Draft(record, say.template)


def step(sheet: Sheet, value: str) -> str:
    """The last digit of a figure as it is written: "0.01"."""
    decimals = len(sheet.values[value].partition(".")[2])
    return f"{10**-decimals:.{decimals}f}"


def signed(number: str) -> str:
    """A correction with its sign: "+0.51"."""
    return number if number.startswith("-") else f"+{number}"


def subgroups(numbers: Sequence[int]) -> str:
    """ "subgroup 4", "subgroups 2, 3 and 5"."""
    case = "one" if len(numbers) == 1 else "several"
    return SAY.phrase("subgroups", case, numbers=listing([str(number) for number in numbers]))


def chart_text(sheet: Sheet) -> str:
    """ "rising trend (subgroups 1, 2 and 3) and range above limit (subgroup 4)" or "in control"."""
    found = sheet.fig.signals
    texts = [f"{signal.rule} ({subgroups(signal.subgroups)})" for signal in found]
    return listing(texts) if texts else IN_CONTROL


# ---------------------------------------------------------------------------------------------
# What is drawn beside the lot
# ---------------------------------------------------------------------------------------------


def draw_sheet(rng: random.Random) -> Sheet:
    """A lot with its figures, its number and some further fields."""
    lot = draw_lot(rng)
    reached = Fraction(written_counts(lot)["yield_percent"])
    near = [target for target in YIELD_TARGETS if abs(target - reached) > Fraction("0.1")]
    target = rng.choice(sorted(near, key=lambda target: abs(target - reached))[:2])
    return Sheet(lot, figures(lot), draw_code(rng), _extras(lot.part.station, rng), target)


def draw_code(rng: random.Random) -> str:
    """The number of a lot, in one of six forms."""
    form = rng.randrange(6)
    number = rng.randint(1000, 99999)
    letters = "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(2))
    return (
        f"{letters}{number}", f"{number}", f"{letters}-{number % 1000:03d}",
        f"{rng.randint(23, 26)}-{number % 10000:04d}", f"{number}/{rng.randint(1, 9)}",
        f"{letters[0]}{rng.randint(10, 99)}.{number % 1000:03d}",
    )[form]  # fmt: skip


def draw_date(rng: random.Random) -> str:
    """A day of 2022 to 2026, in one of four forms."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2022, 2026)
    return (
        f"{year}-{month:02d}-{day:02d}", f"{day} {MONTHS[month - 1]} {year}",
        f"{day:02d}.{month:02d}.{year}", f"{day:02d}/{month:02d}/{year % 100:02d}",
    )[rng.randrange(4)]  # fmt: skip


def draw_person(rng: random.Random) -> str:
    """The surname of an inspector."""
    return rng.choice(SAY["people"])


def _extras(station: str, rng: random.Random) -> tuple[tuple[str, str], ...]:
    number = rng.randint(1, 14)

    def label(name: str) -> str:
        return rng.choice(SAY["extra_labels"][name])

    choices = [
        (label("date"), draw_date(rng)),
        (label("station"), f"{station} {number}"),
        (SAY.phrase("extra_labels", "shift"), rng.choice(SAY["shifts"])),
        (label("inspector"), draw_person(rng)),
        (label("order"), str(rng.randint(40000, 79999))),
        (label("customer"), rng.choice(SAY["customers"])),
        (label("gauge"), f"{rng.choice('GMK')}{rng.randint(100, 999)}"),
        (label("tool"), f"T{rng.randint(10, 99)}"),
    ]
    return tuple(rng.sample(choices, rng.randint(1, 3)))


# ---------------------------------------------------------------------------------------------
# The instruction, header and blocks
# ---------------------------------------------------------------------------------------------


def request(say: Realiser, words: Wordings, sheet: Sheet, name: str) -> str:
    """The instruction of a report: what is asked for, and the form of the answer."""
    limits = "one limit" if sheet.lot.nominal is None else "two limits"
    wordings = words["items"].get(f"{name}, {limits}") or words["items"][name]
    items = say("items", wordings)
    asked = say("asked", words["request"], items=items, **sheet.values)
    return f"{asked} {say('form', words['form'])}"


def header(say: Realiser, sheet: Sheet) -> list[tuple[str, str]]:
    """(label, value) of each field, in a drawn order."""
    labels = SAY["header_labels"]
    limits = "upper" if sheet.lot.lower is None else "lower" if sheet.lot.upper is None else "both"
    fields = [
        (say("lotlabel", labels["lot"]), sheet.code),
        (say("partlabel", labels["part"]), say("title", SAY["measured"], **sheet.values)),
        (
            say("speclabel", labels["tolerance"]),
            say("spec", SAY["tolerance"][limits], **sheet.values),
        ),
    ]
    return say.order("header", [*fields, *sheet.extras])


def block(say: Realiser, sheet: Sheet, name: str) -> str:
    """A block of the sheet: an entry of the wordings, or one that is put together here."""
    made = {"defects": _defect_list, "series": _series, "words": _words}
    if name in made:
        return made[name](say, sheet)
    if name.endswith("_factors"):
        return _factors(say, sheet, name)
    extra = {"chart": chart_text(sheet)} if name == "chart" else {}
    return say(name, SAY[name], **sheet.values, **extra)


def _defect_list(say: Realiser, sheet: Sheet) -> str:
    """Counts by kind; the sheet's own order is that of the inspection plan, so it is drawn."""
    items = list(sheet.lot.defects.items())
    say.rng.shuffle(items)
    pattern = say("defectitem", DEFECT_ITEMS, k="{k}", c="{c}")
    texts = [pattern.format(k=kind, c=count) for kind, count in items]
    label = say("defectlabel", SAY["defect_label"])
    return f"{label}: {say('defectjoin', [', ', '; ', ' | ', ' / ']).join(texts)}"


def _series(say: Realiser, sheet: Sheet) -> str:
    """Subgroup means and ranges in one of several notations."""
    means = [sheet.length(value) for value in sheet.fig.means]
    ranges = [sheet.length(value, 0) for value in sheet.fig.ranges]
    form = say("series", list(SAY["series"]))
    row, end = {
        "rows": ("{}: {} / {}", "\n"),
        "csv": ("{},{},{}", "\n"),
        "brackets": ("{1} ({2})", "; "),
    }.get(form, ("", ""))
    joint = {"lines": ", ", "pipes": " | "}.get(form, " ")
    pairs = enumerate(zip(means, ranges, strict=True), 1)
    shown = {
        "rows": end.join(row.format(i, *pair) for i, pair in pairs),
        "means": joint.join(means),
        "ranges": joint.join(ranges),
    }
    return SAY.phrase("series", form, **sheet.values, **shown)


def _factors(say: Realiser, sheet: Sheet, name: str) -> str:
    """The factors of two subgroup sizes, one of which is that of the lot."""
    others = [size for size in (3, 4, 5, 6) if size != sheet.lot.size]
    pattern = say(name, SAY[name], n="{n}", d2="{d2}", a2="{a2}", d4="{d4}")
    rows = []
    for size in sorted((sheet.lot.size, say.rng.choice(others))):
        factors = {key: f"{float(getattr(CONSTANTS[size], key)):.3f}" for key in FACTORS}
        rows.append(pattern.format(n=size, **factors))
    return f"{SAY.phrase('factors_label')}: {'; '.join(rows)}"


def _words(say: Realiser, sheet: Sheet) -> str:
    """The rule for the process finding."""
    case = "one limit" if sheet.lot.nominal is None else "two limits"
    return say("words", SAY["words"][case], **sheet.values)


def lay_out(say: Realiser, fields: Sequence[tuple[str, str]], blocks: Sequence[str]) -> str:
    """Header and blocks: as lines, with bars, with dashes, or the header as running text."""
    form = say("layout", ["lines", "bars", "sentence", "dash"])
    if form == "lines":
        head = "\n".join(f"{label}: {value}" for label, value in fields)
    elif form == "bars":
        head = " | ".join(f"{label} {value}" for label, value in fields)
    elif form == "dash":
        head = "\n".join(f"- {label.lower()} {value}" for label, value in fields)
    else:
        head = capital("; ".join(f"{label.lower()} {value}" for label, value in fields) + ".")
    return "\n".join([head, *blocks])
