"""Every numeric answer of the geology track, worked out again from the texts of its record.

Nothing of the builders is called: a reader with a pocket calculator, a periodic table, the spectral
library and the knowledge base as plain YAML comes to the same numbers, for all records.
"""

import re
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

import numpy as np
import pytest
import yaml

from course_utils import kit
from course_utils.tracks.geology import spectra

DATA = kit.DATA / "knowledge" / "geology"
# Molar masses in g/mol, from a periodic table.
WEIGHTS = {
    "H": 1.008, "Li": 6.94, "Be": 9.012, "B": 10.81, "C": 12.011, "O": 15.999, "F": 18.998, "Na":
    22.990, "Mg": 24.305, "Al": 26.982, "Si": 28.085, "P": 30.974, "S": 32.06, "Cl": 35.45, "K":
    39.098, "Ca": 40.078, "Ti": 47.867, "Cr": 51.996, "Mn": 54.938, "Fe": 55.845, "Cu": 63.546,
    "As": 74.922, "Sr": 87.62, "Zr": 91.224, "Mo": 95.95, "Sn": 118.71, "Ba": 137.33, "W": 183.84,
    "Pb": 207.2,
}  # fmt: skip
NUMBER = r"(\d+(?:\.\d+)?)"
CHECKERS = {}


def checks(pattern, where="instruction"):
    """The records whose text matches `pattern` are worked out by the function."""

    def register(function):
        CHECKERS[function.__name__] = (re.compile(pattern), where, function)
        return function

    return register


def half_up(value, decimals):
    step = Decimal(1).scaleb(-decimals)
    return Decimal(f"{value:.10f}").quantize(step, ROUND_HALF_UP)


def numbers(text):
    return [float(found) for found in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text)]


def table(context):
    """{wavelength: value} of "2120: 0.512, 2165: 0.498"."""
    return {int(nm): float(v) for nm, v in re.findall(r"(\d{3,4}): (\d\.\d{3})", context)}


def line_at(points, nm):
    first, last = min(points), max(points)
    share = (nm - first) / (last - first)
    return points[first] + share * (points[last] - points[first])


def bands(context):
    """{band: value} of "SWIR-5 0.241, B8A 0.318"."""
    found = re.findall(r"(?<![\w-])((?:SWIR-|TM|B)\d+[AN]?) (\d\.\d{2,3})", context)
    return {name: float(value) for name, value in found}


@lru_cache
def knowledge(name):
    text = (DATA / f"{name}.yaml").read_text(encoding="utf-8")
    return next(v for k, v in yaml.safe_load(re.sub("[<>]", "", text)).items() if k != "sources")


def atoms(formula):
    """Own reading of a formula: {"Cu": 2, ...}."""
    total = Counter()
    for part in formula.split("."):
        times, rest = re.fullmatch(r"(\d*)(.*)", part).groups()
        stack = [Counter()]
        for symbol, n, opened, m in re.findall(r"([A-Z][a-z]?)(\d*)|(\()|\)(\d*)", rest):
            if symbol:
                stack[-1][symbol] += int(n or 1)
            elif opened:
                stack.append(Counter())
            else:
                for inner, count in stack.pop().items():
                    stack[-1][inner] += count * int(m or 1)
        total += Counter({symbol: count * int(times or 1) for symbol, count in stack[0].items()})
    return total


def molar(formula):
    return sum(n * WEIGHTS[symbol] for symbol, n in atoms(formula).items())


# --- One checker for each kind of numeric question ----------------------------------------------


@checks(r"reflectance (?:is )?lowest|lowest reflectance|smallest reflectance|Which band is darkest")
def lowest_band(record):
    points = table(record["context"])
    return min(points, key=points.get), 0


@checks(r"(?i)continuum.*straight|straight continuum|interpolate the continuum")
def continuum(record):
    points = table(record["context"])
    asked = [int(n) for n in re.findall(r"(\d{3,4}) nm", record["instruction"])]
    inner = next(nm for nm in asked if nm in points and nm not in (min(points), max(points)))
    return line_at(points, inner), 3


@checks(r"(?i)how deep is the band there|band depth at|absorption depth at|band depth after")
def depth(record):
    points = table(record["context"])
    nm = int(re.search(r"(\d{3,4}) nm", record["instruction"])[1])
    line = float(re.search(r"(0\.\d{3})", record["instruction"])[1])
    assert half_up(line_at(points, nm), 3) == Decimal(str(line)).quantize(Decimal("0.001"))
    return 1 - points[nm] / line, 3


@checks(r"(?i)how deep is the absorption\?|depth of the feature|which depth does|band depth of the")
def depth_without_continuum(record):
    return 1 - min(table(record["context"]).values()), 3


@checks(
    r"bottom of the absorption|absorption deepest|feature have its minimum|is the centre of the"
)
def band_without_continuum(record):
    points = table(record["context"])
    return min(points, key=points.get), 0


@checks(r"(?i)half depth|FWHM|half its depth")
def width(record):
    left, right = _half_points(record["context"])
    own = measured(record)
    nm = int(re.search(r"(?:feature at|The|centre) (\d{3,4}) nm", record["context"])[1])
    assert any(round(c) == nm and round(w) == right - left for c, w in own), record
    return right - left, 0


def _half_points(context):
    found = re.search(
        r"reached at (\d+) and (\d+)|depth at (\d+) nm and rises.*?at (\d+)|: (\d+) nm, (\d+) nm",
        context,
    )
    return [int(n) for n in found.groups() if n]


@checks(r"wavenumber|in cm-1 |\) in cm-1")
def wavenumber(record):
    return 1e7 / int(re.search(r"(\d{3,4}) nm", record["instruction"])[1]), 0


@lru_cache
def windows_of(label):
    """Own continuum removal over each window of a spectrum: [(low, high, centre, width)]."""
    same = [one for one in spectra.library().values() if one.label == label]
    own = same[0]  # several rules look at one measurement
    known = np.isfinite(own.reflectance)
    nm, value = own.nm[known], own.reflectance[known].astype(float)
    found = []
    for window in (window for one in same for window in one.windows):
        sides = [(nm >= a) & (nm <= b) for a, b in (window.left, window.right)]
        (x0, x1), (y0, y1) = ([v[s].mean() for s in sides] for v in (nm, value))
        inside = (nm >= x0) & (nm <= x1)
        x = nm[inside]
        ratio = value[inside] / np.interp(x, [x0, x1], [y0, y1])
        between = (x >= window.left[1]) & (x <= window.right[0])
        at = np.flatnonzero(between)[ratio[between].argmin()]
        half = (1 + ratio[at]) / 2
        above = ratio >= half
        left, right = np.flatnonzero(above[:at]), at + np.flatnonzero(above[at:])
        if len(left) and len(right):
            ends = [
                np.interp(half, sorted(ratio[[i, j]]), x[[i, j]][ratio[[i, j]].argsort()])
                for i, j in ((left[-1], left[-1] + 1), (right[0] - 1, right[0]))
            ]
            low, high = sum(window.left) / 2, sum(window.right) / 2
            found.append((low, high, x[at], ends[1] - ends[0]))
    return found


def measured(record):
    """[(centre, width)] of all features of the record's spectrum."""
    label = record["source"].split(",")[0]
    return [(centre, width) for _, _, centre, width in windows_of(label)]


@checks(r"between \d+ and \d+ nm|Between \d+ and \d+ nm")
def centre_of_a_sample(record):
    ends = re.search(r"etween (\d+) and (\d+) nm", record["instruction"]).groups()
    label = record["source"].split(",")[0]
    return next(
        centre
        for low, high, centre, _ in windows_of(label)
        if (round(low), round(high)) == tuple(map(int, ends))
    ), 0


@checks(r"ratio [\w-]+ / [\w-]+\?|band ratio|^Divide|has the ratio|: what is the ratio")
def band_ratio(record):
    values = bands(record["context"])
    a, b = re.findall(r"(?<![\w-])(?:SWIR-|B)\d+[AN]?", record["instruction"])[:2]
    return values[a] / values[b], 3


@checks(r"\(?B?[TM]*\d*\w* ?[-+/] ", where="context")
def index(record):
    """The formula of the context, worked out with its reflectances."""
    values = bands(record["context"])
    band = r"(?:TM|B)\d+[AN]?"
    sums = rf"\({band} [-+] {band}\)"
    formula = re.search(rf"{sums} / (?:{sums}|{band})|{band} / {band}", record["context"])[0]
    return eval(re.sub(band, lambda name: str(values[name[0]]), formula)), 2


@checks(r"(?i)fraction|share of the pixel|this pixel's area")
def unmixing(record):
    """Least squares over the three bands, for the endmember that is asked for."""
    text = record["context"]
    lines = re.findall(r"(?:^|: |; |\. )([^:;.]+?) ((?:0\.\d{3}, ){2}0\.\d{3})", text)
    rows = {name: np.array([float(v) for v in values.split(", ")]) for name, values in lines}
    pixel = rows.pop("pixel")
    asked = [
        name
        for name in rows
        if f"{name}{' '}"
        in f"{record['instruction']} ".replace(",", " ").replace("?", " ").replace(".", " ")
    ]
    assert asked, record
    own = max(asked, key=len)
    other = next(name for name in rows if name != own)
    difference = rows[own] - rows[other]
    return difference @ (pixel - rows[other]) / (difference @ difference), 2


@checks(
    r"(?i)does a pixel of|linearly: reflectance|a pixel holds|expected reflectance|which reflec"
)
def mixing(record):
    context = record["context"].lower()
    pairs = re.findall(r"(?:^|nm: |nm |; |, |and )(\S[^;:,]*?) (?:reflects )?(0\.\d{3})", context)
    values = {re.sub(r"^(?:at \d+ nm |and )", "", name): float(v) for name, v in pairs}
    shares = dict(_shares(record["instruction"].lower(), list(values)))
    (a, x), (b, y) = values.items()
    share = shares[a] if a in shares else 100 - shares[b]
    return (share * x + (100 - share) * y) / 100, 3


def _shares(text, names):
    for percent, rest in re.findall(r"(\d+) % (.*?)(?=\d+ %|$)", text):
        for name in sorted(names, key=len, reverse=True):
            if rest.startswith(name):
                yield name, int(percent)
                break


@checks(r"(?i)mass percent|share of the mass")
def metal_content(record):
    text, names = record["context"], {v: k for k, v in ELEMENTS.items()}
    element = next(
        names[word]
        for word in re.findall(r"[a-z]+", record["instruction"].lower())
        if word in names
    )
    formula = _formula_in(text)
    true = 100 * atoms(formula)[element] * WEIGHTS[element] / molar(formula)
    weight, total = sorted(map(float, re.findall(r"(\d+\.\d) g", text)))
    assert abs(100 * weight / total - true) < 0.3, record  # the context is rounded to 0.1 g
    return 100 * weight / total, 1


ELEMENTS = {
    "Cu": "copper", "Pb": "lead", "Sn": "tin", "W": "tungsten", "Cr": "chromium", "Mn":
    "manganese", "Fe": "iron", "Zr": "zirconium", "Ti": "titanium", "As": "arsenic", "Ba":
    "barium", "Sr": "strontium", "Mo": "molybdenum", "Be": "beryllium", "Al": "aluminium", "Ca":
    "calcium", "Mg": "magnesium", "S": "sulfur", "F": "fluorine", "Na": "sodium", "C": "carbon",
    "Cl": "chlorine", "B": "boron", "Si": "silicon",
}  # fmt: skip


@lru_cache
def _formulas():
    from course_utils.tracks.geology import minerals

    return {mineral.formula for mineral in minerals.table()}


def _formula_in(text):
    return max((w for w in (w.rstrip(".,:;") for w in text.split()) if w in _formulas()), key=len)


@checks(r"(?i)molar mass|one mole of")
def molar_mass(record):
    text = record["context"]
    formula = _formula_in(text)
    weights = dict(re.findall(r"([A-Z][a-z]?) (\d+\.\d\d)", text))
    assert set(weights) == set(atoms(formula))
    assert all(abs(float(weights[s]) - WEIGHTS[s]) <= 0.0051 for s in weights)
    return sum(n * float(weights[s]) for s, n in atoms(formula).items()), 1


@checks(r"displace|Displacement|displaced", where="context")
def weighing(record):
    mass, volume = numbers(record["context"])[-2:]
    return mass / volume, 2


@checks(r"(?i)longest|shortest")
def longest_band(record):
    lines = [int(nm) for nm in re.findall(r"(?:[:;(] ?)(\d{3,4}) nm ", record["context"])]
    return (max if "longest" in record["instruction"] else min)(lines), 0


@checks(
    r"(?i)at which wavelength, in|give the wavelength|does .* absorb through|^In (nm|µm), where"
)
def wavelength_from_memory(record):
    text = record["instruction"].lower()
    found = [
        (
            len(mineral["name"])
            + len(line["shape"])
            + len(line["cause"]) * (line["cause"].lower() in text),
            line["nm"],
        )
        for mineral in knowledge("features")
        for line in mineral["lines"]
        if re.search(rf"\b{re.escape(mineral['name'])}\b", text) and line["shape"].lower() in text
    ]
    nm = max(found)[1]
    return (nm / 1000, 3) if record["answer"].endswith("µm") else (nm, 0)


FIGURES = {
    "bands": r"many bands",
    "sampling": r"sampling|far apart",
    "pixel": r"large is a pixel|spatial resolution",
    "swath": r"swath",
    "launch": r"launch",
}


@checks("|".join(FIGURES.values()))
def sensor_figure(record):
    """The knowledge base, and the data sheet where one is given."""
    name = record["group"].removeprefix("sensors/")
    sensor = next(one for one in knowledge("sensors") if one["name"] == name)
    figure = next(f for f, pattern in FIGURES.items() if re.search(pattern, record["instruction"]))
    value = f"{sensor[figure]:g}"
    assert not record["context"] or re.search(rf"(?<![\d.]){value}(?!\d|\.\d)", record["context"])
    return float(value), len(value.partition(".")[2])


def _limits_in(record):
    band = re.search(r"(?<![\w-])(?:SWIR-|TM|B)\d+[AN]?", record["instruction"])[0]
    found = re.search(rf"(?<![\w-]){band} {NUMBER}-{NUMBER}", record["context"])
    sensor = next(
        one for one in knowledge("sensors") if one["name"] == record["group"].split("/")[1]
    )
    limits = [float(end) for end in found.groups()]
    assert limits == [float(end) for end in sensor["limits"][band]]
    return limits


@checks(r"^How wide is [A-Z]|width of (?:SWIR|TM|B)|nanometres wide")
def band_width(record):
    low, high = _limits_in(record)
    return high - low, _short(high - low)


@checks(r"centre of (?:SWIR|TM|B)|central wavelength of|middle of")
def band_centre(record):
    low, high = _limits_in(record)
    return (low + high) / 2, _short((low + high) / 2)


def _short(value):
    return len(f"{value:g}".partition(".")[2])


@checks(r"Mohs")
def hardness(record):
    if not record["context"]:
        return None  # from memory: the table of minerals itself
    return _range_of(record["context"], "ohs hardness")


@checks(r"specific gravity of|specific gravity is given|what is its specific gravity")
def specific_gravity(record):
    return _range_of(record["context"], "pecific gravity")


def _range_of(text, name):
    low, high = re.search(rf"{name} {NUMBER}(?: to {NUMBER})?", text).groups()
    return (f"between {low} and {high}",) if high else (float(low), len(low.partition(".")[2]))


# --- All records --------------------------------------------------------------------------------

FIRST = ("weighing", "depth_without_continuum", "molar_mass", "width", "wavenumber")


def checker_of(record):
    """The name of the checker that reads this record; those in FIRST are asked first."""
    if record["group"].startswith("indices/"):
        return "index"
    for name in (*FIRST, *CHECKERS):
        pattern, where, _ = CHECKERS[name]
        if name != "index" and pattern.search(record[where]):
            return name
    return ""


@pytest.fixture(scope="module")
def numeric(all_records):
    found = [record for record in all_records if record["form"] == "number and unit only"]
    assert len(found) > 1400
    return found


def test_every_numeric_record_is_worked_out_again_and_agrees(numeric):
    wrong, worked = [], Counter()
    for record in numeric:
        name = checker_of(record)
        result = CHECKERS[name][2](record) if name else ()
        if result is None:
            continue
        expected = result[0] if len(result) == 1 else str(half_up(*result)) if result else "?"
        told = (
            re.sub(r" [^\d ]\S*$", "", record["answer"]) if len(result) == 2 else record["answer"]
        )
        if told != expected:
            wrong.append(
                (name, expected, record["instruction"], record["context"], record["answer"])
            )
        worked[name] += 1
    assert wrong == []
    assert set(worked) == set(CHECKERS)
    assert min(worked.values()) >= 5
    assert worked.total() > 1400
