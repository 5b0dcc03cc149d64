"""The version of sdgraph, for what must not import the package itself."""

VERSION = "0.1.0"
