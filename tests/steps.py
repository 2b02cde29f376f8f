"""A receiver of a workflow's steps that remembers them."""

from __future__ import annotations

from wavelens.workflows import WorkflowProgress


class Steps(WorkflowProgress):
    def __init__(self):
        super().__init__(False)
        self.steps, self.notes, self.previews = [], [], []

    def step(self, text):
        self.steps.append(text)

    def note(self, text):
        self.notes.append(text)

    def preview(self, text):
        self.previews.append(text)
