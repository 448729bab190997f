"""Faults on the load's own clock: the timeline, the conductor that follows it, the Toxiproxy it drives."""
