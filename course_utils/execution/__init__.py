"""Notebooks executed in child processes, with limits and a memory.

Imports files, progress, console, shell, privacy, kit and errors. Read runner.py first: it runs jobs
(jobs.py) by way of running.py, whose child process is worker.py; state.py says whose files lie in
an output folder.
Strangers' notebooks: custody.py puts them into the sandbox (sandbox/box.py), alone.py runs one.
"""
