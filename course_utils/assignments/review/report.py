"""A summary as a table for the terminal, a Markdown page, and a figure."""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing
from course_utils.assignments import markdown, pages
from course_utils.assignments.review.summary import (
    CATEGORIES,
    finding,
    percent,
    rate_text,
    summary_rows,
)
from course_utils.files import write_json_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table


def summary_table(summary: Mapping[str, Any]) -> "Table":
    """The rows of a summary for the terminal (fits 80 columns), rates with their 95 % intervals;
    below it how far each two reviewers agree."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    pairs = [f"{_names(pair)}: {_agreement_text(pair)}" for pair in summary["agreement"]]
    left = {"title_justify": "left", "caption_justify": "left", "collapse_padding": True}
    table = Table(
        title=escape(finding(summary)),
        caption=escape("\n".join(pairs)) or None,
        box=SIMPLE_HEAD,
        pad_edge=False,
        **left,
    )
    table.add_column("", overflow="fold", min_width=15)
    for name in ("n", "tuned", "equal", "un-\nusable", "base"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tuned\nwins %", justify="right", no_wrap=True)
    table.add_column("ties as\nhalf %", justify="right", no_wrap=True)
    last = "all"
    for kind, name, row in summary_rows(summary):
        if kind != last:
            table.add_section()
        last = kind
        counts = [str(row[column]) for column in ("judged", *CATEGORIES)]
        rates = [rate_text(row[rate]) for rate in ("win_rate", "win_rate_half_ties")]
        rates = [escape(rate.replace(" %", "").replace(" to ", "-")) for rate in rates]
        table.add_row(escape(name), *counts, *rates, style="bold" if kind == "all" else "")
    return table


def _names(pair: Mapping[str, Any]) -> str:
    return " and ".join(pair["reviewers"])


def _agreement_text(pair: Mapping[str, Any]) -> str:
    if pair["raw"] is None:
        return pair["reason"]
    same = f"same choice in {percent(pair['raw'])} % of {pair['n']} common items"
    if pair["kappa"] is None:
        return f"{same}, kappa not defined ({pair['reason']})"
    return f"{same}, kappa {drawing.signed(pair['kappa'])}"


def write_summary(summary: Mapping[str, Any], folder: Path | str) -> Path:
    """Write human_review.json, .png and .md; return the path of the latter.

    Raises CourseError when the page holds words that are not the kit's.
    """
    folder = Path(folder)
    page = pages.check(folder / "human_review.md", summary_markdown)
    write_json_atomic(folder / "human_review.json", {"finding": finding(summary), **summary})
    drawing.save_figure(plot_review(summary), folder / "human_review.png")
    return pages.write(page, summary_markdown(summary))


def summary_markdown(summary: Mapping[str, Any]) -> str:
    """human_review.md: the finding, the rows, agreement, comments, and how to read them."""
    identical = sum(summary["identical"].values())
    sides = summary["sides"]
    lines = [
        f"# Evaluation by people: {_markdown(summary['title'])}",
        f"**{_markdown(finding(summary))}.**",
        f"Blind review of {summary['items']} pairs of answers, base against tuned; which side was "
        "the tuned model's was decided by a coin for each pair. "
        f"{identical} of {summary['records']} records had the same answer from both models; they "
        "were left out of the draw.",
        "![Shares of the outcomes and win rates, row by row](human_review.png)",
        _markdown_rows(summary),
        "Tuned wins: of the decided judgements, with the 95 % Wilson interval. Ties as half: equal "
        "and both unusable count half; 95 % bootstrap interval over items. Where several people "
        "judged the same items, the second interval is the honest one.",
        f"Side A was chosen {sides.get('a', 0)} times, side B {sides.get('b', 0)} times.",
    ]
    if summary["agreement"]:
        pairs = [f"- {_markdown(_names(p))}: {_agreement_text(p)}" for p in summary["agreement"]]
        note = "Kappa (Cohen 1960) is 1 for full agreement and 0 for what chance alone would give."
        lines += ["## Agreement between reviewers", "\n".join(pairs), note]
    if summary["comments"]:
        lines += ["## Comments", "\n".join(map(_comment_line, summary["comments"]))]
    return "\n\n".join(lines) + "\n"


def _markdown_rows(summary: Mapping[str, Any]) -> str:
    head = ["", "judged", *CATEGORIES.values(), "tuned wins [95 %]", "ties as half [95 %]"]
    rows = []
    for kind, name, row in summary_rows(summary):
        name = _markdown(name if kind == "all" else f"{kind} {name}")
        counts = [str(row[column]) for column in ("judged", *CATEGORIES)]
        rates = [rate_text(row["win_rate"]), rate_text(row["win_rate_half_ties"])]
        rows.append([name, *counts, *rates])
    return "\n".join(markdown.table(head, rows, numbers_from=1))


def _comment_line(comment: Mapping[str, str]) -> str:
    where = f"{comment['item']}, {comment['task']}, {CATEGORIES[comment['found']]}"
    who = f"{comment['reviewer']} ({where}, tuned was {comment['tuned']}): "
    return f"- {_markdown(who)} {_markdown(comment['comment'])}"


def _markdown(text: str) -> str:
    """Text from people on one line, with nothing that Markdown or HTML would read as markup."""
    text = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|#!~])", r"\\\1", text)


@drawing.styled
def plot_review(summary: Mapping[str, Any]) -> "Figure":
    """Left: shares of the four outcomes; right: win rates with their intervals; a row each for all
    judgements, each reviewer and each task."""
    rows = [row for row in summary_rows(summary) if row[2]["judged"]]
    figure, (bars, rates) = drawing.new_figure(
        12, 2.6 + 0.62 * len(rows), ncols=2, sharey=True, gridspec_kw={"width_ratios": [1.35, 1]}
    )
    _draw_outcomes(bars, [row for _, _, row in rows])
    _draw_win_rates(rates, [row for _, _, row in rows])
    names = [
        drawing.label_text(f"task {name}" if kind == "task" else name, 26) for kind, name, _ in rows
    ]
    counts = [
        f"{name}\n{row['judged']} judged" for name, (_, _, row) in zip(names, rows, strict=True)
    ]
    bars.set_yticks(range(len(rows)), counts)
    bars.set_ylim(len(rows) - 0.4, -0.6)
    for ax in (bars, rates):
        ax.tick_params(axis="y", length=0)
        ax.axhline(0.5, color=drawing.GRID, lw=1.4)
    for handles, ax in ((4, bars), (2, rates)):
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=handles, fontsize=10.5,
                  handlelength=1.3, columnspacing=1.1)  # fmt: skip
    drawing.state_finding(figure, finding(summary))
    return figure


def _draw_outcomes(ax: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Stacked shares in percent, the count inside where it fits; told apart in grey by hatches."""
    styles = {
        "tuned": {"color": drawing.BLUE},
        "equal": {"color": drawing.GRID},
        "unusable": {"facecolor": "white", "hatch": "...", "edgecolor": drawing.SOFT},
        "base": {"facecolor": drawing.ORANGE, "hatch": "///", "edgecolor": "white"},
    }
    left = [0.0] * len(rows)
    for category, style in styles.items():
        widths = [100 * row[category] / row["judged"] for row in rows]
        ax.barh(range(len(rows)), widths, 0.62, left=left, label=CATEGORIES[category], **style)
        for at, (row, start, width) in enumerate(zip(rows, left, widths, strict=True)):
            if width >= 4:
                color = "white" if category == "tuned" else drawing.INK
                fill = styles[category].get("facecolor", "none")
                box = {"facecolor": fill, "edgecolor": "none", "pad": 1.5}  # no hatch behind it
                middle = {"ha": "center", "va": "center"}
                count = str(row[category])
                ax.text(start + width / 2, at, count, color=color, size=11, bbox=box, **middle)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of judgements (%), count inside")
    ax.spines["left"].set_visible(False)


def _draw_win_rates(ax: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Two marks a row: of the decided judgements, with the Wilson interval, and with ties as half,
    with the bootstrap interval; the line at 50 % is no preference."""
    marks = {
        "win_rate": ("decided only", -0.15, drawing.BLUE, "s"),
        "win_rate_half_ties": ("ties as half", 0.15, "white", "o"),
    }
    for name, (label, shift, fill, marker) in marks.items():
        known = [(at, row[name]) for at, row in enumerate(rows) if row[name]]
        for at, rate in known:
            ends = [100 * rate["low"], 100 * rate["high"]]
            ax.plot(ends, [at + shift] * 2, "|-", color=drawing.INK, lw=2, ms=9, mew=2)
        places = [at + shift for at, _ in known]
        means = [100 * rate["mean"] for _, rate in known]
        ax.plot(means, places, marker, ms=9, mfc=fill, mec=drawing.BLUE, mew=2, label=label)
    ax.axvline(50, color=drawing.INK, lw=1.4, ls="--")
    ax.set_xlim(-3, 103)
    ax.set_xlabel("tuned model wins (%), 95 % interval")
    drawing.add_grid(ax, "x")
