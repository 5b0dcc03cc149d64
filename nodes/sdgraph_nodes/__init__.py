"""The built-in node pack: one subject per file."""
