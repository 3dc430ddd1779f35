"""Every answer to a question on work orders, found again from the texts of the record alone.

The kind of a question is told by its words (data/wordings/manufacturing/order_questions.yaml), its
orders are read back from the sheet or, where that gives figures, from the table. No builder
is used.
"""

import re
from collections import Counter

import pytest
from order_texts import Sums, first, listed, orders_of_title, read_log, rounded

from course_utils.facts import parse_facts
from course_utils.order_fields import closed_set
from course_utils.tracks.manufacturing.order_records import maintenance_drafts
from course_utils.tracks.wordings import Wordings

DEEDS = {"repair": "repaired", "fix": "repaired", "reweld": "rewelded", "weld": "welded"}


def count(n):
    return f"{n} work order" if n == 1 else f"{n} work orders"


def longest_gap(sums):
    days = sorted({order.day for order in sums.orders})
    return max((b - a).days for a, b in zip(days, days[1:], strict=False))


def span(days):
    return (max(days) - min(days)).days


def days_of(sums, label, names="systems"):
    return [order.day for order in sums.orders if label in getattr(order, names)]


def costs(sums):
    return {system: sums.cost_of(system) for system in sums.systems}


def costliest(sums):
    (order,) = [order for order in sums.orders if order.cost == max(sums.costs)]
    return order


def deed(sums, thing):
    (order,) = [order for order in sums.orders if thing in order.text.lower()]
    return order, DEEDS.get(order.text.split()[0].lower(), "replaced")


ONE_VALUE = {  # what the answer must be, to the letter
    "count system": lambda s, q: count(s.systems[q["label"]]),
    "count mode": lambda s, q: count(s.modes[q["mode"]]),
    "cost system": lambda s, q: f"{s.cost_of(q['label'])} AUD",
    "cost all": lambda s, q: f"{s.total} AUD",
    "mean": lambda s, q: f"{s.mean} AUD",
    "unplanned": lambda s, q: f"{s.share(len(s.pm01))} %",
    "share": lambda s, q: f"{s.share(s.systems[q['label']])} %",
    "gap": lambda s, q: f"{span(days_of(s, q['mode'], 'modes'))} days",
    "above": lambda s, q: count(sum(cost > int(q["limit"]) for cost in s.costs)),
    "free": lambda s, q: count(s.free),
    "span": lambda s, q: f"{span([order.day for order in s.orders])} days",
    "longest": lambda s, q: f"{longest_gap(s)} days",
    "difference": lambda s, q: f"{s.cost_of(q['first']) - s.cost_of(q['second'])} AUD",
    "top system": lambda s, q: first(s.systems),
    "top mode": lambda s, q: first(s.modes),
    "dearest": lambda s, q: first(costs(s)),
    "latest": lambda s, q: str(max(days_of(s, q["label"]))),
    "costliest": lambda s, q: str(costliest(s).day),
    "done": lambda s, q: deed(s, q["thing"])[1].capitalize(),
}
YES_IF = {  # whether the answer is yes, and the figures that show it
    "more often": lambda s, q: (
        s.systems[q["first"]] > s.systems[q["second"]],
        [count(s.systems[q["first"]]), count(s.systems[q["second"]])],
    ),
    "cost more": lambda s, q: (
        s.cost_of(q["first"]) > s.cost_of(q["second"]),
        [f"{s.cost_of(q['first'])} AUD", f"{s.cost_of(q['second'])} AUD"],
    ),
    "budget": lambda s, q: (s.total > int(q["limit"]), [f"{s.total} AUD"]),
    "mostly unplanned": lambda s, q: (
        100 * len(s.pm01) > int(q["limit"]) * s.n,
        [f"{rounded(100 * len(s.pm01), s.n)} %"],
    ),
    "long": lambda s, q: (
        span([o.day for o in s.orders]) > int(q["limit"]),
        [f"{span([o.day for o in s.orders])} days"],
    ),
}
PARTS = {  # what the sentence must hold
    "latest order": lambda s, q: [str(max(days_of(s, system_of(s, q["system"]))))],
    "costliest order": lambda s, q: [str(costliest(s).day), f"{costliest(s).cost} AUD"],
    "done when": lambda s, q: [str(deed(s, q["thing"])[0].day), deed(s, q["thing"])[1]],
}


def system_of(sums, told):
    """The label of a system as a sentence names it: "the slew system" is Slew."""
    plain = re.sub(r"^the | system$", "", told)
    (label,) = {name for name in sums.systems if re.sub(" system$", "", name.lower()) == plain}
    return label


SYSTEM, MODE = ("|".join(map(re.escape, closed_set()[name])) for name in ("system", "failure_mode"))
NAMES = {"label": SYSTEM, "first": SYSTEM, "second": SYSTEM, "mode": MODE, "thing": "[a-z ]+"}


def patterns():
    """(kind, pattern) of each way to ask; what is left open becomes a named group."""
    for kind, entry in Wordings("manufacturing/order_questions").entries.items():
        words = entry.wordings if isinstance(entry.wordings, dict) else {}
        for wording in words.get("asked", []):
            parts = re.split(r"\{(\w+)\}", wording)
            seen, built = set(), ""
            for place, part in enumerate(parts):
                if place % 2 and part in seen:
                    built += f"(?P={part})"
                elif place % 2:
                    built += f"(?P<{part}>{NAMES.get(part, '.+?')})"
                    seen.add(part)
                else:
                    built += re.escape(part)
            yield kind, re.compile(built)


PATTERNS = list(patterns())


def asked(instruction):
    """(kind, values) of a question: of several that fit, the one with the most fixed words."""
    fits = [(kind, m) for kind, pattern in PATTERNS if (m := pattern.search(instruction))]
    return max(fits, key=lambda fit: len(fit[1][0]) - sum(map(len, fit[1].groups())))


@pytest.fixture(scope="module")
def questions(prepared):
    """(record, kind, what fills its words, sums over its orders) of every question."""
    found, log = [], read_log()
    made = [draft.record for draft in maintenance_drafts(42)]
    for record in (record for record in made if record["task"] == "qa"):
        kind, match = asked(record["instruction"])
        orders = listed(record["input"]) or orders_of_title(record["input"], log)
        found.append((record, kind, match.groupdict(), Sums(orders)))
    return found


def test_every_kind_of_question_is_asked_and_checked(questions):
    kinds = Counter(kind for _, kind, _, _ in questions)
    assert set(kinds) == {*ONE_VALUE, *YES_IF, *PARTS, "again"}
    assert min(kinds.values()) >= 20


def test_bare_answers_are_those_found_again(questions):
    for record, kind, values, sums in questions:
        if kind in ONE_VALUE:
            assert record["output"] == ONE_VALUE[kind](sums, values), record


def test_systems_that_recur_are_all_named(questions):
    for record, kind, _, sums in questions:
        if kind == "again":
            recurring = {name for name, n in sums.systems.items() if n > 1}
            assert set(record["output"].split("; ")) == recurring
            (fact,) = parse_facts(record["facts"])
            assert set(fact.others) == set(sums.systems) - recurring


def test_yes_or_no_and_its_figures_are_those_found_again(questions):
    for record, kind, values, sums in questions:
        if kind in YES_IF:
            holds, reasons = YES_IF[kind](sums, values)
            assert record["output"].startswith("Yes" if holds else "No"), record
            assert [str(fact).split("=")[1] for fact in parse_facts(record["facts"])[1:]] == reasons
            assert all(reason in record["output"] for reason in reasons)


def test_sentences_hold_what_is_found_again(questions):
    for record, kind, values, sums in questions:
        if kind in PARTS:
            assert all(part in record["output"] for part in PARTS[kind](sums, values)), record


def test_rivals_of_a_name_are_the_others_of_the_same_input(questions):
    rivals = {"top system": "systems", "dearest": "systems", "top mode": "modes"}
    for record, kind, _, sums in questions:
        if kind in rivals:
            (fact,) = parse_facts(record["facts"])
            assert {fact.value, *fact.others} == set(getattr(sums, rivals[kind]))
