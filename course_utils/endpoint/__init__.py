"""The served model: adapters behind an OpenAI-compatible server, and their export to other formats.

Imports the core; commands and the grader import it. Read app.py first.
"""
