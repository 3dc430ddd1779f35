"""The client between papermill and the kernel: it waits, and it bounds what it keeps.

papermill and nbclient are imported inside `engine_class`: they cost two seconds.
"""

import queue
from typing import Any

from course_utils.execution.output import (
    MOST_OUTPUTS,
    RICH_TOTAL,
    Stream,
    left_out,
    shorten_message,
)

LOGGED = 1_000_000  # characters of a cell's output that go into the log, progress bars apart
WIDGET_OUTPUT = 50_000  # characters in an output widget: each print sends all of them again
WIDGET_NOTE = "[... what else is printed here is left out of this copy ...]"
DAY = 24 * 3600
LOST = "[... the end of this cell's output was lost on its way ...]"
SILENCE = 60  # seconds without output after a cell's end, until its last message is given up
QUEUE = 100_000  # messages
# The kernel's own queue of output holds a thousand messages and drops what comes on top: on a busy
# machine, the end of the output.
LONGER_QUEUE = f"""(lambda thread, zmq: thread.schedule(
    lambda: thread.socket.setsockopt(zmq.SNDHWM, {QUEUE})))(
    get_ipython().kernel.iopub_thread, __import__("zmq"))"""


class BoundedOutput:
    """A cell's outputs as they come: streams in one piece each, large things shortened."""

    streams: dict[str, tuple[Any, Stream]]
    guard: Any = None  # of a confined kernel

    def papermill_execute_cells(self) -> None:
        self._watch_replies()
        if self.guard:
            self.guard.watch_disconnects(self.kc.iopub_channel.socket)
        if self.km.kernel_spec.language == "python":  # another version of ipykernel may refuse
            self.wait_for_reply(self.kc.execute(LONGER_QUEUE, silent=True, store_history=False))
        super().papermill_execute_cells()
        if self.guard:
            self.guard.stop()  # a kernel that shuts down is cut off as well

    def _watch_replies(self) -> None:
        """Note when the kernel has answered: what it printed may still be on the way."""
        channel = self.kc.shell_channel
        get_msg = channel.get_msg

        async def watched(*arguments: Any, **options: Any) -> Any:
            message = await get_msg(*arguments, **options)
            self.replied = True
            return message

        channel.get_msg = watched

    async def _async_poll_output_msg(self, msg_id: str, cell: Any, cell_index: int) -> None:
        """Take a cell's messages until its last.

        nbclient gives up four seconds after the kernel's answer. Here it takes a minute of silence:
        then messages were lost, and the cell ends without them, with a note.
        """
        from nbclient.exceptions import CellExecutionComplete

        while True:
            try:
                message = await self.kc.iopub_channel.get_msg(timeout=SILENCE)
            except queue.Empty:
                if not self.replied:
                    continue
                self.log.warning(LOST)
                cell.outputs.append(self.new_stream("stderr", f"{LOST}\n"))
                return
            if self.guard:
                self.guard.count(size_of(message))
            if message["parent_header"].get("msg_id") == msg_id:
                try:
                    self.process_message(message, cell, cell_index)
                except CellExecutionComplete:
                    return

    def begin_cell(self) -> None:
        self.replied = False
        self.streams, self.logged, self.rich, self.dropped = {}, 0, 0, 0

    def execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        self.begin_cell()
        try:
            return super().execute_cell(cell, cell_index, **options)
        finally:
            self.settle()
            if self.dropped:
                text = left_out(self.dropped, "further outputs") + "\n"
                cell.outputs.append(self.new_stream("stderr", text))

    def new_stream(self, name: str, text: str) -> Any:
        from nbformat import from_dict

        return from_dict({"output_type": "stream", "name": name, "text": text})

    def settle(self) -> None:
        """Put the streams' texts into the notebook, before it is written."""
        for node, stream in self.streams.values():
            node["text"] = stream.text()

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] in ("display_data", "execute_result", "update_display_data", "error"):
            self.rich += shorten_message(msg, RICH_TOTAL - self.rich)
        # nbclient's own method: papermill's comes between, and saves before the texts are in place.
        output = super(self.papermill_client, self).process_message(msg, cell, cell_index)
        manager = self.nb_man
        if (manager.now() - manager.last_save_time).total_seconds() >= manager.autosave_cell_every:
            self.settle()
            manager.autosave_cell()
        if output:
            self.log_output_message(output)
        return output

    def output(self, outs: list, msg: dict[str, Any], display_id: str | None, index: int) -> Any:
        if self.output_hook_stack[msg["parent_header"].get("msg_id")]:  # inside an output widget
            return super().output(outs, msg, display_id, index)
        if self.clear_before_next_output:
            outs[:] = []
            self.clear_display_id_mapping(index)
            self.clear_before_next_output = False
            self.streams.clear()
        if msg["msg_type"] == "stream":
            return self.write_stream(outs, msg["content"])
        if len(outs) >= MOST_OUTPUTS and msg["msg_type"] != "error":
            self.dropped += 1
            return None
        return super().output(outs, msg, display_id, index)

    def write_stream(self, outs: list, content: dict[str, Any]) -> Any:
        """Add to a stream; return what of it goes into the log."""
        name, text = content["name"], content["text"]
        if name not in self.streams:
            node = self.new_stream(name, "")
            after = outs and outs[-1]["output_type"] == "stream" and name == "stdout"
            outs.insert(len(outs) - bool(after), node)  # stdout before stderr, whichever came first
            self.streams[name] = (node, Stream())
        self.streams[name][1].write(text)
        if not text.startswith("\r"):
            text = text[: max(LOGGED - self.logged, 0)]
            self.logged += len(text)
            if text and self.logged >= LOGGED:
                text += "\n[... what else this cell prints is in the copy only ...]"
        return self.new_stream(name, text) if text else None

    def clear_output(self, outs: list, msg: dict[str, Any], cell_index: int) -> None:
        hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if not hooked and not msg["content"].get("wait"):
            self.streams.clear()
        super().clear_output(outs, msg, cell_index)


def size_of(message: dict[str, Any]) -> int:
    """About how many characters a kernel's message holds."""
    content = message["content"]
    if message["msg_type"] == "stream":
        return len(content.get("text", ""))
    return len(repr(content))


def engine_class(guard: Any = None) -> type:
    """papermill's engine with the client above; `guard` watches over a confined kernel."""
    from nbclient.output_widget import OutputWidget
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine
    from papermill.log import logger

    class BoundedWidget(OutputWidget):
        """An output widget sends all that it holds to the kernel at each print."""

        def output(self, outs: list, msg: dict[str, Any], display_id: Any, index: int) -> None:
            printed = self.outputs[-1].get("text", "") if self.outputs else ""
            if msg["msg_type"] == "stream" and len(printed) >= WIDGET_OUTPUT:
                return
            if msg["msg_type"] == "stream":
                content = msg["content"]
                room = WIDGET_OUTPUT - len(printed)
                if len(content["text"]) > room:
                    content["text"] = f"{content['text'][:room]}\n{WIDGET_NOTE}"
            super().output(outs, msg, display_id, index)

    class Client(BoundedOutput, PapermillNotebookClient):
        papermill_client = PapermillNotebookClient

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.guard = guard
            self.begin_cell()
            self.widget_registry["@jupyter-widgets/output"] = {"OutputModel": BoundedWidget}

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(
            cls, nb_man: Any, kernel_name: str, start_timeout: int = 60, **options: Any
        ) -> Any:
            options.pop("input_path", None)
            # How long to wait for a cell's output: `_async_poll_output_msg` and the run's own limit
            # for the notebook decide.
            return Client(
                nb_man,
                kernel_name=kernel_name,
                startup_timeout=start_timeout,
                iopub_timeout=DAY,
                log=logger,
                **options,
            ).execute()

    return Engine
