"""Where a repointed value comes from: nothing but the address is changed, or all is refused."""

from __future__ import annotations

import pytest

from runbook.apps import App
from runbook.errors import SettingsError
from tests.contract.repoint.scene import CHANGED, COMPOSE, NEW, OLD, SECRET, Site, backups

pytestmark = pytest.mark.lab


def test_behind_a_link_the_file_is_replaced_and_the_link_stays(site: Site) -> None:
    (site.folder(0) / "real").mkdir()
    target = site.folder(0) / "real" / "compose.yml"
    site.file(0).rename(target)
    site.file(0).symlink_to("real/compose.yml")
    site.run(site.apps())
    assert site.file(0).is_symlink()
    assert target.read_text() == CHANGED
    (backup,) = target.parent.glob("*.bak")
    assert backup.read_text() == COMPOSE


INTERPOLATED = """\
x-env: &env {TZ: UTC, DATABASE_URL: "postgresql://apio:${PW}@${DB_HOST}:5432/apio"}
version: "3.7"
services:
  apio-core:
    image: x
    environment: *env
  worker:
    image: x
    env_file: [worker.env]
    environment: [PORT]
"""

DOTENV = f"# both\r\nDB_HOST={OLD} # now\r\nPW='{SECRET}$$x'\r\nPORT=5432\r\n"

WORKER = f'DB="host={OLD} password={SECRET}"\nOTHER={OLD}\n'


def test_values_out_of_env_files_are_changed_where_they_are_written(site: Site) -> None:
    site.write(text=INTERPOLATED)
    for number in (0, 1):
        site.file(number, ".env").write_bytes(DOTENV.encode())
    site.write("worker.env", WORKER)
    port = {"service": "worker", "variable": "PORT", "holds": "port"}
    apps = site.apps(
        [
            {"service": "apio-core", "variable": "DATABASE_URL"},
            {"service": "worker", "variable": "DB"},
            port,
        ]
    )
    assert site.run(apps, port=5433).changed == 12
    wanted = DOTENV.replace(OLD, NEW).replace("5432", "5433").encode()
    for number in (0, 1):
        assert site.file(number).read_text() == INTERPOLATED.replace(":5432/", ":5433/")
        assert site.file(number, ".env").read_bytes() == wanted
        assert site.file(number, "worker.env").read_text() == WORKER.replace(
            f"host={OLD}", f"host={NEW}"
        )
    assert site.run(apps, port=5433).changed == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f"{OLD}:5432/apio", "${DB:-10.0.0.1}:5432/apio", "comes from no file"),
        ("DATABASE_URL", "DATABASE_URI", "sets no apio-core DATABASE_URL"),
        (f"{OLD}:5432/apio", "/apio", "no address is recognised"),
        ("apio-core:", "apio:", "no service 'apio-core'"),
        ("image: apio/core", "imagee: apio/core", "cannot read"),
        (f"apio:{SECRET}@", f"apio:{SECRET}$@", "cannot read"),
        (f"apio:{SECRET}@", "apio:$@", "cannot read"),
        ("version:", "version", "no YAML"),
    ],
)
def test_what_is_not_understood_is_refused_before_the_first_change(
    site: Site, old: str, new: str, said: str
) -> None:
    assert old in COMPOSE
    site.file(1).write_text(COMPOSE.replace(old, new))
    seen = site.snapshot()
    with pytest.raises(SettingsError, match=said):
        site.run(site.apps()[1:])
    assert site.snapshot() == seen


def test_a_shared_value_is_refused_with_the_name_of_what_shares_it(site: Site) -> None:
    text = f"""\
version: "3.7"
x-db: &db {OLD}
services:
  apio-core: {{image: x, environment: {{DATABASE_URL: *db, REDIS_HOST: *db}}}}
"""
    site.write(text=text)
    variable = {"service": "apio-core", "variable": "DATABASE_URL"}
    seen = site.snapshot()
    with pytest.raises(SettingsError, match="change more") as refused:
        site.run(site.apps([variable]))
    assert "services.apio-core.environment.REDIS_HOST" in refused.value.detail
    assert site.snapshot() == seen
    site.run(site.apps([variable, {"service": "apio-core", "variable": "REDIS_HOST"}]))
    assert site.file(0).read_text() == text.replace(OLD, NEW)


def test_an_env_file_that_another_service_reads_too_is_refused_with_its_name(site: Site) -> None:
    text = """\
version: "3.7"
services:
  apio-core: {image: x, env_file: db.env}
  migrator: {image: x, env_file: [db.env]}
"""
    site.write(text=text)
    site.write("db.env", f"DATABASE_URL={OLD}\n")
    seen = site.snapshot()
    (app,) = site.apps([{"service": "apio-core", "variable": "DATABASE_URL"}])[:1]
    with pytest.raises(SettingsError, match="change more") as refused:
        site.run([app])
    assert "services.migrator.environment.DATABASE_URL" in refused.value.detail
    assert site.snapshot() == seen


def test_a_value_that_the_environment_overrides_is_refused(site: Site) -> None:
    site.write(text=COMPOSE.replace(f"@{OLD}", "@${DB_HOST}"))
    site.write(".env", f"DB_HOST={OLD}\n")
    with pytest.raises(SettingsError, match="comes from no file"):
        site.run(site.apps(env={"DB_HOST": "10.0.0.9"}))


def test_two_applications_in_one_file_are_changed_in_one_go(site: Site) -> None:
    core, worker = (site.app(0, [one.model_dump()]) for one in site.app(0).database)
    worker = App.model_validate({**worker.model_dump(), "name": "worker"})
    assert site.run([core, worker]).changed == 2
    assert site.file(0).read_text() == CHANGED
    assert len(backups(site, 0)) == 1
