"""The manufacturing track: work orders, manuals, production lots.

Imports what tracks share, and the core. Read track.py first.
"""
