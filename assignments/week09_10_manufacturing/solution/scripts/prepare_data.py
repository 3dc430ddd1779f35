"""Part 1: build the data, clean it, split it without leaks, look at it.

python scripts/prepare_data.py
python scripts/prepare_data.py --set records=my_records.jsonl   # a file of your own instead

Writes data/train.jsonl, data/val.jsonl, data/test.jsonl and run/data_summary.json.
"""

from pathlib import Path

from course_utils import own_data, ownership, records, scripts, writeup
from course_utils.tracks.manufacturing import track as tracks

MINIMUM = scripts.asked_for().records  # samples that the assignment asks for


def prepare(seed):
    """Build the manufacturing track: (track, {"train": [...], "val": [...], "test": [...]}).

    In between, leave out what you would not train or test on: replace `parts`.
    """
    track = tracks.build_manufacturing(seed)
    parts = tracks.handed_out(track.parts)  # all but the reserve, which is never written down
    ### BEGIN SOLUTION
    # An answer longer than its source is a sign of a broken record; none is expected.
    parts = {
        part: [r for r in built if r["output"].strip() and len(r["output"]) < 2000]
        for part, built in parts.items()
    }
    ### END SOLUTION
    return track, parts


def check(parts):
    """Stop here rather than after an hour of training: too few records, or the same in two parts.

    Returns what `records.overlap` finds.
    """
    ### BEGIN SOLUTION
    total = sum(len(part) for part in parts.values())
    assert total >= MINIMUM, f"{total} records, {MINIMUM} are asked for"
    overlap = records.overlap(parts)
    assert overlap["exact"] == overlap["near"] == overlap["groups"] == 0, overlap
    ### END SOLUTION
    return overlap


def prepare_own(workspace):
    """Records of your own: the file that `records` in configs/lora_config.yaml names, split.

    Whole groups, and records with nearly the same text, stand in one part.
    """
    file = workspace.folder / workspace.config.records
    return own_data.split_file(file, seed=workspace.config.seed)


def run(workspace):
    """Build, check, write; returns the summary that run/data_summary.json keeps."""
    # What you made yourself and laid there stays: this script replaces its own files only.
    ownership.claim(workspace.data("train").parent, of="prepare_data.py")
    own = prepare_own(workspace) if workspace.config.records else None
    track, parts = (None, own.parts) if own else prepare(workspace.config.seed)
    overlap = check(parts)
    print(f"overlap between the parts: {overlap['exact']} exact, {overlap['near']} near")
    for name, part in parts.items():
        records.write_records(workspace.data(name), part)
    if own:
        summary = writeup.own_summary(own, workspace)
    else:
        summary = writeup.data_summary(track, parts, overlap, workspace)
    workspace.run.write("data_summary.json", summary)
    print(writeup.data_table(summary))
    return summary


if __name__ == "__main__":
    with scripts.command_line():
        parser = scripts.arguments(__doc__, Path(__file__).parents[1])
        workspace = scripts.open_workspace(parser, reads=["records"])
        run(workspace)
        print(f"Data: {workspace.data('train').parent}")
        print(f"Summary: {workspace.run.folder / 'data_summary.json'}")
