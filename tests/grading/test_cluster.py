"""A class judged by a cluster: the same results, dead workers replaced, nobody's marks moved."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from course_utils import kit
from course_utils.errors import CourseError, UsageError
from course_utils.grading import cluster as cluster_module
from course_utils.grading import publishing, remote
from course_utils.grading.batch import grade_class
from course_utils.grading.cache import BatchStopped
from course_utils.grading.cluster import is_loopback, open_cluster
from course_utils.grading.inbox import find_submissions
from course_utils.grading.single import grade_one
from course_utils.grading.workshop import Plan, Workshop

CURE = "pip install -r requirements-cluster.txt -c constraints.txt"


@pytest.fixture
def dask(monkeypatch, tmp_path):
    """Dask with its scratch files in the test's folder, and quick checks in its workers."""
    found = pytest.importorskip("dask", reason=f"dask is not installed: {CURE}")
    pytest.importorskip("distributed", reason=f"distributed is not installed: {CURE}")
    settings = {"temporary-directory": str(tmp_path), "distributed.worker.preload": "quick_worker"}
    with found.config.set(settings):
        yield found


@pytest.fixture
def inbox(tmp_path):
    for name in ("ada", "bob", "cyd"):
        submission(tmp_path / "inbox" / name, name)
    return tmp_path / "inbox"


def submission(folder, text, *marks):
    folder.mkdir(parents=True)
    for name, content in {"README.md": text, **dict.fromkeys(marks, "")}.items():
        (folder / name).write_text(content)


def plan(grades):
    return Plan(grades, "week05", publishing.rubric_of("week05", None), "none", warm=False)


SCREEN = SimpleNamespace(is_terminal=False, print=lambda *_, **__: None)


def points(outcome):
    return {r.submission: [item.points for item in r.items] for r in outcome.results}


# --- The whole batch ----------------------------------------------------------------------------


def test_two_workers_one_of_them_killed_twice_give_the_marks_of_one_process(
    quick,
    inbox,
    tmp_path,
    dask,
):
    alone = points(grade_class(inbox, plan(tmp_path / "alone"), SCREEN))
    submission(inbox / "poison", "p", "dies")
    submission(inbox / "unlucky", "u", "dies_once")
    with open_cluster("local:2") as cluster:
        assert cluster.slots == 2
        outcome = grade_class(inbox, plan(tmp_path / "grades"), SCREEN, cluster=cluster)
    found = {result.submission: result for result in outcome.results}
    assert {name: points(outcome)[name] for name in alone} == alone
    assert found["poison"].status == "failed"
    assert "its worker of the cluster died 2 times" in found["poison"].verdict
    log = (tmp_path / "grades" / "poison" / "log.txt").read_text(encoding="utf-8")
    assert log.count(f"a worker died: {socket.gethostname()}") == 2  # not in the student's verdict
    assert socket.gethostname() not in found["poison"].verdict.split()
    assert all(item.points is None for item in found["poison"].items)  # no verdict, and no zero
    assert found["unlucky"].verdict == "graded"
    assert not (tmp_path / "grades" / ".work").exists()


def test_a_submission_that_can_not_be_opened_stays_with_the_batch(
    quick,
    tmp_path,
    dask,
):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "essay.docx").write_text("no folder")
    with open_cluster("local:1") as cluster:
        [result] = grade_class(
            tmp_path / "inbox", plan(tmp_path / "grades"), SCREEN, cluster=cluster
        ).results
    assert result.status == "rejected"


# --- The executor -------------------------------------------------------------------------------


def test_it_calls_a_function_by_its_name_in_another_process(dask):
    with open_cluster("local:1") as cluster:
        assert cluster.submit(os.getpid, {}).future.key != cluster.submit(len, {}).future.key
        assert cluster.submit(len, {"a": 1}).result() == 1
        with pytest.raises(TypeError):
            cluster.submit(len, None).result()


def test_a_cluster_without_workers_stops_the_batch_with_its_cure(dask, monkeypatch):
    monkeypatch.setattr(cluster_module, "GONE", 0.1)
    with open_cluster("local:1") as cluster:
        answer = cluster.submit(time.sleep, 60)
        cluster.client.cluster.scale(0)
        with pytest.raises(BatchStopped, match="no worker") as stopped:
            answer.result()
    assert "--resume" in stopped.value.cure


def needs_jobqueue():
    if not find_spec("dask_jobqueue"):
        pytest.skip(f"dask-jobqueue is not installed: {CURE}")
    # Its defaults, once and for all: those that are read within a test's settings go with them.
    cluster_module._class("SLURMCluster")


def test_jobs_of_a_batch_system_judge_over_tls(quick, dask, inbox, tmp_path, monkeypatch):
    """dask-jobqueue's own stand-in runs each job as a process: the path of slurm:N, with TLS."""
    needs_jobqueue()
    alone = points(grade_class(inbox, plan(tmp_path / "alone"), SCREEN))
    paths = [str(kit.ROOT / "tests"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))  # for quick_worker
    asked = {"cores": 1, "processes": 1, "memory": "1GB", "interface": "lo"}
    asked["shared-temp-directory"] = str(tmp_path)
    asked |= {"worker-extra-args": ["--preload", "quick_worker"], "death-timeout": 600}
    settings = {f"jobqueue.local.{name}": value for name, value in asked.items()}
    with dask.config.set(settings), open_cluster("jobs:1") as cluster:
        assert cluster.client.scheduler.address.startswith("tls://127.0.0.1")
        ask = cluster.client.submit
        there = {n: ask(dask.config.get, n).result(60) for n in cluster_module.SETTINGS}
        assert there == cluster_module.SETTINGS
        assert points(grade_class(inbox, plan(tmp_path / "jobs"), SCREEN, cluster=cluster)) == alone


def page_configuration(**changes):
    """The jobqueue.yaml that docs/cluster.md shows, with what only a test can't have changed."""
    text = (kit.ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", text, re.S) if "jobqueue:" in b)
    given = yaml.safe_load(block.replace("# job-extra", "job-extra"))
    given["jobqueue"]["slurm"] |= changes
    # Key by key, as Dask lays a file over dask-jobqueue's defaults.
    return {f"jobqueue.slurm.{name}": value for name, value in given["jobqueue"]["slurm"].items()}


def test_the_configuration_of_the_page_gives_a_job_script_for_slurm(dask, tmp_path):
    """Rendered as `course grade --cluster slurm:8` would hand it to sbatch; no SLURM is here."""
    needs_jobqueue()
    folders = {f"{what}-directory": str(tmp_path) for what in ("shared-temp", "log")}
    given = page_configuration(interface="lo", **folders)
    with dask.config.set(given), cluster_module.job_cluster("slurm") as cluster:
        script = cluster.job_script()
    told = [line.removeprefix("#SBATCH ") for line in script.splitlines() if "#SBATCH" in line]
    wanted = {
        f"-e {tmp_path}/dask-worker-%J.err",
        "-p cpu",
        "-n 1",
        "--cpus-per-task=4",
        "--mem=8G",
        "-t 01:00:00",
        "--gres=gpu:1",
    }
    assert wanted <= set(told)
    (tmp_path / "job.sh").write_text(script)
    assert script.startswith("#!")
    assert not subprocess.run(["bash", "-n", str(tmp_path / "job.sh")]).returncode
    [command] = [shlex.split(line) for line in script.splitlines() if "dask_worker" in line]
    assert sys.executable in command
    assert next(word for word in command if word.startswith("tls://"))
    assert command[command.index("--nthreads") + 1] == "1"
    assert command[command.index("--death-timeout") + 1] == "600"
    assert "DASK_DISTRIBUTED__WORKER__DAEMON=False" in command
    key = Path(command[command.index("--tls-key") + 1])
    assert key.parent == tmp_path, "the keys of the batch lie where the page says"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cores": None}, "how much cores"),
        ({"memory": None}, "how much cores and memory"),
        ({"shared-temp-directory": "/no/such/folder"}, "/no/such/folder"),
        ({"interface": "no_such_net0"}, "no_such_net0"),
    ],
    ids=["cores", "memory", "folder of the keys", "network"],
)
def test_a_configuration_that_can_not_work_is_a_message_with_the_file(
    dask, tmp_path, changes, said
):
    needs_jobqueue()
    folders = {f"{what}-directory": str(tmp_path) for what in ("shared-temp", "log")}
    whole = {"interface": "lo"} | folders | changes
    with (
        dask.config.set(page_configuration(**whole)),
        pytest.raises(CourseError, match="slurm: ") as error,
    ):
        cluster_module.job_cluster("slurm")
    assert said in error.value.message
    assert "jobqueue.yaml" in error.value.cure


def test_ctrl_c_stays_what_it_was_when_batch_systems_are_loaded(dask, monkeypatch):
    needs_jobqueue()
    for name in [name for name in sys.modules if name.startswith("dask_jobqueue")]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    cluster_module._class("SLURMCluster")
    assert signal.getsignal(signal.SIGINT) is before


# --- Addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["local", "local:0", "local:x", "slurm", "ftp://x:1", "8786"])
def test_an_address_that_is_none_names_those_there_are(address):
    with (
        pytest.raises(UsageError, match="how many|no such kind") as error,
        open_cluster(address),
    ):
        pass
    assert "slurm:N" in error.value.cure


@pytest.mark.parametrize("host", ["10.0.0.5", "0.0.0.0", "example.org", "localhost.evil.org"])
def test_a_scheduler_that_anybody_reaches_is_refused_without_tls(host):
    assert not is_loopback(f"tcp://{host}:8786")
    with (
        pytest.raises(UsageError, match="can run programs as you"),
        open_cluster(f"tcp://{host}:1"),
    ):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_this_machine_is_loopback(host):
    assert is_loopback(f"tcp://{host}:8786")


def test_a_scheduler_that_is_not_there_is_a_message(dask, monkeypatch):
    from distributed import Client

    def shorter(address, timeout, **options):
        return Client(address, timeout=0.5, **options)

    monkeypatch.setattr("distributed.Client", shorter)
    with pytest.raises(CourseError, match="tcp://127.0.0.1:9"), open_cluster("tcp://127.0.0.1:9"):
        pass


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CourseError, match="not installed") as error, open_cluster("local:1"):
        pass
    assert "requirements-cluster.txt" in error.value.cure


# --- What travels, without a cluster ------------------------------------------------------------


@pytest.fixture
def shop(quick, tmp_path):
    (tmp_path / "grades").mkdir()
    with Workshop(plan(tmp_path / "grades")) as opened:
        yield opened


def test_a_worker_answers_in_json_what_the_batch_would_have_found(shop, inbox, monkeypatch):
    monkeypatch.setattr(remote, "_open", {})
    ada = find_submissions(inbox)[0]
    here = grade_one(ada, shop).result
    request = remote.request_of(ada, shop, shop.work / "starts" / "ada")
    answer = json.loads(json.dumps(remote.judge_one(json.loads(json.dumps(request)))))
    there = remote.graded_from(answer, ada, shop).result
    assert there.model_copy(update={"seconds": here.seconds}) == here
    for own in remote._open.values():
        own.__exit__(None, None, None)


def test_the_third_start_of_a_submission_is_refused_and_tells_who_had_it(tmp_path):
    assert remote.note_start(tmp_path / "a") == []
    assert remote.note_start(tmp_path / "a") == []
    assert remote.note_start(tmp_path / "b") == []  # a neighbour keeps its tries
    told = remote.note_start(tmp_path / "a")
    assert len(told) == 2
    assert f"process {os.getpid()}" in told[0]


def test_another_kit_on_a_worker_stops_the_batch(shop, inbox):
    ada = find_submissions(inbox)[0]
    request = remote.request_of(ada, shop, shop.work / "starts") | {"kit": "older"}
    with pytest.raises(BatchStopped, match="the kit there is another one"):
        remote.graded_from(remote.judge_one(request), ada, shop)


def test_a_worker_reads_the_hidden_records_of_the_batch_and_not_of_the_one_before(
    shop, inbox, monkeypatch
):
    monkeypatch.setattr(remote, "_open", {})
    ada = find_submissions(inbox)[0]
    hidden = shop.plan.grades / "hidden.jsonl"
    for text in ("first", "second"):
        hidden.write_text(text)
        with Workshop(shop.plan) as batch:
            request = remote.request_of(ada, batch, batch.work / "starts" / text)
            assert "result" in remote.judge_one(request)
        assert len(remote._open) == 1  # what was open for the same grades is closed
    [own] = remote._open.values()
    own.__exit__(None, None, None)


def test_a_worker_that_would_judge_otherwise_than_the_batch_stops_it(shop, inbox, monkeypatch):
    monkeypatch.setattr(remote, "_open", {})
    ada = find_submissions(inbox)[0]
    request = remote.request_of(ada, shop, shop.work / "starts") | {"setting": "other thresholds"}
    with pytest.raises(BatchStopped, match="other thresholds") as error:
        remote.graded_from(remote.judge_one(request), ada, shop)
    assert "start them anew" in error.value.cure
    assert not remote._open


def test_a_worker_whose_own_error_is_a_timeout_is_not_waited_for(dask):
    """ETIMEDOUT of a network drive is of the class that says "not yet"."""

    def result(timeout):
        raise TimeoutError

    future = SimpleNamespace(result=result, status="error", exception=TimeoutError)
    cluster = SimpleNamespace(lost=lambda what: BatchStopped(f"it {what}", ""), check_workers=fail)
    with pytest.raises(BatchStopped, match="ended with an error"):
        cluster_module.Answer(cluster, future).result()


def fail():
    pytest.fail("asked again")
