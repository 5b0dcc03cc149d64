"""Programs that make parts of the documentation: `make docs` and `make pictures`."""
