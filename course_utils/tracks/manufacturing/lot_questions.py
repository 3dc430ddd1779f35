"""Questions about production lots. Each has one form of answer, which its instruction announces.

The sentences: data/wordings/manufacturing/lot_questions.yaml. What was drawn is the wording of the
question, never that of the answer.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from course_utils.facts import ANSWER, Fact
from course_utils.schemas import QUESTION_FORMS
from course_utils.tracks.manufacturing.control_charts import (
    CAPABLE,
    HOLD,
    TOO_NEAR,
    UNSTABLE,
    half_up,
)
from course_utils.tracks.manufacturing.lot_facts import (
    SIDES,
    chart_facts,
    closed,
    disposition_fact,
    finding_facts,
    index_facts,
    leader_fact,
    length_fact,
    off_centre,
    share_fact,
    two_largest,
)
from course_utils.tracks.manufacturing.lot_figures import three_figures
from course_utils.tracks.manufacturing.lot_sheets import (
    MET,
    Sheet,
    block,
    chart_text,
    draft,
    header,
    lay_out,
    step,
    subgroups,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_questions")
NUMBER, NAME, YES_NO, SENTENCE = QUESTION_FORMS
QUIET_SHARE = 0.15  # of the charts without a signal are asked about; "in control" is soon learned
WEIGHT = 4  # of a question for which only some lots have something to tell


@dataclass(frozen=True)
class Asked:
    """What answers a question about one lot."""

    facts: list[Fact]
    case: str = "answer"  # which of the entry's answers
    values: dict[str, str] = field(default_factory=dict)  # beside those of the sheet


@dataclass(frozen=True)
class Kind:
    """A kind of question: what the sheet shows, the form of the answer, and how to get it."""

    shown: tuple[str, ...]
    form: str
    announced: str  # which announcement of the form
    # None where the question has no single answer for this lot
    ask: Callable[[Sheet, random.Random], Asked | None]
    rounded: str = ""  # the value whose last digit is told


# ---------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------


def _figure(value: str, unit: str = "") -> Callable[[Sheet, random.Random], Asked | None]:
    """A value of the sheet; `unit` is a unit or the value that holds it. None where it is 0."""

    def ask(sheet: Sheet, rng: random.Random) -> Asked | None:
        number = sheet.values.get(value, "")
        if not number.strip("0."):
            return None
        return Asked([Fact(ANSWER, number, sheet.values.get(unit, unit))])

    return ask


def _short_series(value: str) -> Callable[[Sheet, random.Random], Asked | None]:
    """An average over the subgroups, where they are few."""

    def ask(sheet: Sheet, rng: random.Random) -> Asked | None:
        return _figure(value, "unit")(sheet, rng) if len(sheet.fig.means) <= 6 else None

    return ask


def _share(sheet: Sheet, rng: random.Random) -> Asked:
    kind, _, share = rng.choice(sheet.defects)
    return Asked([Fact(ANSWER, share, "%")], values={"kind": kind, "share": share})


def _two_largest(sheet: Sheet, rng: random.Random) -> Asked | None:
    if len(sheet.defects) < 3:
        return None
    share = two_largest(sheet)[1]
    return Asked([Fact(ANSWER, share, "%")], values={"share": share})


def _offset(sheet: Sheet, rng: random.Random) -> Asked | None:
    if sheet.lot.nominal is None:
        return None
    side = closed("side", [sheet.values["side"]], SIDES)
    return Asked([length_fact(sheet, ANSWER, "distance"), side])


def _needed_sigma(sheet: Sheet, rng: random.Random) -> Asked | None:
    """The largest sigma that gives the required Cp."""
    lot = sheet.lot
    if lot.nominal is None:
        return None
    exact = (lot.upper - lot.lower) / (6 * Fraction(str(lot.part.required)))
    number = f"{half_up(exact, three_figures(exact)):f}"
    return Asked([Fact(ANSWER, number, lot.part.unit)], values={"number": number})


# ---------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------


def _leader(sheet: Sheet, rng: random.Random) -> Asked:
    return Asked([leader_fact(sheet)])


def _second(sheet: Sheet, rng: random.Random) -> Asked | None:
    """The second largest defect, where no other is as frequent."""
    counts = [count for _, count, _ in sheet.defects]
    if len(counts) < 3 or counts[1] == counts[2]:
        return None
    kinds = [kind for kind, _, _ in sheet.defects]
    return Asked([closed(ANSWER, [kinds[1]], kinds)], values={"kind": kinds[1]})


def _extreme(row: str, pick: Callable) -> Callable[[Sheet, random.Random], Asked | None]:
    """The subgroup with the largest or smallest mean or range, where there is one, and its value.

    The value is asked for too: one subgroup of eight is soon guessed.
    """

    def ask(sheet: Sheet, rng: random.Random) -> Asked | None:
        values = getattr(sheet.fig, row)
        if values.count(pick(values)) > 1:
            return None
        names = [subgroups([number]) for number in range(1, len(values) + 1)]
        right = names[values.index(pick(values))]
        value = sheet.length(pick(values), 1 if row == "means" else 0)
        facts = [closed(ANSWER, [right], names), Fact("value", value, sheet.lot.part.unit)]
        return Asked(facts, values={"group": right, "value": value})

    return ask


def _signal(sheet: Sheet, rng: random.Random) -> Asked | None:
    found = sheet.fig.signals
    if not found and rng.random() > QUIET_SHARE:
        return None
    told = "; ".join(f"{signal.rule}: {subgroups(signal.subgroups)}" for signal in found)
    return Asked(chart_facts(sheet), "answer" if found else "quiet", {"signals": told})


# ---------------------------------------------------------------------------------------------
# Yes or no
# ---------------------------------------------------------------------------------------------


def _verdict(right: bool, *reasons: Fact, **values: str) -> Asked:
    answer, other = ("yes", "no") if right else ("no", "yes")
    return Asked([Fact(ANSWER, answer, others=(other,)), *reasons], answer, values)


def _index(name: str) -> Callable[[Sheet, random.Random], Asked | None]:
    """Whether Cp or Cpk reaches what is required."""

    def ask(sheet: Sheet, rng: random.Random) -> Asked | None:
        facts = [fact for fact in index_facts(sheet) if fact.name == name]
        if not facts:
            return None
        enough = facts[0].number >= sheet.lot.part.required
        return _verdict(enough, *facts, index=facts[0].value)

    return ask


def _goal(sheet: Sheet, rng: random.Random) -> Asked:
    reason = share_fact(sheet, "first-pass yield", "yield_percent")
    return _verdict(sheet.target_word == MET, reason)


def _ends(sheet: Sheet) -> dict[str, Fact]:
    return {end: length_fact(sheet, f"{end} reading", end) for end in ("lowest", "highest")}


def out_of_tolerance(sheet: Sheet) -> list[str]:
    """Which of the extreme readings are out of tolerance: "lowest", "highest"."""
    lot, fig = sheet.lot, sheet.fig
    low = lot.lower is not None and fig.lowest < lot.lower
    high = lot.upper is not None and fig.highest > lot.upper
    return [name for name, out in (("lowest", low), ("highest", high)) if out]


def _tolerance(sheet: Sheet, rng: random.Random) -> Asked | None:
    """Whether all pieces keep the tolerance; where both ends are out, either would be an answer."""
    out, ends = out_of_tolerance(sheet), _ends(sheet)
    if not out:
        return _verdict(True, *ends.values())
    if len(out) > 1:
        return None
    return Asked(_verdict(False, ends[out[0]]).facts, f"no, {out[0]}")


def _mean_inside(sheet: Sheet, rng: random.Random) -> Asked:
    """Whether the mean of one subgroup lies within the control limits."""
    fig, limits = sheet.fig, sheet.fig.limits
    out = [i for i, mean in enumerate(fig.means) if not limits.mean_low < mean < limits.mean_high]
    number = rng.choice(out if out and rng.random() < 0.7 else range(len(fig.means)))
    values = {"number": str(number + 1), "group_mean": sheet.length(fig.means[number])}
    low, high = length_fact(sheet, "LCL", "lcl"), length_fact(sheet, "UCL", "ucl")
    if number not in out:
        return _verdict(True, low, high, **values)
    above = fig.means[number] > fig.mean
    asked = _verdict(False, high if above else low, **values)
    return Asked(asked.facts, "no, above" if above else "no, below", values)


def _range_inside(sheet: Sheet, rng: random.Random) -> Asked:
    fig = sheet.fig
    number = max(range(len(fig.ranges)), key=fig.ranges.__getitem__)
    inside = fig.ranges[number] < fig.limits.range_high
    return _verdict(inside, length_fact(sheet, "range limit", "range_ucl"))


# ---------------------------------------------------------------------------------------------
# One sentence
# ---------------------------------------------------------------------------------------------


def _fate(sheet: Sheet, rng: random.Random) -> Asked | None:
    """What happens to the lot, and why; None where two readings are a reason to sort it."""
    fate, out, ends = sheet.fig.disposition, out_of_tolerance(sheet), _ends(sheet)
    if fate == HOLD:
        return Asked([disposition_fact(sheet), *chart_facts(sheet)], fate)
    if len(out) > 1:
        return None
    values = {"end": out[0], "piece": ends[out[0]].value} if out else {}
    return Asked([disposition_fact(sheet), *(ends[end] for end in out or ends)], fate, values)


def _finding(sheet: Sheet, rng: random.Random) -> Asked:
    """What the process needs, and why."""
    fig, facts = sheet.fig, finding_facts(sheet)
    if UNSTABLE in fig.finding:
        reasons = chart_facts(sheet)
    else:  # Cp decides only between centre and spread
        reasons = index_facts(sheet)[-1 if decided_by_cpk(sheet) else 0 :]
    return Asked([*facts, *reasons], sheet.values["finding"])


def decided_by_cpk(sheet: Sheet) -> bool:
    """Whether Cpk alone decides the process finding."""
    return bool({CAPABLE, TOO_NEAR} & set(sheet.fig.finding))


def _first(sheet: Sheet, rng: random.Random) -> Asked:
    share = share_fact(sheet, "share of the largest defect", "defect_share")
    return Asked([leader_fact(sheet), share])


# ---------------------------------------------------------------------------------------------
# All kinds, and the records
# ---------------------------------------------------------------------------------------------

COUNTS, DEFECTS, SERIES = ("counts", "yield_goal"), ("defects",), ("series",)
PROCESS, RANGES = ("process", "required"), ("ranges", "limit_factors")
KINDS = {
    "yield": Kind(COUNTS, NUMBER, "rounded", _figure("yield_percent", "%"), "yield_percent"),
    "scrap": Kind(COUNTS, NUMBER, "rounded", _figure("scrap_percent", "%"), "scrap_percent"),
    "rework": Kind(COUNTS, NUMBER, "rounded", _figure("rework_percent", "%"), "rework_percent"),
    "good": Kind(COUNTS, NUMBER, "count", _figure("good", "parts")),
    "share": Kind(DEFECTS, NUMBER, "rounded", _share, "defect_share"),
    "two_largest": Kind(DEFECTS, NUMBER, "rounded", _two_largest, "defect_share"),
    "cp": Kind(PROCESS, NUMBER, "index", _figure("cp")),
    "cpk": Kind(PROCESS, NUMBER, "index", _figure("cpk")),
    "sigma": Kind(
        ("ranges", "sigma_factors"), NUMBER, "rounded", _figure("sigma", "unit"), "sigma"
    ),
    "needed_sigma": Kind(("required",), NUMBER, "three figures", _needed_sigma),
    "ucl": Kind(RANGES, NUMBER, "rounded", _figure("ucl", "unit"), "ucl"),
    "lcl": Kind(RANGES, NUMBER, "rounded", _figure("lcl", "unit"), "lcl"),
    "range_limit": Kind(RANGES, NUMBER, "rounded", _figure("range_ucl", "unit"), "range_ucl"),
    "mean": Kind(SERIES, NUMBER, "rounded", _short_series("mean"), "mean"),
    "mean_range": Kind(SERIES, NUMBER, "rounded", _short_series("mean_range"), "mean_range"),
    "offset": Kind(("process",), NUMBER, "side", _offset),
    "room": Kind(("process",), NUMBER, "rounded", _figure("room", "unit"), "room"),
    "leader": Kind(DEFECTS, NAME, "defect", _leader),
    "second": Kind(DEFECTS, NAME, "defect", _second),
    "widest": Kind(SERIES, NAME, "subgroup", _extreme("ranges", max)),
    "highest": Kind(SERIES, NAME, "subgroup", _extreme("means", max)),
    "lowest": Kind(SERIES, NAME, "subgroup", _extreme("means", min)),
    "signal": Kind(("series", "chart_limits", "rules"), NAME, "rules", _signal),
    "enough": Kind(PROCESS, YES_NO, "yes or no", _index("Cpk")),
    "centring": Kind(PROCESS, YES_NO, "yes or no", _index("Cp")),
    "goal": Kind(COUNTS, YES_NO, "yes or no", _goal),
    "tolerance": Kind(("pieces",), YES_NO, "yes or no", _tolerance),
    "mean_inside": Kind(RANGES, YES_NO, "yes or no", _mean_inside, "ucl"),
    "range_inside": Kind(
        (*RANGES, "largest_range"), YES_NO, "yes or no", _range_inside, "range_ucl"
    ),
    "fate": Kind(("chart", "pieces", "fates"), SENTENCE, "sentence", _fate),
    "finding": Kind(("process", "chart", "words"), SENTENCE, "sentence", _finding),
    "first": Kind(DEFECTS, SENTENCE, "sentence", _first, "defect_share"),
}


def question_drafts(sheet: Sheet, rng: random.Random, group: str, count: int = 2) -> list[Draft]:
    """Questions of different kinds, with the part of the sheet that answers each."""
    # One lot in four has a signal, one in five is off centre: there it is asked about more often.
    telling = "signal" if sheet.fig.signals else "finding" if off_centre(sheet) else ""
    names = [*KINDS, *[telling] * (WEIGHT if telling else 0)]
    rng.shuffle(names)
    drafts = []
    for name in dict.fromkeys(names):
        if len(drafts) < count and (asked := KINDS[name].ask(sheet, rng)) is not None:
            drafts.append(_question_draft(sheet, name, asked, rng, group))
    return drafts


def _question_draft(sheet: Sheet, name: str, asked: Asked, rng: random.Random, group: str) -> Draft:
    kind, say = KINDS[name], Realiser(rng, f"quality/qa/{name}")
    values = {**sheet.values, **asked.values, "chart": chart_text(sheet)}
    lead = say("lead", SAY["lead"], code=sheet.code)
    question = say("asked", SAY[name]["asked"], **values)
    announcement = say("form", SAY["announced"][kind.announced], **_rounding(sheet, kind))
    blocks = [block(say, sheet, part) for part in kind.shown]
    given = lay_out(say, header(say, sheet), blocks)
    return draft(
        say, "qa", group, asked.facts,
        instruction=" ".join(filter(None, (lead, question, announcement))), input=given,
        output=capital(SAY.phrase(name, asked.case, **values)), form=kind.form,
    )  # fmt: skip


def _rounding(sheet: Sheet, kind: Kind) -> dict[str, str]:
    if not kind.rounded:
        return {}
    unit = "%" if kind.rounded.endswith(("percent", "share")) else sheet.lot.part.unit
    return {"digit": f"{step(sheet, kind.rounded)} {unit}"}
