"""What a long job says of how far it is."""

from onebasin.study.tally import Tally


def test_a_line_now_and_then_says_how_many_of_how_many(caplog):
    caplog.set_level("INFO")
    tally = Tally("mixtures measured", 20, every_s=3600)
    tally.add(5)
    assert not caplog.messages
    tally.every_s = 0
    tally.add(7)
    tally.add(10)  # the number that was expected is an estimate, and never less than what is done
    assert caplog.messages == ["12 of about 20 mixtures measured", "22 of about 22 mixtures measured"]
