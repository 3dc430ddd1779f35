"""Notebooks executed in child processes, with limits and a memory.

Imports files, progress, kit and errors. Read runner.py first.
"""
