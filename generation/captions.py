"""What stands above each picture of a contact sheet, and below its title."""

from collections.abc import Mapping

from generation.torn_surfaces import TORN, Told, torn_sentence
from visualization.contact_sheet import MARK_COLOR, NAME_COLOR, PLAIN_COLOR, Caption


def caption(name: str, told: Told | None = None) -> Caption:
    """The name of a shape, the log-likelihood of its code, and how much of its surface is torn: marked above `TORN`."""
    words = [(name, NAME_COLOR)]
    if told is not None and told.log_likelihood is not None:
        words.append((f"{told.log_likelihood:,.1f} nats", PLAIN_COLOR))
    if told is not None and told.unsettled is not None:
        share = f"{100 * told.unsettled:.1f} %"
        words.append((f"torn {share}", MARK_COLOR) if told.torn else (share, PLAIN_COLOR))
    return words


def notes(told: Mapping[str, Told], most: int) -> list[str]:
    """What the sheet of the first `most` of these shapes says of them all, and how its captions are read."""
    found = []
    if len(told) > most:
        found.append(f"The first {most} of {len(told)} shapes are shown.")
    if sentence := torn_sentence(dict(told)):
        found.append(f"{sentence[0].upper()}{sentence[1:]}.")
    keys = ["the name of the shape's folder"]
    if any(one.log_likelihood is not None for one in told.values()):
        keys.append("the log-likelihood of its code (more is likelier)")
    if any(one.unsettled is not None for one in told.values()):
        keys.append(
            "the share of its surface that is torn (the field comes close to 0 there and does not reach it), red above"
            f" {100 * TORN:g} %"
        )
    if len(keys) > 1:
        found.append(f"Above each picture: {', '.join(keys)}.")
    return found
