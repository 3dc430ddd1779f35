"""Maintenance reports: which figures are wanted, and the report in one of seven forms.

The sentences: data/wordings/manufacturing/order_reports.yaml.
"""

import random
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from course_utils.facts import Fact, format_facts
from course_utils.tracks.manufacturing.order_periods import MANY, Period, noun, periods
from course_utils.tracks.manufacturing.order_sheets import draft, show_figures, show_orders, title
from course_utils.tracks.manufacturing.orders import Figures, Order, figures
from course_utils.tracks.wording import Draft, Realiser, capital, listing
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_reports")
LONGEST = 1300  # characters of instruction, input and output together
WORDS = (50, 110)  # of a report
UNTITLED = ("prose", "finding", "key figures")  # forms without a title
CAPITALS = {"who", "during", "subject", "mode"}  # these begin sentences too, as Who, During
# Section of a report -> the items told in it.
TOPICS = {
    "Workload": ("overview",),
    "Systems and failures": ("system", "mode"),
    "Costs": ("costliest", "free", "mean"),
    "Reliability": ("mtbf", "repairs", "replacements"),
    "Also": ("extra",),
}


def choose_items(rng: random.Random, period: Period, what: Figures) -> dict[str, list[Fact]]:
    """Item -> its facts: number and cost always, and others up to 5 to 7 facts. Ties are never
    asked for; a share of 100 % says little and is rarely taken.
    """
    facts = {
        "orders": [Fact("work orders", str(what.orders))],
        "cost": [Fact("total cost", str(what.cost), "AUD")],
    }
    more = _possible_items(period, what)
    if what.share("PM01") == "100" and rng.random() < 0.85:
        more.pop("repairs", None)
    likely = [name for name in ("system", "mode", "costliest", "mtbf") if name in more]
    rest = [name for name in more if name not in likely]
    rng.shuffle(likely)
    rng.shuffle(rest)
    if likely and rest and rng.random() < 0.6:  # make room for a rarer item
        likely, rest = likely[:-1], rest + likely[-1:]
    wanted = rng.choice((5, 6, 6, 7))
    for name in likely + rest:
        if sum(map(len, facts.values())) + len(more[name]) <= wanted:
            facts[name] = more[name]
    return facts


def _possible_items(period: Period, what: Figures) -> dict[str, list[Fact]]:
    items = {}
    if what.top_system and not period.system:
        count = str(what.systems[what.top_system][0])
        top = Fact("most frequent system", what.top_system)
        items["system"] = [top, Fact("orders of that system", count, "orders")]
    if what.top_mode:
        items["mode"] = [Fact("most frequent failure mode", what.top_mode)]
    items["repairs"] = [Fact("share of repairs", what.share("PM01"), "%")]
    if what.codes.get("PM02"):
        items["replacements"] = [Fact("share of replacements", what.share("PM02"), "%")]
    if what.costliest:
        items["costliest"] = [Fact("costliest order", str(what.costliest.cost), "AUD")]
    if what.mtbf:
        name = "mean time between failures, calendar days"
        items["mtbf"] = [Fact(name, what.mtbf, "d")]
    if what.free > 1:
        items["free"] = [Fact("orders at no cost", str(what.free), "orders")]
    items["mean"] = [Fact("mean cost", money(what.cost, what.orders), "AUD")]
    return items


def money(cost: int, orders: int) -> str:
    """Cost per order in whole AUD, halves rounded away from zero."""
    return str((Decimal(cost) / orders).quantize(Decimal(1), ROUND_HALF_UP))


def report_values(rng: random.Random, period: Period, what: Figures) -> dict[str, str]:
    """What the wordings are filled with; one way to write money for each report."""
    aud = rng.choice(("AUD {:,}", "{:,} AUD", "AUD {}", "A${:,}")).format
    modes = [f"{name.lower()} ({n})" for name, n in what.modes.items() if name != what.top_mode]
    values = {
        "who": period.subject,
        "subject": period.subject,
        "during": period.during,
        "orders": str(what.orders),
        "cost": aud(what.cost),
        "repairs": what.share("PM01"),
        "replacements": what.share("PM02"),
        "failure_dates": str(len(what.failure_dates)),
        "mtbf": what.mtbf or "",
        "free": str(what.free),
        "mean": aud(int(money(what.cost, what.orders))),
        "credits": aud(what.credits),
        "unnamed": str(what.unnamed[0]),
        "begin": str(period.orders[0].date),
        "end": str(period.orders[-1].date),
        "other_systems": _rest(what, what.top_system),
        "other_modes": _short_list(modes),
    }
    if what.top_system:
        count = what.systems[what.top_system][0]
        values |= {"system": noun(what.top_system), "system_orders": str(count)}
    if what.top_mode:
        values |= {"mode": what.top_mode.lower(), "mode_orders": str(what.modes[what.top_mode])}
    if what.costliest:
        values["order"] = what.costliest.text.rstrip(" .,")
        values |= {"date": str(what.costliest.date), "top_cost": aud(what.costliest.cost)}
    return values | {name.capitalize(): capital(values[name]) for name in CAPITALS & set(values)}


def _rest(what: Figures, top: str | None) -> str:
    names = [(name, count) for name, (count, _) in what.systems.items() if name != top]
    return _short_list([f"{noun(name)} ({count})" for name, count in names])


def _short_list(parts: Sequence[str]) -> str:
    """Empty where there are more than three, which nobody reads."""
    return listing(parts) if len(parts) <= 3 else ""


def _remarks(say: Realiser, values: dict[str, str], what: Figures, items: list[str]) -> list[str]:
    """Further sentences that are true here: none to two, and one on credits always."""
    possible = ["span"]
    if "system" in items:
        possible += ["others"] * bool(values["other_systems"]) + ["unnamed"] * (what.unnamed[0] > 1)
    if "mode" in items:
        possible += ["other modes"] * bool(values["other_modes"])
    say.rng.shuffle(possible)
    names = ["credit"] * bool(what.credits) + possible[: say.rng.randrange(3)]
    return [say(name, SAY["remarks"][name], **values) for name in names]


def write_report(say: Realiser, period: Period, what: Figures, form: str, items: list[str]) -> str:
    """The report in one of seven forms; `items` in the order in which they are told."""
    values = report_values(say.rng, period, what) | {"label": period.label}
    rest = items[2:]  # the first two, orders and cost, share the overview
    listed = {"bullets": items, "key figures": rest}.get(form)
    remarks = _remarks(say, values, what, items)
    heading = capital(say("title", SAY["title"], **values)) if form not in UNTITLED else ""
    overview = say("overview", SAY["overview"], **values) if form != "bullets" else ""
    if listed:
        lines = [f"- {say(f'{item}-', SAY[item]['listed'], **values)}" for item in listed]
        return "\n".join([overview or heading, *lines, *remarks])
    told = {"overview": overview} | {item: say(item, SAY[item]["told"], **values) for item in rest}
    if form == "sections":
        return f"{heading}\n{_sections(say, told, remarks)}"
    sentences = [*told.values(), *remarks]
    if form == "finding":
        sentences[:2] = sentences[1::-1]
    if form == "numbered":
        return "\n".join([heading, *(f"{i}. {line}" for i, line in enumerate(sentences, start=1))])
    text = " ".join(sentences)
    return f"{SAY.phrase('memo_subject', title=heading)}\n{text}" if heading else text


def _sections(say: Realiser, told: dict[str, str], remarks: Sequence[str]) -> str:
    """A line with a heading for each topic that has something to tell."""
    told = told | ({"extra": " ".join(remarks)} if remarks else {})
    lines = []
    for topic, members in TOPICS.items():
        own = [sentence for item, sentence in told.items() if item in members]
        if own:
            lines.append(f"{say(topic, SAY['headings'][topic])}: {' '.join(own)}")
    return "\n".join(lines)


def report_draft(seed: int, number: int, period: Period) -> Draft | None:
    """One report, or None where no wording fits WORDS and LONGEST (twelve are tried)."""
    what = figures(period.orders)
    if what.cost <= 0:
        return None
    for attempt in range(12):
        rng = random.Random(f"{seed} report {number} {attempt}")
        say = Realiser(rng, "report")
        facts = choose_items(rng, period, what)
        if sum(map(len, facts.values())) < 5:
            continue
        form = say("form", list(SAY["forms"]))
        items = ["orders", "cost", *say.order("items", list(facts)[2:])]
        instruction = _instruction_to_report(say, period, form, items)
        body = _report_input(say, period, what)
        answer = write_report(say, period, what, form, items)
        words = len(re.findall(r"\w[\w.,'/-]*", answer))
        if WORDS[0] <= words <= WORDS[1] and len(instruction + body + answer) <= LONGEST:
            told = format_facts(fact for item in items for fact in facts[item])
            return draft(say, "report", instruction, body, answer, told, period.orders[0])
    return None


def _instruction_to_report(say: Realiser, period: Period, form: str, items: list[str]) -> str:
    names = [say(f"?{item}", SAY[item]["wanted"]) for item in say.order("wanted", items)]
    texts = {"subject": period.subject, "label": period.label, "wanted": listing(names)}
    demand = say("demand", SAY["request"], **texts)
    shape = say("shape", SAY["forms"][form], first=SAY[items[2]]["wanted"][0])
    return f"{demand} {shape}"


def _report_input(say: Realiser, period: Period, what: Figures) -> str:
    """The orders themselves where they are few, otherwise their figures."""
    if len(period.orders) > MANY:
        return show_figures(say, period, what)
    heading = SAY.phrase("sheet_title", title=title(period))
    return show_orders(say, heading, period.orders, with_system=not period.system)


def report_drafts(orders: Sequence[Order], seed: int) -> list[Draft]:
    """A report for each period that gives at least five facts and fits."""
    drafts = (report_draft(seed, i, period) for i, period in enumerate(periods(orders)))
    return [draft for draft in drafts if draft]
