"""The landscape between networks: mixtures of them, what they lose, and how far that rises above the networks."""
