"""Text of somebody else's as it may be shown on a terminal."""


def printable(text: str, instead: str = " ") -> str:
    """Return text with another character in place of control characters and broken encodings.

    Args:
        text: such as a name in a run folder, which may come from anywhere.
        instead: of each that is not printable.
    """
    return "".join(c if c.isprintable() else instead for c in text)
