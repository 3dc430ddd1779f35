"""Every keyword that notebooks, scripts and the package pass to a library is one that it takes.

TRL, transformers and peft rename arguments from one release to the next. Some of their classes
swallow an unknown keyword without a word, so here each call is compared with the signature of the
installed object: once for the libraries, and likewise for what notebooks call in course_utils.
"""

import ast
import importlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    *["transformers", "trl", "peft", "datasets", "evaluate", "bitsandbytes", "papermill"],
    *["accelerate", "course_utils"],
}
SCRIPTS = ["course_utils/**/*.py", "benchmarks/**/*.py", "assignments/**/*.py"]
NOTEBOOKS = ["notebooks/*.ipynb", "assignments/**/*.ipynb"]

# Documented to hand unknown keywords on; what they take is not in their signature.
OPEN = {"from_pretrained", "execute_notebook", "load_dataset"}

# What the course surely calls; a test that no longer finds these calls tests nothing.
CLASSES = ["BitsAndBytesConfig", "EarlyStoppingCallback", "GenerationConfig", "from_pretrained"]


# --- Reading files ----------------------------------------------------------------------------


@dataclass
class Source:
    """A syntax tree, and how to say where one of its lines stands."""

    tree: ast.Module
    place: Callable[[int], str]


def read_script(path: Path) -> Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return Source(tree, lambda line: f"{path.name}:{line}")


def read_notebook(path: Path) -> Source:
    """All code cells as one program, in order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    places = [
        f"{path.name}, code cell {number}, line {line}"
        for number, source in enumerate(sources, start=1)
        for line, _ in enumerate(source.splitlines(), start=1)
    ]
    lines = [line for source in sources for line in source.splitlines()]
    return Source(ast.parse("\n".join(lines)), lambda line: places[line - 1])


def all_sources() -> Iterator[Source]:
    for patterns, read in [(SCRIPTS, read_script), (NOTEBOOKS, read_notebook)]:
        yield from (read(path) for pattern in patterns for path in sorted(ROOT.glob(pattern)))


# --- What a callable takes --------------------------------------------------------------------


@cache
def accepted_keywords(target: Any) -> frozenset[str] | None:
    """The keywords that a class or function names; None when it hands any on.

    BitsAndBytesConfig and others have **kwargs too, but silently drop what they don't know.
    """
    from transformers import GenerationConfig

    from course_utils.runs import open_run
    from course_utils.settings import Settings

    if target is GenerationConfig:  # takes **kwargs; a field that it does not have is ignored
        return frozenset(vars(GenerationConfig()))
    parameters = inspect.signature(target).parameters.values()
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if target in (open_run, Settings.with_changes):  # their **changes are settings
        named |= set(Settings.model_fields)
    elif any(p.kind is p.VAR_KEYWORD for p in parameters) and (
        target.__name__ in OPEN or target.__module__.startswith("course_utils.")
    ):
        return None
    return frozenset(named)


@cache
def expansion_keys(helper: Any) -> frozenset[str] | None:
    """The keys of what a helper of `compat` returns, as in SFTConfig(**helper(...))."""
    from course_utils import compat

    samples: dict[Any, list] = {
        compat.warmup_arguments: [0.03],
        compat.precision_arguments: ["bf16"],
        compat.plain_weights_arguments: [],
    }
    return frozenset(helper(*samples[helper])) if helper in samples else None


# --- Walking a file ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Instance:
    """What a name holds after `name = Class(...)`."""

    of: type


class Checker(ast.NodeVisitor):
    """Follows imported names through one file and compares calls with signatures.

    A scope maps names to modules, classes, functions, an Instance, the keys of a dictionary
    (frozenset), or None: something that is not known.
    """

    def __init__(self, place: Callable[[int], str]) -> None:
        self.place = place
        self.scopes: list[dict[str, Any]] = [{}]
        self.problems: dict[str, None] = {}  # ordered, each once
        self.checked: Counter[str] = Counter()

    def problem(self, node: ast.AST, text: str) -> None:
        self.problems[f"{self.place(node.lineno)}: {text}"] = None

    # Names

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            module = self.load(node, alias.name) if top in LIBRARIES else None
            bound = module if alias.asname or module is None else importlib.import_module(top)
            self.scopes[-1][alias.asname or top] = bound

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        known = not node.level and str(node.module).partition(".")[0] in LIBRARIES
        module = self.load(node, node.module) if known else None
        for alias in node.names:
            found = self.member(node, module, alias.name) if module else None
            self.scopes[-1][alias.asname or alias.name] = found

    def load(self, node: ast.AST, name: str) -> ModuleType | None:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            self.problem(node, f"there is no module {name}")
            return None

    def member(self, node: ast.AST, owner: Any, name: str) -> Any:
        """owner.name; a submodule counts. One that is missing is a problem, and None."""
        if not hasattr(owner, name) and isinstance(owner, ModuleType):
            try:
                importlib.import_module(f"{owner.__name__}.{name}")
            except ModuleNotFoundError:
                self.problem(node, f"{owner.__name__} has no {name}")
        return getattr(owner, name, None)

    def resolve(self, node: ast.expr) -> Any:
        """The object that an expression names, or None."""
        if isinstance(node, ast.Name):
            return next((s[node.id] for s in reversed(self.scopes) if node.id in s), None)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if isinstance(owner, ModuleType):
                ours = owner.__name__.partition(".")[0] in LIBRARIES
                return self.member(node, owner, node.attr) if ours else None
            owner = owner.of if isinstance(owner, Instance) else owner
            return getattr(owner, node.attr, None) if isinstance(owner, type) else None
        return None

    # Scopes and bindings

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.scopes[-1][node.name] = None
        for outside in [*node.decorator_list, node.args]:
            self.visit(outside)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += filter(None, [node.args.vararg, node.args.kwarg])
        self.inside(node, {argument.arg: None for argument in arguments})

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scopes[-1][node.name] = None
        for outside in [*node.decorator_list, *node.bases]:
            self.visit(outside)
        self.inside(node, {})

    def inside(self, node: ast.FunctionDef | ast.ClassDef, scope: dict[str, Any]) -> None:
        self.scopes.append(scope)
        for statement in node.body:
            self.visit(statement)
        self.scopes.pop()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.scopes[-1][node.id] = None

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value = self.value_of(node.value)
        for target in node.targets:
            self.visit(target)
            if isinstance(target, ast.Name):
                self.scopes[-1][target.id] = value

    def value_of(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Call) and isinstance(made := self.resolve(node.func), type):
            return Instance(made)
        return self.keys_of(node) if isinstance(node, ast.Dict) else None

    def keys_of(self, node: ast.expr) -> frozenset[str] | None:
        """The keys of an expression behind **, when they can be read from the file."""
        if isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            return frozenset(keys) if len(keys) == len(node.keys) else None
        if isinstance(node, ast.Call):
            helper = self.resolve(node.func)
            return expansion_keys(helper) if inspect.isfunction(helper) else None
        keys = self.resolve(node)
        return keys if isinstance(keys, frozenset) else None

    # Calls

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.resolve(node)  # a name that a module does not have is a problem even without a call
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        target = self.resolve(node.func)
        if inspect.isclass(target) or inspect.isroutine(target):
            self.compare(node, target)
        self.generic_visit(node)

    def compare(self, node: ast.Call, target: Any) -> None:
        try:
            signature = inspect.signature(target)
        except ValueError:  # some functions written in C have none
            return
        name = target.__name__
        self.checked[f"{target.__module__.partition('.')[0]}.{name}"] += 1
        keywords = [word.arg for word in node.keywords if word.arg]
        expanded = [self.keys_of(word.value) for word in node.keywords if word.arg is None]
        keywords += [key for keys in expanded if keys for key in sorted(keys)]
        accepted = accepted_keywords(target)
        unknown = [word for word in keywords if accepted is not None and word not in accepted]
        for word in unknown:
            self.problem(node, f"{name} takes no {word!r}")
        if unknown or any(isinstance(argument, ast.Starred) for argument in node.args):
            return
        bind = signature.bind_partial if None in expanded else signature.bind
        try:
            bind(*self.positional(node, target), **dict.fromkeys(keywords))
        except TypeError as error:
            self.problem(node, f"{name}: {error}")

    def positional(self, node: ast.Call, target: Any) -> list[None]:
        """One placeholder an argument, and one for `self` where the call goes through a name."""
        owner = self.resolve(node.func.value) if isinstance(node.func, ast.Attribute) else None
        method = isinstance(owner, Instance) and inspect.isfunction(target)
        return [None] * (len(node.args) + method)


def check(source: Source) -> Checker:
    checker = Checker(source.place)
    checker.visit(source.tree)
    return checker


# --- All files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything() -> list[Checker]:
    return [check(source) for source in all_sources()]


def test_all_calls_fit_the_installed_libraries(everything):
    assert [problem for checker in everything for problem in checker.problems] == []


def test_enough_calls_were_compared(everything):
    checked = sum((checker.checked for checker in everything), Counter())
    wanted = {"peft.LoraConfig", "trl.SFTConfig", "trl.SFTTrainer", "course_utils.open_run"}
    wanted |= {f"transformers.{name}" for name in CLASSES}
    assert wanted - set(checked) == set()
    ours = sum(n for name, n in checked.items() if name.startswith("course_utils."))
    assert ours >= 150
    assert sum(checked.values()) - ours >= 30


def test_what_compat_returns_is_taken_by_sft_config(tmp_path):
    from trl import SFTConfig

    from course_utils import compat

    arguments = {**compat.warmup_arguments(0.25), **compat.precision_arguments("fp32")}
    config = SFTConfig(output_dir=str(tmp_path), use_cpu=True, **arguments)
    assert config.get_warmup_steps(100) == 25
    assert not config.bf16
    assert not config.fp16


def test_a_gguf_file_becomes_plain_weights_with_and_without_ggufconfig(monkeypatch):
    """transformers 5.15, which Colab has, has no GgufConfig, and needs no keyword."""
    import transformers

    from course_utils import compat

    assert compat.plain_weights_arguments()["quantization_config"].dequantize
    monkeypatch.setattr(transformers, "GgufConfig", None)  # delattr: a lazy module finds it again
    assert compat.plain_weights_arguments() == {}


# --- The checker, checked on planted faults ---------------------------------------------------

GOOD = """
import transformers
from peft import LoraConfig
from transformers import AutoModelForCausalLM as Auto, BitsAndBytesConfig, GenerationConfig
from trl import SFTConfig, SFTTrainer
from course_utils import compat
from course_utils.runs import open_run

more = {"seed": 1, "max_length": 64}
config = SFTConfig("out", **more, **compat.warmup_arguments(0.1), **unknown)
adapter = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj"])
quantized = BitsAndBytesConfig(load_in_4bit=True)
greedy = GenerationConfig(do_sample=False, max_new_tokens=8)
model = Auto.from_pretrained("x", dtype="auto", anything_is_handed_on=1)
trainer = SFTTrainer(model, config, peft_config=adapter, processing_class=None)
trainer.train(resume_from_checkpoint="x")
transformers.set_seed(1)
run = open_run("runs/x", "nano", lora_r=4)

def elsewhere(SFTConfig, LoraConfig):
    LoraConfig(rank=1)
    return SFTConfig(no_such_keyword=1)
"""
FAULTS = [
    ('SFTConfig("x", warmup_ratio=0.1)', "SFTConfig takes no 'warmup_ratio'"),
    ('SFTConfig("x", evaluation_strategy="no")', "SFTConfig takes no 'evaluation_strategy'"),
    ('SFTConfig("x", max_seq_length=8)', "SFTConfig takes no 'max_seq_length'"),
    ("SFTTrainer(model, tokenizer=1)", "SFTTrainer takes no 'tokenizer'"),
    ("SFTTrainer(model, max_seq_length=9)", "SFTTrainer takes no 'max_seq_length'"),
    ("SFTTrainer()", "SFTTrainer: missing a required argument: 'model'"),
    ("trainer.train(resume=True)", "train takes no 'resume'"),
    ("from trl import setup_chat_format", "trl has no setup_chat_format"),
    ("from trl.no_such_module import x", "there is no module trl.no_such_module"),
    ("import peft.gone as gone", "there is no module peft.gone"),
    ("print(transformers.AdamW)", "transformers has no AdamW"),
    ("LoraConfig(rank=8)", "LoraConfig takes no 'rank'"),
    ("LoraConfig(**{'alpha': 8})", "LoraConfig takes no 'alpha'"),
    ("BitsAndBytesConfig(load_4bit=True)", "BitsAndBytesConfig takes no 'load_4bit'"),
    ("GenerationConfig(greedy=True)", "GenerationConfig takes no 'greedy'"),
    ("more = {'epochs': 1}\nSFTConfig('x', **more)", "SFTConfig takes no 'epochs'"),
    ("LoraConfig(**compat.warmup_arguments(0.1))", "LoraConfig takes no 'warmup_"),
    ("def f(x):\n    return LoraConfig(lora_rank=x)", "LoraConfig takes no 'lora_rank'"),
    ("compat.precision_arguments()", "precision_arguments: missing a required argument"),
    ("compat.precision_arguments('a', 'b')", "precision_arguments: too many positional"),
    ("open_run('x', lora_rank=4)", "open_run takes no 'lora_rank'"),
    ("compat.gone()", "course_utils.compat has no gone"),
]


def write_notebook(path: Path, *cells: str) -> Path:
    content = [{"cell_type": "code", "source": cell} for cell in ("1 + 1", *cells)]
    path.write_text(json.dumps({"cells": content}), encoding="utf-8")
    return path


def test_good_calls_are_compared_and_give_no_problem(tmp_path):
    path = tmp_path / "good.py"
    path.write_text(GOOD, encoding="utf-8")
    checker = check(read_script(path))
    assert list(checker.problems) == []
    assert checker.checked == Counter(
        [
            *["trl.SFTConfig", "trl.SFTTrainer", "peft.LoraConfig"],
            *["transformers.BitsAndBytesConfig", "transformers.GenerationConfig"],
            *["transformers.from_pretrained", "transformers.train", "transformers.set_seed"],
            *["course_utils.open_run", "course_utils.warmup_arguments"],
        ]
    )


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_a_planted_fault_is_named_with_file_and_line(tmp_path, fault, expected):
    script = tmp_path / "script.py"
    script.write_text(f"{GOOD}\n{fault}\n", encoding="utf-8")
    line = len(GOOD.splitlines()) + 2 + fault.count("\n")
    [problem] = check(read_script(script)).problems
    assert problem.startswith(f"script.py:{line}: {expected}")
    notebook = write_notebook(tmp_path / "book.ipynb", GOOD.strip(), fault)
    [problem] = check(read_notebook(notebook)).problems
    where = f"book.ipynb, code cell 3, line {1 + fault.count(chr(10))}"
    assert problem.startswith(f"{where}: {expected}")
