"""The short ways round in training on a CPU: the same numbers, with less computed."""

import pytest

from course_utils import chat, cpu_speed, models

RECORDS = [
    {"instruction": "Work order to JSON.", "input": "replace bucket tooth", "output": '{"a": "b"}'},
    {"instruction": "Work order to JSON.", "input": "hose leaks", "output": '{"part": "hose"}'},
]


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer("nano")


@pytest.fixture
def trainer(tokenizer, tmp_path):
    """SFTTrainer on nano with two records in one batch."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    set_seed(0)
    return SFTTrainer(
        model=models.load_model("nano"),
        args=SFTConfig(
            output_dir=str(tmp_path),
            completion_only_loss=True,
            per_device_train_batch_size=2,
            report_to="none",
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=Dataset.from_list([chat.record_messages(r, tokenizer) for r in RECORDS]),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=4, target_modules=["q_proj", "down_proj"]),
    )


def loss_and_gradients(trainer):
    trainer.model.train()
    trainer.model.zero_grad()
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch_sum(batch))
    loss.backward()
    named = trainer.model.named_parameters()
    return loss.detach(), {name: p.grad.clone() for name, p in named if p.grad is not None}


def torch_sum(batch):
    return (batch["labels"][:, 1:] != -100).sum()


def rows_scored(trainer, monkeypatch):
    """How many positions the loss gets logits for."""
    from trl.trainer import utils

    seen = []
    apply = utils._ChunkedLogProbFunction.apply

    def watch(hidden, *others):
        seen.append(hidden.shape[0])
        return apply(hidden, *others)

    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", watch)
    loss_and_gradients(trainer)
    return seen


def test_the_loss_gets_logits_for_completions_alone(trainer, monkeypatch):
    assert cpu_speed.score_completions_only()
    batch = next(iter(trainer.get_train_dataloader()))
    assert rows_scored(trainer, monkeypatch) == [int(torch_sum(batch))]


@pytest.mark.parametrize("few", [True, False], ids=["kept whole", "left to TRL"])
def test_loss_and_gradients_are_those_of_all_positions(trainer, monkeypatch, few):
    import torch
    from trl.kernels import ChunkedLogProbFunction
    from trl.trainer import utils

    monkeypatch.setattr(utils, "_use_triton", lambda device: False)
    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", ChunkedLogProbFunction)
    whole, gradients = loss_and_gradients(trainer)
    cpu_speed.score_completions_only()
    if not few:
        monkeypatch.setattr(cpu_speed, "WHOLE_LOGITS", 0)
    short, shorter = loss_and_gradients(trainer)
    assert torch.allclose(whole, short, rtol=1e-5)
    assert gradients
    assert gradients.keys() == shorter.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, shorter[name], rtol=1e-3, atol=1e-7), name


def test_what_is_logged_beside_the_loss_is_what_trl_would_log():
    import torch
    from trl.kernels import ChunkedLogProbFunction

    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(6, 8, generator=draw), torch.randn(50, 8, generator=draw)
    targets = (hidden @ weight.T).argmax(-1)
    targets[0] += 1 if targets[0] < 49 else -1  # one that is not the best word
    call = (hidden, weight, None, targets, 1.0, 16, None, 1.0, ("log_probs", "entropy", "is_top1"))
    ours, theirs = cpu_speed._LogProbs.apply(*call), ChunkedLogProbFunction.apply(*call)
    for own, trl in zip(ours, theirs, strict=True):
        assert (own is None) == (trl is None)
        assert own is None or torch.allclose(own.float(), trl.float(), atol=1e-5)
    assert ours[-1].tolist() == [False] + 5 * [True]


def test_a_library_without_the_switch_trains_as_before(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "trl.kernels.chunked_logprob", None)
    assert cpu_speed.score_completions_only() is False


@pytest.mark.parametrize("padded", [False, True], ids=["no padding", "padding"])
def test_attention_in_training_is_that_of_answering(tokenizer, padded):
    import torch

    model = models.load_model("nano")
    ids = torch.randint(5, 1000, (2, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 12:] = 0
    with torch.no_grad():
        answering = model.eval()(input_ids=ids, attention_mask=mask).logits
        training = model.train()(input_ids=ids, attention_mask=mask).logits
    assert torch.allclose(answering[mask.bool()], training[mask.bool()], atol=1e-4)


def test_the_future_stays_hidden_in_training(tokenizer):
    import torch

    model = models.load_model("nano").train()
    ids = torch.randint(5, 1000, (1, 12), generator=torch.Generator().manual_seed(0))
    other = ids.clone()
    other[0, -1] += 1
    with torch.no_grad():
        first, second = model(input_ids=ids).logits, model(input_ids=other).logits
    assert torch.equal(first[0, :-1], second[0, :-1])
    assert not torch.equal(first[0, -1], second[0, -1])


def test_long_records_keep_the_fused_attention(monkeypatch):
    import torch

    monkeypatch.setattr(cpu_speed, "LONGEST", 8)
    monkeypatch.setattr(cpu_speed, "_masked", None)  # would fail if it were called
    model = models.load_model("nano").train()
    with torch.no_grad():
        model(input_ids=torch.ones((1, 9), dtype=torch.long))


def test_a_saved_model_names_no_attention_of_ours(tmp_path):
    models.load_model("nano").save_pretrained(tmp_path)
    assert cpu_speed.ATTENTION not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_the_output_layer_of_a_frozen_model_is_not_copied_for_each_row_of_a_batch():
    import torch
    from torch.profiler import ProfilerActivity, profile

    model = models.load_model("nano", "bf16").requires_grad_(False)
    head = model.get_output_embeddings().weight
    ids = torch.zeros(8, 12, dtype=torch.long)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        logits = model(input_ids=ids, logits_to_keep=2).logits
    largest = max(event.cpu_memory_usage for event in seen.events())
    size = logits.numel() * logits.element_size()
    assert size < head.numel() * head.element_size()  # so a copy of the weight would be larger
    assert largest <= size
