"""The examples in the docstrings of the networks and flows run, and every layer of a flow has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest
import torch

import models
import models.real_nvp
from models.real_nvp.base import NormalFlow
from models.real_nvp.bijections import Bijection
from models.real_nvp.whitening import Whitening

MODULES = [
    module.name for module in pkgutil.walk_packages(models.__path__, "models.") if "experiments" not in module.name
]
ABSTRACT = {Bijection, NormalFlow, Whitening}
LAYERS = {
    layer
    for module in pkgutil.iter_modules(models.real_nvp.__path__, "models.real_nvp.")
    for layer in vars(importlib.import_module(module.name)).values()
    if inspect.isclass(layer) and issubclass(layer, Bijection)
} - ABSTRACT


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("layer", sorted(LAYERS, key=lambda layer: layer.__name__), ids=lambda layer: layer.__name__)
def test_every_layer_of_a_flow_has_an_example_of_both_ways(layer: type[Bijection]):
    [text] = [test.docstring for test in doctest.DocTestFinder(recurse=False).find(layer)]
    assert ">>> z, log_det = " in text or "log_det = layer(" in text
    assert ".inverse(" in text
    assert len(LAYERS) >= 13


def test_an_example_that_is_wrong_would_be_seen():
    def wrong() -> None:
        """
        >>> 1 + 1
        3
        """

    [example] = doctest.DocTestFinder().find(wrong, "wrong")
    assert doctest.DocTestRunner(verbose=False).run(example, out=lambda text: None).failed == 1
