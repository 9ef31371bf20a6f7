"""The page of settings is what the models say, and they say something of every setting."""

from __future__ import annotations

from deployments.settings_page import PATH, page, parts


def test_the_page_is_what_the_models_say() -> None:
    assert PATH.read_text() == page(), "write it again: python -m deployments.settings_page"


def test_every_setting_has_a_meaning() -> None:
    silent = [
        f"{part.__name__}.{name}"
        for part in parts()
        for name, field in part.model_fields.items()
        if name != "kind" and not field.description
    ]
    assert not silent
