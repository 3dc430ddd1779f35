"""Part 5: the adapter behind an endpoint, and its latency before and after.

python scripts/serve.py                        # http://127.0.0.1:8000, until Ctrl-C
python scripts/serve.py --uds endpoint.sock    # on a socket file, as it is graded
python scripts/serve.py --measure              # before and after, and the new samples

--measure writes run/endpoint.json and reports/latency.md.
"""

import sys
from pathlib import Path

from course_utils import deployment, hardware, latency, models, ownership, scripts, serving
from course_utils.endpoint import app, launch, server, source


def engine():
    """How the model is served: a `launch.Choice` with form (f16, q8_0, ...), slots and context.

    Slots are answers at a time, context the tokens of the longest. Compare several, keep the best.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def serve(workspace, port, uds):
    """Base and tuned as two model names of one process."""
    found = source.find(workspace.adapter, workspace.config.base_model)
    examples = launch.examples_of(workspace.folder)
    options = app.Options(title=workspace.folder.name, examples=examples)
    listening = server.listen_at(uds) if uds else server.listen("127.0.0.1", port)
    address = server.address_of(listening)
    made = launch.app_for(found, engine(), options)
    server.serve(made, listening, lambda: print(f"ready: {address}", flush=True))


def measure_before(workspace, prompts):
    """A first script: `generate` with the adapter as it is; a list of `latency.Timed`."""
    # YOUR CODE HERE
    raise NotImplementedError()


def measure_after(client, prompts, warm_up):
    """The same prompts at the endpoint: one after the other, then eight at once.

    Returns the requests one by one, and what `latency.at_once` gives.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def ask_samples(client, samples):
    """{"base": answers, "tuned": answers} to the new samples, in their order."""
    # YOUR CODE HERE
    raise NotImplementedError()


def measure(workspace):
    """Before and after with the same prompts, and the new samples; returns the table."""
    samples = deployment.read_samples(workspace.folder)
    prompts = deployment.timed_prompts(workspace)
    before = measure_before(workspace, prompts)
    words = scripts.same_configuration(workspace)
    running = serving.start_program([sys.executable, __file__, "--port", "0", *words])
    try:
        client = running.client()
        after, together = measure_after(client, prompts, deployment.prompt_of(samples[0]))
        answers = ask_samples(client, samples)
        facts = {"engine": running.health()["engine"], "memory in MB": running.memory()}
        facts["seconds to load"] = running.load_seconds
    finally:
        running.stop()
    return deployment.write(workspace, before, after, together, answers, facts)


if __name__ == "__main__":
    with scripts.command_line():
        parser = scripts.arguments(__doc__, Path(__file__).parents[1])
        parser.add_argument("--port", type=int, default=8000, help="0: a free one")
        parser.add_argument("--uds", type=Path, help="a socket file instead of a port")
        parser.add_argument("--measure", action="store_true", help="before and after, then end")
        workspace = scripts.open_workspace(parser, adapter=True)
        hardware.keep_heap()
        if workspace.arguments.measure:
            ownership.check_file(workspace.report("latency.md"))
            print(measure(workspace))
            print(f"Latency: {workspace.report('latency.md')}")
        else:
            serve(workspace, workspace.arguments.port, workspace.arguments.uds)
