"""What goes from one network to another layer by layer, and residual blocks that are permuted apart."""

import pytest
import torch
from networks import build, state

from onebasin import match, models, symmetry
from onebasin.experiments.layerwise import chosen, rises
from onebasin.landscape.interpolate import interpolate

SHAPE = (1, 8, 8)
IMAGES = torch.randn(32, *SHAPE, generator=torch.Generator().manual_seed(1))
norms = pytest.mark.parametrize("norm", ["none", "layer", "batch"])


def untied(norm):
    return models.build("resnet20", width=4, image_shape=SHAPE, classes=10, norm=norm, untied=True).eval()


@norms
def test_untied_blocks_compute_what_the_network_computes(norm):
    plain, apart = build("resnet20", 4, norm=norm).eval(), untied(norm)
    network = state(plain)
    completed = {**apart.state_dict(), **network}
    assert {key.rpartition(".")[0] for key in completed.keys() - network.keys()} == {
        f"blocks.{block}.shortcut" for block in (0, 1, 2, 4, 5, 7, 8)
    }
    plain.load_state_dict(network)
    apart.load_state_dict(completed)
    assert torch.allclose(plain(IMAGES), apart(IMAGES), rtol=1e-4, atol=1e-5)


def test_a_stage_has_an_order_of_channels_before_and_after_each_block():
    bound, apart = (
        symmetry.discover(model, IMAGES[:2]) for model in (build("resnet20", 4, norm="layer"), untied("layer"))
    )
    # Three stages and nine inner layers; then the stem and nine blocks in place of the stages.
    assert len(bound.groups) == 3 + 9 and len(apart.groups) == 10 + 9


def test_blocks_in_orders_of_their_own_are_found_and_the_way_between_them_stays_flat():
    """A network whose blocks were permuted apart, and which no permutation of whole stages could bring back."""
    model = untied("layer")
    groups = symmetry.discover(model, IMAGES[:2])
    network = {**state(model), **{key: value for key, value in model.state_dict().items() if "shortcut.weight" in key}}
    planted = groups.random(torch.Generator().manual_seed(3))
    second = groups.apply(planted, network)
    found = match.activations(groups, network, second, model=model, images=IMAGES).permutation
    assert found == planted.inverse()
    middle = interpolate([network, groups.apply(found, second)], [0.5, 0.5])
    assert all(torch.allclose(middle[key], network[key], atol=1e-6) for key in network)


def test_a_rise_is_above_the_first_network_and_a_barrier_above_the_line():
    curve = [
        {"split": "train", "alpha": alpha, "loss": loss, "error": error}
        for alpha, loss, error in ((0, 1.0, 0.1), (0.5, 2.0, 0.2), (1, 3.0, 0.1))
    ]
    loss, error = rises(iter(curve))
    assert (loss["metric"], loss["barrier"], loss["halfway"], loss["excess"]) == ("loss", 0, 1, 2)
    assert (error["barrier"], error["halfway"], error["excess"]) == pytest.approx((0.1, 0.1, 0.1))


def test_of_many_layers_some_are_chosen_evenly():
    assert chosen(4, 4) == [1, 2, 3, 4]
    assert chosen(22, 4) == [1, 8, 15, 22]
    assert len(set(chosen(9, 8))) == 8
