"""Trained networks: what the systems need to see of one, whatever library it was trained with.

`extract_features` pushes images through a network and keeps what its layers say. `open_model` gives a classifier
with the gradient that explanations need. torch, onnxruntime and scikit-learn are imported only when a network of
theirs is opened.

A kind of network (``.onnx`` file, torch module, …) is one subclass of `Network` in a file of its own, and of `Model`
where it is a classifier with a way back.
"""

from __future__ import annotations

from wavelens.models._class_names import ClassNames, read_class_names
from wavelens.models._extract import extract_features, list_layers
from wavelens.models._features_file import load_features
from wavelens.models._labelled_features import LabelledFeatures
from wavelens.models._model import Model
from wavelens.models._network import Layer, Network, NetworkInput, open_network
from wavelens.models._numpy_model import NumpyMLP
from wavelens.models._open_model import open_model
from wavelens.models._predictions import PredictionCheck
from wavelens.models._preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from wavelens.models._range_check import RangeCheck, RangeTrial, check_range
from wavelens.models._recognise import recognise_preprocessing
from wavelens.models._weight_layer import WeightLayer
from wavelens.models._weight_layers import WeightLayers, read_layers

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ClassNames",
    "LabelledFeatures",
    "Layer",
    "Model",
    "Network",
    "NetworkInput",
    "NumpyMLP",
    "PredictionCheck",
    "Preprocessing",
    "RangeCheck",
    "RangeTrial",
    "WeightLayer",
    "WeightLayers",
    "check_range",
    "extract_features",
    "list_layers",
    "load_features",
    "open_model",
    "open_network",
    "read_class_names",
    "read_layers",
    "recognise_preprocessing",
]
