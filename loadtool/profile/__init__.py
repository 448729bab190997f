"""The YAML file -> Profile."""
