"""The shapes of real models, without downloading one: what adapter and memory are computed from.

    architectures.get("mistral-7b-v0.1").linear_shapes["q_proj"]     # (4096, 4096)

All are Llama-like: in each layer q, k, v, o and a gated MLP. Show them:
python -m course_utils.lab.architectures
"""

import difflib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from course_utils.errors import CourseError


@dataclass(frozen=True)
class Architecture:
    """One line of architectures.yaml; the fields have transformers' names."""

    name: str
    aliases: tuple[str, ...]  # names on the Hub with the same shapes
    source: str
    billions: float  # parameters as the model's card says them
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    attention_bias: bool  # of q, k and v (Qwen2)
    file_bytes: int  # bytes a parameter in the weights file

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_value_size(self) -> int:
        """Width of all key heads together; the value heads have the same."""
        return self.num_key_value_heads * self.head_dim

    @property
    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of the linear layers of one layer, by name."""
        hidden, inner = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (hidden, self.query_size),
            "k_proj": (hidden, self.key_value_size),
            "v_proj": (hidden, self.key_value_size),
            "o_proj": (self.query_size, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers, the output layer left out: what 4 or 8 bits store."""
        one_layer = sum(inputs * outputs for inputs, outputs in self.linear_shapes.values())
        return self.num_hidden_layers * one_layer

    @property
    def other_parameters(self) -> int:
        """Embeddings, output layer, norms and biases: quantization leaves them in 16 bit."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        norms = (2 * self.num_hidden_layers + 1) * self.hidden_size
        biases = self.query_size + 2 * self.key_value_size if self.attention_bias else 0
        return embeddings + norms + self.num_hidden_layers * biases

    @property
    def parameters(self) -> int:
        """All parameters of the model, tied embeddings counted once."""
        return self.linear_parameters + self.other_parameters


@lru_cache
def registry() -> dict[str, Architecture]:
    """All known architectures by name, the smallest first."""
    import yaml

    text = Path(__file__).with_name("architectures.yaml").read_text(encoding="utf-8")
    entries = [entry | {"aliases": tuple(entry["aliases"])} for entry in yaml.safe_load(text)]
    return {entry["name"]: Architecture(**entry) for entry in entries}


@lru_cache
def _names() -> dict[str, str]:
    """Every spelling in lower case -> name."""
    return {
        spelling.lower(): architecture.name
        for architecture in registry().values()
        for spelling in (architecture.name, *architecture.aliases)
    }


def get(name: str) -> Architecture:
    """The architecture of a model, by its name here or on the Hub.

    Raises CourseError for an unknown one, with the nearest name.
    """
    found = _names().get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), _names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise CourseError(
            f"the architecture of {name} is not known here", f"{hint}known: {', '.join(registry())}"
        )
    return registry()[found]


def main() -> None:
    """Print the architectures with the parameters that follow from their shapes."""
    for architecture in registry().values():
        print(
            f"{architecture.name}: {architecture.parameters:,} parameters, "
            f"{architecture.num_hidden_layers} layers of {architecture.hidden_size} "
            f"({architecture.source})"
        )


if __name__ == "__main__":
    main()
