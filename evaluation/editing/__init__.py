"""What codes tell of attributes, for `generate.py --mode edit`.

Run `python -m evaluation.editing.fit` once for the weights of an experiment.
"""
