#!/bin/sh
# Run inside the machines' root file system: pack what a container needs (busybox, PostgreSQL)
# into /opt/lab/app.tar, for `docker import`; no registry is asked for anything.
set -eu
pg=/usr/lib/postgresql/15
to=$(mktemp -d)
mkdir -p "$to/bin" "$to/etc" "$to/usr/lib/postgresql" "$to/usr/share" "$to/var/lib/postgresql" \
    "$to/run/postgresql" "$to/tmp"
ln -s /run "$to/var/run"
chmod 1777 "$to/tmp"
cp -a "$pg" "$to/usr/lib/postgresql/"
rm -rf "$to$pg/lib/bitcode" "$to$pg/lib/"llvmjit*
cp -a /usr/share/postgresql /usr/share/zoneinfo "$to/usr/share/"
cp /etc/passwd /etc/group "$to/etc/"
chown -R postgres:postgres "$to/run/postgresql" "$to/var/lib/postgresql"
cp /bin/busybox "$to/bin/"
for name in $(busybox --list); do [ -e "$to/bin/$name" ] || ln -s busybox "$to/bin/$name"; done
find "$to$pg" -type f \( -perm -u+x -o -name '*.so*' \) -exec ldd {} + 2>/dev/null |
    grep -o '/[^ :]*' | grep -v "^$to" | sort -u |
    while read -r library; do
        mkdir -p "$to$(dirname "$library")"
        cp -L "$library" "$to$library"
    done
mkdir -p /opt/lab
tar -C "$to" -c . >/opt/lab/app.tar
rm -rf "$to"
