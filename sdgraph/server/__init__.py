"""The HTTP API: thin routes over core and engine. Nothing here runs a node or imports torch."""
