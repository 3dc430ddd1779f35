"""What the bonus scripts of weeks 9-10 share.

Imports assignments, tracks and the core. Read common.py first.
"""
