"""Research code that plugs into the trainer: one file, one question."""
