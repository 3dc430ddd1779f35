"""What the instruction of a report or question on a lot asks for, as facts."""

from collections.abc import Sequence
from fractions import Fraction

from course_utils.facts import ALSO, Fact
from course_utils.tracks.manufacturing.control_charts import (
    DISPOSITIONS,
    FINDINGS,
    IN_CONTROL,
    OFF_CENTRE,
    ONE_LIMIT_FINDINGS,
    RULES,
)
from course_utils.tracks.manufacturing.lot_figures import percent
from course_utils.tracks.manufacturing.lot_sheets import MET, MISSED, Sheet, subgroups

SIDES = ("above nominal", "below nominal")


def length_fact(sheet: Sheet, name: str, value: str) -> Fact:
    """A figure in the unit of the part."""
    return Fact(name, sheet.values[value], sheet.lot.part.unit)


def closed(name: str, right: Sequence[str], known: Sequence[str]) -> Fact:
    """Values of a closed set, with the others of it."""
    return Fact(name, ALSO.join(right), others=tuple(one for one in known if one not in right))


def disposition_fact(sheet: Sheet) -> Fact:
    """What happens to the lot."""
    return closed("disposition", [sheet.fig.disposition], DISPOSITIONS)


def finding_facts(sheet: Sheet) -> list[Fact]:
    """What the process finding is and, where the mean is off, how far it must be moved."""
    known = ONE_LIMIT_FINDINGS if sheet.lot.nominal is None else FINDINGS
    facts = [closed("process finding", sheet.fig.finding, known)]
    return facts + ([length_fact(sheet, "correction", "correction")] if off_centre(sheet) else [])


def off_centre(sheet: Sheet) -> bool:
    """Whether the finding asks for a correction of the mean."""
    return OFF_CENTRE in sheet.fig.finding


def chart_facts(sheet: Sheet) -> list[Fact]:
    """All rules that the chart breaks, and the subgroups of each."""
    found = sheet.fig.signals
    rules = [signal.rule for signal in found] or [IN_CONTROL]
    facts = [closed("chart", rules, (IN_CONTROL, *RULES))]
    return facts + [Fact(signal.rule, subgroups(signal.subgroups)) for signal in found]


def leader_fact(sheet: Sheet) -> Fact:
    """The largest defect, with the other defects of the sheet as rivals."""
    kinds = [kind for kind, _, _ in sheet.defects]
    return closed("largest defect", kinds[:1], kinds)


# --- The facts of a kind of report


def share_fact(sheet: Sheet, name: str, value: str) -> Fact:
    """A figure in per cent."""
    return Fact(name, sheet.values[value], "%")


def target_fact(sheet: Sheet) -> Fact:
    """Whether the target of first-pass yield is met."""
    return closed("yield target", [sheet.target_word], (MET, MISSED))


def output_facts(sheet: Sheet) -> list[Fact]:
    """Good pieces, yield and scrap rate, and whether the target of yield is met."""
    good = Fact("good at once", sheet.values["good"], sheet.lot.part.plural)
    shares = [
        share_fact(sheet, "first-pass yield", "yield_percent"),
        share_fact(sheet, "scrap rate", "scrap_percent"),
    ]
    return [good, *shares, target_fact(sheet)]


def defect_facts(sheet: Sheet) -> list[Fact]:
    """All rejects, the largest defect, and the shares of the largest and the two largest."""
    return [
        Fact("rejects", sheet.values["rejected"], "pieces"),
        leader_fact(sheet),
        share_fact(sheet, "share of the largest defect", "defect_share"),
        Fact("share of the two largest", two_largest(sheet)[1], "%"),
    ]


def two_largest(sheet: Sheet) -> tuple[int, str]:
    """(pieces, per cent of the rejects) of the two largest kinds of defect."""
    count = sum(count for _, count, _ in sheet.defects[:2])
    return count, percent(Fraction(count, sheet.lot.rejected))


def average_facts(sheet: Sheet) -> list[Fact]:
    """Mean, mean range, and how far the mean lies from nominal or from the only limit."""
    facts = [length_fact(sheet, "mean", "mean"), length_fact(sheet, "mean range", "mean_range")]
    if sheet.lot.nominal is None:
        return [*facts, length_fact(sheet, "room to the limit", "room")]
    side = closed("side", [sheet.values["side"]], SIDES)
    return [*facts, length_fact(sheet, "offset", "distance"), side]


def index_facts(sheet: Sheet) -> list[Fact]:
    """Cp, where the tolerance has two limits, and Cpk."""
    names = {"Cp": "cp", "Cpk": "cpk"}
    return [Fact(name, sheet.values[key]) for name, key in names.items() if key in sheet.values]


def capability_facts(sheet: Sheet) -> list[Fact]:
    """Sigma, the indices, and what the process needs."""
    return [length_fact(sheet, "sigma", "sigma"), *index_facts(sheet), *finding_facts(sheet)]


def limit_facts(sheet: Sheet) -> list[Fact]:
    """The limits of the chart."""
    names = {"UCL": "ucl", "LCL": "lcl", "range limit": "range_ucl"}
    return [length_fact(sheet, name, key) for name, key in names.items()]


def control_facts(sheet: Sheet) -> list[Fact]:
    """The limits of the chart, all rules it breaks, and what happens to the lot."""
    return [*limit_facts(sheet), *chart_facts(sheet), disposition_fact(sheet)]


def overview_facts(sheet: Sheet) -> list[Fact]:
    """The lot and its process in short."""
    found = [share_fact(sheet, "first-pass yield", "yield_percent"), *index_facts(sheet)]
    return [*found, leader_fact(sheet), disposition_fact(sheet), *finding_facts(sheet)]


def process_facts(sheet: Sheet) -> list[Fact]:
    """Mean, sigma, indices, and what the process needs."""
    lengths = [length_fact(sheet, name, name) for name in ("mean", "sigma")]
    return [*lengths, *index_facts(sheet), *finding_facts(sheet)]


def brief_facts(sheet: Sheet) -> list[Fact]:
    """The lot and its process with few figures: of the indices, Cpk alone."""
    found = [share_fact(sheet, "first-pass yield", "yield_percent"), index_facts(sheet)[-1]]
    return [*found, leader_fact(sheet), disposition_fact(sheet), *finding_facts(sheet)]


def reject_facts(sheet: Sheet) -> list[Fact]:
    """Yield, scrap, the largest defect, and whether the target of yield is met."""
    shares = [
        share_fact(sheet, "first-pass yield", "yield_percent"),
        share_fact(sheet, "scrap rate", "scrap_percent"),
    ]
    leader = [leader_fact(sheet), share_fact(sheet, "share of the largest defect", "defect_share")]
    return [*shares, *leader, target_fact(sheet)]


def piece_facts(sheet: Sheet) -> list[Fact]:
    """Yield, extreme readings, chart, and what happens to the lot."""
    extremes = {"lowest reading": "lowest", "highest reading": "highest"}
    lengths = [length_fact(sheet, name, key) for name, key in extremes.items()]
    found = [share_fact(sheet, "first-pass yield", "yield_percent"), *lengths]
    return [*found, *chart_facts(sheet), disposition_fact(sheet)]
