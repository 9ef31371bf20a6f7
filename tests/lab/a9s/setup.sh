# Makes a machine look like one of an a9s-pg deployment, monit and PostgreSQL not yet started.
# Arguments: folder with these files, index, own address, all addresses, network, password.
set -eu
files=$1 index=$2 address=$3 peers=$4 network=$5 password=$6
job=/var/vcap/jobs/postgresql-ha
groupadd --force vcap
id vcap >/dev/null 2>&1 || useradd --gid vcap --create-home --shell /bin/bash vcap
usermod --append --groups vcap postgres
mkdir -p $job/bin $job/helpers $job/data $job/config /var/vcap/store /var/vcap/monit
for program in postgresql-ha_ctl repmgr_ctl repmgr_run pre-start; do
  install -m 755 "$files/$program" $job/bin/
done
install -m 644 "$files/vars.sh" "$files/repmgr_utils.sh" $job/helpers/
install -m 644 "$files/create_or_update_roles_and_databases.sql" $job/data/
cat >>$job/helpers/vars.sh <<END
export INDEX=$index ADDRESS=$address PEERS='$peers'
END
cat >$job/config/repmgr.conf <<END
node_id = $((index + 1))
node_name = '$(hostname)'
conninfo = 'host=$address port=5432 user=repmgr dbname=repmgr_cluster connect_timeout=2'
data_directory = '/var/vcap/store/postgresql15'
pg_bindir = '/usr/lib/postgresql/15/bin'
use_replication_slots = yes
failover = manual
monitor_interval_secs = 1
service_start_command = 'sudo monit start postgresql-ha'
service_stop_command = 'sudo monit stop postgresql-ha'
service_restart_command = 'sudo monit restart postgresql-ha'
END
cat >$job/config/postgresql.conf <<END
listen_addresses = '*'
wal_level = replica
wal_log_hints = on
fsync = off
shared_buffers = 32MB
shared_preload_libraries = 'repmgr'
END
cat >$job/config/pg_hba.conf <<END
local all all peer
local replication all peer
host all repmgr $network trust
host replication repmgr $network trust
host all all $network scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
END
printf '%s\n' "$password" >$job/config/password
chown postgres:vcap $job/config/password
chmod 600 $job/config/password
printf 'postgres ALL=(root) NOPASSWD: /usr/bin/monit * postgresql-ha\n' >/etc/sudoers.d/monit
printf 'vcap:%s\n' "$password" >/var/vcap/monit/monit.user
chmod 600 /var/vcap/monit/monit.user
install -m 700 "$files/monitrc" /etc/monit/monitrc
$job/bin/pre-start
systemctl enable -q monit.service
systemctl start monit.service
