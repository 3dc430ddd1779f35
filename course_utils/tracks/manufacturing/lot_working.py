"""Reports on lots with the working shown: the answer computes line by line, then concludes.

Data, factors and rules stand on the sheet.

The lines and the instructions: data/wordings/manufacturing/lot_working.yaml. A line computes from
figures as they are written; sheets on which that would differ from the exact figure are not drawn
(lot_figures.py).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from course_utils.facts import Fact
from course_utils.schemas import REPORT_FORMS
from course_utils.tracks.manufacturing.lot_facts import (
    average_facts,
    capability_facts,
    control_facts,
    defect_facts,
    output_facts,
    overview_facts,
    two_largest,
)
from course_utils.tracks.manufacturing.lot_sheets import (
    Sheet,
    block,
    chart_text,
    draft,
    header,
    lay_out,
    request,
    step,
)
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_working")
WORKING = REPORT_FORMS[0]
SHORT_SERIES = 6  # subgroups
FEW_REJECTS = 10


@dataclass(frozen=True)
class Kind:
    """What the sheet of a kind of report shows, and what its answer must state."""

    data: tuple[str, ...]  # blocks in a drawn order
    rules: tuple[str, ...]  # factors, rules and words, which follow
    facts: Callable[[Sheet], list[Fact]]
    lines: Callable[[Sheet], list[str]]  # the working, and the conclusion


# ---------------------------------------------------------------------------------------------
# Lines of working
# ---------------------------------------------------------------------------------------------


def _line(sheet: Sheet, name: str, **more: object) -> str:
    return SAY.phrase("working", name, **sheet.values, **more)


def _output_lines(sheet: Sheet) -> list[str]:
    names = ("good", "yield", "scrap", f"target {sheet.target_word}")
    return [_line(sheet, name) for name in names]


def _defect_lines(sheet: Sheet) -> list[str]:
    counts = [str(count) for _, count, _ in sheet.defects]
    both, share = two_largest(sheet)
    return [
        _line(sheet, "rejects", counts=" + ".join(counts)),
        _line(sheet, "leader share"),
        _line(sheet, "two largest", two=" + ".join(counts[:2]), both=both, share=share),
    ]


def _average_lines(sheet: Sheet) -> list[str]:
    fig = sheet.fig
    means, ranges = (
        " + ".join(sheet.length(value, more) for value in values)
        for values, more in ((fig.means, 1), (fig.ranges, 0))
    )
    total, range_total = sheet.length(sum(fig.means)), sheet.length(sum(fig.ranges), 0)
    return [
        _line(sheet, "mean", means=means, total=total),
        _line(sheet, "mean range", ranges=ranges, range_total=range_total),
        _line(sheet, "offset" if sheet.lot.nominal is not None else "room", gap=gap(sheet)),
    ]


def gap(sheet: Sheet) -> str:
    """The larger less the smaller: of mean and nominal, or of mean and the only limit."""
    ends = [(sheet.fig.mean, sheet.values["mean"])]
    for limit in ("nominal",) if sheet.lot.nominal is not None else ("lower", "upper"):
        if (value := getattr(sheet.lot, limit)) is not None:
            ends.append((value, sheet.values[limit]))
    (_, small), (_, large) = sorted(ends)
    return f"{large} - {small}"


def nearer(sheet: Sheet) -> str:
    """The distance that Cpk is made of: "47 - 38.4"."""
    lot, values = sheet.lot, sheet.values
    high = lot.upper is not None and (
        lot.lower is None or lot.upper - sheet.fig.mean <= sheet.fig.mean - lot.lower
    )
    return (
        f"{values['upper']} - {values['mean']}" if high else f"{values['mean']} - {values['lower']}"
    )


def _index_lines(sheet: Sheet) -> list[str]:
    cp = [] if sheet.fig.cp is None else [_line(sheet, "cp")]
    return [*cp, _line(sheet, "cpk", nearer=nearer(sheet))]


def _finding_line(sheet: Sheet) -> str:
    return _line(sheet, sheet.values["finding"])


def _capability_lines(sheet: Sheet) -> list[str]:
    return [_line(sheet, "sigma"), *_index_lines(sheet), _finding_line(sheet)]


def _chart_lines(sheet: Sheet) -> list[str]:
    limits = [_line(sheet, name) for name in ("reach", "limits", "zone", "range limit")]
    return [*limits, _line(sheet, "chart", chart=chart_text(sheet)), _fate_line(sheet)]


def _fate_line(sheet: Sheet) -> str:
    return _line(sheet, "fate")


def _overview_lines(sheet: Sheet) -> list[str]:
    first = [_line(sheet, "yield at once"), *_index_lines(sheet), _line(sheet, "leader")]
    return [*first, _fate_line(sheet), _finding_line(sheet)]


# ---------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------

KINDS = {
    "output": Kind(("counts", "yield_goal"), (), output_facts, _output_lines),
    "defects": Kind(("counts", "defects"), (), defect_facts, _defect_lines),
    "averages": Kind(("series",), (), average_facts, _average_lines),
    "capability": Kind(
        ("ranges", "chart"),
        ("sigma_factors", "required", "words"),
        capability_facts,
        _capability_lines,
    ),
    "chart": Kind(
        ("ranges", "series", "pieces"),
        ("limit_factors", "rules", "fates"),
        control_facts,
        _chart_lines,
    ),
    "overview": Kind(
        ("counts", "defects", "process", "chart", "pieces"),
        ("fates", "words"),
        overview_facts,
        _overview_lines,
    ),
}


def working_draft(sheet: Sheet, rng: random.Random, group: str) -> Draft:
    """A report whose answer computes line by line, of a drawn kind."""
    name = rng.choice([name for name in KINDS if _worth_asking(sheet, name)])
    kind, say = KINDS[name], Realiser(rng, f"quality/working/{name}")
    asked = request(say, SAY, sheet, name)
    data = [block(say, sheet, part) for part in say.order("blocks", kind.data)]
    rules = [block(say, sheet, part) for part in kind.rules]
    text = lay_out(say, header(say, sheet), [*data, *rules, _rounding(sheet, name)])
    return draft(
        say, "report", group, kind.facts(sheet),
        instruction=asked, input=text, output="\n".join(kind.lines(sheet)), form=WORKING,
    )  # fmt: skip


def _worth_asking(sheet: Sheet, name: str) -> bool:
    """A long series makes a long sum; the shares of few rejects or two kinds are soon guessed."""
    too_long = name == "averages" and len(sheet.fig.means) > SHORT_SERIES
    few = sheet.lot.rejected < FEW_REJECTS or len(sheet.defects) < 3
    return not (too_long or (name == "defects" and few))


def _rounding(sheet: Sheet, name: str) -> str:
    steps = {key: step(sheet, key) for key in ("mean", "mean_range", "sigma", "reach")}
    return SAY.phrase("rounding", name, unit=sheet.lot.part.unit, **steps)
