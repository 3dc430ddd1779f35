"""Strangers' programs, kept in: levels of isolation, limits, verdicts, answers read back.

Imports files, kit and errors. Read box.py first: `Sandbox` runs a command or lends a keeper
(keeper.py) to a notebook; levels.py tries what this machine can do.
"""
