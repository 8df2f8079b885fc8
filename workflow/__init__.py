"""What the rules import: the check of a config, estimates of time and memory, the user's own code, plans."""
