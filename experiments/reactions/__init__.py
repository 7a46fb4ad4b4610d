"""Atom maps of chemical reactions, read off the attention of RXNMapper's ALBERT; see docs/studies/reactions.md."""
