"""Quality reports with the working shown: counts, averages, capability, control charts."""

import re
from decimal import Decimal

from course_utils.report_program.lot_figures import write_given
from course_utils.report_program.lot_sheet import Lot, disposition, finding
from course_utils.report_program.reading import NUMBER, find, listing, percent, rounded

TREND = 6  # means in a row


def write(instruction: str, sheet: str, shown: bool) -> str:
    """The report, its working shown or the given figures put into sentences."""
    if not shown:
        return write_given(instruction, sheet)
    asked, lot = instruction.casefold(), Lot(sheet)
    if "mean range" in asked:
        said = _averages(lot)
    elif re.search(r"ucl|control limits|both charts", asked):
        said = _chart(lot)
    elif "scrap rate" in asked:
        said = _output(lot)
    elif re.search(r"sigma|rbar", asked):
        said = [_sigma(lot), *_indices(lot), _finding(lot)]
    elif "yield" in asked:
        said = _overview(lot)
    else:
        said = _defects(lot)
    return "\n".join(said)


def _output(lot: Lot) -> list[str]:
    made, scrap, rework = lot.counts
    good = made - scrap - rework
    goal = find(r"(\d+) %", find(r"^.*(?:target|goal|must reach).*$", lot.sheet)[0])[1]
    met = "met" if Decimal(100 * good) / made >= int(goal) else "missed"
    return [
        f"Good at once = {made} - {scrap} - {rework} = {good}",
        f"First-pass yield = {good} / {made} = {percent(good, made)} %",
        f"Scrap rate = {scrap} / {made} = {percent(scrap, made)} %",
        f"Yield target of {goal} %: {met}.",
    ]


def _defects(lot: Lot) -> list[str]:
    (first, most), (_, second), *_ = lot.defects
    total = sum(count for _, count in lot.defects)
    terms = " + ".join(str(count) for _, count in lot.defects)
    both = most + second
    return [
        f"Rejects = {terms} = {total} pieces",
        f"Largest defect: {first}, {most} / {total} = {percent(most, total)} %",
        f"Two largest: ({most} + {second}) / {total} = {both} / {total} = {percent(both, total)} %",
    ]


def _averages(lot: Lot) -> list[str]:
    means, ranges = lot.series
    said, found = [], []
    for name, values in (("mean", means), ("mean range", ranges)):
        total, count = sum(values), len(values)
        value = rounded(total / count, lot.digits(name))
        terms = " + ".join(map(str, values))
        title = name.capitalize()
        said.append(f"{title} = ({terms}) / {count} = {total} / {count} = {value} {lot.unit}")
        found.append(value)
    mean, limits = found[0], lot.limits
    other = limits.get("nominal", limits.get("upper", limits.get("lower")))
    gap = f"{max(mean, other)} - {min(mean, other)} = {abs(mean - other)} {lot.unit}"
    if "nominal" in limits:
        side = "above" if mean > other else "below"
        return [*said, f"Offset = {gap}, {side} nominal"]
    return [*said, f"Room to the limit = {gap}"]


def _sigma_of(lot: Lot) -> Decimal:
    return rounded(lot.mean_range / lot.factor("d2"), lot.digits("sigma"))


def _sigma(lot: Lot) -> str:
    return f"Sigma = {lot.mean_range} / {lot.factor('d2')} = {_sigma_of(lot)} {lot.unit}"


def _spread(lot: Lot) -> Decimal:
    """Sigma as the sheet states it, or from the mean range."""
    stated = re.search(
        rf"(?:\bsigma(?: \(within\))?|standard deviation) ?[ =] ?({NUMBER})",
        lot.sheet.split("\nRound:")[0],
    )
    return Decimal(stated[1]) if stated else _sigma_of(lot)


def _capability(lot: Lot) -> tuple[Decimal | None, Decimal]:
    """Cp (None with one limit) and Cpk."""
    limits, mean, sigma = lot.limits, lot.mean, _spread(lot)
    rooms = [limits["upper"] - mean] if "upper" in limits else []
    rooms += [mean - limits["lower"]] if "lower" in limits else []
    cpk = rounded(min(rooms) / (3 * sigma), 2)
    if len(rooms) < 2:
        return None, cpk
    return rounded((limits["upper"] - limits["lower"]) / (6 * sigma), 2), cpk


def _indices(lot: Lot) -> list[str]:
    limits, mean, sigma = lot.limits, lot.mean, _spread(lot)
    cp, cpk = _capability(lot)
    upper, lower = limits.get("upper"), limits.get("lower")
    high = lower is None or (upper is not None and upper - mean <= mean - lower)
    nearer = f"{upper} - {mean}" if high else f"{mean} - {lower}"
    said = [] if cp is None else [f"Cp = ({upper} - {lower}) / (6 x {sigma}) = {cp}"]
    return [*said, f"Cpk = ({nearer}) / (3 x {sigma}) = {cpk}"]


def _finding(lot: Lot) -> str:
    words = finding(*_capability(lot), lot.required, lot.stated_chart == "in control")
    if "off centre" not in words:
        return f"Process finding: {words}."
    nominal = lot.limits["nominal"]
    return (
        f"Process finding: {words}, correction = {nominal} - {lot.mean} = "
        f"{nominal - lot.mean:+} {lot.unit}."
    )


def _overview(lot: Lot) -> list[str]:
    made, scrap, rework = lot.counts
    share = percent(made - scrap - rework, made)
    return [
        f"First-pass yield = ({made} - {scrap} - {rework}) / {made} = {share} %",
        *_indices(lot),
        f"Largest defect: {lot.defects[0][0]}",
        f"Disposition: {disposition(lot.limits, lot.extremes, lot.stated_chart == 'in control')}.",
        _finding(lot),
    ]


# --- Control chart ------------------------------------------------------------------------------


def _chart(lot: Lot) -> list[str]:
    a2, d4, mean, unit = lot.factor("A2"), lot.factor("D4"), lot.mean, lot.unit
    reach = rounded(a2 * lot.mean_range, lot.digits("A2 x Rbar"))
    digits = lot.digits("limits")
    upper, lower = rounded(mean + reach, digits), rounded(mean - reach, digits)
    most = rounded(d4 * lot.mean_range, digits)
    third = 2 * reach / 3
    broken = _broken(lot.series, (lower, upper), (mean - third, mean + third), most)
    told = listing([f"{rule} ({_subgroups(own)})" for rule, own in broken.items() if own])
    return [
        f"A2 x Rbar = {a2} x {lot.mean_range} = {reach} {unit}",
        f"UCL = {mean} + {reach} = {upper} {unit}; LCL = {mean} - {reach} = {lower} {unit}",
        f"Range limit = {d4} x {lot.mean_range} = {most} {unit}",
        f"Chart: {told or 'in control'}.",
        f"Disposition: {disposition(lot.limits, lot.extremes, not told)}.",
    ]


def _broken(
    series: tuple[list[Decimal], list[Decimal]],
    limits: tuple[Decimal, Decimal],
    zone: tuple[Decimal, Decimal],
    most: Decimal,
) -> dict[str, list[int]]:
    """Rule -> the subgroups that break it, counted from 1."""
    means, ranges = series
    found = {
        "mean outside limits": [
            i for i, m in enumerate(means, 1) if not limits[0] <= m <= limits[1]
        ],
        "range above limit": [i for i, r in enumerate(ranges, 1) if r > most],
        "two of three in zone A": sorted(
            _two_of_three([m > zone[1] for m in means])
            | _two_of_three([m < zone[0] for m in means])
        ),
    }
    steps = list(zip(means, means[1:], strict=False))
    found["rising trend"] = _runs([a < b for a, b in steps])
    found["falling trend"] = _runs([a > b for a, b in steps])
    return found


def _two_of_three(outer: list[bool]) -> set[int]:
    found: set[int] = set()
    for start in range(len(outer) - 2):
        own = [i for i in range(start, start + 3) if outer[i]]
        if len(own) >= 2:
            found |= {i + 1 for i in own}
    return found


def _runs(steps: list[bool]) -> list[int]:
    """The subgroups of each run of at least six means that go one way."""
    found, start = [], 0
    for i in range(len(steps) + 1):
        if i == len(steps) or not steps[i]:
            if i - start + 1 >= TREND:
                found += range(start + 1, i + 2)
            start = i + 1
    return found


def _subgroups(numbers: list[int]) -> str:
    word = "subgroup" if len(numbers) == 1 else "subgroups"
    return f"{word} {listing([str(number) for number in numbers])}"
