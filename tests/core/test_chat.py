"""Messages, tokens and masks, compared with what a real SFTTrainer makes of the same records."""

import copy

import pytest

from course_utils import chat, models, sources

WORK_ORDERS = [
    sources.work_order_record(text, answer)
    for text, answer in [
        ("L/H BUCKET CYL LEAKING.", '{"part": "Cylinder; Tilt", "failure_mode": "Leak"}'),
        ("replace u/s joystick handle", '{"system": "Drivers Cabin", "action": "Replace"}'),
        ("ENGINE OVERHEATING", '{"system": "Engine", "failure_mode": "Overheat"}'),
        ("Tür 漢字 🙂 <b>&", '{"part": "Tür", "action": "Grüße 漢字 🙂"}'),
    ]
]
QUESTION = {"instruction": "What is a shim?", "input": "", "output": "A thin spacer."}
GEOLOGY = {
    "system": "You are a geologist.",
    "instruction": "Which mineral is it?",
    "context": "An absorption at 2.209 micrometres.",
    "answer": "Kaolinite.",
}
BARE_GEOLOGY = {**GEOLOGY, "system": "", "context": ""}
ALL = [*WORK_ORDERS, QUESTION, GEOLOGY, BARE_GEOLOGY]

TURN = (
    "{{ '[' + m['role'] + ']' + m['content'] + (eos_token if m['role'] == 'assistant' else '') }}"
)
START = "{{ '[assistant]' if add_generation_prompt else '' }}"
DROPS_SYSTEM = (
    "{% for m in messages %}{% if m['role'] != 'system' %}"
    + TURN
    + "{% endif %}{% endfor %}"
    + START
)
REFUSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}" + TURN + "{% endfor %}" + START
)
# Like Qwen3's: without enable_thinking=False the prompt lacks the empty thought before the answer.
THINKS = (
    "{% set quiet = enable_thinking is defined and not enable_thinking %}{% for m in messages %}"
    "{{ '[' + m['role'] + ']' }}{{ '(no thought)' if m['role'] == 'assistant' and quiet else '' }}"
    "{{ m['content'] + (eos_token if m['role'] == 'assistant' else '') }}{% endfor %}"
    "{{ '[assistant]' + ('(no thought)' if quiet else '') if add_generation_prompt else '' }}"
)
# The rendered prompt ends in a space that the rendered conversation does not have.
PARTS_EARLY = (
    "{% for m in messages %}" + TURN + "{% endfor %}{{ '[assistant] ' if add_generation_prompt }}"
)


def with_template(tokenizer, template):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def text_of(messages):
    return [(message["role"], message["content"]) for message in messages]


@pytest.fixture(scope="module")
def trainer_rows(nano_model_path, tmp_path_factory):
    """(input ids, labels) of each record as a real SFTTrainer prepares them."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    def prepare(records, tokenizer, max_length):
        rows = [chat.record_messages(record, tokenizer) for record in records]
        trainer = SFTTrainer(
            model=str(nano_model_path),
            args=SFTConfig(
                output_dir=str(tmp_path_factory.mktemp("trainer")),
                completion_only_loss=True,
                max_length=max_length,
                use_cpu=True,
                bf16=False,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        return [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]

    return prepare


def kit_rows(records, tokenizer, max_length):
    """The same from `chat`; SFTTrainer drops records whose completion is cut off whole."""
    cut = [chat.tokenize_record(record, tokenizer).cut(max_length) for record in records]
    return [(t.input_ids, t.labels) for t in cut if t.completion_length]


# --- the same tokens as SFTTrainer ---


@pytest.mark.parametrize("max_length", [None, 160, 75, 60, 42])
def test_ids_and_labels_equal_those_of_sft_trainer_cut_or_not(trainer_rows, tokenizer, max_length):
    assert trainer_rows(ALL, tokenizer, max_length) == kit_rows(ALL, tokenizer, max_length)


@pytest.mark.parametrize(
    "template", [models.PLAIN_TEMPLATE, DROPS_SYSTEM, REFUSES_SYSTEM, THINKS, PARTS_EARLY]
)
def test_ids_and_labels_equal_those_of_sft_trainer_with_other_templates(
    trainer_rows, tokenizer, template
):
    other = with_template(tokenizer, template)
    assert trainer_rows(ALL, other, 160) == kit_rows(ALL, other, 160)


@pytest.mark.parametrize("record", ALL)
def test_the_end_of_the_answer_is_trained_although_it_is_the_pad_token(tokenizer, record):
    assert tokenizer.pad_token == tokenizer.eos_token
    assert tokenizer.eos_token_id in chat.tokenize_record(record, tokenizer).labels


@pytest.mark.parametrize("record", ALL)
def test_exactly_the_answer_and_the_end_are_trained(tokenizer, record):
    tokens = chat.tokenize_record(record, tokenizer)
    trained = tokenizer.decode(tokens.input_ids[tokens.prompt_length :])
    assert trained == record.get("answer", record.get("output")) + tokenizer.eos_token + "\n"


@pytest.mark.parametrize("record", ALL)
def test_the_masked_part_is_the_prompt_that_generation_starts_from(tokenizer, record):
    tokens = chat.tokenize_record(record, tokenizer)
    prompt = chat.record_messages(record, tokenizer)["prompt"]
    assert chat.prompt_ids(prompt, tokenizer) == tokens.input_ids[: tokens.prompt_length]


def test_cutting_keeps_the_beginning_and_counts_what_is_left():
    tokens = chat.Tokens([1, 2, 3, 4, 5], prompt_length=3)
    assert tokens.labels == [-100, -100, -100, 4, 5]
    assert tokens.cut(4) == chat.Tokens([1, 2, 3, 4], 3)
    assert tokens.cut(2) == chat.Tokens([1, 2], 2)
    assert [tokens.cut(n).completion_length for n in (2, 3, 4, 5, 9, None)] == [0, 0, 1, 2, 2, 2]


def test_count_tokens_counts_prompt_completion_and_template(tokenizer):
    messages = chat.record_messages(GEOLOGY)
    whole = tokenizer.apply_chat_template([*messages["prompt"], *messages["completion"]])
    assert chat.count_tokens(GEOLOGY, tokenizer) == len(whole["input_ids"])


# --- messages ---


def test_a_work_order_is_a_system_instruction_and_the_text(tokenizer):
    messages = chat.record_messages(WORK_ORDERS[0], tokenizer)
    assert text_of(messages["prompt"]) == [
        ("system", sources.INSTRUCTION),
        ("user", "L/H BUCKET CYL LEAKING."),
    ]
    assert text_of(messages["completion"]) == [("assistant", WORK_ORDERS[0]["output"])]


def test_an_instruction_without_input_is_one_question():
    assert text_of(chat.record_messages(QUESTION)["prompt"]) == [("user", "What is a shim?")]


def test_a_geology_record_puts_its_context_behind_the_question():
    messages = chat.record_messages(GEOLOGY)
    asked = "Which mineral is it?\n\nContext: An absorption at 2.209 micrometres."
    assert text_of(messages["prompt"]) == [("system", GEOLOGY["system"]), ("user", asked)]
    assert text_of(messages["completion"]) == [("assistant", "Kaolinite.")]


def test_a_geology_record_without_system_and_context_is_one_question():
    assert text_of(chat.record_messages(BARE_GEOLOGY)["prompt"]) == [
        ("user", "Which mineral is it?")
    ]


@pytest.mark.parametrize("template", [DROPS_SYSTEM, REFUSES_SYSTEM])
def test_a_template_without_system_role_gets_the_system_text_in_the_users_turn(tokenizer, template):
    messages = chat.record_messages(WORK_ORDERS[0], with_template(tokenizer, template))
    folded = f"{sources.INSTRUCTION}\n\nL/H BUCKET CYL LEAKING."
    assert text_of(messages["prompt"]) == [("user", folded)]


@pytest.mark.parametrize("template", [DROPS_SYSTEM, REFUSES_SYSTEM])
def test_a_record_without_system_text_is_the_same_for_every_template(tokenizer, template):
    other = with_template(tokenizer, template)
    assert chat.record_messages(QUESTION, other) == chat.record_messages(QUESTION, tokenizer)


def test_a_thinking_template_is_told_not_to_think_in_training_and_in_generation(tokenizer):
    thinks = with_template(tokenizer, THINKS)
    messages = chat.record_messages(QUESTION, thinks)
    assert messages["chat_template_kwargs"] == {"enable_thinking": False}
    assert tokenizer.decode(chat.prompt_ids(messages["prompt"], thinks)).endswith("(no thought)")
    assert "chat_template_kwargs" not in chat.record_messages(QUESTION, tokenizer)


# --- few-shot prompts ---


def test_few_shot_puts_the_solved_examples_in_order_between_instruction_and_question(tokenizer):
    record, *examples = WORK_ORDERS
    roles = [r for r, _ in text_of(chat.few_shot_messages(record, examples, tokenizer))]
    texts = [t for _, t in text_of(chat.few_shot_messages(record, examples, tokenizer))]
    assert roles == ["system", *["user", "assistant"] * 3, "user"]
    turns = [text for e in examples for text in (e["input"], e["output"])]
    assert texts == [sources.INSTRUCTION, *turns, record["input"]]


def test_few_shot_without_examples_is_the_records_own_prompt(tokenizer):
    for record in ALL:
        prompt = chat.record_messages(record, tokenizer)["prompt"]
        assert chat.few_shot_messages(record, [], tokenizer) == prompt


def test_few_shot_without_system_role_keeps_the_instruction_in_every_turn(tokenizer):
    other = with_template(tokenizer, REFUSES_SYSTEM)
    messages = chat.few_shot_messages(WORK_ORDERS[0], WORK_ORDERS[1:3], other)
    asked = [m["content"] for m in messages if m["role"] == "user"]
    assert len(asked) == 3
    assert all(text.startswith(sources.INSTRUCTION) for text in asked)
    assert chat.prompt_ids(messages, other)


def test_few_shot_never_shows_the_records_own_answer(tokenizer):
    messages = chat.few_shot_messages(WORK_ORDERS[0], WORK_ORDERS[1:], tokenizer)
    assert WORK_ORDERS[0]["output"] not in str(messages)


# --- what the model sees ---


@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize("max_length", [None, 70, 10])
def test_every_token_has_one_kind_and_the_kinds_add_up(tokenizer, record, max_length):
    view = chat.show_tokens(record, tokenizer, max_length)
    counts = view.counts()
    total = chat.count_tokens(record, tokenizer)
    assert list(counts) == list(chat.KINDS)
    assert sum(counts.values()) == total
    assert counts["cut"] == max(0, total - (max_length or total))


@pytest.mark.parametrize("record", ALL)
def test_trained_kinds_are_the_tokens_with_a_label(tokenizer, record):
    labels = chat.tokenize_record(record, tokenizer).labels
    kinds = [kind for _, kind in chat.token_kinds(record, tokenizer)]
    assert [kind in ("completion", "end") for kind in kinds] == [label != -100 for label in labels]
    assert kinds.count("end") == 1


def shown(record, tokenizer, kind):
    return "".join(text for text, k in chat.token_kinds(record, tokenizer) if k == kind)


def test_the_prompt_kind_is_the_instruction_and_the_text(tokenizer):
    assert shown(WORK_ORDERS[0], tokenizer, "prompt") == (
        sources.INSTRUCTION + "L/H BUCKET CYL LEAKING."
    )


def test_the_template_kind_is_the_markers_and_the_roles(tokenizer):
    assert shown(WORK_ORDERS[0], tokenizer, "template") == (
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_plain_format_of_a_base_model_is_template_too(tokenizer):
    """What marks a turn is the template's, whatever it looks like: no token says so by itself."""
    plain = with_template(tokenizer, models.PLAIN_TEMPLATE)
    assert shown(WORK_ORDERS[0], plain, "prompt") == shown(WORK_ORDERS[0], tokenizer, "prompt")
    assert "user" in shown(WORK_ORDERS[0], plain, "template")


def test_text_shows_kinds_in_words_and_the_counts(tokenizer):
    text = repr(chat.show_tokens(WORK_ORDERS[0], tokenizer, max_length=50))
    assert "[prompt] Work order to JSON" in text
    assert text.endswith(f"cut {chat.count_tokens(WORK_ORDERS[0], tokenizer) - 50}")


def test_html_escapes_what_the_record_says(tokenizer):
    record = {**QUESTION, "output": "<script>alert(1)</script> & 'x' \"y\""}
    view = chat.show_tokens(record, tokenizer)._repr_html_()
    assert "<script" not in view
    assert "</script" not in view
    assert "&lt;" in view
    assert "&amp;" in view


def test_html_legend_explains_every_kind_with_its_count(tokenizer):
    view = chat.show_tokens(WORK_ORDERS[0], tokenizer, max_length=70)
    for kind, (colour, meaning) in chat.KINDS.items():
        assert f"{meaning} ({view.counts()[kind]})" in view._repr_html_()
        assert colour in view._repr_html_()


# --- few-shot prompts of records with instructions of their own ---

ASKED = [
    {"instruction": f"What is {name}?", "input": f"sheet {name}", "output": f"answer {name}"}
    for name in "abc"
]


def roles_and_texts(messages):
    return [(m["role"], m["content"]) for m in messages]


def test_few_shot_folds_instructions_that_differ_into_their_turns(tokenizer):
    messages = chat.few_shot_messages(ASKED[0], ASKED[1:], tokenizer)
    assert roles_and_texts(messages) == [
        ("user", "What is b?\n\nsheet b"),
        ("assistant", "answer b"),
        ("user", "What is c?\n\nsheet c"),
        ("assistant", "answer c"),
        ("user", "What is a?\n\nsheet a"),
    ]


def test_few_shot_folds_all_turns_when_one_example_differs(tokenizer):
    alike = {**ASKED[1], "instruction": ASKED[0]["instruction"]}
    messages = chat.few_shot_messages(ASKED[0], [alike, ASKED[2]], tokenizer)
    assert not any(message["role"] == "system" for message in messages)
    asked = [m["content"].split("\n\n")[0] for m in messages if m["role"] == "user"]
    assert asked == ["What is a?", "What is c?", "What is a?"]


def test_few_shot_keeps_one_system_message_where_all_say_the_same(tokenizer):
    alike = [{**example, "instruction": "Name it."} for example in ASKED]
    messages = chat.few_shot_messages(alike[0], alike[1:], tokenizer)
    assert roles_and_texts(messages)[:2] == [("system", "Name it."), ("user", "sheet b")]
    assert sum(message["role"] == "system" for message in messages) == 1


@pytest.mark.parametrize("position", [0, 1])
def test_few_shot_with_and_without_input_in_one_prompt(tokenizer, position):
    """A question without input has no system message, and its neighbours must not lend it one."""
    mixed = [ASKED[0], QUESTION] if position else [QUESTION, ASKED[0]]
    messages = chat.few_shot_messages(mixed[0], mixed[1:], tokenizer)
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    texts = {message["content"] for message in messages}
    assert QUESTION["instruction"] in texts
    assert "What is a?\n\nsheet a" in texts


def test_few_shot_leaves_the_records_as_they_were(tokenizer):
    before = copy.deepcopy(ASKED)
    chat.few_shot_messages(ASKED[0], ASKED[1:], tokenizer)
    assert before == ASKED
