"""YAML's side: schema files as slots, and edits to them. The only code that knows YAML."""
