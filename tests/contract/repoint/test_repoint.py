"""Repointing files over SSH: on all hosts or on none, and finished by the next run."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from runbook.errors import CommandFailed, SettingsError, Unreachable
from tests.contract.repoint.scene import (
    CHANGED,
    CHANGED_ENV,
    COMPOSE,
    ENV,
    ENV_NAME,
    NEW,
    OLD,
    SECRET,
    Site,
    Watcher,
    backups,
    leftovers,
    run_apart,
)
from tests.lab import processes

pytestmark = pytest.mark.lab


def test_all_hosts_are_repointed_and_a_second_run_changes_nothing(site: Site) -> None:
    os.chown(site.file(0), 1234, 5678)
    site.file(0).chmod(0o640)
    before = site.file(0).stat()
    result = site.run(site.apps())
    assert result.changed == 4
    for number in (0, 1):
        assert site.file(number).read_text() == CHANGED
        (backup,) = backups(site, number)
        assert backup.read_text() == COMPOSE
        assert leftovers(site, number) == [backup.name]
    after = site.file(0).stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, 1234, 5678)
    assert backups(site, 0)[0].stat().st_ino == before.st_ino
    seen = site.snapshot()
    assert site.run(site.apps()).changed == 0
    assert site.snapshot() == seen


def test_a_dry_run_shows_the_masked_diff_of_every_host_and_changes_nothing(site: Site) -> None:
    seen = site.snapshot()
    plan = site.run(site.apps(), skip="", dry_run=True).plan
    assert site.snapshot() == seen
    assert not (site.base / "state").exists()
    shown = [action for line in plan.lines for action in line.actions if "@@" in action.line]
    assert [action.where for action in shown] == ["repointa", "repointb"]
    for number, action in enumerate(shown):
        assert action.line.startswith(f"--- {site.file(number)}\n")
        assert f'+            DATABASE_URL: "postgresql://apio:***@{NEW}:5432/apio"' in action.line
        assert f'-            DATABASE_URL: "postgresql://apio:***@{OLD}:5432/apio"' in action.line
    assert SECRET not in plan.markdown()


def test_a_host_that_does_not_answer_is_named_and_nothing_is_changed(site: Site) -> None:
    site.hosts[1].stop_ssh()
    seen = site.snapshot()
    with pytest.raises(Unreachable, match="gateway on repointb") as refused:
        site.run(site.plain(), skip="")
    assert "skip" in refused.value.hint
    assert site.snapshot() == seen

    result = site.run(site.plain(), skip="repointb")
    assert "gateway on repointb is left out by skip" in result.plan.markdown()
    assert site.file(0, ENV_NAME).read_text() == CHANGED_ENV
    assert site.file(1, ENV_NAME).read_text() == ENV
    with pytest.raises(SettingsError, match="repointc"):
        site.run(site.plain(), skip="repointc")
    site.hosts[1].start_ssh()
    assert site.run(site.plain()).changed == 2
    assert site.file(1, ENV_NAME).read_text() == CHANGED_ENV


def test_an_application_that_a_run_has_stopped_is_not_left_out_without_a_word(site: Site) -> None:
    away = site.folder(1) / "stopped"
    running = site.run(site.plain(), skip="repointb", dry_run=True)
    assert not [fact for fact in running.plan.facts if "STANDS STILL" in fact.name]
    away.touch()
    stopped = site.run(site.plain(), skip="repointb", dry_run=True)
    (fact,) = [fact for fact in stopped.plan.facts if "STANDS STILL" in fact.name]
    assert fact.name == "STANDS STILL: gateway on repointb"
    assert fact.value.endswith(f"To start it: on repointb: rm {away}")
    assert fact.bound


def test_a_full_disk_on_the_second_host_leaves_the_first_as_it_was(site: Site) -> None:
    shutil.rmtree(site.folder(1))
    site.folder(1).mkdir()
    processes.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", site.folder(1)])
    site.file(1, ENV_NAME).write_text(ENV)
    with pytest.raises(OSError, match="No space"), (site.folder(1) / "ballast").open("wb") as file:
        file.write(bytes(1 << 20))
    seen = site.snapshot()
    with pytest.raises(CommandFailed, match=r"not repointed: repointb") as failed:
        site.run(site.plain())
    assert "No space left" in failed.value.detail
    assert "all files are as they were" in failed.value.detail
    now = site.snapshot()
    assert [one[:2] for one in now] == [one[:2] for one in seen]
    (site.folder(1) / "ballast").unlink()
    assert site.run(site.plain()).changed == 4


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_changed(site: Site) -> None:
    processes.run(["mount", "--bind", site.folder(1), site.folder(1)])
    processes.run(["mount", "-o", "remount,bind,ro", site.folder(1)])
    seen = site.snapshot()
    with pytest.raises(SettingsError, match=r"repointb: the folder of .* cannot be written"):
        site.run(site.plain())
    assert site.snapshot() == seen


def test_a_host_that_goes_away_in_the_middle_is_told_and_the_others_are_put_back(
    site: Site,
) -> None:
    seen = site.snapshot()
    with pytest.raises(Unreachable, match="were not repointed") as failed:
        site.run(site.plain(), watcher=Watcher(4, site.hosts[1].stop_ssh))
    assert "not put back" in failed.value.detail
    assert "repointb" in failed.value.detail
    assert [one[:2] for one in site.snapshot()[:3]] == [one[:2] for one in seen[:3]]
    assert site.names(0) == ["docker-compose.yml", ENV_NAME]
    site.hosts[1].start_ssh()
    assert site.run(site.plain()).changed == 4
    for number in (0, 1):
        assert leftovers(site, number) == [path.name for path in backups(site, number)]
        assert len(backups(site, number)) == 1


def test_a_file_that_somebody_edits_meanwhile_is_left_alone_and_the_first_put_back(
    site: Site,
) -> None:
    def edit() -> None:
        site.file(1, ENV_NAME).write_text(ENV + "# by hand\n")

    with pytest.raises(CommandFailed, match="cannot replace") as failed:
        site.run(site.plain(), watcher=Watcher(4, edit))
    assert "has changed meanwhile" in failed.value.detail
    assert site.file(0, ENV_NAME).read_text() == ENV
    assert site.file(1, ENV_NAME).read_text() == ENV + "# by hand\n"
    assert site.names(0) == site.names(1) == ["docker-compose.yml", ENV_NAME]
    site.run(site.plain())
    assert site.file(1, ENV_NAME).read_text() == CHANGED_ENV + "# by hand\n"


@pytest.mark.parametrize("before", [2, 3, 4])
def test_a_run_that_is_killed_in_between_is_finished_by_the_next(site: Site, before: int) -> None:
    run_apart(site, site.plain(), before, signal.SIGKILL)
    site.run(site.plain())
    for number in (0, 1):
        assert site.file(number, ENV_NAME).read_text() == CHANGED_ENV
        (backup,) = backups(site, number)
        assert backup.read_text() == ENV
        assert leftovers(site, number) == [backup.name]


def test_a_run_that_is_cancelled_in_between_puts_everything_back(site: Site) -> None:
    seen = [one[:2] for one in site.snapshot()]
    run_apart(site, site.plain(), 4, signal.SIGTERM)
    assert [one[:2] for one in site.snapshot()] == seen


def test_a_backup_that_a_dead_run_left_is_not_kept_twice(site: Site) -> None:
    os.link(site.file(0, ENV_NAME), f"{site.file(0, ENV_NAME)}.deadrun.bak")
    site.run(site.plain())
    (backup,) = backups(site, 0)
    assert "deadrun" not in backup.name


def test_an_application_without_compose_is_started_again_after_its_file_has_changed(
    site: Site,
) -> None:
    apps = site.plain()
    assert site.promote(apps).changed == 10
    for number in (0, 1):
        assert site.names(number) == [
            "docker-compose.yml", ENV_NAME, backups(site, number)[0].name
        ]  # fmt: skip
    assert site.promote(apps).changed == 0


@pytest.mark.parametrize("before", [7, 8])
def test_one_that_was_not_started_again_before_the_run_died_is_started_by_the_next(
    site: Site, before: int
) -> None:
    apps = site.plain()[:1]
    run_apart(site, apps, before=before - 4, number=signal.SIGKILL, whole=True)
    site.promote(apps)
    assert "stopped" not in site.names(0)
    assert f"{ENV_NAME}.restart-due" not in site.names(0)
    assert site.promote(apps).changed == 0
