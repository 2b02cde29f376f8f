"""Helpers that all packages share: safe writing, archives without pickle, validation of loaded files, CSV."""
