"""`course export`: a fine-tuned model in another format, checked, with a model card.

course export runs/manufacturing-cpu --merged
course export runs/manufacturing-cpu --gguf q8_0
course export runs/manufacturing-cpu --onnx
"""

from pathlib import Path
from typing import Annotated

import typer

from course_utils.errors import CourseError, UsageError

FORMATS = ("f16", "q8_0")


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    app.command(
        "export",
        epilog="Examples:\n\ncourse export runs/manufacturing-cpu --merged\n\n"
        "course export runs/manufacturing-cpu --gguf q8_0 --out models/orders\n\n"
        "course export runs/manufacturing-cpu --onnx",
    )(export)


def export(
    folder: Annotated[Path, typer.Argument(help="A run, an adapter or a submission.")],
    merged: Annotated[
        bool, typer.Option("--merged", help="One model of safetensors, for Transformers and vLLM.")
    ] = False,
    gguf: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="One GGUF file for llama.cpp: f16 or q8_0."),
    ] = None,
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="ONNX in fp32, for ONNX Runtime (requirements-onnx.txt)."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write. Default: export/FORMAT in the folder.", metavar="OUT"),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Base model, where the adapter's is of another machine.")
    ] = None,
) -> None:
    """Write a fine-tuned model in another format; its answers are compared with its source's."""
    if merged + onnx + (gguf is not None) != 1:
        raise UsageError(
            "one format is to be named", "give --merged, --onnx, or --gguf with f16 or q8_0"
        )
    if gguf is not None and gguf not in FORMATS:
        raise UsageError(f"--gguf {gguf}: unknown", f"one of: {', '.join(FORMATS)}")
    try:
        # Late, since most installations lack the server's packages.
        from course_utils.endpoint import export as exporting
    except ImportError as error:
        raise CourseError(
            f"{error.name}: not installed", "pip install -r requirements-serve.txt"
        ) from None
    source = exporting.find(folder, base)
    place = out or folder / "export" / (gguf or ("onnx" if onnx else "merged"))
    if gguf is not None:
        made, agreement = exporting.gguf(source, gguf, place)
    else:
        made, agreement = (exporting.onnx if onnx else exporting.merged)(source, place)
    print(f"agreement: {agreement.told()}")
    print(f"Export: {made}")
