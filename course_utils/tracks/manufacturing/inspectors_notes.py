"""Inspectors' notes on rejected pieces, and the JSON of what they state.

The words: data/wordings/manufacturing/inspectors_notes.yaml.
"""

import json
import random
import re
from collections.abc import Mapping

from course_utils.tracks.manufacturing.lot_sheets import draft, draw_code, draw_date, draw_person
from course_utils.tracks.manufacturing.lot_simulation import PARTS
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/inspectors_notes")
SHIFTS = {"early": 6, "late": 14, "night": 22}  # first hour
FIELDS = ("part", "characteristic", "defect", "quantity")


def note_draft(rng: random.Random, group: str) -> Draft:
    """A free note and the JSON of what it states; a fact that is left out has no key."""
    say = Realiser(rng, "quality/note")
    part = rng.choice(PARTS)
    answer: dict[str, str | int] = {"part": part.name}
    if rng.random() < 0.5:
        answer["characteristic"] = part.characteristic
        answer["defect"] = rng.choice([name for name in (part.high, part.low) if name])
    else:
        answer["defect"] = rng.choice(part.defects)
    if rng.random() < 0.85:
        answer["quantity"] = rng.randint(1, 60)
    if rng.random() < 0.85:
        answer["disposition"] = rng.choice(allowed(part.reworkable, answer["defect"]))
    asked = f"{say('asked', SAY['request'])} {say('choices', SAY['choices'])}"
    style = say("style", ["telegram", "sentence", "log", "mail", "telegram", "card"])
    # "flatness" + "flatness error": the characteristic is part of the defect's name.
    text = re.sub(r"\b(\w{4,}(?: \w+)?) \1\b", r"\1", _STYLES[style](say, answer, part.station))
    output = json.dumps(answer, ensure_ascii=False)
    return draft(say, "understanding", group, instruction=asked, input=text, output=output)


def allowed(reworkable: bool, defect: str) -> list[str]:
    """Dispositions that make sense for a defect."""
    names = ["scrap", "hold", "sort"]
    names += ["rework"] if reworkable and defect not in SAY["final"] else []
    return names + (["use as is"] if defect in SAY["cosmetic"] else [])


# ---------------------------------------------------------------------------------------------
# Pieces
# ---------------------------------------------------------------------------------------------


def _details(say: Realiser, station: str) -> dict[str, str]:
    """What belongs in no field."""
    rng = say.rng
    shift = rng.choice(list(SHIFTS))
    hour = SHIFTS[shift] + rng.randrange(8)
    minute = rng.choice((5, 10, 15, 20, 30, 35, 40, 50))
    return {
        "who": draw_person(rng),
        "date": draw_date(rng),
        "lot": draw_code(rng),
        "station": f"{station} {rng.randint(1, 14)}",
        "time": f"{hour % 24:02d}:{minute:02d}",
        "shift": shift,
    }


def _fate(say: Realiser, answer: Mapping) -> str:
    name = answer.get("disposition")
    return say(f"fate {name}", SAY["dispositions"][name]) if name else ""


def _subject(say: Realiser, answer: Mapping) -> str:
    """ "14 pieces of the drive shaft" or the part alone where no number is stated."""
    if "quantity" not in answer:
        return say("subject", SAY["subject"]["uncounted"], part=answer["part"])
    quantity = answer["quantity"]
    pieces = SAY.phrase("pieces", "one" if quantity == 1 else "several")
    words = {"quantity": quantity, "pieces": pieces, "part": answer["part"]}
    return say("subjectq", SAY["subject"]["counted"], **words)


def _finding(say: Realiser, answer: Mapping) -> str:
    case = "measured" if "characteristic" in answer else "seen"
    return say(case, SAY["finding"][case], **answer)


# ---------------------------------------------------------------------------------------------
# Styles
# ---------------------------------------------------------------------------------------------


def _telegram(say: Realiser, answer: Mapping, station: str) -> str:
    details = _details(say, station)
    quantity = ""
    if "quantity" in answer:
        quantity = say("many", SAY["telegram_quantity"], quantity=answer["quantity"])
    what = " ".join(filter(None, [answer.get("characteristic"), answer["defect"]]))
    parts = [answer["part"], f"{quantity} {what}".strip(), _fate(say, answer)]
    aside = say("details", SAY["telegram_details"], **details)
    where = say.rng.randrange(3)
    parts = [part for part in parts if part]
    parts.insert(min(where, len(parts)), aside)
    joint = say("joint", [" - ", ", ", " / ", "; ", ". "])
    text = joint.join(parts)
    return text.upper() if say("case", ["as is", "as is", "as is", "upper"]) == "upper" else text


def _in_sentences(say: Realiser, answer: Mapping, station: str) -> str:
    details, fate = _details(say, station), _fate(say, answer)
    pieces = {"subject": _subject(say, answer), "finding": _finding(say, answer)}
    text = say("sentence", SAY["sentence"], **pieces, **details)
    if fate:
        text += f" {capital(say('end', SAY['sentence_end'], fate=fate, **details))}"
    text = ". ".join(capital(part) for part in text.split(". "))
    return text.replace(",:", ":").replace(",,", ",")


def _shift_log(say: Realiser, answer: Mapping, station: str) -> str:
    details, fate = _details(say, station), _fate(say, answer)
    pieces = {"subject": _subject(say, answer), "finding": _finding(say, answer)}
    first = say("log", SAY["log_head"], **details)
    body = say("body", SAY["log_body"], **pieces, **details)
    last = say("logend", SAY["log_end"], fate=fate) if fate else ""
    # A finding may bring a comma of its own to the end of its phrase.
    return re.sub(r",(?=[:,.]| -)", "", first + "\n" + body + last)


def _mail(say: Realiser, answer: Mapping, station: str) -> str:
    details, fate = _details(say, station), _fate(say, answer)
    pieces = {"subject": _subject(say, answer), "finding": _finding(say, answer)}
    text = say("mail", SAY["mail"], **pieces, **details)
    close = say("close", SAY["mail_fate"], fate=fate) if fate else ""
    end = say("more", SAY["mail_end"], who=draw_person(say.rng))
    return " ".join(filter(None, (text, close, end))).replace(",,", ",")


def _card(say: Realiser, answer: Mapping, station: str) -> str:
    """A nonconformity card with its own labels, in a drawn order."""
    details, labels = _details(say, station), SAY["card_labels"]
    rows = [
        f"{say(f'label {name}', labels[name])}: {answer[name]}" for name in FIELDS if name in answer
    ]
    if "disposition" in answer:
        rows.append(f"{say('label fate', labels['disposition'])}: {_fate(say, answer)}")
    rows.append(f"{SAY.phrase('card_labels', 'lot')}: {details['lot']}")
    rows.append(f"{say('by', labels['inspector'])}: {details['who']}")
    return say("cardjoint", ["\n", " | ", "; "]).join(say.order("card", rows))


_STYLES = {
    "telegram": _telegram,
    "sentence": _in_sentences,
    "log": _shift_log,
    "mail": _mail,
    "card": _card,
}
