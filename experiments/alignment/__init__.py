"""Which token of a molecule each token of its copy came from; see docs/studies/alignment.md."""
