# What every script of the job knows. Filled in by the lab: INDEX, ADDRESS and PEERS.
export PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export DATA=/var/vcap/store/postgresql15
export REPMGR_CONF=/var/vcap/jobs/postgresql-ha/config/repmgr.conf
export RUN=/var/vcap/sys/run/postgresql-ha
export LOG=/var/vcap/sys/log/postgresql-ha
export LOCKS=/tmp/postgresql-startup-locks
