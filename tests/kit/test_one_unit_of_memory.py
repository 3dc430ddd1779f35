"""Memory is told in GiB (2^30 bytes) everywhere: two units side by side look like two numbers."""

import re
import subprocess

import pytest

from course_utils import kit

# GB is left where it is no memory of ours: what a card is called, a file's size, figures of others.
ALLOWED = {
    "course_utils/presets.yaml": ["an A100 or H100 (40 GB and more"],
    "course_utils/assignments/folder.py": ['for unit, size in (("GB", 1000 * MB)'],
    "assignments/week09_10_manufacturing/bonuses/instruction_tuning.py": ["(GPU with 24 GB)"],
    "notebooks/parameter_lab.ipynb": ["Raschka"],
    "benchmarks/memory_estimate.py": ["GB that others measured", "decimal GB", "published, GB"],
    "benchmarks/README.md": ["published, GB"],
    "docs/cluster.md": ["memory: 8GB"],  # the spelling of dask's settings
}
GB = re.compile(r"(?<![A-Za-z])GB\b")
TEXTS = {".py", ".md", ".yaml", ".ipynb", ".jinja", ".typ", ".toml", ".txt", ".html"}
SKIPPED = ("tests/", "data/", "CHANGELOG.md")


def texts() -> list[str]:
    """The kit's own files, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=kit.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [name for name in listed if name and not name.startswith(SKIPPED)]


def lines_in_gb(name: str) -> list[str]:
    path = kit.ROOT / name
    if path.suffix not in TEXTS and path.name not in ("Makefile", "Dockerfile"):
        return []
    allowed = ALLOWED.get(name, [])
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [
        f"{name}: {line.strip()[:120]}"
        for line in lines
        if GB.search(line) and not any(text in line for text in allowed)
    ]


def test_memory_is_told_in_gib():
    if not (kit.ROOT / ".git").exists():
        pytest.skip("not a git checkout: the kit's own files are not known")
    assert [line for name in texts() for line in lines_in_gb(name)] == []


def test_what_is_allowed_is_still_there():
    for name, allowed in ALLOWED.items():
        text = (kit.ROOT / name).read_text(encoding="utf-8")
        for piece in allowed:
            assert piece in text, name


def test_a_line_in_gb_is_found():
    assert GB.search('f"{memory:.1f} GB"')
    assert GB.search("16GB")
    assert not GB.search("3.5 GiB")
