"""The model card of an export: base model, data, scores, limits, how to load it."""

from pathlib import Path

from course_utils import models, privacy, provenance
from course_utils.endpoint.source import Source
from course_utils.files import read_object
from course_utils.runs import settings_in
from course_utils.settings import TRACKS
from course_utils.templating import environment

SCORES = {
    "task_score": "mean task score",
    "field_f1": "field F1",
    "fact_f1": "fact F1",
    "fact_match": "fact match",
    "token_f1": "token F1",
    "exact_match": "exact match",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "perplexity": "perplexity (lower is better)",
}


def text(source: Source, kind: str, agreement: str) -> str:
    """The card as Markdown, with the front matter that model hubs read."""
    settings = settings_in(source.folder)
    markdown = environment(Path(__file__).with_name("templates"), html=False)
    return markdown.get_template("card.md.jinja").render(
        name=source.folder.resolve().name,
        base_name=privacy.shown(models.id_of(source.base_name)),
        licence=models.licence_of(source.base_name),
        kind=kind,
        agreement=agreement,
        data=_data(source.folder),
        own_track=settings.get("track", TRACKS[0]) not in TRACKS,  # data of one's own
        settings=settings,
        scores=_scores(source.folder),
        test_records=read_object(source.folder / "results.json").get("test_records"),
    )


def _data(folder: Path) -> dict[str, int]:
    """Number of records of each part of the run's data."""
    parts = {name: folder / "data" / f"{name}.jsonl" for name in ("train", "val", "test")}
    return {
        name: sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
        for name, path in parts.items()
        if path.is_file()
    }


def _scores(folder: Path) -> list[tuple[str, str, str, str]]:
    """(score, base, tuned, difference with its interval) of the run's results.json.

    None where they are not of what lies in the folder now.
    """
    if provenance.stale(folder, provenance.COMPARED):  # scores of another adapter, or other data
        return []
    results = read_object(folder / "results.json")
    rows = []
    for name, title in SCORES.items():
        values = [(results.get(model) or {}).get(name) for model in ("base", "tuned")]
        if all(isinstance(value, int | float) for value in values):
            gap = (results.get("difference") or {}).get(name)
            told = f"{gap['mean']:.3f} [{gap['low']:.3f}, {gap['high']:.3f}]" if gap else ""
            rows.append((title, f"{values[0]:.3f}", f"{values[1]:.3f}", told))
    return rows
