"""The command line and the pre-commit hooks."""
