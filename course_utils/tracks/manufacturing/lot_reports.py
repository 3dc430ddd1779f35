"""Reports on production lots: figures, chart signal, largest defect and a decision.

The sentences: data/wordings/manufacturing/lot_reports.yaml.
"""

import random
import re

from course_utils.facts import Fact
from course_utils.tracks.manufacturing.control_charts import FALLING, RISING, RUN_ABOVE, RUN_BELOW
from course_utils.tracks.manufacturing.lot_sheets import (
    Sheet,
    counts,
    defect_list,
    draft,
    header,
    lay_out,
    series,
    subgroups,
    summary,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/lot_reports")


def report_draft(sheet: Sheet, kind: str, rng: random.Random, group: str) -> Draft:
    """A report; `kind` says whether the sheet gives figures ("summary") or "subgroups"."""
    say = Realiser(rng, f"quality/report/{kind}")
    asked = say("asked", SAY["request"])
    data = summary(say, sheet) if kind == "summary" else series(say, sheet)
    required = say("required", SAY["required"], **sheet.values)
    made = counts(say, sheet)
    label = say("defectlabel", SAY["defect_label"])
    defects = f"{label}: {defect_list(say, sheet, shares=kind == 'summary')}"
    fields = header(say, sheet)
    text = lay_out(say, fields, [*say.order("blocks", [made, defects, data]), required])
    facts, answer = report_facts(sheet), _report_text(say, sheet)
    return draft(say, "report", group, facts, instruction=asked, input=text, output=answer)


def report_facts(sheet: Sheet) -> list[Fact]:
    """Up to 8 facts; the output, which is copied and not computed, gives way to Cp."""
    fig, values = sheet.fig, sheet.values
    first = Fact("Cp", values["cp"])
    if fig.cp is None:
        first = Fact("produced", values["produced"], values["parts"])
    return [
        Fact("first-pass yield", values["yield_percent"], "%"),
        Fact("mean", values["mean"], values["unit"]),
        first,
        Fact("Cpk", values["cpk"]),
        Fact("signal", fig.signals[0].rule if fig.signals else "no signal"),
        Fact("largest defect", fig.defect),
        Fact("defect share", values["defect_share"], "%"),
        Fact("decision", fig.decision),
    ]


def _report_text(say: Realiser, sheet: Sheet) -> str:
    middle = {
        "mean": capital(say("mean", SAY["mean"], **sheet.values)),
        "capability": _capability(say, sheet),
        "signal": _signal(say, sheet),
        "defect": capital(say("defect", SAY["defect"], **sheet.values)),
    }
    names = say.order("order", list(middle))
    sentences = {"opening": _opening(say, sheet), **middle, "decision": _decision(say, sheet)}
    shape = say("shape", ["usual", "usual", "decision first", "labels", "paragraphs", "free"])
    if shape == "free":  # the opening may stand anywhere before the decision
        names.insert(say.rng.randrange(3), "opening")
        return " ".join(sentences[name] for name in [*names, "decision"])
    if shape == "decision first":
        return " ".join(sentences[name] for name in ["decision", "opening", *names])
    names = ["opening", *names, "decision"]
    if shape == "labels":
        return _with_labels(say, {name: sentences[name] for name in names})
    if shape == "paragraphs":
        halves = names[:3], names[3:]
        return "\n".join(" ".join(sentences[name] for name in half) for half in halves)
    return " ".join(sentences[name] for name in names)


def _with_labels(say: Realiser, sentences: dict[str, str]) -> str:
    """A line for each sentence, with a label of one set; its own label, if any, is taken off."""
    labels, own = SAY["labels"], "|".join(map(re.escape, SAY["own_labels"]))
    which = say.rng.randrange(len(labels["opening"]))
    lines = []
    for name, sentence in sentences.items():
        bare = capital(re.sub(rf"^(?:{own}): ", "", sentence))
        lines.append(f"{labels[name][which]}: {bare}")
    return "\n".join(lines)


def _opening(say: Realiser, sheet: Sheet) -> str:
    none = SAY.phrase("no_pieces")
    scrap, rework = sheet.lot.scrap or none, sheet.lot.rework or none
    losses = SAY.phrase("losses", scrap=scrap, rework=rework)
    return capital(say("opening", SAY["opening"], losses=losses, **sheet.values))


def _capability(say: Realiser, sheet: Sheet) -> str:
    fig, required = sheet.fig, sheet.lot.part.required
    enough = "enough" if fig.cpk >= required else "short"
    against = say("against", SAY["against"][enough], **sheet.values)
    if fig.cpk == required:
        against = SAY.phrase("against", "exact", **sheet.values)
    limits = "one limit" if fig.cp is None else "two limits"
    return say("capability", SAY["capability"][limits], against=against, **sheet.values)


def _signal(say: Realiser, sheet: Sheet) -> str:
    fig = sheet.fig
    if not fig.signals:
        return say("quiet", SAY["quiet"], **sheet.values)
    signal, kind = fig.signals[0], fig.signals[0].rule
    if kind in (RISING, FALLING):
        kind = "trend"
    elif kind in (RUN_ABOVE, RUN_BELOW):
        kind = "run"
    one = len(signal.subgroups) == 1
    words = {"rule": signal.rule, "where": subgroups(signal.subgroups)}
    words |= {"lies": "lies" if one else "lie", "has": "has" if one else "have"}
    return capital(say(f"loud {kind}", SAY["signal"][kind], **words, **sheet.values))


def _decision(say: Realiser, sheet: Sheet) -> str:
    lot, fig = sheet.lot, sheet.fig
    decision, shift = fig.decision, ""
    if decision == "not capable" and lot.nominal is None:
        decision = "not capable, one limit"
    if decision == "adjust":
        shift = f"{lot.nominal - fig.mean:+.{lot.part.decimals + 1}f}"
    wordings = SAY["decision"][decision]
    return say(f"ending {fig.decision}", wordings, shift=shift, **sheet.values)
