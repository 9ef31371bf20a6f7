"""A bucket's own rules that take objects away, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

_COLD = {"GLACIER", "DEEP_ARCHIVE"}


class _Tagged(BaseModel):
    prefix: str | None = Field(default=None, alias="Prefix")
    tag: object = Field(default=None, alias="Tag")
    tags: object = Field(default=None, alias="Tags")
    both: _Tagged | None = Field(default=None, alias="And")


class _When(BaseModel):
    days: int | None = Field(default=None, alias="Days")
    markers_only: bool = Field(default=False, alias="ExpiredObjectDeleteMarker")
    storage: str = Field(default="", alias="StorageClass")


class LifecycleRule(BaseModel):
    """A rule as the server answers it, as far as it matters here."""

    model_config = ConfigDict(populate_by_name=True)
    id: str = Field(default="", alias="ID")
    status: str = Field(default="", alias="Status")
    prefix: str | None = Field(default=None, alias="Prefix")
    filter: _Tagged | None = Field(default=None, alias="Filter")
    expiration: _When | None = Field(default=None, alias="Expiration")
    transitions: list[_When] = Field(default=[], alias="Transitions")

    @property
    def where(self) -> str:
        """Give the prefix that it is for."""
        within = self.filter.both if self.filter and self.filter.both else self.filter
        return (within.prefix if within else None) or self.prefix or ""

    @property
    def wants_tags(self) -> bool:
        """Tell whether it is for tagged objects only; ours have no tags."""
        within = self.filter.both if self.filter and self.filter.both else self.filter
        return bool(within and (within.tag or within.tags))

    def effects(self) -> Iterator[str]:
        """Say what it does to a backup."""
        if self.expiration and not self.expiration.markers_only:
            days = self.expiration.days
            yield f"removes them after {days} days" if days else "removes them"
        for cold in self.transitions:
            if cold.storage in _COLD:
                yield f"moves them to {cold.storage}, where a restore cannot read them"


def described(rules: Sequence[object], prefix: str) -> Iterator[str]:
    """Describe the rules in force that reach objects under a prefix."""
    for rule in map(LifecycleRule.model_validate, rules):
        near = prefix.startswith(rule.where) or rule.where.startswith(prefix)
        if rule.status == "Enabled" and near and not rule.wants_tags:
            for effect in rule.effects():
                yield f'rule "{rule.id}" for objects under "{rule.where}" {effect}'
