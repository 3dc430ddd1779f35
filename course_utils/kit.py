"""Where the kit itself lies: its notebooks, assignments and data, whatever folder one works in."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
ASSIGNMENTS = ROOT / "assignments"
DATA = ROOT / "data"
