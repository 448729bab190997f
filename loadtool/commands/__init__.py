"""The commands of `loadtool`, one a file; cli.py mounts them. They import what they need when they run."""
