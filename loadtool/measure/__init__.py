"""Outcomes -> Result. Pure: no clock, no I/O."""
