"""Units in a text: which one stands behind a number, and spellings that mean the same.

`unit_at(" millimetres per second RMS")` gives ("mm/s", where it ends). Capitals tell units apart
(mW, MW) where they are written right; "MM/S" is read as mm/s all the same.
"""

import re
from functools import cache, lru_cache

# symbol -> other spellings, whole words, of the same unit. A plural s is added by itself.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "mm": ("millimetre", "millimeter"),
    "cm": ("centimetre", "centimeter"),
    "m": ("metre", "meter"),
    "km": ("kilometre", "kilometer"),
    "µm": ("um", "μm", "micron", "micrometre", "micrometer"),
    "nm": ("nanometre", "nanometer"),
    "m²": ("m2", "m^2", "square metre", "square meter"),
    "mm²": ("mm2", "mm^2", "square millimetre", "square millimeter"),
    "cm²": ("cm2", "cm^2", "square centimetre", "square centimeter"),
    "m³": ("m3", "m^3", "cubic metre", "cubic meter"),
    "cm³": ("cm3", "cm^3", "cubic centimetre", "cubic centimeter", "cc"),
    "mm³": ("mm3", "mm^3"),
    "l": ("L", "litre", "liter"),
    "ml": ("mL", "millilitre", "milliliter"),
    "s": ("second", "sec"),
    "s²": ("s2", "s^2", "square second", "second squared"),
    "ms": ("millisecond",),
    "µs": ("us", "microsecond"),
    "min": ("minute",),
    "h": ("hour", "hr"),
    "d": ("day",),
    "week": (),
    "month": (),
    "year": ("yr",),
    "g": ("gram", "gramme"),
    "mg": ("milligram",),
    "kg": ("kilogram", "kilo"),
    "t": ("tonne", "metric ton"),
    "N": ("newton",),
    "kN": ("kilonewton",),
    "J": ("joule",),
    "kJ": ("kilojoule",),
    "kWh": ("kilowatt hour", "kilowatt-hour"),
    "bar": (),
    "mbar": ("millibar",),
    "Pa": ("pascal",),
    "kPa": ("kilopascal",),
    "MPa": ("megapascal",),
    "psi": (),
    "°C": ("degree C", "degree Celsius", "degrees C", "degrees Celsius", "deg C", "℃", "Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit", "deg F"),
    "K": ("kelvin",),
    "°": ("degree", "deg"),
    "%": ("percent", "per cent"),
    "pp": ("percentage point", "per cent point", "percent point"),
    "ppm": (),
    "ppb": (),
    "V": ("volt", "VDC", "VAC"),
    "mV": ("millivolt",),
    "kV": ("kilovolt",),
    "A": ("amp", "ampere"),
    "mA": ("milliamp", "milliampere"),
    "µA": ("uA", "μA", "microamp", "microampere"),
    "W": ("watt",),
    "kW": ("kilowatt",),
    "MW": ("megawatt",),
    "mW": ("milliwatt",),
    "kVA": (),
    "Ω": ("Ohm", "\u2126"),
    "mΩ": ("milliohm", "mOhm"),
    "kΩ": ("kiloohm", "kOhm"),
    "MΩ": ("megohm", "megaohm", "MOhm"),
    "S": ("siemens",),
    "µS": ("uS", "μS", "microsiemens"),
    "mS": ("millisiemens",),
    "Hz": ("hertz",),
    "kHz": ("kilohertz",),
    "rpm": ("r/min", "min⁻¹", "min-1", "min^-1", "1/min", "revolutions per minute", "rev/min"),
    "dB": ("decibel", "dB(A)", "dBA"),
    "cSt": ("centistoke",),
    "lx": ("lux",),
    "N·m": ("Nm", "N*m", "N-m", "N m", "newton metre", "newton meter", "newton-metre"),
    "kN·m": ("kNm", "kN*m", "kilonewton metre"),
    "HRC": (),
    "NTU": (),
    "pixel": ("px",),
    "µg": ("ug", "μg", "microgram"),
    "AUD": ("A$", "AU$", "Australian dollar"),
    "USD": ("US$", "US dollar"),
    "EUR": ("€", "euro"),
    "$": ("dollar",),
}


def _spelled() -> dict[str, str]:
    found = {}
    for symbol, others in SPELLINGS.items():
        for text in (symbol, *others):
            found[text] = symbol
            if len(text) > 2 and text[-1].isalpha() and not text.endswith("s"):
                found[f"{text}s"] = symbol
    return found


_SYMBOLS = _spelled()
_PLAIN = {text.casefold(): symbol for text, symbol in reversed(_SYMBOLS.items()) if len(text) > 1}
# Single letters in their own case only, or "12 A" and "12 a day" would be the same.
_ATOM = "|".join(
    re.escape(text).replace(r"\ ", r"[\s\u00a0]+")
    for text in sorted({*_SYMBOLS, *_PLAIN}, key=len, reverse=True)
)
_JOINED = r"(?:\s?[·*⋅]\s?|/|[\s\u00a0]+per[\s\u00a0]+)"
_PER_COUNT = rf"(?:/\d+[\s\u00a0]?(?:{_ATOM}))?"  # N/15 mm, l/100 km
# What follows must not make another unit of it: 4.5 mm/s is no length, 5 min⁻¹ no time.
_UNIT = re.compile(
    rf"((?:/|per\s+)?)((?:{_ATOM})(?:{_JOINED}(?:{_ATOM}))*{_PER_COUNT})(?![\w²³⁻^$]|[/·*⋅]\w)"
)
_SPACES = " \u202f\u00a0\u2009-"
_BEFORE = re.compile(r"(?:(?<!\w)(AUD|AU\$|A\$|EUR|€|USD|US\$|\$))[\s\u00a0]*$")


def unit_at(text: str, start: int = 0) -> tuple[str, int]:
    """(unit, where it ends) of the unit at this place, after spaces; ("", start) if none is known.

    The unit is spelled with its usual symbols: "mm/s", "N·m", "per ml" is "/ml".
    """
    begin = start
    while begin < len(text) and text[begin] in _SPACES:
        begin += 1
    for looked in (text, _lowered(text)):
        match = _UNIT.match(looked, begin)
        if match:
            return _canonical(match[1], match[2]), match.end()
    return "", start


@lru_cache(maxsize=256)
def _lowered(text: str) -> str:
    """Capitals of words made small: "MM/S" is mm/s, but "A" stays ampere."""
    return re.sub(r"[A-Za-z]{2,}(?:/[A-Za-z]+)?", lambda m: m[0].lower(), text)


@lru_cache(maxsize=4096)
def _canonical(per: str, text: str) -> str:
    if text in _SYMBOLS:
        return ("/" if per else "") + _SYMBOLS[text]
    parts = re.split(rf"({_JOINED})", text)
    symbols = []
    for index, part in enumerate(parts):
        if index % 2:
            symbols.append("·" if part.strip() in ("·", "*", "⋅") else "/")
        else:
            plain = " ".join(part.split())
            symbols.append(_SYMBOLS.get(plain) or _PLAIN.get(plain.casefold(), plain))
    return ("/" if per else "") + "".join(symbols)


@cache
def known_unit(text: str) -> str:
    """The usual symbols of a unit that is written alone; "" where it is no known unit."""
    unit, end = unit_at(text)
    return unit if end == len(text) else ""


def currency_before(text: str) -> str:
    """The currency at the end of a text ("costs A$"), which belongs to the number that follows."""
    match = _BEFORE.search(text[-6:])
    return _SYMBOLS[match[1]] if match else ""


def same_unit(one: str, other: str) -> bool:
    """Whether two units as `unit_at` gives them are the same; "$" is any dollar."""
    dollars = {"$", "AUD", "USD"}
    return one == other or ("$" in (one, other) and {one, other} <= dollars)
