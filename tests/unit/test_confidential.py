"""What looks like a secret is found by its place; what only speaks of one is not."""

from __future__ import annotations

import re

import pytest

from runbook.platform.confidential import findings, secret_lines


@pytest.mark.parametrize(
    "line",
    [
        'secret_key: "wJalrXUtnFEMI"',
        '"access_key": "AKIAIOSFODNN7EXAMPLE",',
        "password = hunter2",
        "POSTGRES_PASSWORD='hunter2'",
        "-----BEGIN RSA PRIVATE KEY-----",
        "uri: postgres://bob:hunter2@10.0.0.1/db",
        "db_password => hunter2",
        '"pass": "hunter2"',
        "zabbix_pass = hunter2",
        "credential: hunter2",
        'ssh_private_key_pem = "hunter2"',
        'password: ["hunter2"]',
        "password: [hunter2, x]",
        'password: "$hunter2"',
        "password: $hunter2",
        'password: "<hunter2"',
        "password = ${a}hunter2",
        'password = "${a}hunter2"',
        'variable "secret_key" { default = "hunter2" }',
        'variable "db_password" {\n  type = string\n  default = "hunter2"\n}',
        "password:\n  hunter2",
        'password =\n  "hunter2",',
        "passwords:\n  - hunter2\n",
        "private_key = <<-EOF\n  hunter2\n  EOF\n",
        "secret: |\n  hunter2\n",
        "redis://:hunter2@10.0.0.1/0",
        "postgres://bob:$hunter2@10.0.0.1/db",
    ],
)
def test_a_secret_is_named_by_its_line_and_not_shown(line: str) -> None:
    (found,) = findings({"cluster.conf": f"# head\n{line}\n".encode()})
    assert re.match(r"cluster\.conf:[2-4]: ", found)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "line",
    [
        "on auth::/ { { permit issue token } }",
        'password: ""',
        'secret_key: "${S3_SECRET}"',
        "password: <the password>",
        'password = "<your password>"',
        'variable "db_password" {\n  type = string\n}\nvariable "region" { default = "eu" }',
        "secrets:\n  name: shop\n",
        "credentials: []",
        "password:\n}\n",
        "on job::/secret::x { { permit read } }",
        "secret = null",
        "uri: postgres://bob:${PASSWORD}@10.0.0.1/db",
        "password = var.password_of_the_database",
        "# the token lies elsewhere",
        "https://example.test/path",
    ],
)
def test_a_reference_or_a_word_is_no_secret(line: str) -> None:
    assert findings({"cluster.conf": line.encode()}) == ()


def test_every_line_of_a_secret_is_hidden() -> None:
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
    text = f'a: 1\npassword: "x"\nkey = <<E\n{block}\nE\nsecret:\n  y\nb: 2\n'
    hidden = ['password: "x"', *block.splitlines(), "secret:", "  y"]
    assert sorted(secret_lines(text)) == sorted(hidden)
