"""Packing of the ablation: whole records in a row, and none of them sees another."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import training_settings

from course_utils import chat
from course_utils.settings import preset_settings

RECORDS = [
    {"instruction": "Name the part.", "input": f"the {part} leaks {n} l/h", "output": part}
    for n, part in enumerate(["pump", "left cylinder of the bucket", "seal", "hose"] * 6)
]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory, tokenizer):
    variant = next(one for one in training_settings.VARIANTS if one.packed)
    settings = preset_settings("nano").with_changes(**variant.changes)
    folder = tmp_path_factory.mktemp("packing")
    made = training_settings.trainer_for(settings, variant, RECORDS, tokenizer, 2, folder, [])
    made.model.eval()
    return made


def losses(model, batch):
    """Nats, summed, of each record of a packed row."""
    import torch

    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits
    labels, places = batch["labels"][0], batch["position_ids"][0]
    nll = torch.nn.functional.cross_entropy(logits[0, :-1], labels[1:], reduction="none")
    record = (places == 0).cumsum(0)[1:]
    return [float(nll[record == n].sum()) for n in range(1, int(record.max()) + 1)]


def test_a_packed_record_has_the_loss_it_has_alone(trainer, tokenizer):
    import torch

    rows = trainer.get_train_dataloader()  # the last few records make a row of their own
    batch = max(rows, key=lambda row: row["input_ids"].shape[1])
    packed = [value for value in losses(trainer.model, batch) if value]
    assert len(packed) > 3
    alone = []
    for record in RECORDS:
        example = chat.tokenize_record(record, tokenizer)
        ids, labels = torch.tensor([example.input_ids]), torch.tensor(example.labels)
        with torch.no_grad():
            logits = trainer.model(input_ids=ids).logits[0, :-1]
        alone.append(float(torch.nn.functional.cross_entropy(logits, labels[1:], reduction="sum")))
    for value in packed:
        assert min(abs(value - one) for one in alone) < 1e-3 * value
    assert len({round(value, 3) for value in packed}) > 2


def test_records_and_tokens_of_packed_rows_are_counted_by_record(trainer):
    records, tokens = training_settings.seen(trainer)
    rows = trainer.train_dataset[:2]
    assert records == sum(len(own) for own in rows["seq_lengths"]) > 2
    assert tokens == sum(len(own) for own in rows["input_ids"])
    assert max(len(own) for own in rows["input_ids"]) <= training_settings.PACK
