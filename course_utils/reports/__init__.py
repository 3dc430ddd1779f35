"""Run folders written up: PDF, slides, HTML and Markdown from one content.

Imports assignments, lab and the core. Read content.py first.
"""
