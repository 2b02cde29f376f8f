"""Trained networks: what the systems need to see of one, whatever library it was trained with.

`extract_features` pushes images through a network and keeps what its layers say. torch and onnxruntime are
imported only when a network of theirs is opened.

A kind of network (``.onnx`` file, torch module, …) is one subclass of `Network` in a file of its own.
"""

from __future__ import annotations

from wavelens.models._class_names import ClassNames, read_class_names
from wavelens.models._extract import extract_features, list_layers
from wavelens.models._features_file import load_features
from wavelens.models._labelled_features import LabelledFeatures
from wavelens.models._network import Layer, Network, NetworkInput, open_network
from wavelens.models._predictions import PredictionCheck
from wavelens.models._preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from wavelens.models._recognise import recognise_preprocessing

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ClassNames",
    "LabelledFeatures",
    "Layer",
    "Network",
    "NetworkInput",
    "PredictionCheck",
    "Preprocessing",
    "extract_features",
    "list_layers",
    "load_features",
    "open_network",
    "read_class_names",
    "recognise_preprocessing",
]
