"""How figures and names are written in tables and text."""


def number(value: float, sign: str = "") -> str:
    """Return a figure as it is shown; `sign` is `+` to have one on what is positive too."""
    is_handy = value == 0 or 0.001 <= abs(value) < 1000
    return f"{value:{sign}.4f}" if is_handy else f"{value:{sign}.3g}"


def duration(seconds: float) -> str:
    """Return seconds in words.

    >>> duration(7.4), duration(130), duration(3900)
    ('7 s', '2 min 10 s', '1 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
