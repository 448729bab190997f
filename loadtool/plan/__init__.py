"""Profile -> arrivals. Pure: no clock, no I/O."""
