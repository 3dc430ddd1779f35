"""Questions on two materials mixed linearly with known fractions; the answers are computed."""

import random
from collections.abc import Iterator, Sequence

from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.drafts import Question, group_of, rounded
from course_utils.tracks.geology.materials import Material
from course_utils.tracks.geology.spectra import Band
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/mixtures")
BANDS = (2120, 2165, 2210, 2260, 2310, 2335, 2385)  # nm, of which three are printed
VARIANTS = 2  # fractions for each pair


def can_be_mixed(a: Material, b: Material) -> bool:
    """Whether the two differ enough for a fraction to show in three decimals."""
    x, y = (_values_at(m, BANDS) for m in (a, b))
    gaps = sorted((abs(p - q) for p, q in zip(x, y, strict=True)), reverse=True)
    return all(gap == gap for gap in gaps) and gaps[2] >= 0.05  # NaN differs from itself


def mixture_drafts(a: Material, b: Material, seed: int) -> Iterator[Draft]:
    """The fraction of a mixed pixel, and the reflectance of a mixture of known fractions."""
    family = "+".join(sorted({a.family, b.family}))
    group = group_of(family) if a.family == b.family else f"mixture/{family}"
    labels = {"a": a.spectrum.label, "b": b.spectrum.label}
    source = SAY.phrase("source", library=spectra.SOURCE, **labels)
    for variant in range(VARIANTS):
        rng = random.Random(f"{seed}/mix/{a.name}/{b.name}/{variant}")
        fraction = rng.randrange(10, 95, 5) / 100
        bands = rng.sample(_telling_bands(a, b), 3)
        x, y = (_values_at(m, bands) for m in (a, b))
        mixed = [round(fraction * p + (1 - fraction) * q, 3) for p, q in zip(x, y, strict=True)]
        told = [(m - q) / (p - q) for p, q, m in zip(x, y, mixed, strict=True)]
        if all(abs(value - fraction) < 0.004 for value in told):  # else rounding hides the truth
            yield _fraction((a, b), bands, (x, y, mixed), fraction, (source, group), rng)
        yield _forward((a, b), bands[0], (x[0], y[0]), fraction, (source, group), rng)


def _values_at(material: Material, bands: Sequence[int]) -> list[float]:
    own = material.spectrum
    narrow = [Band(str(nm), nm - 5, nm + 5) for nm in bands]
    return [round(float(v), 3) for v in spectra.resample(own.nm, own.reflectance, narrow)]


def _telling_bands(a: Material, b: Material) -> list[int]:
    """The three bands in which the two differ most."""
    x, y = (_values_at(m, BANDS) for m in (a, b))
    order = sorted(range(len(x)), key=lambda i: -abs(x[i] - y[i]))
    return [BANDS[i] for i in sorted(order[:3])]


def _fraction(
    two: tuple[Material, Material],
    bands: Sequence[int],
    rows: tuple[list[float], list[float], list[float]],
    fraction: float,
    origin: tuple[str, str],
    rng: random.Random,
) -> Draft:
    say = Realiser(rng, "mixture/fraction")
    lines = [_line("endmember", row, name=m.title) for m, row in zip(two, rows[:2], strict=True)]
    lines.append(_line("pixel", rows[2]))
    context = say(
        "context",
        SAY["fraction_context"],
        bands=", ".join(map(str, bands)),
        lines="; ".join(lines),
    )
    text = say("question", SAY["fraction_question"], what=two[0].title)
    return Question(say, text, context, *origin).number(rounded(fraction, 2))


def _line(what: str, row: Sequence[float], name: str = "") -> str:
    values = ", ".join(f"{value:.3f}" for value in row)
    return SAY.phrase("fraction_line", what, name=name, values=values)


def _forward(
    two: tuple[Material, Material],
    nm: int,
    values: tuple[float, float],
    fraction: float,
    origin: tuple[str, str],
    rng: random.Random,
) -> Draft:
    say = Realiser(rng, "mixture/forward")
    names = {"a": two[0].title, "b": two[1].title, "nm": nm}
    percent = {"p": round(100 * fraction), "q": round(100 - 100 * fraction)}
    x, y = values
    context = say("context", SAY["forward_context"], x=x, y=y, **names)
    text = say("question", SAY["forward_question"], **percent, **names)
    result = fraction * x + (1 - fraction) * y
    return Question(say, text, context, *origin).number(rounded(result, 3))
