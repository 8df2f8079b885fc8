"""The command line: one module a command, each with a parser (``add``) and what it does (``run``)."""
