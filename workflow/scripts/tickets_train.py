"""Train networks from the epoch to which they are rewound, under the masks of others."""

from job import logged

with logged(snakemake):
    from cell import open_permutations
    from retraining import Retraining

    from onebasin import claims

    def permutation(method, seed, source):
        """Give the permutation that takes a source into the frame of a network."""
        return claims.between(open_permutations(snakemake.input.permutations, method), seed, source)

    Retraining(snakemake).train_tickets(permutation)
