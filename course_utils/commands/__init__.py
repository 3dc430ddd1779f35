"""The `course` command: one file a command group, which reads arguments and calls a room below.

Imports every room below. Read main.py first.
"""
