"""The steps of a derivation end with what code computes in another form, and why."""

import pytest

import derive
from derive.stable import TOLD_AS, prove_identities

HEADING = "In code, the same values by proved identities"
NETWORKS = {
    "2-3-2": ("", ["Σ exp(f) = exp(c) Σ exp(f − c)", "log(exp(a) b) = a + log(b)"]),
    "2-3:softplus-1:sigmoid": (
        "binary-cross-entropy",
        ["log(1 + exp(z)) = max(z, 0) + log1p(exp(−|z|))"],
    ),
    "2-3:f-2": ("mse", ["exp(z)/(1 + exp(z)) = 1/(1 + exp(−z))"]),
    "2-3:elu-2": ("mse", ["exp(z) − 1 = expm1(z)"]),
}


def told(network: str, loss: str, format_: str = "text") -> str:
    define = ("f(z) = z*exp(z)/(1 + exp(z))",)
    derivation = derive.derivation(network, loss=loss or "cross-entropy", define=define)
    return derivation.report(format_, steps=True)


@pytest.mark.parametrize("network", NETWORKS)
def test_each_identity_that_was_used_is_told(network: str) -> None:
    loss, identities = NETWORKS[network]
    text = told(network, loss)
    section = text[text.index(HEADING) :].split("\n\n")[0]
    for identity in identities:
        assert identity in section
    for identity in set(TOLD_AS.values()) - set(identities) - {TOLD_AS["log of a product"]}:
        assert identity not in section


def test_only_what_is_proved_is_told() -> None:
    proved = {name.partition(":")[0] for name in prove_identities()}
    assert set(TOLD_AS) == proved


@pytest.mark.parametrize("format_", ["latex", "markdown", "html"])
def test_in_every_format(format_: str) -> None:
    assert HEADING in told("2-3-2", "", format_)


def test_where_the_forms_are_sound_already_nothing_is_told() -> None:
    assert HEADING not in told("2-3-2:identity", "mse")
    assert HEADING not in derive.derivation("2-3-2").report()
