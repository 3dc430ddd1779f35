"""Detours that the libraries take on a CPU, and the short ways round them.

    models.load_model(...)                  # attention of short records, one piece before the head
    cpu_speed.score_completions_only()      # once, before the trainer's first step

In training they make a step on work orders about 1.5 times as fast, with the same loss
(benchmarks/README.md, training_settings.py). Checked against transformers 5.23, trl 1.16.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ATTENTION = "short_records_on_cpu"
# Tokens up to which plain products beat PyTorch's fused attention, forward and backward, on one
# CPU thread: 2.0 against 6.0 ms at 56 tokens, 14.5 against 17.8 at 256, as long as it at 384.
LONGEST = 256
# Logits (scored positions x words of the vocabulary) that are kept whole: 128 MiB in fp32.
WHOLE_LOGITS = 2**25


def attention() -> str:
    """The name of an attention for `from_pretrained`: plain products in training on short records.

    Everywhere else, in answering above all, it is PyTorch's fused attention as before.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, _attend)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    return ATTENTION


def _attend(
    module: Any,
    query: "torch.Tensor",  # (batch, heads, queries, width of a head)
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",  # True or 0: may be looked at
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple["torch.Tensor", None]:
    import torch
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    if not module.training or key.shape[2] > LONGEST:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    groups = getattr(module, "num_key_value_groups", 1)
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scores = query @ key.transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
    scores = _masked(scores, attention_mask)
    weights = torch.nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = torch.nn.functional.dropout(weights, dropout, training=True)
    return (weights @ value).transpose(1, 2).contiguous(), None


def _masked(scores: "torch.Tensor", mask: "torch.Tensor | None") -> "torch.Tensor":
    import torch

    if mask is None:  # left out where nothing is padded: only the future is hidden
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask.dtype != torch.bool:
        return scores + mask
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min)


def score_completions_only() -> bool:
    """Let TRL's loss look at the completions alone on a CPU, as it does on a GPU, and at once.

    Without Triton it computes every position's logits, prompts and padding too, and throws them
    away: "the number of valid positions would change the tile shapes", which costs a compiler time
    and a CPU nothing. With 49,152 words that is a seventh of a step, with Gemma's 262,144 most of
    it. Returns False where this TRL has no such switch: then only the time is lost.
    """
    from trl.trainer import utils

    try:
        from trl.kernels.chunked_logprob import _use_triton as as_shipped
    except ImportError:
        return False
    utils._use_triton = lambda device: device.type == "cpu" or as_shipped(device)
    utils._ChunkedLogProbFunction = _LogProbs
    return True


class _LogProbs:
    """In place of TRL's function of the same signature: few logits are kept, not computed twice.

    TRL cuts them into pieces of 32,768 words, which saves memory that a short answer does not
    need: it computes each piece again in the backward pass, and on a CPU copies the output layer
    into fp32 for it. Everything that is not the plain case goes to TRL.
    """

    @staticmethod
    def apply(
        hidden: "torch.Tensor",  # (positions, width)
        weight: "torch.Tensor",  # (words, width)
        bias: "torch.Tensor | None",
        targets: "torch.Tensor",  # (positions,)
        temperature: float,
        chunk_size: int,
        softcap: float | None,
        scale: float,
        outputs: tuple[str, ...],
    ) -> tuple:
        from torch.nn.functional import linear, log_softmax
        from trl.kernels import ChunkedLogProbFunction

        plain = (temperature, softcap, scale) == (1.0, None, 1.0) and hidden.device.type == "cpu"
        known = set(outputs) <= {"log_probs", "entropy", "is_top1"} and not weight.requires_grad
        if not (plain and known and hidden.shape[0] * weight.shape[0] <= WHOLE_LOGITS):
            return ChunkedLogProbFunction.apply(
                *(hidden, weight, bias, targets, temperature),
                *(chunk_size, softcap, scale, outputs),
            )
        scores = log_softmax(linear(hidden, weight, bias).float(), -1)
        seen = scores.detach()  # for TRL's log: entropy, and whether the target is the best word
        entropy, is_top1 = -(seen.exp() * seen).sum(-1), seen.argmax(-1) == targets
        return scores.gather(-1, targets[:, None])[:, 0], entropy, None, None, is_top1


def one_piece_before_head(model: Any) -> None:
    """Let the output layer see the last positions of a batch as one piece of memory.

    `logits_to_keep` cuts them out of all positions, which leaves gaps between the rows. For a
    frozen 16-bit weight (every base model under an adapter) PyTorch then copies the whole output
    layer once a row: 32 rows of 5 positions took 6.3 s and 1.7 GiB, in one piece 0.09 s
    (benchmarks/README.md).
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_in_one_piece)


def _in_one_piece(_: Any, inputs: tuple) -> tuple:
    return (inputs[0].contiguous(), *inputs[1:])
