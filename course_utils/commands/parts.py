"""The data that a run of the course starts from, where they are not the work orders."""

from collections.abc import Collection
from pathlib import Path

from course_utils import material, models, own_data, sources
from course_utils.errors import UsageError
from course_utils.runs import find_root, settings_in
from course_utils.settings import Settings, require_track
from course_utils.tracks.geology import track as geology

SEED = 42  # of the geology track, as it is handed out


def choose(track: str | None, folder: Path | None, reads: bool) -> tuple[str | None, Path | None]:
    """(track, folder of parts or None for the work orders); nothing is built yet.

    `reads`: whether notebook 01 runs, which alone reads the data. Raises UsageError for data that
    nobody would read, CourseError for a track that is none and for parts that are not whole.
    """
    if not reads:
        if folder is not None:
            raise UsageError("--data is read by notebook 01, which --only leaves out", "add 01")
        return track, None
    if folder is not None:
        material.read_parts(folder)  # says what is wrong before any kernel starts
        return track or own_data.track_of(folder), folder
    if track is not None:
        require_track(track)
    return track, _geology() if track == "geology" else None


def saved_track(run: Path | None) -> str | None:
    """The track that a run folder is of; None for one that was not begun."""
    return settings_in(run).get("track") if run else None


def _geology() -> Path:
    return find_root() / "data" / "geology"


def fetch(base_model: str, data: Path | None) -> None:
    """What a run needs before any kernel starts: embedded model, work orders, geology's parts."""
    if base_model in models.MADE_HERE:
        models.prepare_model(base_model)
    if data is None:
        sources.work_orders_path()
    elif data == _geology() and not (data / own_data.SUMMARY).is_file():
        geology.prepare()
        geology.write_track(geology.build_geology(SEED), data, SEED)
        print(f"geology track: built in {data}")


def fitted(settings: Settings, data: Path | None, given: Collection[str]) -> Settings:
    """Settings whose lengths cut no record of these parts; a length that was given stays."""
    if data is None:
        return settings
    records = [record for part in material.read_parts(data).values() for record in part]
    needed = material.lengths_for(records, models.load_tokenizer(settings.base_model))
    longer = {
        name: value
        for name, value in needed.items()
        if name not in given and value > getattr(settings, name)
    }
    for name, value in longer.items():
        print(f"{name} {value}: the longest of these records needs it")
    return settings.with_changes(**longer)
