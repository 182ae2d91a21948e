"""Providers: everything that can answer a prompt."""
