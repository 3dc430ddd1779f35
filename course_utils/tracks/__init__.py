"""Builders of training data: one folder a track, and what tracks share.

Imports the core. Read wording.py first.
"""
