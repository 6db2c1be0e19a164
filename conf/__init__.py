"""The configuration: `config.yaml`, and one folder per group with one file per option."""
