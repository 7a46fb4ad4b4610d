"""Commands of the command line that are rooms of their own; importing one loads nothing heavy."""
