"""Which shapes of a folder have torn surfaces, as the files of their clouds tell: for pictures and for the summary."""

import math
from pathlib import Path
from typing import NamedTuple

from generation.cloud_files import read_numbers

UNSETTLED, LOG_LIKELIHOOD = "unsettled_share", "log_likelihood"  # keys in the file of a cloud
TORN = 0.01  # a larger share of unsettled surface is called torn: docs/formats.md says why
MOST_NAMES = 12  # in a sentence


class CloudNumbers(NamedTuple):
    """What the file of a cloud tells of its shape; None where it tells nothing, as files of earlier versions."""

    log_likelihood: float | None = None  # of its code, nats
    unsettled: float | None = None  # share of its surface, in [0, 1]

    @property
    def torn(self) -> bool:
        return self.unsettled is not None and self.unsettled > TORN


def numbers_of_cloud(cloud: Path) -> CloudNumbers:
    """Raises UserError if the file is damaged."""
    found = read_numbers(cloud, [UNSETTLED, LOG_LIKELIHOOD])
    usable = {key: value for key, value in found.items() if math.isfinite(value)}
    return CloudNumbers(usable.get(LOG_LIKELIHOOD), usable.get(UNSETTLED))


def torn_sentence(of_clouds: dict[str, CloudNumbers]) -> str:
    """Which of these shapes, by name, have torn surfaces; empty if none of their files tells."""
    known = [one for one in of_clouds.values() if one.unsettled is not None]
    if not known:
        return ""
    names = [name for name, one in of_clouds.items() if one.torn]
    of_all = f"of {len(known)} shape{'s' * (len(known) != 1)}"
    if len(known) < len(of_clouds):
        of_all += f" ({len(of_clouds) - len(known)} more are of an earlier version, which did not measure it)"
    if not names:
        return f"none {of_all} has a torn surface"
    more = len(names) - MOST_NAMES
    listed = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{len(names)} {of_all} {'has a torn surface' if len(names) == 1 else 'have torn surfaces'}: {listed}"
