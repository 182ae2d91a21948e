"""The language server: thin features over the engine, for any editor. The only code that knows pygls and lsprotocol."""
