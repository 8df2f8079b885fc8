"""Matching: find the permutation that brings one network into the frame of another."""

from onebasin.match.activation_matching import activations
from onebasin.match.result import Match, similarity
from onebasin.match.weight_matching import weights

__all__ = ["METHODS", "Match", "activations", "similarity", "weights"]

METHODS = {"weights": weights, "activations": activations}
