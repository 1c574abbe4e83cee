"""Going on with less at a time where memory does not suffice, on a GPU as on a CPU."""

from collections.abc import Callable
from typing import TypeVar

from runtime.errors import is_out_of_memory, note

Part = TypeVar("Part")


class PartSize:
    """How much is taken at a time: all of it, until memory does not suffice; then half as much, and so on.

    what: for the user, who is told of each halving in one line. least: below it the error is raised after all.
    """

    def __init__(self, what: str, least: int = 1):
        self.what, self.least = what, least
        self.most: int | None = None

    def map(self, function: Callable[[int, int], Part], total: int) -> list[Part]:
        """function(start, end) of consecutive parts of range(total), in order.

        Whatever it computes has to be the same for a part and for its halves joined.
        """
        found: list[Part] = []
        start = 0
        while start < total or not found:
            end = total if self.most is None else min(total, start + self.most)
            try:
                found.append(function(start, end))
                start = end
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or end - start <= self.least:
                    raise
                self.most = max(self.least, (end - start) // 2)
            else:
                continue
            _free()  # after the except block, whose error holds on to the tensors of the failed attempt
            note(f"not enough memory for {end - start} {self.what} at a time; going on with {self.most}")
        return found


def _free() -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    import sys

    torch = sys.modules.get("torch")  # not imported for this
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
