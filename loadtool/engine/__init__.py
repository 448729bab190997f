"""Arrivals -> outcomes."""
