"""loadtool: spikes, faults and verdicts from one honest clock."""

__version__ = "0.1.0"
