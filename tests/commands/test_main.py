"""The `course` command as a user meets it: exit codes, messages, files; never a traceback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import typer
from nbformat.v4 import new_code_cell, new_notebook

from course_utils import kit as kit_paths
from course_utils import models, packages, runs
from course_utils.commands import grade
from course_utils.commands import main as cli
from course_utils.commands import run as run_command

ROOT = Path(__file__).parents[2]
PARAMETERS = "run_dir = ''\npreset = ''\nseed = 0\nsize = 1  # of nothing\nlimit = 9"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that was printed, without the line breaks that depend on the width."""
        return " ".join((self.out + self.err).split())


@pytest.fixture
def course(monkeypatch, capsys):
    """Run `course ARGUMENTS` in this process; wide, so that no table cuts a word."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Done(end.value.code or 0, *capsys.readouterr())

    return run


def command(*arguments: str | Path) -> list[str]:
    # -P: the working folder of these tests holds a `course_utils` of its own.
    return [sys.executable, "-P", "-m", "course_utils", *map(str, arguments)]


def environment() -> dict[str, str]:
    paths = [str(ROOT), os.environ["PYTHONPATH"]]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def write_notebook(path: Path, *sources: str, parameters: str = "") -> Path:
    cells = [new_code_cell(source) for source in sources]
    if parameters:
        cells.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def printed(executed: Path) -> str:
    cells = nbformat.read(executed, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


# --- Help -------------------------------------------------------------------------------------


def walk(group: typer.core.TyperGroup, names: tuple[str, ...] = ()):
    """(names, command) of all commands, those of sub-commands too."""
    for name, one in group.commands.items():
        yield from (
            walk(one, (*names, name)) if hasattr(one, "commands") else [((*names, name), one)]
        )


COMMANDS = dict(walk(typer.main.get_command(cli.command_line())))
UNNAMED = grade.GradeGroup.unnamed  # the command that a folder's name alone calls


def test_the_commands_of_the_design_are_there():
    wanted = {("run",), ("doctor",), ("model", "prepare"), ("model", "list"), ("data", "check")}
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_has_an_example_with_options_that_exist(course, names):
    done = course(*names, "--help")
    assert done.code == 0
    examples = done.text.partition("Example")[2].split("course ")[1:]
    assert examples
    known = {option for parameter in COMMANDS[names].params for option in parameter.opts}
    typed = names[:-1] if names[-1] == UNNAMED else names  # `course grade inbox`
    for example in examples:
        assert example.startswith(" ".join(typed))
        assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", example)) <= known


@pytest.mark.parametrize("arguments", [(), ("model",), ("data",)])
def test_without_a_command_the_help_is_shown(course, arguments):
    done = course(*arguments)
    assert "Usage:" in done.text
    assert "Commands" in done.text


# --- Wrong usage and broken input -------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("nonsense", 2, "No such command"),
        ("run --no-such-option", 2, "No such option"),
        ("run --time-limit soon", 2, "Invalid value for '--time-limit'"),
        ("run --preset nan0", 2, "there is no preset 'nan0' Cure: did you mean 'nano'?"),
        ("run --preset nano --track geologie", 2, "track 'geologie' is unknown"),
        ("run --preset nano --seed -1", 2, "seed = -1"),
        ("run --only 99", 2, "--only 99: no notebook begins so Cure: there are: 01_tiny"),
        ("run -p", 2, "requires an argument"),
        ("run -p lora_r", 2, "-p lora_r: a name and a value are needed"),
        ("run --preset nano -p lora_r many", 2, "lora_r = 'many'"),
        ("run --preset nano -p lora_r=0", 2, "lora_r = 0"),
        ("run --preset nano -p lorar 8", 2, "no such setting Cure: did you mean lora_r?"),
        ("run --preset nano -p sise=8", 2, "no such setting Cure: did you mean size?"),
        ("run --preset nano -p qqqqqqqqqq 8", 2, "no such setting Cure: known: asked_records"),
        ("run --preset nano -p lorar 8 -p sise 9", 2, "-p lorar, sise: there is no such setting"),
        ("run --preset nano -p lorar 8 -p sise 9", 2, "lora_r (lorar), size (sise)? known:"),
        (
            "run --preset nano -p size abc",
            2,
            "-p size abc: a whole number is needed, 'abc' is none",
        ),
        ("run --preset nano -p size 1.5", 2, "a whole number is needed, 1.5 is none Cure: for ex"),
        ("run --preset nano -p size true", 2, "a whole number is needed, True is none"),
        ("run --preset nano -p 1x 8", 2, "-p 1x=8: a name and a value"),
        ("run --preset nano -p preset cpu", 2, "use --preset cpu"),
        ("run --preset nano -p track geology", 2, "use --track geology"),
        ("run --preset nano -p run_dir x", 2, "use --out x"),
        ("run --preset nano -p lora_r [1", 2, "parameter value [1: not valid YAML"),
        ("run missing.ipynb", 1, "missing.ipynb: no such file or folder"),
        ("run words.txt", 1, "words.txt: not a notebook"),
        ("run empty", 1, "empty: no notebook (.ipynb) in this folder"),
        ("run notebooks -p sizee 8", 2, "no notebook declares the parameter sizee (did you mean"),
        ("run notebooks --only 99", 2, "--only 99: no notebook begins so"),
        ("run plain --seed 7", 2, "--seed: none of these notebooks has a parameter seed"),
        ("run plain --track geology", 2, "--track: none of these notebooks has a parameter track"),
        ("run notebooks --seed 7 -p seed 8", 2, "--seed and -p seed were both given"),
        ("run notebooks --resume --fresh", 2, "--resume and --fresh were both given"),
        ("run notebooks --cwd nowhere", 2, "--cwd nowhere: there is no such folder"),
        ("run notebooks --out plain --jobs 0", 2, "Invalid value for '--jobs'"),
        ("run --preset nano --jobs 2", 2, "--jobs is for your own notebooks"),
        ("run --preset nano --cwd empty", 2, "--cwd is for your own notebooks"),
        ("run --preset nano --out words.txt", 1, "words.txt"),
        ("model prepare nan0", 1, "nan0 is not a model that this kit can prepare"),
        ("data check", 2, "Missing argument"),
        ("data check missing.jsonl", 1, "missing.jsonl: there is no such file"),
        ("data check empty", 1, "empty: this is a folder"),
        ("data check empty.jsonl", 1, "empty.jsonl: the file is empty"),
        ("data check table.csv", 1, "this is a table (CSV, commas between its columns)"),
        ("data check good.jsonl --schema geologie", 2, "--schema geologie: unknown Cure: choose"),
        ("data check good.jsonl --write good.jsonl", 1, "good.jsonl"),
        ("data check good.jsonl --against missing.jsonl", 1, "missing.jsonl"),
        ("data check good.jsonl --max-length 0", 2, "Invalid value for '--max-length'"),
    ],
)
def test_bad_input_is_told_with_its_exit_code(course, kit, arguments, code, message):
    before = sorted(kit.rglob("*"))
    done = course(*arguments.split())
    assert message in done.text
    assert done.code == code
    assert "Traceback" not in done.text
    assert sorted(kit.rglob("*")) == before


@pytest.fixture
def kit(tmp_path, monkeypatch, prepared) -> Path:
    """A working folder like a clone of the kit, with one tiny notebook and some data files."""
    root = tmp_path / "kit"
    (root / "course_utils").mkdir(parents=True)
    (root / "course_utils" / "__init__.py").touch()
    (root / "empty").mkdir()
    (root / "words.txt").write_text("words", encoding="utf-8")
    write_notebook(root / "notebooks" / "01_tiny.ipynb", TINY, parameters=PARAMETERS)
    write_notebook(root / "plain" / "hw.ipynb", "print(1)")
    write_records(root / "good.jsonl", *GOOD)
    monkeypatch.setattr(kit_paths, "NOTEBOOKS", root / "notebooks")
    (root / "empty.jsonl").touch()
    (root / "table.csv").write_text("input,output\na,b\n", encoding="utf-8")
    monkeypatch.chdir(root)
    return root


TINY = "print('ran with', preset, seed, size)"
GOOD = [
    {"instruction": "Say it shorter.", "input": "the pump is leaking", "output": "pump leaks"},
    {"instruction": "Say it shorter.", "input": "the belt was torn", "output": "belt torn"},
]


def write_records(path: Path, *records: dict) -> Path:
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_errors_go_to_stderr_and_nothing_to_stdout(tmp_path):
    done = subprocess.run(
        command("data", "check", "no.jsonl"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: no.jsonl: there is no such file\nCure: ")


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    process = subprocess.Popen(
        command("model", "list"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()  # as `course model list | head -0`
    assert process.stderr.read() == ""
    process.wait()


def test_outside_the_kit_the_missing_notebooks_are_told(course, tmp_path, monkeypatch):
    monkeypatch.setattr(kit_paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    done = course("run", "--preset", "nano")
    assert done.code == 1
    assert f"{tmp_path}/notebooks: the course's notebooks are not here Cure: install" in done.text


# --- Running notebooks ------------------------------------------------------------------------


def test_parameters_come_as_two_words_or_with_an_equals_sign():
    words = ["run", "-p", "lora_r", "8", "--parameter", "seed=7", "-p", "rate", "-1e-4", "--fresh"]
    joined = cli.join_pairs(words)
    assert joined == [
        *["run", "-p", "lora_r=8", "--parameter", "seed=7", "-p", "rate=-1e-4", "--fresh"]
    ]
    pairs = ["lora_r=8", "rate=-1e-4", "text=a=b", "none=None", "sizes=[1, 2]"]
    assert run_command._parameters(pairs) == {
        **{"lora_r": 8, "rate": -1e-4, "text": "a=b", "none": None, "sizes": [1, 2]}
    }


def test_a_run_is_never_mixed_with_an_older_one(course, kit):
    out = kit / "runs" / "one"
    arguments = ["run", "--preset", "nano", "--out", out, "-p", "size", "5", "-p", "seed=7"]
    first = course(*arguments, "-p", "lora_r", "4")
    assert first.code == 0, first.text
    assert f"Report: {out / 'report.html'}" in first.text
    assert printed(out / "notebooks" / "01_tiny.ipynb") == "ran with nano 7 5\n"
    saved = (out / "settings.json").read_bytes()
    assert (json.loads(saved)["settings"]["lora_r"], json.loads(saved)["seed"]) == (4, 7)

    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refused = course(*arguments)
    assert refused.code == 2
    assert "already holds a run Cure: add --resume" in refused.text
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    resumed = course(*arguments, "-p", "lora_r=4", "--resume")
    assert resumed.code == 0
    assert "skipped" in resumed.text
    assert (out / "settings.json").read_bytes() == saved

    fresh = course(*arguments, "--fresh")
    assert fresh.code == 0
    [aside] = [path for path in out.parent.iterdir() if path != out]
    assert f"the earlier run was moved to {aside}" in fresh.text
    assert (aside / "settings.json").read_bytes() == saved
    assert (out / "settings.json").read_bytes() != saved


def test_resume_alone_goes_on_in_the_default_folder_too(course, kit):
    words = ["run", "--preset", "nano"]
    first = course(*words, "--seed", "7", "-p", "lora_r", "4", "-p", "base_model", "nano")
    assert first.code == 0, first.text
    saved = (kit / "runs" / "manufacturing-nano" / "settings.json").read_bytes()
    for more in (["--resume"], ["--resume", "--track", "manufacturing"]):
        resumed = course(*words, *more)
        assert (resumed.code, "skipped" in resumed.text) == (0, True)
        assert (kit / "runs" / "manufacturing-nano" / "settings.json").read_bytes() == saved
    fresh = course(*words, "--fresh")
    assert "as saved in" not in fresh.text
    again = runs.saved_settings(kit / "runs" / "manufacturing-nano" / "settings.json")
    assert (again.seed, again.lora_r) == (42, 16)


def test_a_batch_runs_all_and_one_failure_fails_it(course, kit):
    write_notebook(kit / "batch" / "a_bad.ipynb", "1 + 1", "raise ValueError('boom')")
    write_notebook(kit / "batch" / "b_good.ipynb", TINY, parameters=PARAMETERS)
    done = course("run", "batch", "--out", "out", "-p", "size", "6")
    assert done.code == 1
    assert re.search(r"a_bad\W+failed\W", done.out)
    assert re.search(r"b_good\W+done\W", done.out)
    assert "a_bad, cell 2 of 2 ValueError: boom" in done.text
    assert "1 of 2 notebooks ran." in done.text
    assert "Traceback" not in done.text
    assert printed(kit / "out" / "b_good.ipynb").endswith(" 6\n")


def test_a_batch_gets_preset_and_seed_and_names_who_does_not(course, kit):
    write_notebook(kit / "batch" / "a.ipynb", TINY, parameters=PARAMETERS)
    write_notebook(kit / "batch" / "b.ipynb", "print('own seed')", parameters="preset = ''")
    done = course("run", "batch", "--out", "out", "--preset", "nano", "--seed", "7", "--jobs", "2")
    assert done.code == 0, done.text
    assert printed(kit / "out" / "a.ipynb") == "ran with nano 7 1\n"
    assert "these have no parameter seed and run without it: b.ipynb" in done.text


def test_a_second_batch_goes_on_or_starts_again_but_never_mixes(course, kit):
    (kit / "out").mkdir()
    (kit / "out" / "results.csv").write_text("my table", encoding="utf-8")
    assert course("run", "plain", "--out", "out").code == 0
    assert (kit / "out" / "results.csv").read_text(encoding="utf-8") == "my table"
    assert (kit / "out" / "results-2.csv").is_file()
    refused = course("run", "plain", "--out", "out")
    assert refused.code == 2
    assert "already holds a run of hw Cure: add --resume" in refused.text
    resumed = course("run", "plain", "--out", "out", "--resume")
    assert (resumed.code, "skipped" in resumed.text) == (0, True)
    kept = course("run", "plain", "--out", "out", "--fresh")
    assert kept.code == 2
    assert "it holds results.csv, which is not of this command" in kept.text
    (kit / "out" / "results.csv").unlink()
    fresh = course("run", "plain", "--out", "out", "--fresh")
    assert fresh.code == 0, fresh.text
    [aside] = kit.glob("out.old-*")
    assert printed(aside / "hw.ipynb") == printed(kit / "out" / "hw.ipynb") == "1\n"


def test_after_ctrl_c_the_command_says_how_to_go_on(kit):
    waits = "from pathlib import Path; import time; Path('started').touch(); time.sleep(600)"
    write_notebook(kit / "waits.ipynb", waits)
    write_notebook(kit / "waits_too.ipynb", waits.replace("started", "started too"))
    write_notebook(kit / "zlast.ipynb", "print(1)")
    process = subprocess.Popen(
        command("run", *sorted(kit.glob("*.ipynb")), "--out", "out", "--jobs", "2"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not ((kit / "started").exists() and (kit / "started too").exists()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the kernel never started"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in err
    assert "the same command and --resume" in err
    assert "Traceback" not in err
    assert "0 of 3 notebooks ran" in " ".join(out.split())
    rows = json.loads((kit / "out" / "results.json").read_text(encoding="utf-8"))["notebooks"]
    assert [row["status"] for row in rows] == ["interrupted", "interrupted", "not_run"]


# --- Models, data, doctor ---------------------------------------------------------------------


def test_model_list_shows_whole_names_in_80_columns(course, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = course("model", "list")
    assert done.code == 0
    first_words = {line.split()[0] for line in done.out.splitlines() if line.strip()}
    assert set(models.registry()) <= first_words
    assert max(len(line.rstrip()) for line in done.out.splitlines()) <= 80
    assert done.out.count("gated") == sum(model.gated for model in models.registry().values())


def test_model_list_as_json_has_all_models(course):
    listed = json.loads(course("model", "list", "--json").out)
    assert [model["name"] for model in listed] == list(models.registry())
    assert {"hub", "billions", "licence", "gated"} <= set(listed[0])


@pytest.mark.parametrize("name", ["nano", "smollm2-135m-instruct"])
def test_a_second_model_prepare_loads_nothing_and_prints_the_path(prepared, name):
    models.prepare_model(name)
    code = (
        "import sys\nfrom course_utils.commands.main import main\n"
        f"sys.argv = ['course', 'model', 'prepare', {name!r}]\n"
        "try:\n    main()\nfinally:\n"
        "    print('loaded:', *{'torch', 'transformers'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    path = packages.cache_folder() / "models" / name
    assert done.stdout == f"{name}: {path}\nloaded:\n", done.stderr


def test_data_check_of_a_good_file_is_quiet_and_zero(course, kit):
    done = course("data", "check", "good.jsonl", "--max-length", "200", "--base-model", "nano")
    assert done.code == 0
    assert "2 records that follow the manufacturing schema, 0 errors, 0 warnings" in done.text


def test_data_check_names_each_broken_line_and_writes_a_corrected_file(course, kit):
    broken = kit / "broken.jsonl"
    lines = ['{"instruction": "cut', json.dumps({**GOOD[0], "output": ""}), *map(json.dumps, GOOD)]
    broken.write_text("\n".join([*lines, json.dumps(GOOD[0])]) + "\n", encoding="utf-8")
    before = broken.read_bytes()
    done = course("data", "check", broken, "--write", "fixed.jsonl")
    assert done.code == 1
    found = [line.strip() for line in done.out.splitlines() if line.startswith("  line ")]
    assert [line.partition(": ")[0] for line in found] == ["line 1", "line 2", "line 5"]
    assert "Corrected file: fixed.jsonl (2 records" in done.text
    assert broken.read_bytes() == before
    assert course("data", "check", "fixed.jsonl").code == 0


def test_data_check_reads_a_windows_file_and_writes_it_as_utf_8(course, kit):
    text = json.dumps({**GOOD[0], "output": "pompe fêlée"}, ensure_ascii=False)
    (kit / "windows.jsonl").write_bytes(text.encode("latin-1") + b"\n")
    done = course("data", "check", "windows.jsonl", "--write", "fixed.jsonl")
    assert done.code == 1
    assert "line 1: error: not UTF-8: byte 0xEA" in done.text
    assert "pompe fêlée" in (kit / "fixed.jsonl").read_text(encoding="utf-8")


def test_data_check_as_json_can_be_read_by_a_script(course, kit):
    write_records(kit / "broken.jsonl", *GOOD, {"instruction": "x", "input": "", "output": 7})
    done = course("data", "check", "broken.jsonl", "--json", "--write", "fixed.jsonl")
    report = json.loads(done.out)
    assert done.code == 1
    assert [(problem["line"], problem["kind"]) for problem in report["problems"]] == [
        (3, "wrong-type")
    ]
    assert "Corrected file" in done.err


def test_data_check_against_another_part_finds_the_leak(course, kit):
    write_records(kit / "test.jsonl", GOOD[0])
    done = course("data", "check", "test.jsonl", "--against", "good.jsonl")
    assert done.code == 1
    assert "good.jsonl" in done.text


def test_doctor_as_json_is_json_alone_and_its_exit_code_says_whether_there_is_a_problem(kit):
    done = subprocess.run(
        command("doctor", "--json"), env=environment(), capture_output=True, text=True, check=False
    )
    findings = json.loads(done.stdout)
    findings = findings if isinstance(findings, list) else findings["findings"]
    assert {"python", "base model", "data"} <= {finding["name"] for finding in findings}
    problems = [finding for finding in findings if finding["state"] == "problem"]
    assert done.returncode == (1 if problems else 0)
    assert all(finding["cure"] for finding in problems)


@pytest.mark.parametrize("preset", ["auto", "nano"])
def test_a_single_notebook_keeps_the_settings_of_its_run(tmp_path, preset):
    folder = tmp_path / "mine"
    runs.open_run(folder, "nano", seed=7, lora_r=4)
    found, begun = run_command._begin_with(folder, keep=True, preset=preset, track=None, seed=None)
    assert (found, begun.preset, begun.seed, begun.lora_r) == (folder, "nano", 7, 4)


def test_a_new_run_without_seed_uses_42(tmp_path):
    _, begun = run_command._begin_with(tmp_path, keep=True, preset="nano", track=None, seed=None)
    assert begun.seed == 42


def test_another_preset_keeps_the_seed_of_the_run(tmp_path):
    runs.open_run(tmp_path, "nano", seed=7)
    _, begun = run_command._begin_with(tmp_path, keep=True, preset="quick", track=None, seed=None)
    assert (begun.preset, begun.seed) == ("quick", 7)
