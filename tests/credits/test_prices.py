import pytest

from posegen.credits import CREDITS_BACKGROUND, CREDITS_PER_IMAGE, Prices, price
from posegen.errors import ParameterError
from posegen.settings import load_settings


def test_prices_are_those_of_the_reference_system():
    assert (CREDITS_PER_IMAGE, CREDITS_BACKGROUND) == (30, 10)
    assert price(0) == 0
    assert price(5) == 150
    assert price(5, backgrounds=5) == 200


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv("POSEGEN_CREDITS_PER_IMAGE", "7")
    monkeypatch.setenv("POSEGEN_CREDITS_BACKGROUND", "1")
    assert price(3, backgrounds=2) == 23
    monkeypatch.setenv("POSEGEN_CREDITS_PER_IMAGE", "free")
    with pytest.raises(ParameterError, match="POSEGEN_CREDITS_PER_IMAGE"):
        price(3)


def test_a_price_list_comes_from_the_settings():
    assert Prices.from_settings(load_settings({})) == Prices()


@pytest.mark.parametrize(("images", "backgrounds"), [(-1, 0), (2, 3), (2, -1)])
def test_what_cannot_be_is_not_priced(images, backgrounds):
    with pytest.raises(ValueError, match="cannot price"):
        price(images, backgrounds)
