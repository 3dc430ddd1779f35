"""Batches and the shared prefix change the speed and nothing else."""

import math

import pytest
from random_models import narrow_gemma, wandering_llama

from course_utils import chat, generation, sources
from course_utils.chat import Tokens
from course_utils.errors import CourseError
from course_utils.generation import (
    SHORTEST_PREFIX,
    _batches,
    common_prefix,
    completion_nll,
    end_tokens,
    generate,
    generate_and_score,
    generate_answers,
    token_nll,
)

TEXTS = [
    "L/H BUCKET CYL LEAKING.",
    "SWAP BUCKET",
    "replace broken RH joystick handle in the drivers cabin and check the other one too",
    "ENGINE OVERHEATING",
    "Grease pump",
    "Right slew motor leaking oil",
    "A/C u/s",
]
WORK_ORDERS = [
    sources.work_order_record(text, '{"part": "Pump", "action": "' + "Replace " * n + '"}')
    for n, text in enumerate(TEXTS, 1)
]
UNLIKE = [
    [{"role": "user", "content": "Which part leaks?"}],
    [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}],
    [{"role": "system", "content": "Name a mineral."}, {"role": "user", "content": "It is green."}],
]
NEW = 10  # tokens
MANY = 100_000  # tokens at once: no limit


@pytest.fixture(scope="module")
def model(tokenizer):
    return wandering_llama(tokenizer)


@pytest.fixture(scope="module")
def shared(tokenizer):
    """Prompts of unequal length that begin alike."""
    return [chat.record_messages(record, tokenizer)["prompt"] for record in WORK_ORDERS]


@pytest.fixture(scope="module")
def examples(tokenizer):
    return [chat.tokenize_record(record, tokenizer) for record in WORK_ORDERS]


def one_by_one(model, tokenizer, prompts, new=NEW):
    """Token ids of greedy answers, without batches, padding or a prefix cache."""
    import torch

    rows = []
    for messages in prompts:
        ids = torch.tensor([chat.prompt_ids(messages, tokenizer)])  # (1, T)
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=new,
            pad_token_id=tokenizer.pad_token_id,
        )
        rows.append(output[0, ids.shape[1] :].tolist())
    return rows


def plain_nll(model, example):
    """The same number from all logits of one example."""
    import torch

    ids = torch.tensor([example.input_ids])
    with torch.no_grad():
        log_p = model(ids).logits[0].double().log_softmax(-1)  # (T, vocabulary)
    first = example.prompt_length
    return -sum(
        log_p[at - 1, token].item() for at, token in enumerate(example.input_ids[first:], first)
    )


# --- the shared prefix ---


def test_the_common_prefix_ends_where_sequences_part():
    start = list(range(SHORTEST_PREFIX + 4))
    assert common_prefix([[*start, 1, 5], [*start, 2, 5]]) == len(start)


def test_the_common_prefix_leaves_every_sequence_a_token_to_predict_from():
    start = list(range(SHORTEST_PREFIX + 4))
    assert common_prefix([start, start]) == len(start) - 1
    assert common_prefix([start, [*start, 7]]) == len(start) - 1
    assert common_prefix([start]) == len(start) - 1


def test_a_prefix_too_short_to_pay_is_not_used():
    start = list(range(SHORTEST_PREFIX - 1))
    assert common_prefix([[*start, 1, 5], [*start, 2, 5]]) == 0


def test_the_work_orders_share_their_instruction_and_the_unlike_prompts_share_nothing(
    tokenizer, shared
):
    assert common_prefix([chat.prompt_ids(m, tokenizer) for m in shared]) > 16
    assert common_prefix([chat.prompt_ids(m, tokenizer) for m in UNLIKE]) == 0


# --- answers ---


def decoded(tokenizer, rows):
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]


def test_the_random_model_is_a_fair_test(model, tokenizer, shared):
    rows = one_by_one(model, tokenizer, shared)
    assert len({tuple(row) for row in rows}) == len(rows)
    assert all(len(set(row)) > NEW // 2 for row in rows)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batched_answers_equal_those_generated_one_by_one(model, tokenizer, shared, batch_size):
    expected = decoded(tokenizer, one_by_one(model, tokenizer, shared))
    assert generate_answers(model, tokenizer, shared, NEW, batch_size) == expected


def test_answers_without_a_shared_prefix_equal_those_generated_one_by_one(model, tokenizer):
    expected = decoded(tokenizer, one_by_one(model, tokenizer, UNLIKE))
    assert generate_answers(model, tokenizer, UNLIKE, NEW, batch_size=3) == expected


def test_answers_come_back_in_the_order_of_the_prompts(model, tokenizer, shared):
    answers = generate_answers(model, tokenizer, shared, NEW, batch_size=3)
    backwards = generate_answers(model, tokenizer, shared[::-1], NEW, batch_size=3)
    assert backwards == answers[::-1]


def test_generating_twice_gives_the_same_answers(model, tokenizer, shared):
    first = generate_answers(model, tokenizer, shared, NEW, batch_size=4)
    assert generate_answers(model, tokenizer, shared, NEW, batch_size=4) == first


def test_equal_prompts_get_equal_answers(model, tokenizer, shared):
    assert len(set(generate_answers(model, tokenizer, [shared[0]] * 3, NEW, batch_size=2))) == 1


def test_an_answer_never_contains_its_prompt(model, tokenizer):
    prompt = [{"role": "user", "content": "alpha beta"}]
    expected = decoded(tokenizer, one_by_one(model, tokenizer, [prompt]))
    assert generate_answers(model, tokenizer, [prompt], NEW) == expected
    assert "alpha beta" not in expected[0]


def test_an_answer_stops_at_eos_and_its_neighbours_go_on(model, tokenizer, shared, monkeypatch):
    rows = one_by_one(model, tokenizer, shared)
    end = rows[0][3]  # let the fourth token of the first answer be the end of an answer
    monkeypatch.setattr(model.generation_config, "eos_token_id", end)
    stopped = [row[: row.index(end) + 1] if end in row else row for row in rows]
    answers = generate_answers(model, tokenizer, shared, NEW, batch_size=4)
    assert answers == decoded(tokenizer, stopped)
    assert max(len(row) for row in stopped) == NEW > len(stopped[0])


def test_an_answer_that_ended_before_the_limit_is_told_from_one_that_was_cut(
    model, tokenizer, shared, monkeypatch
):
    rows = one_by_one(model, tokenizer, shared)
    end = rows[0][3]
    assert generate(model, tokenizer, shared, NEW).stopped == [False] * len(rows)
    monkeypatch.setattr(model.generation_config, "eos_token_id", end)
    found = generate(model, tokenizer, shared, NEW, batch_size=4)
    assert found.stopped == [end in row for row in rows]
    assert found.texts == generate_answers(model, tokenizer, shared, NEW, batch_size=4)


def test_the_models_and_the_tokenizers_ends_both_end_an_answer(model, tokenizer, monkeypatch):
    own = tokenizer.eos_token_id
    for given, ends in (([own, 7], {own, 7}), (7, {own, 7}), (None, {own})):
        monkeypatch.setattr(model.generation_config, "eos_token_id", given)
        assert end_tokens(model, tokenizer) == sorted(ends)


def test_prompts_of_several_tasks_share_a_batch_each_with_its_own_limit(model, tokenizer, shared):
    limits = [1 + 2 * number for number in range(len(shared))]
    together = generate(model, tokenizer, shared, limits)
    alone = [
        generate(model, tokenizer, [prompt], limit)
        for prompt, limit in zip(shared, limits, strict=True)
    ]
    assert together.texts == [one.texts[0] for one in alone]
    assert together.stopped == [one.stopped[0] for one in alone]


def test_rows_come_and_go_and_every_answer_is_its_own(model, tokenizer, shared, monkeypatch):
    """Unlike prompts and limits, with and without a shared start, in few rows and in many."""
    monkeypatch.setattr(generation, "FEW", 0)  # short prompts too are read by their lengths
    prompts = [*UNLIKE, *shared]
    limits = [(3 * number) % 11 + 1 for number in range(len(prompts))]
    rows = one_by_one(model, tokenizer, prompts, max(limits))
    expected = [row[:limit] for row, limit in zip(rows, limits, strict=True)]
    for size in (1, 2, 4, 5, 64):
        found = generate(model, tokenizer, prompts, limits, size)
        assert found.texts == decoded(tokenizer, expected), size


def test_the_steps_are_those_of_the_longest_answers_and_ended_rows_leave(
    model, tokenizer, shared, monkeypatch
):
    """Seven answers in seven rows: as many steps as the longest has tokens, ever fewer rows."""
    from course_utils.decoding import Decoder

    rows, plain = [], Decoder._step

    def counted(self):
        rows.append(len(self.rows))
        return plain(self)

    monkeypatch.setattr(Decoder, "_step", counted)
    generate(model, tokenizer, shared, [2, 4, 6, 8, 10, 12, 14], batch_size=7)
    assert rows == [7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1]  # reading gives the first token


def test_a_penalty_for_repeating_is_the_librarys(model, tokenizer, shared, monkeypatch):
    monkeypatch.setattr(model.generation_config, "repetition_penalty", 1.5)
    expected = one_by_one(model, tokenizer, shared)
    monkeypatch.setattr(model.generation_config, "repetition_penalty", None)
    assert expected != one_by_one(model, tokenizer, shared)  # it changes something
    monkeypatch.setattr(model.generation_config, "repetition_penalty", 1.5)
    answers = generate_answers(model, tokenizer, shared, NEW, batch_size=3)
    assert answers == decoded(tokenizer, expected)


def test_no_prompts_give_no_answers(model, tokenizer):
    assert generate_answers(model, tokenizer, [], NEW) == []


# --- a model whose layers look back a part of the way only ---


@pytest.fixture(scope="module")
def gemma(tokenizer):
    return narrow_gemma(tokenizer)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_padding_does_not_count_in_a_window(gemma, tokenizer, shared, batch_size):
    """Padding behind the shared start did: answers and losses of the shorter rows were others."""
    expected = decoded(tokenizer, one_by_one(gemma, tokenizer, shared))
    assert len(set(expected)) > len(expected) // 2
    assert generate_answers(gemma, tokenizer, shared, NEW, batch_size) == expected
    unlike = decoded(tokenizer, one_by_one(gemma, tokenizer, UNLIKE))
    both = generate_answers(gemma, tokenizer, [*UNLIKE, *shared], NEW, batch_size)
    assert both == [*unlike, *expected]


def test_the_nll_behind_a_window_equals_a_plain_computation(gemma, tokenizer, examples):
    nll, _ = completion_nll(gemma, tokenizer, examples, batch_size=7)
    assert nll == pytest.approx([plain_nll(gemma, e) for e in examples], rel=1e-5)


# --- log-likelihoods ---


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_nll_of_completions_equals_a_plain_computation(model, tokenizer, examples, batch_size):
    nll, counts = completion_nll(model, tokenizer, examples, batch_size)
    assert counts == [example.completion_length for example in examples]
    assert nll == pytest.approx([plain_nll(model, e) for e in examples], rel=1e-5)


def test_the_nll_does_not_depend_on_how_many_tokens_are_scored_at_once(
    model, tokenizer, examples, monkeypatch
):
    nll, _ = completion_nll(model, tokenizer, examples, batch_size=3)
    monkeypatch.setattr(generation, "READ_TOKENS", 1)
    assert completion_nll(model, tokenizer, examples, 3)[0] == pytest.approx(nll, rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_nll_without_a_shared_prefix_equals_a_plain_computation(model, tokenizer, batch_size):
    answer = [{"role": "assistant", "content": "Because it is old."}]
    unlike = [chat.tokenize_messages(prompt, answer, tokenizer) for prompt in UNLIKE]
    nll, _ = completion_nll(model, tokenizer, unlike, batch_size)
    assert nll == pytest.approx([plain_nll(model, e) for e in unlike], rel=1e-5)


def test_the_nll_of_equal_prompts_with_different_answers_is_right(model, tokenizer):
    prompt = [{"role": "user", "content": "Which part of the machine is it that leaks oil?"}]
    answers = ["The pump.", "The left cylinder of the bucket.", "None"]
    same = [
        chat.tokenize_messages(prompt, [{"role": "assistant", "content": text}], tokenizer)
        for text in answers
    ]
    nll, _ = completion_nll(model, tokenizer, same, batch_size=3)
    assert nll == pytest.approx([plain_nll(model, e) for e in same], rel=1e-5)


def test_plain_text_is_scored_from_its_second_token_on(model, tokenizer):
    texts = [Tokens(tokenizer(text)["input_ids"], 1) for text in TEXTS]
    nll, counts = completion_nll(model, tokenizer, texts, batch_size=3)
    assert counts == [len(text.input_ids) - 1 for text in texts]
    assert nll == pytest.approx([plain_nll(model, text) for text in texts], rel=1e-5)


def test_the_nll_is_the_loss_that_training_minimises(model, tokenizer, examples):
    import torch

    example = examples[0]
    loss = model(
        torch.tensor([example.input_ids]), labels=torch.tensor([example.labels])
    ).loss.item()
    nll, counts = completion_nll(model, tokenizer, [example])
    assert nll[0] / counts[0] == pytest.approx(loss, rel=1e-5)


def test_a_completion_without_tokens_counts_zero_and_disturbs_nothing(model, tokenizer, examples):
    empty = Tokens(examples[2].input_ids[:20], 20)
    nll, counts = completion_nll(model, tokenizer, [examples[0], empty, examples[1]], 2)
    alone, _ = completion_nll(model, tokenizer, examples[:2], 2)
    assert (nll[1], counts[1]) == (0.0, 0)
    assert [nll[0], nll[2]] == pytest.approx(alone, rel=1e-5)


def test_examples_that_were_cut_are_scored_on_what_is_left(model, tokenizer, examples):
    cut = [example.cut(examples[0].prompt_length + 3) for example in examples]
    nll, counts = completion_nll(model, tokenizer, cut, batch_size=3)
    assert counts == [example.completion_length for example in cut]
    assert nll == pytest.approx([plain_nll(model, e) if e.completion_length else 0 for e in cut])


def test_only_empty_completions_or_no_examples_give_zeros(model, tokenizer):
    assert completion_nll(model, tokenizer, []) == ([], [])
    assert completion_nll(model, tokenizer, [Tokens([1, 2], 2)]) == ([0.0], [0])


def test_the_order_of_examples_does_not_change_their_nll(model, tokenizer, examples):
    forwards, _ = completion_nll(model, tokenizer, examples, batch_size=3)
    backwards, _ = completion_nll(model, tokenizer, examples[::-1], batch_size=3)
    assert backwards[::-1] == pytest.approx(forwards, rel=1e-5)


def test_the_nll_of_tokens_adds_up_and_each_equals_a_plain_computation(model, tokenizer, examples):
    import torch

    losses = token_nll(model, tokenizer, examples, batch_size=3)
    assert [len(own) for own in losses] == [e.completion_length for e in examples]
    for own, example in zip(losses, examples, strict=True):
        ids = torch.tensor([example.input_ids])
        with torch.no_grad():
            log_p = model(ids).logits[0].log_softmax(-1)
        first = example.prompt_length
        plain = [-log_p[at - 1, ids[0, at]].item() for at in range(first, ids.shape[1])]
        assert own.tolist() == pytest.approx(plain, rel=1e-4, abs=1e-4)


def test_a_random_model_is_about_as_surprised_as_by_a_uniform_draw(model, tokenizer, examples):
    nll, counts = completion_nll(model, tokenizer, examples)
    assert sum(nll) / sum(counts) > 0.8 * math.log(len(tokenizer))


def test_the_longest_batch_comes_first_so_that_memory_runs_out_at_once():
    assert list(_batches([3, 9, 5, 4, 8], 2, "x", MANY)) == [[1, 4], [2, 3], [0]]


def test_a_text_is_not_padded_to_more_than_its_share_of_a_batch():
    """Four reports among questions: the questions were padded to their length, and computed so."""
    lengths = [900, 100, 700, 440, 420, 80]
    assert list(_batches(lengths, 4, "x", MANY, alike=0.5)) == [[0, 2], [3, 4], [1, 5]]
    assert list(_batches([40, 10, 20], 4, "x", MANY, alike=0.8)) == [[0, 2, 1]]  # little to gain
    shared = [length + 1000 for length in lengths]
    assert list(_batches(shared, 4, "x", MANY, 0.5, prefix=1000)) == [[0, 2], [3, 4], [1, 5]]


def test_long_texts_are_scored_in_smaller_batches_and_one_that_is_too_long_alone():
    assert list(_batches([3, 30, 5, 4, 8], 3, "x", tokens=16)) == [[1], [4, 2], [3, 0]]


# --- both at once ---


def both(model, tokenizer, prompts, examples, size):
    found, nll, counts = generate_and_score(model, tokenizer, prompts, examples, NEW, size)
    return found.texts, nll, counts


def scored_prompts(tokenizer, prompts, texts):
    """Each prompt with one of the texts as its answer."""
    return [
        chat.tokenize_messages(
            prompt, [{"role": "assistant", "content": texts[n % len(texts)]}], tokenizer
        )
        for n, prompt in enumerate(prompts)
    ]


COMPLETIONS = ["The pump.", "None", "The left cylinder of the bucket leaks, says the log."]


@pytest.mark.parametrize("size", [1, 3, 64])
@pytest.mark.parametrize("places", [1, 5, 1024])
def test_answers_and_nll_at_once_are_those_of_each_alone(
    model, tokenizer, shared, size, places, monkeypatch
):
    monkeypatch.setattr(generation, "SCORED_PLACES", places)
    for prompts in (shared, UNLIKE):
        examples = scored_prompts(tokenizer, prompts, COMPLETIONS)
        texts, nll, counts = both(model, tokenizer, prompts, examples, size)
        assert texts == generate_answers(model, tokenizer, prompts, NEW, size)
        assert nll == pytest.approx([plain_nll(model, e) for e in examples], rel=1e-5)
        assert counts == [example.completion_length for example in examples]


@pytest.mark.parametrize("size", [1, 3, 64])
def test_answers_and_nll_at_once_behind_a_window(gemma, tokenizer, shared, size):
    for prompts in (shared, UNLIKE, [*UNLIKE, *shared]):
        examples = scored_prompts(tokenizer, prompts, COMPLETIONS)
        texts, nll, _ = both(gemma, tokenizer, prompts, examples, size)
        assert texts == decoded(tokenizer, one_by_one(gemma, tokenizer, prompts))
        assert nll == pytest.approx([plain_nll(gemma, e) for e in examples], rel=1e-5)


def test_an_answer_longer_than_any_that_is_written_is_scored_behind_a_window(
    gemma, tokenizer, shared
):
    examples = scored_prompts(tokenizer, shared, ["It leaks oil. " * 30, "No."])
    nll = generate_and_score(gemma, tokenizer, shared, examples, 2, 3)[1]
    assert nll == pytest.approx([plain_nll(gemma, e) for e in examples], rel=1e-5)


def test_an_empty_completion_counts_zero_beside_others(model, tokenizer, shared):
    examples = scored_prompts(tokenizer, shared, COMPLETIONS)
    ids = chat.prompt_ids(shared[1], tokenizer)
    examples[1] = Tokens(ids, len(ids))
    _, nll, counts = both(model, tokenizer, shared, examples, 4)
    assert (nll[1], counts[1]) == (0.0, 0)
    assert nll[0] == pytest.approx(plain_nll(model, examples[0]), rel=1e-5)
    alone = both(model, tokenizer, shared[1:2], examples[1:2], 4)
    assert alone[1:] == ([0.0], [0])
    assert both(model, tokenizer, [], [], 4) == ([], [], [])


def test_where_prompt_and_answer_share_a_token_each_is_computed_alone(model, tokenizer, shared):
    examples = scored_prompts(tokenizer, shared, COMPLETIONS)
    first = examples[0]  # as a tokenizer would give it that joins "a" of the prompt with the next
    examples[0] = Tokens(first.input_ids, first.prompt_length - 1)
    texts, nll, _ = both(model, tokenizer, shared, examples, 3)
    assert texts == generate_answers(model, tokenizer, shared, NEW, 3)
    assert nll == pytest.approx([plain_nll(model, e) for e in examples], rel=1e-5)


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"batch_size": -1}, {"max_new_tokens": 0}])
def test_a_size_below_one_is_refused_and_no_endless_loop(model, tokenizer, shared, sizes):
    with pytest.raises(CourseError, match=f"{next(iter(sizes))} is"):
        generate_answers(model, tokenizer, shared, **({"max_new_tokens": 4} | sizes))
    if "batch_size" in sizes:
        tokens = [chat.tokenize_record(record, tokenizer) for record in WORK_ORDERS]
        with pytest.raises(CourseError, match="batch_size is"):
            completion_nll(model, tokenizer, tokens, **sizes)
