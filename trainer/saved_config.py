"""What may be in the text of a run folder's config.yaml, checked before it is loaded.

A run writes plain values, written out. Whatever YAML or OmegaConf would work out while reading
(aliases, which grow without bound; tags, which name types; `${...}`, which reads the environment)
was put there by someone else.
"""

import yaml  # type: ignore[import-untyped]

MAX_BYTES = 1 << 18
MAX_DEPTH = 30


def check_saved_text(content: bytes) -> None:
    """Check that a saved configuration holds values alone.

    Args:
        content: of the file.

    Raises:
        ValueError: naming the line.
        yaml.YAMLError: if it is not YAML.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"{len(content):,} bytes; a configuration has at most {MAX_BYTES:,}")
    depth = 0
    for event in yaml.parse(content.decode(), Loader=yaml.SafeLoader):
        where = f"line {event.start_mark.line + 1}"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"{where}: more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"{where}: an alias or anchor; a run folder holds plain values only")
        if getattr(event, "tag", None):
            raise ValueError(f"{where}: a tag {event.tag}; a run folder holds plain values only")
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            raise ValueError(f"{where}: {event.value}; a run folder holds plain values only")
