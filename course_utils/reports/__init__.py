"""Run folders written up: PDF, slides, HTML and Markdown from one content.

Imports lab and the core. Read content.py first.
"""
