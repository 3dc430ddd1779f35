"""The worker's kernel manager: its end waits for nobody, its client keeps the bounds."""

import logging
import subprocess
import sys

from course_utils.execution.client import QUEUE
from course_utils.execution.worker import Runner

# The heartbeat finds no kernel and opens a socket anew each time, as at the end of a notebook.
ENDS = """
import asyncio, logging, sys, time
from course_utils.execution.worker import Runner
for _ in range(3):
    manager = Runner({"sockets": sys.argv[1]}, print, logging.getLogger()).kernel_manager_class()()
    manager.write_connection_file()
    client = manager.client()
    client.hb_channel.time_to_dead = 0.002
    client.start_channels()
    time.sleep(0.1)
    asyncio.run(manager._async_cleanup_resources())
    client.stop_channels()
"""


def test_a_manager_ends_while_the_heartbeat_opens_sockets(tmp_path):
    command = [sys.executable, "-c", ENDS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_client_has_the_bounds_in_a_context_of_its_own(tmp_path):
    runner = Runner({"sockets": str(tmp_path)}, print, logging.getLogger())
    manager = runner.kernel_manager_class()()
    client = manager.client()
    assert client.context is not manager.context
    assert client.context.rcvhwm == manager.context.rcvhwm == QUEUE
