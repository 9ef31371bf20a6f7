register_master_node() {
  repmgr -f "$REPMGR_CONF" primary register -F
}

register_standby_node() {
  repmgr -f "$REPMGR_CONF" standby register -F --wait-sync=30
}

# Prints the address of the peer that accepts writes.
primary_of_peers() {
  for peer in $PEERS; do
    role=$(psql -XAtq "host=$peer user=repmgr dbname=repmgr_cluster connect_timeout=2" \
      -c 'SELECT pg_is_in_recovery()' 2>/dev/null) || continue
    if [ "$role" = f ]; then echo "$peer"; return; fi
  done
  return 1
}
