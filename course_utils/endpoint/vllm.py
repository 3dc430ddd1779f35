"""vLLM as a process of its own, for a GPU: base and tuned as it names them.

The adapter is served as PEFT saved it. Not tested on this kit's machines, which have no GPU; what
is tested is the way to it, against another server of the same protocol (upstream.py).
"""

import asyncio
import os
import secrets
import subprocess
import sys
from pathlib import Path

from course_utils.endpoint.source import Source
from course_utils.endpoint.upstream import Remote
from course_utils.errors import CourseError
from course_utils.files import read_json
from course_utils.serving import free_port

START_SECONDS = 600  # it compiles before it answers


class Vllm(Remote):
    """Started, waited for, and stopped with us."""

    name = "vllm"

    def __init__(self, source: Source, context: int, slots: int) -> None:
        port = free_port()
        names = {name: name for name in source.names}
        super().__init__(f"http://127.0.0.1:{port}", names, secrets.token_urlsafe(24))
        self.slots = slots
        self.command = command(source, port, context, slots)
        self._process: subprocess.Popen | None = None

    async def start(self) -> None:
        import httpx

        environment = {**os.environ, "VLLM_API_KEY": self.key, "VLLM_NO_USAGE_STATS": "1"}
        self._process = subprocess.Popen(self.command, env=environment)
        await super().start()
        for _ in range(START_SECONDS):
            if self._process.poll() is not None:
                raise CourseError(
                    f"vllm ended with code {self._process.returncode}; its messages stand above",
                    "with little GPU memory lower --context, or use --engine llamacpp",
                )
            try:
                if (await self._ready().get("/health")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(1)
        raise CourseError(f"vllm was not ready after {START_SECONDS} s", "see its messages above")

    async def close(self) -> None:
        await super().close()
        if self._process is not None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, 20)
            except subprocess.TimeoutExpired:
                self._process.kill()


def command(source: Source, port: int, context: int, slots: int) -> list[str]:
    """`vllm serve` for a source; a GPU older than the A100 knows no bfloat16, so half is named."""
    first = "base" if source.adapter else "tuned"
    words = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(source.base)]
    words += ["--served-model-name", first, "--host", "127.0.0.1", "--port", str(port)]
    words += ["--dtype", "half", "--max-model-len", str(context), "--max-num-seqs", str(slots)]
    if source.adapter is not None:
        words += ["--enable-lora", "--lora-modules", f"tuned={source.adapter}"]
        words += ["--max-lora-rank", str(_rank(source.adapter))]
    return words


def _rank(adapter: Path) -> int:
    """The smallest of vLLM's ranks that holds this adapter's, those of single modules included."""
    config = read_json(adapter / "adapter_config.json")
    rank = max(int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values()), 1)
    return next((known for known in (8, 16, 32, 64, 128, 256, 320, 512) if known >= rank), rank)
