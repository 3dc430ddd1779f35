"""Reports on lots with the figures given: code computed them, they stand on the sheet beside many
others, and the answer chooses those that were asked for, words them, and concludes.

The sentences and the instructions: data/wordings/manufacturing/lot_given.yaml.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from course_utils.facts import Fact
from course_utils.schemas import REPORT_FORMS
from course_utils.tracks.manufacturing.control_charts import RULES
from course_utils.tracks.manufacturing.lot_facts import (
    brief_facts,
    control_facts,
    piece_facts,
    process_facts,
    reject_facts,
)
from course_utils.tracks.manufacturing.lot_sheets import (
    Sheet,
    block,
    chart_text,
    draft,
    header,
    lay_out,
    request,
    subgroups,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_given")
GIVEN = REPORT_FORMS[1]


@dataclass(frozen=True)
class Kind:
    """The sentences of a kind of report, the rules its conclusions need, and its facts."""

    sentences: tuple[str, ...]
    rules: tuple[str, ...]
    facts: Callable[[Sheet], list[Fact]]


KINDS = {
    "rejects": Kind(("losses", "leader_share", "target"), (), reject_facts),
    "process": Kind(("mean", "indices", "finding"), ("words",), process_facts),
    "control": Kind(("limits", "chart", "fate"), ("fates",), control_facts),
    "overview": Kind(
        ("yield", "cpk", "leader", "fate", "finding"), ("fates", "words"), brief_facts
    ),
    "pieces": Kind(("yield", "extremes", "chart", "fate"), ("fates",), piece_facts),
}

# What a sheet with figures may hold: the name of a value, and what stands behind it.
FIGURES = {
    **dict.fromkeys(("produced", "scrap", "rework", "rejected", "good"), "pcs"),
    **dict.fromkeys(("yield_percent", "scrap_percent", "rework_percent", "yield_target"), "%"),
    **dict.fromkeys(("readings", "groups", "size", "cp", "cpk", "required"), ""),
    **dict.fromkeys(
        ("mean", "lowest", "highest", "mean_range", "largest_range", "sigma", "ucl", "lcl"), "unit"
    ),
    **dict.fromkeys(("zone_high", "zone_low", "range_ucl", "correction"), "unit"),
}
# Never asked for and needed for no conclusion; some of them are left out, so the sheets differ.
SPARE = (
    *("scrap", "rework", "rejected", "good", "rework_percent", "readings", "groups", "size"),
    *("mean_range", "largest_range", "zone_high", "zone_low"),
)
LEFT_OUT = 7
FIGURE_LISTS = [("{k} {v}", ", "), ("{k}={v}", "; "), ("{k}: {v}", ", "), ("{k} {v}", " / ")]


def given_draft(sheet: Sheet, rng: random.Random, group: str) -> Draft:
    """A report that words figures and concludes from them, of a drawn kind."""
    name = rng.choice(list(KINDS))
    kind, say = KINDS[name], Realiser(rng, f"quality/given/{name}")
    asked = request(say, SAY, sheet, name)
    rules = [block(say, sheet, part) for part in kind.rules]
    given = [_figure_list(say, sheet)] + ([_chart_check(say, sheet)] if rules else [])
    text = lay_out(say, header(say, sheet), [*given, *rules])
    sentences = [capital(_sentence(say, sheet, part)) for part in kind.sentences]
    return draft(
        say, "report", group, kind.facts(sheet),
        instruction=asked, input=text, output=" ".join(sentences), form=GIVEN,
    )  # fmt: skip


def _figure_list(say: Realiser, sheet: Sheet) -> str:
    """The figures of the lot in a drawn order."""
    values, left_out = sheet.values, say.rng.sample(SPARE, LEFT_OUT)
    items = []
    for name in FIGURES:
        if name in values and name not in left_out:
            unit = values.get(FIGURES[name], FIGURES[name])
            label = say(f"label {name}", SAY["figure_labels"][name])
            items.append((label, f"{values[name]} {unit}".strip()))
    items += [(kind, f"{count} ({share} %)") for kind, count, share in sheet.defects]
    say.rng.shuffle(items)
    pattern, joint = FIGURE_LISTS[int(say("figures", [str(i) for i in range(len(FIGURE_LISTS))]))]
    return joint.join(pattern.format(k=key, v=value) for key, value in items)


def _chart_check(say: Realiser, sheet: Sheet) -> str:
    """Each rule of the chart with the subgroups that break it, or none."""
    broken = {signal.rule: subgroups(signal.subgroups) for signal in sheet.fig.signals}
    none = SAY.phrase("no_subgroup")
    rules = say.order("rules", RULES)
    checks = "; ".join(f"{rule}: {broken.get(rule, none)}" for rule in rules)
    return say("check", SAY["chart_check"], checks=checks)


def _sentence(say: Realiser, sheet: Sheet, part: str) -> str:
    case = {
        "indices": "one limit" if sheet.fig.cp is None else "two limits",
        "chart": "quiet" if not sheet.fig.signals else "loud",
        "target": sheet.target_word,
        "fate": sheet.fig.disposition,
        "finding": sheet.values["finding"],
    }.get(part, "")
    wordings = SAY[part][case] if case else SAY[part]
    return say(f"{part} {case}", wordings, chart=chart_text(sheet), **sheet.values)
