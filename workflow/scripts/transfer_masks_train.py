"""Train networks of the second data set, from the epoch to which they are rewound, under masks found on the first."""

from job import logged

with logged(snakemake):
    from cell import open_permutations
    from retraining import Retraining

    def permutation(method, seed, source):
        """Give the permutation that takes a source of the first data set into the frame of a network of the second."""
        # What was found across takes the network of the second data set into the frame of that of the first.
        return open_permutations(snakemake.input.permutations, method, depth=2)[source, seed].inverse()

    Retraining(snakemake).train_tickets(permutation)
