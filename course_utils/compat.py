"""The one place that knows how the libraries drifted. Students keep the assignment's names.

Checked against transformers 5.15 (Colab's) and 5.23, trl 1.16, peft 0.20 and 0.21.2.
"""

import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def quiet_known_noise() -> None:
    """Hide messages that are known, harmless and would frighten a student.

    The rename of gradient_checkpointing is announced by every model that loads; bitsandbytes looks
    for an optional kernel on the Hub; datasets draws four bars for a step of a second.
    """
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def warmup_arguments(warmup_ratio: float) -> dict[str, Any]:
    """The keyword for a warm-up over a share of the steps.

    transformers 5.15 removed `warmup_ratio`; `warmup_steps` now takes a share in [0, 1) as well.
    """
    from transformers import TrainingArguments

    fields = TrainingArguments.__dataclass_fields__
    name = "warmup_ratio" if "warmup_ratio" in fields else "warmup_steps"
    return {name: warmup_ratio}


def plain_weights_arguments() -> dict[str, Any]:
    """The keyword by which a GGUF file becomes plain weights, which can be saved and trained.

    transformers that have GgufConfig keep the file's 4-bit weights unless told otherwise; those
    before it (Colab's 5.15 is one) know no other way than plain weights, and refuse the keyword.
    """
    import transformers

    known = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": known(dequantize=True)} if known else {}


def precision_arguments(precision: str) -> dict[str, bool]:
    """Both precision flags, always: SFTConfig turns bf16 on by itself unless told otherwise."""
    return {"bf16": precision == "bf16", "fp16": precision == "fp16"}


def cast_adapters_to_fp32(model: Any) -> int:
    """Keep trainable weights in float32; call it after the SFTTrainer is made. Returns how many.

    SFTTrainer casts the adapters of a 4-bit model to bf16. With fp16=True the gradient scaler then
    fails at the first step ("not implemented for 'BFloat16'"), which hits every T4.
    """
    import torch

    return cast_adapters(model, torch.float32)


def cast_adapters(model: Any, dtype: "torch.dtype") -> int:
    """Bring the trainable weights to `dtype`; returns how many tensors had another one."""
    cast = 0
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype != dtype:
            parameter.data = parameter.data.to(dtype)
            cast += 1
    return cast
