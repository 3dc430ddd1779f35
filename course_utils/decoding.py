"""Greedy decoding of many prompts: read in batches of like length, answered in one batch.

    decoder = Decoder(model, prompts, limits, ends, read)
    for index in decoder.run(order, size, choose): ...     # decoder.written[index] is whole

Reading a prompt is computation, so its padding costs. Writing a token walks through all weights
once for every row at a time, so few steps of many rows are cheap. `generate` of transformers has
one batch for both, and computes an answer that has ended until the longest one beside it has; its
`generate_batch`, which does neither, took longer on a CPU (5.23, benchmarks/answering.py). Here
rows that end leave, and prompts that wait join as soon as there is room for some.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Read = Callable[[list[int]], tuple[Any, Any, Any]]  # see Decoder
Choose = Callable[[list[int], int], list[int]]  # (who waits, room) -> who is read next
JOINING = 4  # prompts wait until a quarter of the rows is free: each joining copies the others
LEAVING = 8  # an eighth of the rows has ended before they leave: that copies the others too


@cache
def _roomy() -> type:
    """The cache's layer; made here because transformers is imported late."""
    from transformers.cache_utils import DynamicLayer

    class Roomy(DynamicLayer):
        """Keys and values (rows, heads, tokens, width) with room: a growing tensor is copied.

        With the allocator settings of training the holes of these copies added up to gigabytes.
        """

        def __init__(self, parts: Sequence[Any], width: int, room: int) -> None:
            super().__init__()
            self.lazy_initialization(parts[0].keys, parts[0].values)
            self.stores = [
                _below_each_other([part.keys for part in parts], width, room),
                _below_each_other([part.values for part in parts], width, room),
            ]
            self._show(width)

        def update(
            self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any
        ) -> tuple[Any, Any]:
            """The keys and values so far, with these behind them."""
            start = self.keys.shape[-2]
            end = start + key_states.shape[-2]
            self.stores[0][:, :, start:end] = key_states
            self.stores[1][:, :, start:end] = value_states
            self._show(end)
            return self.keys, self.values

        def keep(self, rows: Any) -> None:
            """These rows alone."""
            self.stores = [store[rows] for store in self.stores]
            self._show(self.keys.shape[-2])

        def _show(self, tokens: int) -> None:
            self.keys, self.values = (store[:, :, :tokens] for store in self.stores)

    return Roomy


def _below_each_other(parts: Sequence["torch.Tensor"], width: int, room: int) -> "torch.Tensor":
    """Keys or values of all rows, ending at the column `width`, with room behind it."""
    _, heads, _, size = parts[0].shape
    store = parts[0].new_empty(sum(map(len, parts)), heads, width + room, size)
    first = 0
    for part in parts:
        rows, start = store[first : first + len(part)], width - part.shape[2]
        rows[:, :, :start] = 0  # nothing looks at it, but nothing times NaN is NaN
        rows[:, :, start:width] = part
        first += len(part)
    return store


class Decoder:
    """Answers that are being written, one a row; all rows end at the same column.

    `read` runs prompts through the model and gives the logits of each next token (B, words), the
    attention mask (B, T) and a cache of T tokens, the rows padded on the left or inside.
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        ends: Sequence[int],
        read: Read,
    ) -> None:
        import torch
        from transformers.generation import RepetitionPenaltyLogitsProcessor

        self.model, self.prompts, self.limits = model, prompts, limits
        self.ends, self.read = frozenset(ends), read
        self.written: list[list[int]] = [[] for _ in prompts]  # with the token that ends it
        self.rows: list[int] = []  # the answer that each row writes
        self.ended: set[int] = set()
        self.layers: list[Any] = []
        self.mask = self.tokens = torch.empty(0)
        penalty = model.generation_config.repetition_penalty
        self.penalty = RepetitionPenaltyLogitsProcessor(penalty) if penalty else None

    def run(self, waiting: list[int], size: int, choose: Choose) -> Iterator[int]:
        """Write all answers that wait, at most `size` at a time; gives each index as it ends."""
        while waiting or self.rows:
            room = size - len(self.rows)
            if waiting and (not self.rows or room >= max(1, size // JOINING)):
                joining = choose(waiting, room)
                chosen = set(joining)
                waiting = [index for index in waiting if index not in chosen]
                logits = self._join(joining)
            else:
                joining, logits = self.rows, self._step()
            yield from self._write(logits, joining)

    def _join(self, joining: list[int]) -> "torch.Tensor":
        """Read these prompts into rows below the others; logits of their first tokens."""
        import torch

        logits, mask, cache = self.read(joining)
        masks = [self.mask, mask] if self.rows else [mask]
        width = max(own.shape[1] for own in masks)
        self.mask = torch.cat(
            [torch.nn.functional.pad(own, (width - own.shape[1], 0)) for own in masks]
        )
        self.rows = self.rows + joining
        room = max(self.limits[index] - len(self.written[index]) for index in self.rows)
        above = self.layers or [None] * len(cache.layers)
        for number, layer in enumerate(cache.layers):  # one by one: two copies of one layer at most
            parts = [own for own in (above[number], layer) if own is not None]
            above[number] = _roomy()(parts, width, room)
            cache.layers[number] = None
        self.layers = above
        return logits

    def _step(self) -> "torch.Tensor":
        """Read the last token of every row; logits of the next ones."""
        import torch
        from transformers import DynamicCache

        positions = self.mask.sum(1, keepdim=True)
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        cache = DynamicCache()
        cache.layers = self.layers
        with torch.no_grad():
            return self.model(
                input_ids=self.tokens[:, None],
                attention_mask=self.mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]

    def _write(self, logits: "torch.Tensor", rows: list[int]) -> list[int]:
        """Put the likeliest token behind each of these last rows' answers; which ended by it."""
        import torch

        if self.penalty is not None:
            logits = self.penalty(self._so_far(rows, logits.device), logits)
        tokens = logits.argmax(-1)
        kept = self.tokens[: len(self.rows) - len(rows)]
        self.tokens = torch.cat([kept, tokens]) if len(kept) else tokens
        ended = []
        for index, token in zip(rows, tokens.tolist(), strict=True):
            if index in self.ended:
                continue
            self.written[index].append(token)
            if token in self.ends or len(self.written[index]) >= self.limits[index]:
                ended.append(index)
        self.ended.update(ended)
        self._let_go()
        return ended

    def _so_far(self, rows: list[int], device: Any) -> "torch.Tensor":
        """Prompt and answer of each row, filled up with a token of its own (B, longest)."""
        import torch

        texts = [[*self.prompts[index], *self.written[index]] for index in rows]
        longest = max(map(len, texts))
        filled = [[text[0]] * (longest - len(text)) + text for text in texts]
        return torch.tensor(filled, device=device)

    def _let_go(self) -> None:
        """Drop the rows whose answers have ended, where there are enough of them."""
        import torch

        stay = [row for row, index in enumerate(self.rows) if index not in self.ended]
        if len(self.rows) - len(stay) < max(1, len(self.rows) // LEAVING):
            return
        self.rows = [self.rows[row] for row in stay]
        if not stay:
            self.layers = []
            return
        chosen = torch.tensor(stay, device=self.mask.device)
        self.mask, self.tokens = self.mask[chosen], self.tokens[chosen]
        for layer in self.layers:
            layer.keep(chosen)
