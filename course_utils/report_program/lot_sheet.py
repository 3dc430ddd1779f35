"""The sheet of a production lot, read piece by piece, and the two rules that it prints."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from course_utils.report_program.reading import NUMBER, Unreadable, find, numbers


@dataclass(frozen=True)
class Lot:
    """A sheet, read piece by piece as a report needs it."""

    sheet: str

    @cached_property
    def counts(self) -> tuple[int, int, int]:
        """Made, scrapped, reworked."""
        line = find(r"^.*\bscrap.*$", self.sheet)[0]
        made = find(r"(\d+) (?:\w+ )?(?:made|produced)|(?:qty|output|produced)\D? ?(\d+)", line)
        scrap = find(r"(\d+) scrap|scrap(?:ped)? (\d+)", line)
        rework = find(r"(\d+) rework|rework(?:ed)? (\d+)", line)
        return tuple(int(one[1] or one[2]) for one in (made, scrap, rework))

    @cached_property
    def defects(self) -> list[tuple[str, int]]:
        """(kind, count), largest first."""
        line = find(r"^(?:Faults found|Tally|Pareto|Rejects by kind|Defects): (.+)$", self.sheet)[1]
        found = []
        for item in re.split(r"[,;]| \| | / ", line):
            count = int(find(r"\d+", item)[0])
            found.append((re.sub(r"\d+ x |[\d:=]", " ", item).strip(), count))
        return sorted(found, key=lambda pair: -pair[1])

    @cached_property
    def rounding(self) -> str:
        """What the sheet says on rounding."""
        return find(r"^Round: (.+)$", self.sheet)[1]

    @cached_property
    def unit(self) -> str:
        """The unit of the readings."""
        return find(rf" {NUMBER} ([^\d\s,%]+)(?:,|$)", self.rounding)[1]

    def digits(self, name: str) -> int:
        """Digits behind the point of a figure that the sheet names."""
        return len(find(rf"(?:^|, ){name} 0?\.?(\d*)", self.rounding)[1])

    @cached_property
    def limits(self) -> dict[str, Decimal]:
        """Of "lower", "upper" and "nominal" those that there are."""
        field = find(
            r"(?:^|\| |; |- )(?:spec|drawing|tolerance|limits):? (.+?)(?: \||;|\.?$)", self.sheet
        )[1]
        found = {}
        for name, words in (
            ("lower", r"LSL|min\.?|>=|at least"),
            ("upper", r"USL|max\.?|<=|at most"),
            ("nominal", r"nominal"),
        ):
            if one := re.search(rf"(?:{words}) ({NUMBER})", field):
                found[name] = Decimal(one[1])
        if ends := re.search(rf"({NUMBER})(?: to |\.\.)({NUMBER})", field):
            found["lower"], found["upper"] = map(Decimal, ends.groups())
        if around := re.search(rf"({NUMBER}) ±", field):
            found["nominal"] = Decimal(around[1])
        if not found:
            raise Unreadable(field)
        return found

    @cached_property
    def size(self) -> int:
        """Readings in a subgroup."""
        line = find(r"^.*Rbar.*$", self.sheet)[0]
        found = find(r"size (\d+)|of n = (\d+)|subgroups of (\d+)|x (\d+) readings|n = (\d+)", line)
        return int(next(filter(None, found.groups())))

    @cached_property
    def mean_range(self) -> Decimal:
        """The mean of the ranges, as the sheet has it."""
        return Decimal(find(rf"Rbar[ =]({NUMBER})", self.sheet)[1])

    @cached_property
    def mean(self) -> Decimal:
        """The mean of the subgroup means, as the sheet has it."""
        line = find(r"^.*(?:Rbar|sigma|standard deviation).*$", self.sheet)[0]
        return Decimal(find(rf"\b(?:mean(?: of means)?|x-barbar) ?[ =] ?({NUMBER})", line)[1])

    def factor(self, name: str) -> Decimal:
        """A factor of the control chart for the lot's size of subgroup."""
        line = find(r"^Factors: (.+)$", self.sheet)[1]
        for piece in line.split("; "):
            if re.search(rf"\bn ?=? ?{self.size}\b|\({self.size}\)", piece):
                return Decimal(find(rf"\b{name}(?:\(\d\) =)? ({NUMBER})", piece, re.M)[1])
        raise Unreadable(line)

    @cached_property
    def series(self) -> tuple[list[Decimal], list[Decimal]]:
        """Means and ranges of the subgroups, in any of the notations."""
        if one := re.search(r"^x-bar \| (.+)\nR \| (.+)$", self.sheet, re.M):
            return numbers(one[1]), numbers(one[2])
        if one := re.search(r"^Means[^:]*: (.+)\nRanges: (.+)$", self.sheet, re.M):
            return numbers(one[1]), numbers(one[2])
        if one := re.search(r"gave the means (.+?) with ranges (.+)\.$", self.sheet, re.M):
            return numbers(one[1]), numbers(one[2])
        pairs = re.findall(rf"^\d+(?:: |,)({NUMBER})(?: / |,)({NUMBER})$", self.sheet, re.M)
        pairs = pairs or re.findall(rf"({NUMBER}) \(({NUMBER})\)(?:;|$)", self.sheet, re.M)
        if not pairs:
            raise Unreadable("no subgroups")
        return [Decimal(mean) for mean, _ in pairs], [Decimal(size) for _, size in pairs]

    @cached_property
    def extremes(self) -> tuple[Decimal, Decimal]:
        """The lowest and the highest reading."""
        found = find(
            rf"(?:readings(?: from)?|lowest reading|min) ({NUMBER})\D+?(?:to|highest|max) "
            rf"({NUMBER})",
            self.sheet,
        )
        return Decimal(found[1]), Decimal(found[2])

    @cached_property
    def stated_chart(self) -> str:
        """What the sheet says of the control chart."""
        return find(
            r"^[^:\n]+: (in control$|(?:mean|range|two of|rising|falling) .*\(sub.*)", self.sheet
        )[1]

    @cached_property
    def required(self) -> Decimal:
        """The Cpk that is asked for."""
        return Decimal(find(rf"Cpk (?:at least|reaches) ({NUMBER})", self.sheet)[1])


def finding(cp: Decimal | None, cpk: Decimal, required: Decimal, quiet: bool) -> str:
    """The process finding by the rule that the sheets print."""
    if not quiet:
        return "unstable"
    if cpk >= required:
        return "capable"
    if cp is None:
        return "too near the limit"
    if cp >= required:
        return "off centre"
    apart = cp - cpk >= Decimal("0.20")
    return "off centre and spread too large" if apart else "spread too large"


def disposition(
    limits: Mapping[str, Decimal], extremes: tuple[Decimal, Decimal], quiet: bool
) -> str:
    """Hold, sort or release: the first that fits."""
    low, high = extremes
    inside = limits.get("lower", low) <= low and high <= limits.get("upper", high)
    return "hold" if not quiet else "release" if inside else "sort"
