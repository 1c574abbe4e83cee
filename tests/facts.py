"""Sentences of messages are free to change: tests ask for the facts in them, as options, numbers, names and paths."""

import re


def naming(*facts: object) -> str:
    """A pattern for texts that name all facts, in any order: the words of each string, other facts whole.

    A fact stands alone: 2 is neither in 12 nor in 2.5 nor in a path, and num_points not in num_points_dense.
    """
    words = [word for fact in facts for word in (fact.split() if isinstance(fact, str) else [str(fact)])]
    return "(?s)" + "".join(f"(?=.*{_alone(word)})" for word in words)


def _alone(word: str) -> str:
    if re.fullmatch(r"\d[\d.,]*", word):
        return r"(?<![\w.,/~-])" + re.escape(word) + r"(?![\w/-]|[.,]\d)"
    before, after = (r"(?<!\w)" if word[0].isalnum() else "", r"(?!\w)" if word[-1].isalnum() else "")
    return before + re.escape(word) + after


def says(text: str, *facts: object) -> bool:
    """Whether a text names all facts, as `naming` understands them."""
    return re.match(naming(*facts), text) is not None
