"""Showing a result: in the terminal, as a page, as a figure. Views compute nothing about flows."""
