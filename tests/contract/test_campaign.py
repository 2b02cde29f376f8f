"""How many examples run with and without `WAVELENS_CAMPAIGN`."""

from __future__ import annotations

import campaign
import pytest


def test_few_examples_run_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(campaign.VARIABLE, raising=False)
    assert campaign.examples(30, 10_000) == 30


@pytest.mark.parametrize(("value", "count"), [("1", 10_000), ("0.1", 1_000), ("3", 30_000), ("1e-9", 1)])
def test_a_campaign_multiplies_the_long_count(
    monkeypatch: pytest.MonkeyPatch, value: str, count: int
) -> None:
    monkeypatch.setenv(campaign.VARIABLE, value)
    assert campaign.examples(30, 10_000) == count


@pytest.mark.parametrize("value", ["yes", "0", "-1", "nan", "inf"])
def test_a_wrong_factor_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(campaign.VARIABLE, value)
    with pytest.raises(ValueError, match=campaign.VARIABLE):
        campaign.examples(30, 10_000)
