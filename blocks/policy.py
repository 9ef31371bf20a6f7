"""An approval policy, as a Prefect block."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import ConfigDict, Field, SecretStr

from blocks._saved import loaded, saved_name
from blocks._schema import SettingsBlock, described
from runbook.approvers.policy import ApprovalPolicy, Person, Rule


class ApprovalPolicyBlock(SettingsBlock):
    """Who may approve what, how each proves who they are, and how many it takes."""

    _block_type_name: ClassVar[str] = "Approval policy"
    _block_type_slug: ClassVar[str] = "approval-policy"
    _description: ClassVar[str] = (
        "People who may approve runs, and rules. `pg-runbooks apply` writes these from a file."
    )
    model_config = ConfigDict(json_schema_extra=described("totp.*"))

    people: dict[str, Person] = Field(description="By the name they answer with.")
    totp: dict[str, SecretStr] = Field(
        default_factory=dict, description="Secrets of one-time codes (base32), by name."
    )
    rules: list[Rule] = Field(default_factory=list, description="The first that fits counts.")
    seals: list[str] = Field(
        default_factory=list, description="Hashes of sealed emergency codes; each opens once."
    )
    alarm: list[str] = Field(
        default_factory=list, description="URLs that are told of emergencies and locks."
    )

    @classmethod
    def named(cls, name: str) -> Self:
        """Load a policy; SettingsError names the known ones."""
        return loaded(cls, name, "policy")

    @classmethod
    def of(cls, policy: ApprovalPolicy) -> Self:
        """Make the block for a policy of an inventory."""
        names = (name for name in ApprovalPolicy.model_fields if name != "name")
        return cls.model_validate({name: getattr(policy, name) for name in names})

    def policy(self) -> ApprovalPolicy:
        """Give the policy under the name that the block was saved with."""
        names = (name for name in ApprovalPolicy.model_fields if name != "name")
        values = {name: getattr(self, name) for name in names}
        return ApprovalPolicy.model_validate({"name": saved_name(self), **values})
