"""The commands: one file each, `python -m trainer NAME RUN_DIR`, with `main(arguments) -> int`."""
