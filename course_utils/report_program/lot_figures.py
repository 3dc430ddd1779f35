"""Quality reports from given figures: find those that were asked for, and conclude."""

import re
from decimal import Decimal

from course_utils.report_program.lot_sheet import Lot, disposition, finding
from course_utils.report_program.reading import Unreadable, listing

# A figure of the report, the labels that sheets give it, the words that ask for it, its sentence.
FIGURES = (
    (
        "yield",
        r"FPY|first-pass yield",
        r"yield(?! target)|right first time",
        "First-pass yield: {}",
    ),
    ("scrap", r"scrap (?:rate|share)", r"scrap", "Scrap rate: {}"),
    ("mean", r"(?:grand )?mean", r"\bmean\b", "Mean: {}"),
    ("sigma", r"sigma(?: within)?", r"sigma", "Sigma: {}"),
    ("cp", r"Cp", r"\bcp\b|indices", "Cp: {}"),
    ("cpk", r"Cpk", r"\bcpk\b|indices", "Cpk: {}"),
    ("lowest", r"lowest reading|min", r"lowest|extreme|range of", "Lowest reading: {}"),
    ("highest", r"highest reading|max", r"highest|extreme|range of", "Highest reading: {}"),
    ("ucl", r"UCL(?: of means)?", r"ucl|control limits|both charts", "UCL: {}"),
    ("lcl", r"LCL(?: of means)?", r"lcl|control limits|both charts", "LCL: {}"),
    (
        "range limit",
        r"range limit|UCL of ranges",
        r"range limit|control limits|both charts",
        "Range limit: {}",
    ),
)
ITEM = r"^(.+?)(?:: |=| )([-+]?\d[\d.]*(?: \S+)?)$"
DEFECT = r"^(.+?)(?:: |=| )(\d+) \(([\d.]+ %)\)$"


def write_given(instruction: str, sheet: str) -> str:
    """The report in sentences."""
    asked = instruction.casefold()
    figures, defects = _figures(sheet)
    said = []
    for name, _, words, sentence in FIGURES:
        if re.search(words, asked) and name in figures:
            said.append(f"{sentence.format(figures[name])}.")
    if "defect" in asked:
        kind, share = max(defects, key=lambda row: float(row[1].split()[0]))
        told = f", with {share} of the rejects" if "share" in asked else ""
        said.append(f"Largest defect: {kind}{told}.")
    if "target" in asked:
        goal, reached = (float(figures[name].split()[0]) for name in ("goal", "yield"))
        said.append(f"The yield target of {figures['goal']} is {_met(reached >= goal)}.")
    broken = _broken(sheet)
    if re.search(r"chart|rules?\b", asked):
        said.append(f"Chart: {listing([f'{r} ({g})' for r, g in broken.items()]) or 'in control'}.")
    if re.search(r"disposition|happens to the lot|lot's fate", asked):
        ends = [Decimal(figures[name].split()[0]) for name in ("lowest", "highest")]
        fate = disposition(Lot(sheet).limits, (ends[0], ends[1]), quiet=not broken)
        said.append(f"Disposition: {fate}.")
    if "finding" in asked:
        said.append(_finding(figures, quiet=not broken))
    return " ".join(said)


def _met(reached: bool) -> str:
    return "met" if reached else "missed"


def _figures(sheet: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The figures by the names above, and (kind of defect, its share)."""
    line = max(sheet.split("\n"), key=lambda line: len(re.findall(r"Cpk|UCL|yield|FPY", line)))
    labels = {name: words for name, words, _, _ in FIGURES} | {
        "goal": r"(?:yield|FPY) target",
        "required": r"required Cpk|Cpk (?:target|required)",
        "correction": r"nominal - mean|correction to nominal",
    }
    figures, defects = {}, []
    for item in re.split(r", |; | / | \| ", line.rstrip(".")):
        if defect := re.match(DEFECT, item):
            defects.append((defect[1], defect[3]))
        elif found := re.match(ITEM, item):
            for name, words in labels.items():
                if re.fullmatch(words, found[1]):
                    figures[name] = found[2]
    if not figures:
        raise Unreadable("no figures")
    return figures, defects


def _broken(sheet: str) -> dict[str, str]:
    """Rule -> "subgroups 2 and 3", of those that are broken."""
    line = re.search(r"^.*two of three in zone A: .*$", sheet, re.M)
    if not line:
        return {}
    rules = re.findall(r"((?:mean|range|two|rising|falling)[a-zA-Z ]+): ([^;]+)", line[0])
    return {rule: groups for rule, groups in rules if groups.strip() != "none"}


def _finding(figures: dict[str, str], quiet: bool) -> str:
    cp = Decimal(figures["cp"]) if "cp" in figures else None
    words = finding(cp, Decimal(figures["cpk"]), Decimal(figures["required"]), quiet)
    more = f", correction {figures['correction']}" if "off centre" in words else ""
    return f"Process finding: {words}{more}."
