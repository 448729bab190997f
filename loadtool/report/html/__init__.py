"""The report as one page that opens offline: tables first, then interactive charts on one time axis."""
