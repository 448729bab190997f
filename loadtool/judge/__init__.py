"""Result -> Verdict. Pure: no clock, no I/O."""
