"""The command line: one file for each command. Progress goes to stderr, results go to stdout."""
