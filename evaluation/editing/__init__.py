"""Edits of attributes: the fit that tells how codes know them, and the comparison of ways to edit.

Run `python -m evaluation.editing.fit` once for the weights of an experiment; `python -m evaluation.editing.compare`
writes the tables of docs/editing.md.
"""
