"""Near-duplicates are found, and none crosses a split."""

import random
from collections import Counter
from unittest import mock

import pytest

from course_utils import splits as S
from course_utils.errors import CourseError

ORDER = {"instruction": "Fill in the form.", "input": "replace pump", "output": "Part: pump"}
ROCK = {
    "system": "You are a geologist.",
    "instruction": "Which mineral absorbs at 2.209 um?",
    "context": "",
    "answer": "Kaolinite.",
}
WORK = [
    "replace hydraulic hose on boom",
    "engine overheating",
    "crack in bucket weld",
    "grease line to slew ring torn off",
    "air conditioner not cold",
]


def order(text, answer="done", **more):
    return ORDER | {"input": text, "output": answer} | more


def test_text_of_is_the_part_of_the_prompt_that_tells_records_apart():
    assert S.text_of(ORDER) == "replace pump"
    assert S.text_of(ORDER | {"input": " "}) == "Fill in the form."
    assert S.text_of(ROCK) == "Which mineral absorbs at 2.209 um?"
    assert S.text_of(ROCK | {"context": "SWIR"}) == "Which mineral absorbs at 2.209 um?\nSWIR"


# --- near-duplicates and splits ---


def test_jaccard_is_the_shared_fraction_of_trigrams():
    assert S.jaccard("abc", "abd") == pytest.approx(1 / 5)  # " ab" of " ab abc bc " + "abd bd "
    assert S.jaccard("Pump  leak", "pump LEAK") == 1.0
    assert S.jaccard("pump", "xyzzy") == 0.0
    assert S.jaccard("", "") == 1.0


def test_one_wrong_letter_in_a_usual_work_order_stays_above_the_threshold():
    assert S.jaccard("replace broken joystick rh", "replace brocen joystick rh") > S.NEAR


def test_groups_are_chains_of_near_texts_numbered_in_order():
    texts = ["hose leaks at pump", "seat", "hose leaks at pumps", "Seat ", "hoses leaks at pumps"]
    assert S.jaccard(texts[0], texts[4]) < S.jaccard(texts[0], texts[2])
    assert S.near_duplicate_groups(texts) == [0, 1, 0, 1, 0]
    assert S.near_duplicate_groups(texts, threshold=1.0) == [0, 1, 2, 1, 3]
    assert S.near_duplicate_groups([]) == []


def variants(n):
    """n different texts of 5 families: a third of them with one letter left out."""
    return [
        f"{text[: i % 13]}{text[i % 13 + (i % 3 == 0) :]} unit {i % 17}"
        for i, text in enumerate(WORK * (n // 5))
    ]


def test_hashing_finds_every_pair_that_comparing_all_finds():
    texts = list(dict.fromkeys(variants(300)))
    every = {(i, j) for i in range(len(texts)) for j in range(i)}
    near = {pair for pair in every if S.jaccard(texts[pair[0]], texts[pair[1]]) >= S.NEAR}
    candidates = {(i, j) for i, js in S._earlier_candidates(texts, S.NEAR) for j in js}
    assert len(texts) > 64
    assert len(near) > 100
    assert near <= candidates
    assert len(candidates) < len(every)


def test_the_groups_do_not_depend_on_the_seed():
    texts = variants(200)
    assert S.near_duplicate_groups(texts, seed=1) == S.near_duplicate_groups(texts, seed=2)


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_an_impossible_threshold_is_refused(threshold):
    with pytest.raises(CourseError, match="threshold"):
        S.near_duplicate_groups(["a"], threshold)


def test_a_split_by_near_duplicate_groups_has_no_overlap_and_a_random_one_has():
    records = [order(text) for text in variants(200)]
    groups = S.near_duplicate_groups([S.text_of(r) for r in records])
    sizes = {"train": 100, "val": 20, "test": 20}
    parts = S.split_by_group(records, groups, sizes, seed=0)
    counted = S.overlap(parts)
    assert (counted["exact"], counted["near"]) == (0, 0)
    assert counted["compared"] == sum(
        len(parts[a]) * len(parts[b])
        for a, b in [("train", "val"), ("train", "test"), ("val", "test")]
    )
    careless = S.overlap({"train": records[:100], "test": records[100:]})
    assert careless["near"] > 0


def test_overlap_counts_what_comparing_all_pairs_counts():
    left, right = variants(600), [*variants(600)[::37], "", "new"]  # more than one block of rows
    parts = {"a": [order(t) for t in left], "b": [{"input": t} for t in right]}
    pairs = [(S.normalise(x), S.normalise(y)) for x in left for y in right]
    exact = sum(x == y for x, y in pairs)
    near = sum(x != y and S.jaccard(x, y) >= 0.5 for x, y in pairs)
    assert exact > 0
    assert near > 0
    assert S.overlap(parts, 0.5)["pairs"] == {"a/b": {"exact": exact, "near": near}}


def test_overlap_counts_shared_groups_and_empty_texts():
    parts = {"a": [order("", group="1")], "b": [order("pump", group="1")]}
    assert S.overlap(parts)["groups"] == 1
    empty = {"a": [{"input": ""}], "b": [{"input": ""}, {"input": ""}], "c": []}
    assert S.overlap(empty)["exact"] == 2
    assert S.overlap(empty)["near"] == 0


def test_split_keeps_groups_whole_and_reaches_the_sizes():
    groups = [0] * 9 + [1] * 4 + [2] * 3 + list(range(3, 20))
    records = [order(str(i)) for i in range(len(groups))]
    parts = S.split_by_group(records, groups, {"train": 20, "val": 5, "test": 6}, seed=3)
    assert {name: len(part) for name, part in parts.items()} == {"train": 20, "val": 5, "test": 6}
    homes = {}
    for name, part in parts.items():
        for record in part:
            homes.setdefault(groups[int(record["input"])], set()).add(name)
    assert all(len(names) == 1 for names in homes.values())
    assert max(Counter(r["input"] for part in parts.values() for r in part).values()) == 1


@pytest.mark.parametrize("seed", range(8))
def test_split_is_exact_where_greedy_filling_would_fall_short(seed):
    """Groups of 5 and 3: taking a 5 first leaves 1 of 6 unfilled; 3 + 3 fills it."""
    groups = [0] * 5 + [1] * 3 + [2] * 3
    parts = S.split_by_group([ORDER] * 11, groups, {"train": 5, "test": 6}, seed)
    assert (len(parts["train"]), len(parts["test"])) == (5, 6)


def test_split_comes_as_near_as_whole_groups_allow():
    parts = S.split_by_group([ORDER] * 8, [0] * 4 + [1] * 4, {"test": 3, "train": 5}, seed=0)
    assert (len(parts["test"]), len(parts["train"])) == (0, 4)


def test_split_is_drawn_from_the_seed():
    records = [order(str(i)) for i in range(50)]
    first, again, other = (
        S.split_by_group(records, range(50), {"train": 30, "test": 20}, seed)["test"]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_split_refuses_what_cannot_be():
    with pytest.raises(CourseError, match="3 records are wanted"):
        S.split_by_group([ORDER], [0], {"train": 2, "test": 1}, seed=0)
    with pytest.raises(CourseError, match="2 group numbers"):
        S.split_by_group([ORDER], [0, 1], {"train": 1}, seed=0)
    with pytest.raises(CourseError, match="wanted"):
        S.split_by_group([ORDER], [0], {"train": -1}, seed=0)


# --- what is close to other records ---


def test_close_to_names_the_records_that_another_set_holds_too():
    others = [order("Replace  PUMP at the crusher"), order("engine overheating")]
    own = [
        order("replace pump at the crusher"),  # exact but for case and spaces
        order("crack in bucket weld"),
        order("replace pump at the crusher."),  # near
        order("engine overheated again and again on the night shift"),
    ]
    assert S.close_to(own, others) == {0, 2}
    assert S.close_to(own, others, threshold=1.0) == {0}
    assert S.close_to(others, own) == {0}


def test_close_to_finds_what_comparing_every_pair_finds():
    texts = variants(60)
    own, others = [order(t) for t in texts[:40]], [order(t) for t in texts[40:]]
    by_hand = {
        i
        for i, a in enumerate(own)
        if any(S.jaccard(S.normalise(a["input"]), S.normalise(b["input"])) >= 0.7 for b in others)
    }
    assert S.close_to(own, others, 0.7) == by_hand != set()


def test_close_to_nothing_and_nothing_close():
    some = [order("replace pump")]
    assert S.close_to([], some) == S.close_to(some, []) == S.close_to([], []) == set()
    assert S.close_to(some, [order("crack in bucket weld")]) == set()


def test_close_to_compares_the_question_where_there_is_no_input():
    ask = [order("", instruction="What is a shim?"), order("", instruction="Name a pump type.")]
    assert S.close_to(ask, [order("", instruction="what is a SHIM?")]) == {0}


def test_close_to_takes_more_rows_than_one_block():
    own = [order(f"note {n} about {n * 7919} things on line {n % 13}") for n in range(1100)]
    assert S.close_to(own, [own[3], own[600], own[1099]], threshold=1.0) == {3, 600, 1099}


# --- prompts that share a task sentence ----------------------------------------------------------

TASK = "turn the work order into json with the fields system, part and action. work order:"


def prompts_with(texts, task=TASK):
    return [(f"{task} {text}", "") for text in texts]


def near_pairs(prompts, number_others=0):
    return {(i, j) for (i, _), (j, _) in S.near_prompts(prompts, number_others, S.NEAR).items()}


def distinct_orders(count):
    """Texts of which none is near another: five words of three letters each, drawn."""
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        " ".join("".join(draw.sample(letters, 3)) for _ in range(5)) for _ in range(count)
    ]  # fmt: skip


def test_a_task_sentence_makes_no_near_duplicate_and_hides_none():
    texts = distinct_orders(200)
    texts[150] = texts[40][:-1] + "-"  # one letter differs
    first, second, *_ = [prompt for prompt, _ in prompts_with(texts)]
    assert S.jaccard(first, second) > 0.5
    assert near_pairs(prompts_with(texts)) == {(150, 40)}
    assert near_pairs([(body, task) for task, body in prompts_with(texts)]) == {(150, 40)}


def test_a_task_sentence_around_the_text_makes_no_near_duplicate():
    texts = distinct_orders(60)
    prompts = [(f"please read the note «{t}» of the last shift and fill in", "") for t in texts]
    assert near_pairs(prompts) == set()


def test_a_task_sentence_hides_no_leak():
    texts = distinct_orders(200)
    found = S.near_prompts(prompts_with([*texts, texts[7] + "s"]), 200, S.NEAR)
    assert list(found) == [(200, True)]
    assert found[200, True][0] == 7


def test_the_work_for_a_shared_sentence_grows_with_the_records_not_with_their_pairs():
    """Comparisons are counted, not seconds: twice the records, about twice the comparisons."""
    compared = []
    for count in (400, 800):
        with mock.patch.object(S, "_overlap", wraps=S._overlap) as overlap:
            S.near_prompts(prompts_with(distinct_orders(count)), 0, S.NEAR)
        compared.append(overlap.call_count)
    assert compared[1] < 800 * 20 < 800 * 799 / 2 / 10


def test_texts_with_nothing_but_shared_words_stay_whole():
    texts = [*distinct_orders(30), *["the pump leaks oil again"] * 30, f"{TASK} pump"]
    assert S.without_shared_words(texts) == texts
    few = [f"{TASK} {text}" for text in distinct_orders(S.SHARED_LEAST - 1)]
    assert S.without_shared_words(few) == few


def test_progress_ends_with_all_of_them():
    told = []
    S.near_prompts(prompts_with(distinct_orders(250)), 0, S.NEAR, lambda *now: told.append(now))
    assert told == [(0, 250), (100, 250), (200, 250), (250, 250)]


def test_a_crowd_of_near_copies_is_named_one_by_one():
    prompts = [(f"what is the value of the sample number {i}?", "") for i in range(300)]
    found = S.near_prompts(prompts, 0, 0.6)
    assert {i for i, _ in found} == set(range(1, 300))
