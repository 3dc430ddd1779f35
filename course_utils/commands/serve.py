"""`course serve`: a fine-tuned model behind OpenAI's interface, with its base model beside it.

course serve runs/manufacturing-cpu
course serve adapter/ --base smollm2-135m-instruct --port 8000 --api-key-file key.txt
course serve --upstream http://gpu-machine:8000 --upstream-key-file key.txt
course serve adapter/ --uds endpoint.sock    # a socket file instead of a port
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils.errors import CourseError, UsageError

KEY_VARIABLE = "COURSE_API_KEY"
SHORTEST_KEY = 16
# Where options do nothing: in words, whether it is so, which options.
IDLE: dict[str, tuple[Callable[[dict[str, Any]], bool], tuple[str, ...]]] = {
    "with --upstream: the server behind it has its own engine, model and limits": (
        lambda given: given["behind"] is not None,
        ("engine", "form", "merged", "base", "slots", "context", "threads"),
    ),
    "without --upstream: the model is served from its folder, no other server is asked": (
        lambda given: given["behind"] is None,
        ("upstream_key_file",),
    ),
    "with --engine transformers: it serves the model as it was saved, one request at a time, as "
    "long as its context allows, on the cores that are idle (COURSE_THREADS sets their number)": (
        lambda given: given["engine"] == "transformers",
        ("form", "merged", "slots", "context", "threads"),
    ),
    "with --engine vllm: it serves the adapter as it was saved, on a GPU": (
        lambda given: given["engine"] == "vllm",
        ("form", "merged", "threads"),
    ),
    "with --uds: a socket file has neither address nor port": (
        lambda given: given["uds"] is not None,
        ("port", "host"),
    ),
}


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    app.command(
        "serve",
        epilog="Examples:\n\ncourse serve runs/manufacturing-cpu\n\ncourse serve adapter/ "
        "--port 8000 --api-key-file key.txt\n\ncourse serve --upstream http://gpu-machine:8000",
    )(serve)


def serve(
    called: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(help="A run, an adapter, a submission or a merged model."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, llamacpp, transformers (converts nothing, slow) or vllm.")
    ] = "auto",
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine asks for a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: a free one.", min=0, max=65535)] = 0,
    uds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Instead of a port: a socket file, for this user only."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="Key of the clients; `ps` shows it to others, so rather a file."),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help=f"File with the key. Or set {KEY_VARIABLE}.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Web page that may ask, as https://example.org; repeatable."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="Weights of llamacpp: q8_0 (fast) or f16 (exact).")
    ] = "q8_0",
    merged: Annotated[
        bool, typer.Option("--merged", help="Merge the adapter: faster, one model more in memory.")
    ] = False,
    base: Annotated[
        str | None, typer.Option(help="Base model, where the adapter's is of another machine.")
    ] = None,
    slots: Annotated[int, typer.Option(help="Requests answered at a time.", min=1, max=64)] = 8,
    queue: Annotated[int, typer.Option(help="Requests that may wait.", min=0)] = 64,
    context: Annotated[
        int, typer.Option(help="Tokens of prompt and answer of one request.", min=64)
    ] = 2048,
    threads: Annotated[int, typer.Option(help="0: the cores that are idle now.", min=0)] = 0,
    behind: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            metavar="URL",
            help="Address of a running server (vLLM, another endpoint).",
        ),
    ] = None,
    upstream_key_file: Annotated[
        Path | None, typer.Option(help="File with the key of that server.")
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only fetch what the first start would.")
    ] = False,
) -> None:
    """Serve a fine-tuned model and its base model; Ctrl-C ends it."""
    if (folder is not None) + (behind is not None) + prepare != 1:
        raise UsageError("what is to be served?", "give a folder, or --upstream with an address")
    _refuse_idle(called)
    try:
        # Late, since most installations serve nothing and lack the server's packages.
        from course_utils.endpoint import app, conversion, launch, server, source, upstream
    except ImportError as error:
        if str(error.name).startswith("course_utils"):
            raise
        raise CourseError(
            f"{error.name}: not installed", "pip install -r requirements.txt -c constraints.txt"
        ) from None
    if prepare:
        print(f"Converter: {conversion.prepare()}")
        return
    if form not in conversion.FORMATS:
        raise UsageError(f"--format {form}: unknown", f"one of: {', '.join(conversion.FORMATS)}")
    key = _key(api_key, api_key_file)
    if host not in server.LOOPBACK and not key:
        raise UsageError(
            f"--host {host}: other machines could ask without a key",
            f"give --api-key-file (or {KEY_VARIABLE}), or leave --host out",
        )
    options = app.Options(
        key=key,
        origins=_origins(origin or []),
        queue=queue,
        title=(folder.resolve().name if folder else "upstream") or "Fine-tuned model",
        examples=launch.examples_of(folder) if folder else (),
    )
    listening = server.listen_at(uds) if uds else server.listen(host, port)
    if behind:
        key_behind = _read_key(upstream_key_file) if upstream_key_file else ""
        made = launch.app_before(upstream.Remote(behind, key=key_behind), options)
    else:
        choice = launch.Choice(engine, form, merged, slots, context, threads)
        made = launch.app_for(source.find(folder, base), choice, options)
    address = server.address_of(listening)
    server.serve(made, listening, lambda: print(_greeting(address, bool(key)), flush=True))


def _refuse_idle(given: typer.Context) -> None:
    """UsageError for an option on the command line that would do nothing beside the others."""
    options = {
        option.name: option.opts[0]
        for option in given.command.params
        if (source := given.get_parameter_source(option.name)) and source.name == "COMMANDLINE"
    }
    for where, (applies, names) in IDLE.items():
        for name in names:
            if name in options and applies(given.params):
                raise UsageError(
                    f"{options[name]}: does nothing {where}", f"leave {options[name]} out"
                )


def _greeting(address: str, has_key: bool) -> str:
    key = "the key" if has_key else "none needed"
    if address.startswith("unix:"):
        return f"ready: {address}\nCtrl-C ends it."
    return (
        f"ready: {address}\n"
        f"  the page to try it     {address}/\n"
        f"  the interface          {address}/docs\n"
        f'  in Python              OpenAI(base_url="{address}/v1", api_key="{key}")\n'
        "Ctrl-C ends it."
    )


def _key(given: str | None, file: Path | None) -> str:
    """The clients' key from the option, the file or the environment; none is possible."""
    if given and file:
        raise UsageError("--api-key and --api-key-file were both given", "give one of them")
    key = given if given is not None else os.environ.get(KEY_VARIABLE, "")
    key = _read_key(file) if file else key.strip()
    if key and (len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable()):
        raise UsageError(
            f"the key is shorter than {SHORTEST_KEY} characters, or not plain ASCII",
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return key


def _read_key(file: Path) -> str:
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: no key can be read ({error})", "check the path") from None
    if not key:
        raise UsageError(f"{file}: the file is empty", "put the key into it")
    return key


def _origins(given: list[str]) -> tuple[str, ...]:
    """Origins as browsers write them; "*" would open the server to every page of the web."""
    for origin in given:
        scheme, _, host = origin.partition("://")
        if scheme not in ("http", "https") or not host or "/" in host or "*" in host:
            raise UsageError(
                f"--origin {origin}: not an origin",
                "as in --origin https://example.org, without a path; * is not taken",
            )
    return tuple(given)
