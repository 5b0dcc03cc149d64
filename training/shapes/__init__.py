"""The built-in model `builtin:shapes`: its procedural world and the scripts that train it."""
