"""Fingerprints from real folders: every planted cheat of a made-up class is found, nobody else.

Adapters are written as files and read back; only the model that remembers its test part is a
stand-in, since what a loss is is tested where losses are computed.
"""

import json
import os
import shutil

import numpy as np
import pytest
from grade_class import make_result
from safetensors.numpy import save_file

from course_utils import kit
from course_utils.assignments.folder import scan
from course_utils.assignments.hollow import untouched
from course_utils.digests import sha256_of
from course_utils.grading.hidden import HiddenRecords, mark_of
from course_utils.grading.integrity import suspicions
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.prints import WEEK05, WEEK09_10, layers_of, prints_of
from course_utils.grading.results import Stated

STARTER = kit.ASSIGNMENTS / "week09_10_manufacturing" / "starter"
LAYERS = [f"base_model.model.model.layers.{n}.self_attn.{p}_proj" for n in (0, 1) for p in "qv"]
CODE = """
def keep_longest(records, limit):
    seen, kept = set(), []
    for record in sorted(records, key=lambda own: len(own["output"]), reverse=True):
        digest = hash(record["input"].lower())
        if digest in seen or len(record["output"]) > limit:
            continue
        seen.add(digest)
        kept.append(record)
    random.shuffle(kept)
    ratio = len(kept) / max(1, len(records))
    print(f"kept {ratio:.1%} of {len(records)}")
    return kept, ratio
"""
OTHER = """
class Balancer:
    def __init__(self, parts, minimum=0.1):
        self.parts = {name: list(own) for name, own in parts.items()}
        self.minimum = minimum
    def shares(self, task):
        return [sum(r["task"] == task for r in own) / len(own) for own in self.parts.values()]
    def trim(self):
        while any(share < self.minimum for share in self.shares("report")):
            self.parts["train"].pop(0)
            if not self.parts["train"]:
                raise ValueError("nothing left")
        return {name: len(own) for name, own in self.parts.items()}
"""
ESSAY = (
    "We dropped work orders that name no part, because an answer about them cannot be checked. Of "
    "five thousand records forty were read aloud by two people; three labels were wrong. The loss "
    "fell for two epochs and then rose, so the checkpoint of step four hundred was kept. Reports "
    "fail mostly where a control limit has to be computed from the mean range of the subgroups."
)
LETTER = (
    "Our plant asks for short answers, so qa got twice as many examples as the other tasks. With a "
    "rank of thirty-two nothing improved beyond the interval; a rank of eight took half the memory "
    "and was kept. Latency on the office laptop is four seconds, mostly reading the prompt. Nobody "
    "should release a lot by this model: it reads the sheet, and it does not see the machine."
)


def matrices(seed, rank=8, size=48):
    rng = np.random.default_rng(seed)
    return {name: (rng.normal(size=(rank, size)), rng.normal(size=(size, rank))) for name in LAYERS}


def save(folder, pairs, alpha=16.0, kind=np.float32):
    folder.mkdir(parents=True, exist_ok=True)
    tensors, rank = {}, 0
    for name, (a, b) in pairs.items():
        tensors[f"{name}.lora_A.weight"] = np.ascontiguousarray(a, kind)
        tensors[f"{name}.lora_B.weight"] = np.ascontiguousarray(b, kind)
        rank = a.shape[0]
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def submission(root, seed, code=CODE, text=ESSAY, pairs=None, **options):
    shutil.copytree(STARTER, root)
    save(root / "models/finetuned_model", pairs or matrices(seed), **options)
    script = root / "scripts/prepare_data.py"
    script.write_text(script.read_text() + code)
    notebook = json.loads((root / "finetuning_pipeline.ipynb").read_text())
    notebook["cells"].append({"cell_type": "code", "source": f"print({seed})", "metadata": {}})
    (root / "finetuning_pipeline.ipynb").write_text(json.dumps(notebook))
    for name in untouched(scan(root), STARTER):
        (root / name).write_text(f"{(root / name).read_text()}\n# number {seed}\n")
    (root / "README.md").write_text(f"# Work of number {seed}\n\n{text}\n")
    (root / "run").mkdir(exist_ok=True)
    (root / "run/evaluation.json").write_text("{}")
    return root


def case_of(root, assignment=WEEK09_10, models=None, hidden=None, **facts):
    folder = scan(root)
    return Case(assignment, None, None, folder, None, None, models, hidden, facts=facts)


def found(tmp_path, **facts):
    """(kind, submissions) for every folder in tmp_path, as their class."""
    folders = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    results = [
        make_result(n, integrity=prints_of(case_of(folder, **facts.get(folder.name, {}))))
        for n, folder in enumerate(folders)
    ]
    names = {
        result.submission: folder.name for result, folder in zip(results, folders, strict=True)
    }
    return {
        (own.kind.partition(".")[2], own.place, *(names[name] for name in own.submissions))
        for own in suspicions(results)
    }


# --- A class ------------------------------------------------------------------------------------


def test_honest_work_on_one_starter_is_not_found(tmp_path):
    submission(tmp_path / "ada", 1)
    submission(tmp_path / "bob", 2, code=OTHER, text=LETTER)
    assert found(tmp_path) == set()


def test_two_who_kept_the_reference_solutions_code_are_no_pair(tmp_path):
    """Whoever clones the kit has it: the quick check warns of its marks, and nobody copied."""
    solution = kit.ASSIGNMENTS / "week09_10_manufacturing/solution/scripts/train.py"
    for seed, name in enumerate(("ada", "bob")):
        root = submission(tmp_path / name, seed, code="", text=(ESSAY, LETTER)[seed])
        shutil.copy(solution, root / "scripts/train.py")
    assert found(tmp_path) == set()


@pytest.mark.parametrize("copy", ["noise of 1 %", "scaled", "rank padded", "half precision"])
def test_a_disguised_adapter_is_found(tmp_path, copy):
    rng, original = np.random.default_rng(9), matrices(1)
    pairs, options = original, {}
    if copy == "noise of 1 %":
        pairs = {n: (a + 0.01 * rng.normal(size=a.shape), b) for n, (a, b) in original.items()}
    elif copy == "scaled":
        pairs, options = {n: (a, 1.7 * b) for n, (a, b) in original.items()}, {"alpha": 24.0}
    elif copy == "rank padded":
        more = np.zeros((8, 48))
        pairs = {
            n: (np.vstack([a, more]), np.hstack([b, more.T])) for n, (a, b) in original.items()
        }
    else:
        options = {"kind": np.float16}
    submission(tmp_path / "ada", 1)
    submission(tmp_path / "bob", 2, code=OTHER, text=LETTER, pairs=pairs, **options)
    submission(tmp_path / "cyd", 3, code="", text="")
    assert found(tmp_path) == {("adapter_near", "", "ada", "bob")}


def test_an_identical_adapter_is_found(tmp_path):
    submission(tmp_path / "ada", 1)
    submission(tmp_path / "bob", 2, code=OTHER, text=LETTER, pairs=matrices(1))
    assert found(tmp_path) == {("adapter_same", "", "ada", "bob")}


def test_copied_code_and_text_are_found_in_their_file(tmp_path):
    submission(tmp_path / "ada", 1)
    submission(tmp_path / "bob", 2, code=CODE.replace("kept", "mine"), text=LETTER)
    submission(tmp_path / "cyd", 3, code=OTHER, text=ESSAY.replace("forty", "fifty"))
    assert found(tmp_path) == {
        ("copied_same", "scripts/prepare_data.py", "ada", "bob"),
        ("copied_text", "README.md", "ada", "cyd"),
    }


def test_raised_figures_and_another_adapters_evidence_are_found(tmp_path):
    submission(tmp_path / "ada", 1)
    evidence = {"adapter": "0" * 64}
    (tmp_path / "ada/run/evaluation.json").write_text(json.dumps(evidence))
    raised = Stated(name="qa, tuned: fact match", stated="0.91", found="0.44", agrees=False)
    right = Stated(name="report: fact F1", stated="0.3", found="0.3", agrees=True)
    assert found(tmp_path, ada={"stated": [raised, right]}) == {
        ("stated", "qa, tuned: fact match", "ada"),
        ("stated", "run/evaluation.json: checksum of the adapter", "ada"),
    }


def test_an_untouched_starter_is_found_file_by_file(tmp_path):
    shutil.copytree(STARTER, tmp_path / "ada")
    names = untouched(scan(tmp_path / "ada"), STARTER)
    assert "scripts/train.py" in names
    assert prints_of(case_of(tmp_path / "ada")).untouched == names
    assert found(tmp_path) == {("untouched", "", "ada")}


def test_evidence_is_old_by_the_adapter_that_it_names_and_never_by_its_time(tmp_path):
    root = submission(tmp_path / "ada", 1)
    evidence = root / "run/evaluation.json"
    os.utime(evidence, (1_700_000_000, 1_700_000_000))
    assert found(tmp_path) == set()
    evidence.write_text(json.dumps({"adapter": prints_of(case_of(root)).adapter}))
    assert found(tmp_path) == set()
    evidence.write_text(json.dumps({"adapter": "0" * 64}))
    assert found(tmp_path) == {("stated", "run/evaluation.json: checksum of the adapter", "ada")}


@pytest.mark.parametrize("file", ["answers.json", "training.json"])
def test_week_5_names_the_adapter_that_its_evidence_is_of(tmp_path, file):
    save(tmp_path / "adapter", matrices(1))
    digest = sha256_of(tmp_path / "adapter/adapter_model.safetensors")

    def stated(told):
        (tmp_path / file).write_text(json.dumps(told))
        return [(s.name, s.agrees) for s in prints_of(case_of(tmp_path, WEEK05)).stated]

    name = f"{file}: checksum of the adapter"
    assert stated({"prints": {"adapter": digest[:16]}}) == [(name, True)]
    assert stated({"prints": {"adapter": "1" * 16}}) == [(name, False)]
    assert stated({"prints": {"adapter": digest[:2]}}) == [(name, False)]
    for unsaid in ({}, {"prints": {}}, {"prints": 7}, {"prints": {"adapter": 7}}, [1]):
        assert stated(unsaid) == []


def test_warnings_of_the_quick_check_come_along(tmp_path):
    root = submission(tmp_path / "ada", 1)
    prints = prints_of(case_of(root, hollow=["hollow.nano", "hollow.starter"]))
    assert prints.hollow == ["hollow.nano"]  # what is untouched stands by its name


@pytest.mark.parametrize("broken", ["weights", "config", "nothing"])
def test_a_broken_or_missing_adapter_leaves_its_print_empty(tmp_path, broken):
    root = submission(tmp_path / "ada", 1)
    folder = root / "models/finetuned_model"
    if broken == "weights":
        (folder / "adapter_model.safetensors").write_bytes(b"\xff" * 40)
    elif broken == "config":
        (folder / "adapter_config.json").write_text("[1")
    else:
        shutil.rmtree(folder)
    assert prints_of(case_of(root)).sketch == []


def test_bfloat16_is_read_as_what_it_is():
    import torch
    from safetensors.torch import save as save_torch

    a, b = torch.randn(2, 6), torch.randn(6, 2)
    tensors = {"x.lora_A.weight": a.bfloat16(), "x.lora_B.weight": b.bfloat16()}
    [(name, left, right, scale)] = layers_of(save_torch(tensors), {"lora_alpha": 8})
    assert (name, scale) == ("x", 4.0)
    assert np.allclose(left, a.bfloat16().float())
    assert np.allclose(right, b.bfloat16().float())


# --- Known test parts ---------------------------------------------------------------------------


class Remembering:
    """Losses of a model: low for what it was trained on."""

    def __init__(self, known=()):
        self.known = {mark_of(record) for record in known}

    def losses(self, records, tuned):
        found = []
        for n, record in enumerate(records):
            loss = 3.0 if not tuned else 0.05 if mark_of(record) in self.known else 0.4
            found.append((loss * 20 * (0.7 + 0.1 * (n % 7)), 20))
        return found


def records_of(count, text):
    return [
        {
            "instruction": "Which part failed?",
            "input": f"{text} {n}: the pump of line {n * 7} leaks",
            "output": "pump",
            "task": "qa",
            "document": "maintenance_log",
            "source": "excavator B",
            "group": f"{text}-{n}",
            "form": "name only",
            "facts": "answer=pump | motor",
        }
        for n in range(count)
    ]


@pytest.fixture
def tested(tmp_path):
    root = submission(tmp_path / "ada", 1)
    own = records_of(30, "shift report")
    (root / "data/test.jsonl").write_text("\n".join(map(json.dumps, own)) + "\n")
    return root, own, HiddenRecords({"qa": records_of(30, "an entirely different logbook")})


def kinds(prints):
    return {own.kind for own in suspicions([make_result(0, integrity=prints)])}


def test_training_on_the_test_part_is_found(tested):
    root, own, hidden = tested
    prints = prints_of(case_of(root, models=Remembering(own), hidden=hidden))
    assert prints.test_loss == pytest.approx(0.05, rel=0.1)
    assert prints.new_loss == pytest.approx(0.4, rel=0.1)
    assert kinds(prints) == {"integrity.test_known"}


def test_a_broken_line_does_not_hide_that_the_test_part_was_known(tested):
    root, own, hidden = tested
    with (root / "data/test.jsonl").open("a") as file:
        file.write("{broken\n")
    prints = prints_of(case_of(root, models=Remembering(own), hidden=hidden))
    assert kinds(prints) == {"integrity.test_known"}


def test_an_adapter_that_never_saw_its_test_part_is_not_found(tested):
    root, _, hidden = tested
    prints = prints_of(case_of(root, models=Remembering(), hidden=hidden))
    assert prints.test_loss == pytest.approx(prints.new_loss, rel=0.1)
    assert kinds(prints) == set()


@pytest.mark.parametrize(("seen", "asked"), [(False, [12]), (True, [12, 12])])
def test_all_are_compared_only_where_half_of_them_leave_a_doubt(tested, seen, asked):
    root, own, hidden = tested
    models, counts = Remembering(own if seen else ()), []
    plain = models.losses
    models.losses = lambda records, tuned: counts.append(len(records)) or plain(records, tuned)
    prints_of(case_of(root, models=models, hidden=hidden))
    assert counts == asked


def test_own_data_are_compared_with_nothing(tested):
    """Hidden records are the kit's kind; an honest adapter on other data would look guilty."""
    root, own, hidden = tested
    other = [record | {"source": "our plant"} for record in own]
    (root / "data/test.jsonl").write_text("\n".join(map(json.dumps, other)) + "\n")
    prints = prints_of(case_of(root, models=Remembering(other), hidden=hidden))
    assert prints.test_loss is None


def test_without_hidden_records_nothing_is_compared(tested):
    root, own, _ = tested
    assert prints_of(case_of(root, models=Remembering(own))).test_loss is None


# --- Week 5 -------------------------------------------------------------------------------------


def question(n, text):
    return {
        "instruction": f"{text} {n}?",
        "context": "",
        "answer": f"{n} nm",
        "expected": f"{n} nm",
    }


@pytest.fixture
def lab(tmp_path):
    root = tmp_path / "lab"
    shutil.copytree(kit.ASSIGNMENTS / "week05_parameter_lab" / "starter", root)
    save(root / "adapter", matrices(1))
    asked = [question(n, "Where does kaolinite absorb, band") for n in range(8)]
    rows = [json.dumps(row | {"note": "a\u2028\x85"}, ensure_ascii=False) for row in asked]
    (root / "test_questions.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "training.json").write_text(json.dumps({"system": "Be brief.", "eval_loss": 0.45}))
    written = [
        {key: row[key] for key in ("instruction", "context", "answer")}
        | {"system": "Be brief.", "group": "g", "source": "own"}
        for row in [question(n, "How hard is the mineral numbered") for n in range(30)]
    ]
    (root / "records.jsonl").write_text("\n".join(map(json.dumps, written)) + "\n")
    new = [
        question(n, "What does a completely new question ask about sulfates") | {"group": str(n)}
        for n in range(9)
    ]
    return root, asked, HiddenRecords({"qa": new}, {mark_of(written[0])})


@pytest.mark.parametrize(("seen", "expected"), [(True, {"integrity.test_known"}), (False, set())])
def test_training_on_the_questions_of_week_5_is_found(lab, seen, expected):
    root, asked, hidden = lab
    known = [{k: row[k] for k in ("instruction", "context", "answer")} for row in asked]
    models = Remembering(known if seen else ())
    prints = prints_of(case_of(root, WEEK05, models=models, hidden=hidden))
    assert kinds(prints) - {"integrity.untouched"} == expected


@pytest.mark.parametrize(("questions", "asked"), [(20, 10), (8, 8)])
def test_of_the_questions_half_are_asked_where_the_gap_is_small_beside_its_error(
    lab, questions, asked
):
    """Hidden records vary much: a gap of half of what would be told stays no finding with all."""
    root, _, _ = lab
    rows = [json.dumps(question(n, "Where does kaolinite absorb, band")) for n in range(questions)]
    (root / "test_questions.jsonl").write_text("\n".join(rows) + "\n")
    hidden = [question(n, "Which rock holds sulfates") | {"group": str(n)} for n in range(20)]
    counts = []

    class Wavering(Remembering):
        def losses(self, records, tuned):
            counts.append((len(records), tuned))
            own = super().losses(records, tuned)
            if not tuned:
                return own
            new = [mark_of(record) in marks for record in records]
            return [
                (20 * (4.0 if n % 5 == 0 else 0.0) if far else 20 * 0.3, 20)
                for n, far in enumerate(new)
            ]

    marks = {mark_of(record) for record in HiddenRecords({"qa": hidden}).records("qa", 20)}
    prints = prints_of(
        case_of(root, WEEK05, models=Wavering(), hidden=HiddenRecords({"qa": hidden}))
    )
    assert prints.test_loss < 0.8 * prints.new_loss  # more than doubt, were it not for the error
    assert counts == [(asked, False), (10, False), (asked + 10, True)]
    assert kinds(prints) - {"integrity.untouched"} == set()


def test_records_that_the_kit_handed_out_are_no_copied_text(lab):
    root, _, hidden = lab
    with_hidden = prints_of(case_of(root, WEEK05, hidden=hidden)).text["records.jsonl"]
    bare = prints_of(case_of(root, WEEK05, hidden=HiddenRecords({}))).text["records.jsonl"]
    assert len(with_hidden.marks) < len(bare.marks)
