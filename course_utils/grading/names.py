"""Names of submissions: what is safe as a folder's name, and what stands for a hidden one."""

import hashlib
import re
import unicodedata

LONGEST = 48
OURS = ("exports", "marks", "secret")  # in a folder of grades; our other names there have a dot
# What Windows keeps for itself, with any ending, and we for us.
RESERVED = re.compile(rf"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|{'|'.join(OURS)}")


def slug(name: str, number: str = "") -> str:
    """A folder's name for a submission: ASCII, lower case, the same for the same name always.

    What a plain name loses (accents, spaces, another script) is made up for by six letters of a
    digest, so that two names never meet in one folder whatever else lies in the inbox. `number` is
    an LMS's own, which does the same.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:LONGEST].strip("-_")
    digits = re.sub(r"[^a-z0-9]+", "", number.lower())[:20]
    if digits:
        return f"{plain or 'submission'}-{digits}"
    if plain == name and not RESERVED.fullmatch(plain):
        return plain
    raw = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return f"{plain or 'submission'}-{hashlib.sha256(raw).hexdigest()[:6]}"


def code(submission: str, salt: str = "") -> str:
    """What stands for a submission where names are hidden, e.g. `S-3F2A9C`."""
    return f"S-{hashlib.sha256(f'{salt}:{submission}'.encode()).hexdigest()[:6].upper()}"
