"""Small random models whose greedy answers wander; nano's repeat the last token."""

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
}


def wandering_llama(tokenizer):
    """Two layers of a Llama."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    own = {"num_hidden_layers": 2, "num_key_value_heads": 2, "bos_token_id": tokenizer.bos_token_id}
    return LlamaForCausalLM(LlamaConfig(**SHAPE, **own, **_of(tokenizer))).eval()


def narrow_gemma(tokenizer):
    """Three layers of a Gemma 3 whose window is shorter than a prompt."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(5)
    config = Gemma3TextConfig(
        num_hidden_layers=3,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=12,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        tie_word_embeddings=False,
        **SHAPE,
        **_of(tokenizer),
    )
    return Gemma3ForCausalLM(config).eval()


def _of(tokenizer):
    return {
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
