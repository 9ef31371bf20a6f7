"""Who may approve what: people, how each proves who they are, and how many it takes."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from runbook.approvers.one_time_code import is_secret

_KEY = r"^(ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/=]+( [^\n\r]*)?$"
_SEAL = r"^scrypt:[0-9a-f]{32}:[0-9a-f]{64}$"
SshKey = Annotated[str, StringConstraints(pattern=_KEY)]
Seal = Annotated[str, StringConstraints(pattern=_SEAL)]


class Person(BaseModel):
    """Somebody who may approve. The secret of one-time codes stands in the policy's `totp`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ssh_keys: tuple[SshKey, ...] = Field(
        default=(), description="Public keys, as in an authorized_keys file without options."
    )
    logins: tuple[str, ...] = Field(
        default=(),
        description="user@host of this person at the command line, to know a requester again.",
    )


class Rule(BaseModel):
    """How many people approve certain runbooks on certain clusters, and who of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    runbooks: tuple[str, ...] = Field(default=(), description="Names; empty: every runbook.")
    clusters: tuple[str, ...] = Field(default=(), description="Names; empty: every cluster.")
    approvals: int = Field(ge=0, le=2, description="0: nobody is asked; 1: one person; 2: two.")
    by: tuple[str, ...] = Field(default=(), description="Who of the people; empty: all of them.")
    requester_may_approve: bool = Field(
        default=False,
        description="Whether who asked for the run may approve it. If not, and who asked is not "
        "known (the Prefect UI does not tell), it takes two people.",
    )

    @property
    def most_needed(self) -> int:
        """Give how many people it takes where nobody knows who asked."""
        if self.requester_may_approve or not self.approvals:
            return self.approvals
        return max(2, self.approvals)

    def covers(self, runbook: str, cluster: str) -> bool:
        """Tell whether the rule is about a runbook on a cluster."""
        return runbook in (self.runbooks or (runbook,)) and cluster in (self.clusters or (cluster,))


_ANYBODY = Rule(approvals=1)


class ApprovalPolicy(BaseModel):
    """People and rules that several clusters may share.

    The first rule that covers a runbook counts; without one, one person approves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="Name of the policy.")
    people: dict[str, Person] = Field(min_length=1, description="By the name they answer with.")
    totp: dict[str, SecretStr] = Field(
        default_factory=dict, description="Secrets of one-time codes (RFC 6238, base32), by name."
    )
    rules: tuple[Rule, ...] = Field(default=(), description="The first that fits counts.")
    seals: tuple[Seal, ...] = Field(
        default=(), description="Hashes of sealed emergency codes; each opens once."
    )
    alarm: tuple[str, ...] = Field(
        default=(), description="URLs that are told (POST, JSON) of emergencies and locks."
    )

    @model_validator(mode="after")
    def _usable(self) -> ApprovalPolicy:
        strangers = (set(self.totp) | {name for rule in self.rules for name in rule.by}) - set(
            self.people
        )
        if strangers:
            raise ValueError(f"not among the people: {', '.join(sorted(strangers))}")
        mute = [name for name in self.people if not self.proofs(name)]
        if mute:
            raise ValueError(f"neither ssh_keys nor a totp secret: {', '.join(sorted(mute))}")
        if not all(is_secret(secret.get_secret_value()) for secret in self.totp.values()):
            raise ValueError("a totp secret has at least 16 base32 characters (A-Z, 2-7)")
        if not all(re.match(r"https?://", url) for url in self.alarm):
            raise ValueError("alarm takes http:// and https:// addresses")
        for rule in self.rules:
            if rule.most_needed > len(rule.by or tuple(self.people)):
                raise ValueError(
                    f"a rule may take {rule.most_needed} people and names fewer; "
                    "name more, or set requester_may_approve"
                )
        return self

    def proofs(self, name: str) -> tuple[str, ...]:
        """Tell how a person can prove who they are."""
        ways = {"SSH key": self.people[name].ssh_keys, "one-time code": name in self.totp}
        return tuple(way for way, there in ways.items() if there)

    def rule(self, runbook: str, cluster: str) -> Rule:
        """Give the rule that counts."""
        fitting = (rule for rule in self.rules if rule.covers(runbook, cluster))
        return next(fitting, _ANYBODY)

    def person_of(self, requester: str) -> str | None:
        """Name the person who asked for a run by the name the run knows; None: nobody of ours."""
        user = requester.partition("@")[0]
        for name, person in self.people.items():
            if requester in (name, *person.logins) or user == name:
                return name
        return None
