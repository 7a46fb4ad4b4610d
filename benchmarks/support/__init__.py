"""Which model types are supported: every type of the installed transformers, tiny and random, captured and checked."""
