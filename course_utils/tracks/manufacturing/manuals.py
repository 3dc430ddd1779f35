"""Records of equipment manuals: questions on a page, notes to be turned into JSON, inspections.

Every sentence comes from data/knowledge/manufacturing and data/wordings/manufacturing
(manuals.yaml, manual_pages.yaml, inspections.yaml); readings are drawn, and what follows from them
is computed.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.facts import Fact
from course_utils.tracks.knowledge import FailureMode, Quantity, load
from course_utils.tracks.manufacturing.documentation import documentation_drafts
from course_utils.tracks.manufacturing.equipment_text import (
    MANUAL,
    NAME,
    NUMBER,
    SENTENCE,
    YES_NO,
    announced,
    article,
    ask_for_json,
    definite,
    draft,
    inside,
    json_text,
    limit_fact,
    limit_keys,
    limit_text,
    name_fact,
    rivals,
    verb,
    yes_fact,
)
from course_utils.tracks.manufacturing.inspections import inspection_reports
from course_utils.tracks.manufacturing.manual_pages import Page, excerpt, pages, shown_parts
from course_utils.tracks.manufacturing.readings import draw_reading
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/manuals")
# Questions of which each failure mode gets two, drawn; the others are asked of every one.
DRAWN = ("cause", "causes", "safety", "effect", "fault_of_effect")
LONG = ("action", "cause", "safety", "cure")  # rows of causes and remedies: two entries are enough
STOP_SHARE = 0.75  # of the questions whether to stop, where the entry has a stop sign


def manual_drafts(seed: int) -> list[Draft]:
    """All drafts of both document kinds; the same list from the same seed."""
    drafts: list[Draft] = []
    for equipment in load():
        for page in pages(equipment):
            for mode in page.modes:
                rng = random.Random(f"{seed}/{equipment.id}/{mode.id}")
                drafts += _mode_drafts(page, mode, rng)
        drafts += documentation_drafts(equipment, random.Random(f"{seed}/{equipment.id}"))
    return drafts


def _mode_drafts(page: Page, mode: FailureMode, rng: random.Random) -> Iterator[Draft]:
    for check in mode.checks:
        yield _limit_question(page.around(mode, 4, rng), check, rng)
    yield from _reading_question(page.around(mode, 3, rng), rng.choice(mode.checks), rng)
    yield _stop_question(page.around(mode, 4, rng), mode, rng)
    kinds = ["action", "fault", "component", *(["origin"] if mode.origins else [])]
    for kind in [*kinds, *rng.sample(DRAWN, 2)]:
        entries = 2 if kind in LONG else 4
        yield _text_question(page.around(mode, entries, rng), mode, kind, rng)
    yield _cure_question(page.around(mode, 2, rng), mode, rng)
    for _ in range(2):
        yield _understanding(page, mode, rng)
    yield from inspection_reports(page.around(mode, 2, rng), mode, rng)


def _record(
    say: Realiser, page: Page, question: str, given: str, answer: str, facts: Sequence[Fact],
    form: str, case: str = "",
) -> Draft:  # fmt: skip
    asked = announced(say, question, form, case)
    return draft(
        say, "qa", MANUAL, page.group, asked, given, answer, page.equipment, facts, form
    )  # fmt: skip


# --- Questions on limits ------------------------------------------------------------------------


def _limit_question(page: Page, check: Quantity, rng: random.Random) -> Draft:
    say = Realiser(rng, "qa/manual-limit")
    given = excerpt(say, page, ["checks"], rng.randint(0, 1))
    names = {"quantity": check.name, "machine": page.equipment.name}
    question = say("question", SAY["limit"], **names)
    return _record(say, page, question, given, limit_text(check), [limit_fact(check)], NUMBER)


def _reading_question(page: Page, check: Quantity, rng: random.Random) -> Iterator[Draft]:
    """Whether a reading keeps to its limit; asked both ways round."""
    reading = draw_reading(check, rng.random() < 0.5, rng)
    if not reading:
        return
    say = Realiser(rng, "qa/manual-reading")
    given = excerpt(say, page, ["checks"], rng.randint(0, 1))
    asked = say.rng.choice(("within", "outside"))
    names = {"quantity": check.name, "value": reading.text(reading.mean)}
    question = say(asked, SAY["reading"][asked], machine=page.equipment.name, **names)
    yes = reading.within == (asked == "within")
    answer = SAY.phrase(
        "reading_answer",
        "within" if reading.within else "outside",
        said="Yes" if yes else "No",
        limit=limit_text(check),
        **names,
    )
    facts = [yes_fact(yes), limit_fact(check, "limit")]
    yield _record(say, page, question, given, answer, facts, YES_NO)


# --- Questions on signs, causes and remedies ----------------------------------------------------


def _stop_question(page: Page, mode: FailureMode, rng: random.Random) -> Draft:
    """Whether a report demands a stop at once: the page lists the signs that do, and no more."""
    say = Realiser(rng, "qa/manual-stop")
    given = excerpt(say, page, ["symptoms"], rng.randint(0, 1))
    stop = [sign for sign in mode.reported if sign.stop]
    other = [sign for sign in mode.reported if not sign.stop]
    wanted = stop if stop and (not other or rng.random() < STOP_SHARE) else other
    sign = rng.choice(wanted)
    question = say("question", SAY["stop_sign"], symptom=sign.text, machine=page.equipment.name)
    answer = SAY.phrase("stop_sign_answer", "stop" if sign.stop else "ordinary", fault=mode.name)
    facts = [yes_fact(sign.stop), name_fact(mode.name, page.faults, "fault")]
    return _record(say, page, question, given, answer, facts, YES_NO)


def _text_question(page: Page, mode: FailureMode, kind: str, rng: random.Random) -> Draft:
    """A question that is answered by a name or a sentence of the page."""
    say = Realiser(rng, f"qa/manual-{kind}")
    one = rng.choice([one for one in mode.remedies if one.origin or kind != "origin"])
    cured = [other.cause for other in mode.remedies if other.action == one.action]
    must, answers, candidates, form = {
        "action": (["remedies"], [one.action], page.linked("action"), SENTENCE),
        "safety": (["safe_remedies"], [one.safety], page.linked("safety"), SENTENCE),
        "effect": (["effect"], [mode.effect], [other.effect for other in page.modes], SENTENCE),
        "cause": (["remedies"], cured, page.linked("cause"), NAME),
        "causes": (["causes"], mode.causes, page.linked("cause"), NAME),
        "fault": (["symptoms"], [mode.name], page.faults, NAME),
        "fault_of_effect": (["effect"], [mode.name], page.faults, NAME),
        "component": (["component"], [mode.component], shown_parts(page), NAME),
        "origin": (["component", "origins"], [one.origin], shown_parts(page), NAME),
    }[kind]
    given = excerpt(say, page, must, rng.randint(0, 1))
    question = say(
        "question",
        SAY["asked"][kind],
        machine=page.equipment.name,
        fault=definite(mode.name),
        title=mode.name,
        cause=one.cause,
        action=inside(one.action),
        symptom=rng.choice(mode.symptoms),
        effect=mode.effect,
    )
    right = " & ".join(answers)
    others = [name for name in rivals(right, candidates) if name not in answers]
    facts = [Fact("answer", right, others=tuple(others))]
    answer = f"{capital(answers[0])}." if form == SENTENCE else "; ".join(answers)
    case = "several names" if len(answers) > 1 else ""
    return _record(say, page, question, given, answer, facts, form, case)


def _cure_question(page: Page, mode: FailureMode, rng: random.Random) -> Draft:
    """What a broken limit and a known cause need: the action, and the repair of what is damaged."""
    say, one = Realiser(rng, "qa/manual-cure"), rng.choice(mode.remedies)
    given = excerpt(say, page, ["whole_remedies"], rng.randint(0, 1))
    names = {"fault": definite(mode.name), "title": mode.name, "cause": one.cause}
    question = say("question", SAY["cure"], machine=page.equipment.name, **names)
    names = {"action": inside(one.action), "Action": capital(one.action), "repair": one.repair}
    answer = SAY.phrase("cure_answer", "repair" if one.repair else "plain", **names)
    others = rivals(answer, page.linked("action") + page.linked("repair"))
    parts = {"action": one.action, "repair": one.repair}
    facts = [Fact(name, part, others=others) for name, part in parts.items() if part]
    return _record(say, page, question, given, answer, facts, SENTENCE)


# --- A note to be turned into JSON --------------------------------------------------------------


def _understanding(page: Page, mode: FailureMode, rng: random.Random) -> Draft:
    say, machine = Realiser(rng, "understanding/manual"), page.equipment
    check, one, symptom = (
        rng.choice(mode.checks),
        rng.choice(mode.remedies),
        rng.choice(mode.symptoms),
    )
    details = {
        "origin": {"origin": one.origin} if one.origin else {},
        "symptom": {"symptom": inside(symptom)},
        "check": {"check": inside(check.name), **limit_keys(check)},
        "remedy": {"cause": inside(one.cause), "action": inside(one.action)},
    }
    extra = rng.sample(["symptom", "check", "remedy"], rng.choice([1, 2, 3]))
    told = [name for name, values in details.items() if values and name in (*extra, "origin")]
    opening = say(
        "open",
        SAY["note_opening"],
        machine=machine.name,
        a_machine=article(machine.name),
        component=mode.component,
        fault=mode.name,
        Fault=capital(mode.name),
        was=verb(machine, mode.component, "was", "were"),
    )
    more = [say(name, SAY["note"][name], text=limit_text(check), **details[name]) for name in told]
    text = " ".join([opening, *say.order("order", more)])
    values = {"equipment": machine.name, "component": mode.component, "failure_mode": mode.name}
    for name in told:
        values |= details[name]
    request = ask_for_json(say, "manual", values)
    answer = json_text(values)
    return draft(say, "understanding", MANUAL, page.group, request, text, answer, machine)
