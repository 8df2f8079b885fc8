"""What is done with the networks that people bring: align, measure, merge, and say why they do not connect."""

from onebasin.networks.align import METHODS, Aligned, align
from onebasin.networks.barriers import barriers, points
from onebasin.networks.diagnose import Finding, diagnose
from onebasin.networks.merge import Merged, merge
from onebasin.networks.planted import recover

__all__ = [
    "METHODS",
    "Aligned",
    "Finding",
    "Merged",
    "align",
    "barriers",
    "diagnose",
    "merge",
    "points",
    "recover",
]
