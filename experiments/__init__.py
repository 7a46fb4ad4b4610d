"""Studies on real models and data, each one command."""
