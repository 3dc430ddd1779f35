"""An adapter of random numbers: base and tuned answer differently without any training."""

from pathlib import Path


def random_adapter(base: Path, folder: Path, spread: float = 0.5, **options) -> Path:
    """Save an adapter of random numbers, seed 7; `options` are LoraConfig's."""
    import torch
    from peft import LoraConfig, get_peft_model

    from course_utils import models

    torch.manual_seed(7)
    wanted = {"r": 8, "lora_alpha": 16, "init_lora_weights": False} | options
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(models.load_model(str(base)), LoraConfig(target_modules=names, **wanted))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.normal_(0, spread)
    model.save_pretrained(folder)
    return folder
