"""What the builders of geology records share: the record, its group, its answer in one form.

A question announces the one form of its answer, and the record's `facts` are what a right answer
must state. Answers are bare: nothing in them was drawn, so nothing but the fact can be missed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from course_utils.facts import ALSO, ANSWER, Fact, format_facts, parse_facts
from course_utils.schemas import QUESTION_FORMS
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/forms")
NUMBER, NAME, YES_NO, SENTENCE = QUESTION_FORMS
WAVELENGTH_TOLERANCE = 10  # nm: samples of one mineral differ by as much


@dataclass(frozen=True)
class Question:
    """A question before its answer: the wordings taken, the texts, where the answer comes from."""

    say: Realiser
    text: str
    context: str
    source: str
    group: str

    def number(self, value: str, unit: str = "", within: str = "", announcement: str = "") -> Draft:
        """Asks for a number, given as it is written; `within` is how far an answer may lie off."""
        told = announcement or ("number with unit" if unit else "number")
        answer = f"{value} {unit}".strip()
        return self._draft(NUMBER, told, answer, [Fact(ANSWER, value, unit, within=within)], unit)

    def range(self, low: str, high: str) -> Draft:
        """Asks for a range without a unit."""
        fact = Fact(ANSWER, low, limit="between", upper=high)
        return self._draft(NUMBER, "number or range", f"between {low} and {high}", [fact])

    def name(self, name: str, others: Iterable[str], announcement: str = "name") -> Draft:
        """Asks for a name; `others` are the wrong ones beside it."""
        fact = Fact(ANSWER, name, others=rivals([name], others))
        return self._draft(NAME, announcement, name, [fact])

    def names(self, names: Sequence[str], others: Iterable[str]) -> Draft:
        """Asks for several names."""
        fact = Fact(ANSWER, ALSO.join(names), others=rivals(names, others))
        return self._draft(NAME, "names", "; ".join(names), [fact])

    def sentence(self, answer: str, right: str, others: Iterable[str]) -> Draft:
        """Asks for a sentence that must hold the words `right`, and none of the `others`.

        Where these words are a wavelength, it is the fact, and other names are no rivals of it;
        asked from memory, it may lie as far off as samples of one mineral do.
        """
        fact = parse_facts(f"{ANSWER}={right}")[0]
        if fact.number is None:
            fact = replace(fact, others=rivals([answer], others))
        elif fact.unit == "nm" and not self.context:
            fact = replace(fact, within=str(WAVELENGTH_TOLERANCE))
        return self._draft(SENTENCE, "sentence", sentence(answer), [fact])

    def yes_no(self, is_so: bool, reason: str, asked: str, facts: Sequence[Fact]) -> Draft:
        """Asks for yes or no and a reason that states the facts; `asked` says which."""
        told = ("yes", "no") if is_so else ("no", "yes")
        answer = f"{capital(told[0])}: {reason}."
        announced = self.say("form", SAY["yes_no_announcement"], reason=asked)
        return self._record(
            YES_NO, announced, answer, [Fact(ANSWER, told[0], others=told[1:]), *facts]
        )

    def _draft(
        self, form: str, announcement: str, answer: str, facts: list[Fact], unit: str = ""
    ) -> Draft:
        announced = self.say("form", SAY["announcement"][announcement], unit=unit)
        return self._record(form, announced, answer, facts)

    def _record(self, form: str, announced: str, answer: str, facts: list[Fact]) -> Draft:
        record = {
            "system": SAY.phrase("system"),
            "instruction": f"{capital(self.text)} {announced}",
            "context": capital(self.context),
            "answer": answer,
            "form": form,
            "source": self.source,
            "group": self.group,
            "facts": format_facts(facts),
        }
        return Draft(record, self.say.template)


def rivals(right: Sequence[str], others: Iterable[str]) -> tuple[str, ...]:
    """The others that no right answer can hold by accident, each once.

    A longer name stays: where a text states "advanced argillic alteration", it does not state
    "argillic alteration", since of names inside each other the longer one counts.
    """
    told = " ".join(right).casefold()
    return tuple({one.casefold(): one for one in others if one.casefold() not in told}.values())


def rounded(value: float, decimals: int) -> str:
    """A number as it is written: rounded once, half up.

    Sums and quotients of short decimals are a hair off in binary (0.285 may be stored as
    0.28499999999999998); twelve decimals take that hair away and nothing else.
    """
    exact = Decimal(f"{value:.12f}")
    written = str(exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
    return written.removeprefix("-") if not exact or float(written) == 0 else written


def number_of(value: float) -> str:
    """As short as it can be written: '2.5', '30'."""
    return f"{value:g}"


def group_of(family: str) -> str:
    """The `group` of all records on one family of minerals."""
    return f"mineral/{family}"


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    return capital(text) + ("" if text.endswith((".", "!", "?")) else ".")
