import pytest
import torch

from onebasin import seeding


def test_seed_of_an_address_never_changes():
    assert seeding.derive(0, "network", 3, "order", 7) == 469851061636430604
    assert seeding.derive() == seeding.derive()


def test_different_addresses_have_different_seeds():
    addresses = [(), (0,), ("0",), (0, 1), (1, 0), ("ab",), ("a", "b"), ("a,b",), (-1,), (10**30,)]
    seeds = [seeding.derive(*address) for address in addresses]
    assert len(set(seeds)) == len(addresses)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("part", [1.0, None, True, ("a",)])
def test_other_types_are_refused(part):
    with pytest.raises(TypeError, match="strings and integers"):
        seeding.derive("a", part)


def test_generator_draws_by_address_alone():
    torch.manual_seed(1)
    one = torch.rand(5, generator=seeding.generator(3, "x"))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(one, torch.rand(5, generator=seeding.generator(3, "x")))
    assert not torch.equal(one, torch.rand(5, generator=seeding.generator(4, "x")))
    assert torch.equal(before, torch.get_rng_state())
