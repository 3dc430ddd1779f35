"""The sheet of a production lot: what stands in its header and blocks, and in which notation.

The words: data/wordings/manufacturing/lot_sheets.yaml.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from course_utils.facts import Fact, format_facts
from course_utils.tracks.manufacturing.control_charts import (
    Figures,
    Lot,
    Signal,
    constants,
    figures,
    simulate_lot,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_sheets")
SOURCE = "simulated lot"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Punctuation only: {k} is a kind of defect or the name of a figure, {c} and {v} its number.
DEFECT_ITEMS = ["{k} {c}", "{k}: {c}", "{c} x {k}", "{c} {k}", "{k} = {c}"]
SUMMARIES = [
    ("{k} {v}", ", "),
    ("{k}={v}", "; "),
    ("{k}: {v}", "\n"),
    ("{k} = {v}", "\n"),
    ("{k}: {v}", ", "),
    ("{k} {v}", " / "),
]


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

    @cached_property
    def values(self) -> dict[str, str]:
        """What the wordings on a lot may say: every figure as it is written, without its unit."""
        lot, fig, part = self.lot, self.fig, self.lot.part
        factors = constants(lot.size)
        return {
            "code": self.code,
            "part": part.name,
            "parts": part.plural,
            "characteristic": part.characteristic,
            "unit": part.unit,
            "required": f"{part.required:.2f}",
            "produced": str(lot.produced),
            "scrap": str(lot.scrap),
            "rework": str(lot.rework),
            "rejected": str(lot.rejected),
            "good": str(lot.produced - lot.rejected),
            "yield_percent": f"{fig.yield_percent:.1f}",
            "scrap_percent": f"{fig.scrap_percent:.1f}",
            "rework_percent": f"{fig.rework_percent:.1f}",
            "defect": fig.defect,
            "defect_count": str(fig.defect_count),
            "defect_share": f"{fig.defect_percent:.1f}",
            "groups": str(len(fig.means)),
            "size": str(lot.size),
            "readings": str(len(fig.means) * lot.size),
            "mean": self.length(fig.mean),
            "mean_range": self.length(fig.mean_range),
            "sigma": self.length(fig.sigma, 2),
            "cp": "" if fig.cp is None else f"{fig.cp:.2f}",
            "cpk": f"{fig.cpk:.2f}",
            "lcl": self.length(fig.limits.mean_low),
            "ucl": self.length(fig.limits.mean_high),
            "range_ucl": self.length(fig.limits.range_high),
            "largest_range": self.length(max(fig.ranges), 0),
            "d2": f"{factors.d2:.3f}",
            "a2": f"{factors.a2:.3f}",
            "distance": self.length(abs(self.offset)),
            "place": self.place,
        }

    @property
    def offset(self) -> float:
        """How far the mean lies above (+) or below the nominal value, or the only limit."""
        lot, mean = self.lot, self.fig.mean
        if lot.nominal is not None:
            return round(mean - lot.nominal, lot.part.decimals + 1)
        return mean - (lot.upper if lot.lower is None else lot.lower)

    @property
    def place(self) -> str:
        """Where the mean lies: "0.0021 mm above nominal"."""
        target = "nominal"
        if self.lot.nominal is None:
            target = "the upper limit" if self.lot.lower is None else "the lower limit"
        elif self.offset == 0:
            return SAY.phrase("place", "on nominal")
        side = "below" if self.offset < 0 else "above"
        distance = self.length(abs(self.offset))
        return SAY.phrase("place", f"{side} {target}", distance=distance, unit=self.lot.part.unit)


def draft(say: Realiser, task: str, group: str, facts: Sequence[Fact] = (), **texts: str) -> Draft:
    """A record about a lot."""
    record = {**texts, "task": task, "document": "quality_report", "source": SOURCE, "group": group}
    if facts:
        record["facts"] = format_facts(facts)
    return Draft(record, say.template)


def subgroups(numbers: Sequence[int]) -> str:
    """ "subgroup 4", "subgroups 2 and 5", "subgroups 1 to 8"."""
    case = "several"
    if len(numbers) == 1:
        case = "one"
    elif len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        case = "run"
    others = ", ".join(map(str, numbers[:-1]))
    return SAY.phrase("subgroups", case, first=numbers[0], others=others, last=numbers[-1])


# ---------------------------------------------------------------------------------------------
# What is drawn beside the lot
# ---------------------------------------------------------------------------------------------


def draw_sheet(rng: random.Random) -> Sheet:
    """A lot with its figures, its number and some further fields."""
    lot = simulate_lot(rng)
    return Sheet(lot, figures(lot), draw_code(rng), _extras(lot.part.station, rng))


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
        f"{day:02d}.{month:02d}.{year}", f"{day:02d}/{month:02d}/{year % 100}",
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
    return tuple(rng.sample(choices, rng.randint(2, 4)))


# ---------------------------------------------------------------------------------------------
# Header and blocks
# ---------------------------------------------------------------------------------------------


def header(say: Realiser, sheet: Sheet, few: bool = False) -> list[tuple[str, str]]:
    """(label, value) of each field, in a drawn order; `few` leaves but one further field."""
    title = say("title", SAY["measured"], **sheet.values)
    labels = SAY["header_labels"]
    fields = [
        (say("lotlabel", labels["lot"]), sheet.code),
        (say("partlabel", labels["part"]), title),
        (say("speclabel", labels["tolerance"]), _tolerance(say, sheet)),
    ]
    extras = list(sheet.extras[: 1 if few else None])
    return say.order("header", [*fields, *extras])


def _tolerance(say: Realiser, sheet: Sheet) -> str:
    """The specification, in one of the usual spellings."""
    lot = sheet.lot
    values = {"unit": lot.part.unit}
    for name, value in (("lower", lot.lower), ("upper", lot.upper), ("nominal", lot.nominal)):
        if value is not None:
            values[name] = sheet.length(value, 0)
    if lot.nominal is not None:
        values["tolerance"] = sheet.length(lot.upper - lot.nominal, 0)
    limits = "upper" if lot.lower is None else "lower" if lot.upper is None else "both"
    return say("spec", SAY["tolerance"][limits], **values)


def counts(say: Realiser, sheet: Sheet) -> str:
    """Pieces produced, scrapped and reworked."""
    return say("counts", SAY["counts"], **sheet.values)


def defect_list(say: Realiser, sheet: Sheet, shares: bool = False) -> str:
    """Counts by kind; the sheet's own order is that of the inspection plan, so it is drawn."""
    items = list(sheet.lot.defects.items())
    say.rng.shuffle(items)
    pattern = say("defectitem", DEFECT_ITEMS, k="{k}", c="{c}")
    texts = [pattern.format(k=kind, c=count) for kind, count in items]
    text = say("defectjoin", [", ", "; ", " | ", " / "]).join(texts)
    return f"{text} {SAY.phrase('largest_defect', **sheet.values)}" if shares else text


def series(say: Realiser, sheet: Sheet) -> str:
    """Subgroup means and ranges in one of several notations."""
    means = [sheet.length(value) for value in sheet.fig.means]
    ranges = [sheet.length(value, 0) for value in sheet.fig.ranges]
    form = say("series", ["rows", "lines", "csv", "brackets", "pipes", "text"])
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


def summary(say: Realiser, sheet: Sheet) -> str:
    """Figures as a measuring program prints them."""
    values = sheet.values
    items = {
        "mean": f"{values['mean']} {values['unit']}",
        "Rbar": values["mean_range"],
        "sigma": values["sigma"],
        "Cp": values["cp"],
        "Cpk": values["cpk"],
        "yield": f"{values['yield_percent']} %",
        "chart": _chart_note(sheet.fig.signals),
    }
    pattern, joint = SUMMARIES[int(say("summary", [str(i) for i in range(len(SUMMARIES))]))]
    body = joint.join(pattern.format(k=key, v=value) for key, value in items.items() if value)
    return f"{SAY.phrase('summary_head', **values)}\n{body}"


def _chart_note(found: Sequence[Signal]) -> str:
    if not found:
        return SAY.phrase("chart_note", "quiet")
    numbers = " ".join(map(str, found[0].subgroups))
    return SAY.phrase("chart_note", "signal", rule=found[0].rule, numbers=numbers)


def lay_out(say: Realiser, fields: Sequence[tuple[str, str]], blocks: Sequence[str]) -> str:
    """Header and blocks as lines, in one line with bars, or as running text."""
    form = say("layout", ["lines", "bars", "sentence", "comma", "dash"])
    if form == "lines":
        head = "\n".join(f"{label}: {value}" for label, value in fields)
    elif form == "bars":
        head = " | ".join(f"{label} {value}" for label, value in fields)
    elif form == "comma":
        head = ",".join(label for label, _ in fields) + "\n"
        head += ",".join(value.replace(",", "") for _, value in fields)
    elif form == "dash":
        head = "\n".join(f"- {label.lower()} {value}" for label, value in fields)
    else:
        head = capital("; ".join(f"{label.lower()} {value}" for label, value in fields) + ".")
    return "\n".join([head, *blocks])
