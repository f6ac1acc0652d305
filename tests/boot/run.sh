#!/bin/bash
# Installs the packages on a Debian that really boots (systemd as process 1, in systemd-nspawn) and drives what an
# administrator does: install, upgrade (a schema too), enrol, capture, kill, a hang, reboot, a machine that dies, remove, purge, restore.
#
#   tests/boot/run.sh [FOLDER]     the folder with the two packages; default target/debian
#
# Needs root, and a kernel that lets root make namespaces. Nothing is skipped: what cannot be done fails. The root file system is
# made once with mmdebstrap (some 200 MB in target/boot) and copied for each run; nothing outside of target/boot is touched.
# BOOT_KEEP=1 leaves the machine's disk there.
set -euo pipefail
cd "$(dirname "$0")/../.."
packages=${1:-target/debian}
work=$PWD/target/boot
base=$work/base
root=$work/machine
include=systemd,systemd-sysv,dbus,init-system-helpers,passwd,ca-certificates,curl,iproute2,procps
passed=0

say() { printf '%s\n' "$*"; }
die() {
    say "not ok - $*" >&2
    # What the machine said, for whoever has to find out.
    if [ -n "${leader:-}" ] && kill -0 "$leader" 2>/dev/null; then
        inside journalctl --no-pager -n 40 -u aincident-node -u aincident-hub >&2 || true
        inside systemctl --no-pager list-jobs >&2 || true
        inside ps ax >&2 || true
    fi
    say "$passed passed, 1 failed"
    exit 1
}
ok() { passed=$((passed + 1)); say "ok - $*"; }
# Waits until a command succeeds: until SECONDS WHAT COMMAND...
until_true() {
    local left=$(($1 * 10)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || die "waited in vain: $what"
        sleep 0.1
    done
}

[ "$(id -u)" = 0 ] || die "this needs root: it boots a machine"
for tool in mmdebstrap systemd-nspawn nsenter setpriv dpkg-deb sqlite3; do
    command -v "$tool" >/dev/null || die "$tool is missing: run make boot, which installs it"
done
newest() { find "$packages" -maxdepth 1 -name "$1_*.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
hub_deb=$(newest aincident-hub)
node_deb=$(newest aincident-node)
[ -n "$hub_deb" ] && [ -n "$node_deb" ] || die "no packages in $packages: run make deb first"
# A run over yesterday's packages says nothing of today's sources; make boot packs anew.
if newer=$(packaging/stale.sh "$hub_deb" "$node_deb"); then say "warning: the packages are older than $newer"; fi

# ---- the machine

leader= nspawn=
# Everything that runs inside runs without the rights that reach beyond the machine: nsenter alone would keep them.
beyond=-sys_time,-sys_module,-sys_boot,-sys_rawio,-mac_admin,-mac_override,-syslog,-wake_alarm,-perfmon,-bpf
inside() {
    nsenter -t "$leader" -m -u -i -n -p -C setpriv --bounding-set="$beyond" --inh-caps="$beyond" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TERM=dumb LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
boot() {
    setsid systemd-nspawn -q -D "$root" -M aincident-boot -b --register=no --keep-unit --console=passive \
        --link-journal=no --private-network </dev/null >"$work/console.log" 2>&1 &
    nspawn=$!
    local tries=100
    until leader=$(pgrep -P "$nspawn" -x systemd); do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] && kill -0 "$nspawn" 2>/dev/null || { cat "$work/console.log" >&2; die "the machine does not boot"; }
        sleep 0.1
    done
    until_true 60 "the machine to be up" is_up
}
is_up() { case $(inside systemctl is-system-running 2>/dev/null) in running | degraded) return 0 ;; *) return 1 ;; esac; }
gone() { ! kill -0 "$nspawn" 2>/dev/null; }
power_off() {
    inside systemctl poweroff || true
    until_true 60 "the machine to end" gone
}
pull_the_plug() {
    kill -9 "$leader" "$nspawn" 2>/dev/null || true
    until_true 30 "the machine to be gone" gone
}
clean() {
    if [ -n "$nspawn" ] && ! gone; then pull_the_plug; fi
    [ -n "${BOOT_KEEP:-}" ] || rm -rf --one-file-system "$root" "$work/older"
}
trap clean EXIT
# What fails without a word of its own.
trap 'die "line $LINENO: $BASH_COMMAND"' ERR

mkdir -p "$work"
if [ ! -e "$base/etc/debian_version" ]; then
    say "making the root file system (once)"
    rm -rf --one-file-system "$base.part"
    mkdir "$base.part"
    mmdebstrap --quiet --variant=minbase --include="$include" bookworm - | tar -C "$base.part" -xf -
    echo uninitialized >"$base.part/etc/machine-id"
    mv "$base.part" "$base"
fi
rm -rf --one-file-system "$root"
cp -a --reflink=auto "$base" "$root"
echo till-1 >"$root/etc/hostname"

# The same programs as an older and as newer versions, for the way up and the way down: also_as NAME VERSION PACKAGE [COMMENT], which then
# stands in its configuration file, as a new key with its explanation would.
also_as() {
    local tree
    tree=$work/older/$(basename "$3" .deb)
    rm -rf --one-file-system "$tree"
    mkdir -p "$tree"
    dpkg-deb -R "$3" "$tree"
    sed -i "s/^Version: .*/Version: $2/" "$tree/DEBIAN/control"
    [ -z "${4:-}" ] || printf '# %s\n' "$4" >>"$tree/etc/aincident/${1#*-}.toml"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$tree" "$root/var/tmp/$1.deb" >/dev/null
}
for name in hub node; do
    deb=${name}_deb
    also_as "older-$name" 0.0.9-1 "${!deb}"
    also_as "newer-$name" 999.0-1 "${!deb}"
    also_as "latest-$name" 999.1-1 "${!deb}" "a key that is new"
done
cp "$hub_deb" "$root/var/tmp/hub.deb"
cp "$node_deb" "$root/var/tmp/node.deb"

# ---- what an administrator does

both="aincident-hub aincident-node"
# Nobody is there to answer what is asked.
install() { inside apt-get install -y -qq --no-install-recommends "$@" </dev/null >"$work/apt.log" 2>&1; }
pid_of() { inside systemctl show -p MainPID --value "$1"; }
# A file as a service sees it.
seen_by() { inside nsenter -t "$(pid_of "$1")" -m cat "$2"; }
runs() { [ "$(inside systemctl is-active "$1")" = active ]; }
another() { local now; now=$(pid_of "$1"); runs "$1" && [ "$now" != 0 ] && [ "$now" != "$2" ]; }
authority=/var/lib/aincident-node/tls/ca.pem
field() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
# node METHOD PATH [BODY], logged in
token=
node() {
    inside curl -sS --fail-with-body -m 20 --cacert "$authority" -X "$1" "https://127.0.0.1:7710$2" \
        -H 'content-type: application/json' ${token:+-H "authorization: Bearer $token"} ${3:+-d "$3"}
}
log_in() { token=; token=$(node POST /api/v1/login '{"username":"mia","password":"long enough 042"}' | field token); [ -n "$token" ]; }
in_step() { inside aincident-node status --json | tr -d ' ' | grep >/dev/null '"pending_changes":0,'; }
holds() { node GET "/api/v1/incidents/$1" | grep >/dev/null 'forklift'; }
# What headquarters itself says, and not what the node believes of it.
hub() { inside curl -sS --fail-with-body -m 20 -H 'content-type: application/json' "$@"; }
hub_holds() {
    local session
    session=$(hub -d '{"username":"kim","password":"long enough 042"}' http://127.0.0.1:7700/api/v1/login | field token)
    hub -H "authorization: Bearer $session" "http://127.0.0.1:7700/api/v1/incidents/$1" | grep >/dev/null 'forklift'
}

boot
ok "a Debian boots: $(inside cat /etc/debian_version), $(inside systemctl --version | head -n 1)"

install /var/tmp/older-hub.deb /var/tmp/older-node.deb || { cat "$work/apt.log" >&2; die "install"; }
for one in $both; do runs "$one" || die "$one does not run after its installation"; done
ok "both are installed and serve"
for one in $both; do
    [ "$(inside stat -c '%U %a' "/var/lib/$one")" = "$one 700" ] || die "/var/lib/$one: $(inside stat -c '%U %a' "/var/lib/$one")"
    inside systemctl is-enabled -q "$one" || die "$one is not enabled"
    inside test -s "/usr/share/man/man1/$one-serve.1.gz" || die "$one has no man page"
    inside sh -c "gzip -dc /usr/share/doc/$one/third-party.txt.gz | grep -q '^rusqlite '" || die "$one does not say what it is made of"
    inside test -s "/usr/share/bash-completion/completions/$one" || die "$one completes nothing"
    inside systemd-analyze security --threshold=15 --no-pager "$one" >"$work/security.log" || die "$(tail -n 1 "$work/security.log")"
    inside systemctl is-enabled -q "$one.socket" && die "$one.socket is enabled though nobody asked for it"
    inside test -s "/etc/aincident/${one#aincident-}.d/README" || die "$one has no folder for files of the machine's own"
    [ "$(seen_by "$one" /proc/sys/kernel/hostname)" = till-1 ] || die "$one does not see what the machine is called"
    seen_by "$one" /proc/sys/kernel/random/boot_id | grep -Ex >/dev/null '[0-9a-f-]{36}' || die "$one does not see which start this is"
    ok "$one: private data folder, enabled, man pages, completions; $(sed -n 's/^→ //p' "$work/security.log")"
done

# The journal knows how grave a line is: a node that belongs to no store warns.
warned=$(inside journalctl --no-pager -p warning -u aincident-node)
printf '%s' "$warned" | grep >/dev/null 'not enrolled yet' || die "the journal has no warning: $warned"
printf '%s' "$warned" | grep >/dev/null 'the node serves' && die "the journal takes every line for a warning"

# What a version with an older schema has left behind: its first start under the newer program copies it, then changes it.
# The first schema of all: later ones have text indexes that Debian's sqlite3 is too old for.
history=migrations/released/schema-11-node.sql
for one in $both; do
    inside systemctl stop "$one"
    inside find "/var/lib/$one" -mindepth 1 -delete
    {
        sed -n '/^CREATE TABLE refinery_schema_history(/,/;$/p' "$history"
        grep '^INSERT INTO refinery_schema_history VALUES (1, ' "$history"
        cat migrations/sqlite/V1__ledger.sql
        echo "INSERT INTO site VALUES ('note', 'of an older version');"
    } | sqlite3 -bail "$root/var/lib/$one/ledger.sqlite" || die "no ledger of an older schema can be made"
    inside chown "$one:$one" "/var/lib/$one/ledger.sqlite"
done
install /var/tmp/hub.deb /var/tmp/node.deb || { cat "$work/apt.log" >&2; die "an upgrade of an older schema"; }
said='SELECT max(version), (SELECT value FROM site WHERE name = "note") FROM refinery_schema_history'
newest=$(find migrations/sqlite -name 'V*.sql' | wc -l)
for one in $both; do
    until_true 30 "$one after the upgrade of an older schema" runs "$one"
    copy=/var/lib/$one/ledger.sqlite.before-upgrade
    [ "$(inside stat -c '%U %a' "$copy")" = "$one 600" ] || die "no copy of what was before: $(inside ls -l "/var/lib/$one")"
    was=$(sqlite3 "file:$root$copy?immutable=1" "$said")
    is=$(sqlite3 -readonly "$root/var/lib/$one/ledger.sqlite" "$said")
    [ "$was" = "1|of an older version" ] || die "the copy of $one is another one: $was"
    [ "$is" = "$newest|of an older version" ] || die "the ledger of $one is another one: $is"
done
ok "an upgrade brings schema 1 to $newest, and leaves a private copy of what was before"

inside aincident-hub store add --code 042 --name Downtown >/dev/null
inside sh -c 'echo "long enough 042" | aincident-hub user add --username mia --role manager --store 042 --password-stdin' >/dev/null
inside sh -c 'echo "long enough 042" | aincident-hub user add --username kim --role hq --password-stdin' >/dev/null
code=$(inside aincident-hub node code --store 042)
inside aincident-node enroll --hub http://127.0.0.1:7700 --code "$code" >"$work/enrol.log" 2>&1 || die "enrol: $(cat "$work/enrol.log")"
for one in $both; do
    strange=$(inside find "/var/lib/$one" -ignore_readdir_race ! -user "$one")
    [ -z "$strange" ] || die "root left files of its own: $strange"
done
ok "root adds a store and a person, and enrols the node; every file belongs to the service"

until_true 30 "somebody to log in" log_in
name=$(inside hostname)
inside curl -sSf -m 20 --cacert "$authority" --resolve "$name:7710:127.0.0.1" "https://$name:7710/healthz" >/dev/null || die "no certificate for $name"
inside curl -sS -m 20 "https://127.0.0.1:7710/healthz" >/dev/null 2>&1 && die "whoever was not told to trust it does"
led=$(inside curl -sS -m 20 -o /dev/null -w '%{http_code} %{redirect_url}' http://127.0.0.1:7710/docs)
[ "$led" = "308 https://127.0.0.1:7710/docs" ] || die "plain HTTP is led to: $led"
inside curl -sSf -m 20 http://127.0.0.1:7710/ca.pem | inside cmp - "$authority" || die "ca.pem is another one"
ok "the node serves its network with TLS, for its address and for $name; plain HTTP is led there"

id=$(node POST /api/v1/incidents '{"description":"a forklift hit the dock"}' | field id)
[ -n "$id" ] || die "no incident was captured"
until_true 60 "headquarters to have it" in_step
hub_holds "$id" || die "headquarters does not have what the node believes it has"
ok "an incident is captured and reaches headquarters, which shows it"

# Which start of the machine headquarters' time was reckoned from is kept: a node begun anew out of reach goes on from it.
boot_id=$(seen_by aincident-node /proc/sys/kernel/random/boot_id)
kept() { sqlite3 -readonly "$root/var/lib/aincident-node/ledger.sqlite" "SELECT value FROM site WHERE name = 'link'" | grep >/dev/null "$boot_id"; }
until_true 60 "the node to keep which start of the machine it is" kept
ok "the node keeps by which start of the machine it reckons"

# Over TLS, believed by its fingerprint alone: another store's node, in a folder of its own.
inside sh -c 'printf "[tls]\nalways = true\n" >/etc/aincident/hub.d/50-tls.toml'
inside systemctl restart aincident-hub || die "no hub with TLS: $(inside journalctl --no-pager -n 5 -u aincident-hub)"
inside aincident-hub store add --code 043 --name Uptown >/dev/null
code=$(inside aincident-hub node code --store 043)
fingerprint=$({ inside aincident-hub doctor || true; } | sed -n 's/.*SHA-256 \([0-9A-Fa-f:]*\).*/\1/p' | head -n 1)
[ -n "$fingerprint" ] || die "the hub's doctor tells no fingerprint"
enrol_over_tls() { inside aincident-node enroll --data-dir /var/tmp/second --hub https://127.0.0.1:7700 --code "$code" --fingerprint "$1" >"$work/enrol.log" 2>&1; }
zeros=00; for _ in $(seq 31); do zeros=$zeros:00; done
enrol_over_tls "$zeros" && die "a hub with another fingerprint was believed"
enrol_over_tls "$fingerprint" || die "enrol over TLS: $(cat "$work/enrol.log")"
inside rm -r /etc/aincident/hub.d/50-tls.toml /var/tmp/second
inside systemctl restart aincident-hub || die "no hub without TLS again"
ok "a node enrols over TLS with the hub's fingerprint, and with no other one"

# What the sandbox of the unit could get in the way of: a picture that a child opens, and a report.
cp tests/boot/picture.heic "$root/var/tmp/picture.heic"
photo=$(inside curl -sS --fail-with-body -m 20 --cacert "$authority" -H "authorization: Bearer $token" -F file=@/var/tmp/picture.heic \
    "https://127.0.0.1:7710/api/v1/incidents/$id/photos" | field id)
fetched() {
    inside curl -s --fail-with-body -m 20 --cacert "$authority" -H "authorization: Bearer $token" "https://127.0.0.1:7710/api/v1/$1" | head -c 4 | od -An -tx1 | tr -d ' \n'
}
is_shown() { [ "$(fetched "photos/$photo/display")" = ffd8ffe0 ]; }
until_true 60 "an iPhone's picture to be shown" is_shown
[ "$(fetched "incidents/$id/report.pdf")" = 25504446 ] || die "no report"
ok "within the sandbox an iPhone's picture is shown as a JPEG, and a report is made"

pid=$(pid_of aincident-node)
install /var/tmp/newer-hub.deb /var/tmp/newer-node.deb || { cat "$work/apt.log" >&2; die "upgrade"; }
until_true 30 "the upgraded node" another aincident-node "$pid"
until_true 30 "the incident after the upgrade" holds "$id"
ok "after the upgrade to $(inside dpkg-query -W -f '${Version}' aincident-node) it runs anew, and the incident is there"

# A newer version may not know a key any more.
pid=$(pid_of aincident-node)
inside sh -c 'echo "hubb = 1" >/etc/aincident/node.d/90-wrong.toml'
install --reinstall /var/tmp/newer-node.deb || { cat "$work/apt.log" >&2; die "apt fails for a wrong configuration"; }
grep >/dev/null '90-wrong.toml, line 1: ' "$work/apt.log" || { cat "$work/apt.log" >&2; die "nobody is told what is wrong"; }
grep >/dev/null 'the service was not restarted' "$work/apt.log" || die "nobody is told that nothing was restarted"
[ "$(pid_of aincident-node)" = "$pid" ] && runs aincident-node || die "the upgrade ended the service for a wrong configuration"
inside dpkg --audit | grep >/dev/null . && die "something is left half done: $(inside dpkg --audit)"
inside rm /etc/aincident/node.d/90-wrong.toml
ok "an upgrade whose version cannot use the configuration leaves running what runs, and tells what to mend"

if install --allow-downgrades /var/tmp/node.deb; then die "an older version was installed over a newer one"; fi
grep >/dev/null 'is older than the installed' "$work/apt.log" || { cat "$work/apt.log" >&2; die "the refusal says nothing"; }
runs aincident-node || die "the refused downgrade stopped the service"
inside dpkg --audit | grep >/dev/null . && die "the refused downgrade left something half done: $(inside dpkg --audit)"
ok "a downgrade is refused: $(sed -n 's/.*\(aincident-node: .* is older than .*\)/\1/p' "$work/apt.log" | head -n 1)"

# The next version's configuration file differs. One that was edited by hand is asked about, which stops whoever asks nobody; settings in
# files beside it are in nobody's way.
inside sh -c 'echo "# by hand" >>/etc/aincident/node.toml'
inside sh -c 'echo "company = \"By hand\"" >/etc/aincident/hub.d/50-own.toml'
pid=$(pid_of aincident-node)
if install /var/tmp/latest-node.deb; then die "an edited configuration file was replaced, or kept, and nobody asked"; fi
runs aincident-node && [ "$(pid_of aincident-node)" = "$pid" ] || die "a question that nobody answers stopped the service"
inside dpkg --force-confdef --force-confold --configure -a </dev/null >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; die "configure"; }
inside grep -q '^# by hand$' /etc/aincident/node.toml || die "what was edited is gone"
inside grep -q 'a key that is new' /etc/aincident/node.toml.dpkg-dist || die "the new file is nowhere"
until_true 30 "the node after the answer" another aincident-node "$pid"
install -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --reinstall /var/tmp/latest-node.deb || die "with --force-confold"
pid=$(pid_of aincident-hub)
install /var/tmp/latest-hub.deb || { cat "$work/apt.log" >&2; die "a file beside the configuration file is in the way of an upgrade"; }
until_true 30 "the upgraded hub" another aincident-hub "$pid"
inside grep -q 'a key that is new' /etc/aincident/hub.toml || die "a file that nobody edited is not the new one"
inside grep -q 'By hand' /etc/aincident/hub.d/50-own.toml || die "what lay beside the file is gone"
until_true 30 "the incident after that" holds "$id"
ok "an edited configuration file stops an upgrade that asks nobody, unless it is told what to keep; a file beside it does not"

pid=$(pid_of aincident-node)
inside kill -9 "$pid"
until_true 30 "the killed node to run again" another aincident-node "$pid"
until_true 30 "the incident after a kill" holds "$id"
ok "killed, it runs again"

inside mkdir -p /etc/systemd/system/aincident-node.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n" > /etc/systemd/system/aincident-node.service.d/test.conf'
inside systemctl daemon-reload
inside systemctl restart aincident-node
pid=$(pid_of aincident-node)
sleep 8
[ "$(pid_of aincident-node)" = "$pid" ] || die "the watchdog bit a node that is well"
inside kill -STOP "$pid"
until_true 30 "the node that hangs to be begun anew" another aincident-node "$pid"
inside journalctl --no-pager -u aincident-node | grep -i >/dev/null 'watchdog timeout' || die "it was not the watchdog"
until_true 30 "the incident after a hang" holds "$id"
ok "one that hangs is begun anew by the watchdog, one that is well is left alone"

inside sh -c 'printf "cache_mib = 5\nhubb = 1\n" > /tmp/added; sed -i "/^data_dir/r /tmp/added" /etc/aincident/node.toml'
line=$(inside grep -n '^cache_mib' /etc/aincident/node.toml | cut -d: -f1)
told=$(inside aincident-node check-config 2>&1) && die "a wrong file was found right"
printf '%s' "$told" | grep >/dev/null "line $line: cache_mib is 5" || die "check-config says: $told"
inside systemctl restart aincident-node 2>/dev/null && die "it started with a wrong file"
sleep 7
[ "$(inside systemctl is-failed aincident-node)" = failed ] || die "it is tried again and again with a wrong file"
inside sed -i '/^cache_mib/d; /^hubb/d' /etc/aincident/node.toml
inside aincident-node check-config >/dev/null || die "the file is still wrong"
inside systemctl start aincident-node
pid=$(pid_of aincident-node)
inside sed -i 's/^#log = .*/log = "debug"/' /etc/aincident/node.toml
inside systemctl reload aincident-node || die "reload"
debugs() { inside journalctl --no-pager -p debug -u aincident-node | grep >/dev/null 'DEBUG'; }
until_true 30 "lines of the new level" debugs
[ "$(pid_of aincident-node)" = "$pid" ] || die "a reload began the node anew"
inside sed -i 's/^log = .*/log = "loud=loud=loud"/' /etc/aincident/node.toml
inside systemctl reload aincident-node 2>/dev/null && die "a wrong file was reloaded"
[ "$(pid_of aincident-node)" = "$pid" ] || die "a wrong file ended the node"
inside sed -i 's/^log = .*/#log = "info"/' /etc/aincident/node.toml
inside systemctl reload aincident-node || die "reload to what was before"
ok "a wrong configuration is told with its line ($line), and not tried again; a reload takes a right one, and refuses a wrong one"

# A key that only root may read: systemd hands it over, and the node serves with it.
inside openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=till-1.example \
    -addext subjectAltName=IP:127.0.0.1 -keyout /etc/ssl/private/till.key -out /etc/aincident/tls.pem 2>/dev/null || die "no certificate of the shop's own"
inside chmod 600 /etc/ssl/private/till.key
inside chmod 644 /etc/aincident/tls.pem
inside sh -c 'printf "[Service]\nLoadCredential=tls-key:/etc/ssl/private/till.key\n" > /etc/systemd/system/aincident-node.service.d/key.conf'
inside cp -p /etc/aincident/node.toml /var/tmp/node.toml
inside sh -c 'printf "\n[tls]\ncert = \"/etc/aincident/tls.pem\"\n" >> /etc/aincident/node.toml'
inside systemctl daemon-reload
inside systemctl restart aincident-node || die "no start with a handed over key: $(inside journalctl --no-pager -n 5 -u aincident-node)"
serves_with() { inside curl -sSf -m 20 --cacert "$1" https://127.0.0.1:7710/healthz; }
until_true 30 "the node with the shop's own certificate" serves_with /etc/aincident/tls.pem
serves_with "$authority" >/dev/null 2>&1 && die "it still serves with a certificate of its own"
inside cp -p /var/tmp/node.toml /etc/aincident/node.toml
inside rm /etc/systemd/system/aincident-node.service.d/key.conf /etc/aincident/tls.pem /etc/ssl/private/till.key
inside systemctl daemon-reload
inside systemctl restart aincident-node
until_true 30 "the node with its own certificate again" serves_with "$authority"
ok "a private key that only root may read is handed over by systemd (LoadCredential)"

# So is a password. A server that nobody is behind: that there is a password is found out at the start.
inside sh -c 'umask 077; echo secret >/etc/aincident/smtp-password'
inside sh -c 'printf "[mail]\nhost = \"127.0.0.1\"\ntls = \"none\"\nfrom = \"a@example.com\"\nusername = \"a\"\n" >/etc/aincident/hub.d/60-mail.toml'
inside mkdir -p /etc/systemd/system/aincident-hub.service.d
inside systemctl restart aincident-hub 2>/dev/null && die "the hub has an account for mail and no password, and does not say so"
inside sh -c 'printf "[Service]\nLoadCredential=smtp-password:/etc/aincident/smtp-password\n" >/etc/systemd/system/aincident-hub.service.d/mail.conf'
inside systemctl daemon-reload
inside systemctl restart aincident-hub || die "no start with a handed over password: $(inside journalctl --no-pager -n 5 -u aincident-hub)"
inside rm /etc/systemd/system/aincident-hub.service.d/mail.conf /etc/aincident/hub.d/60-mail.toml /etc/aincident/smtp-password
inside systemctl daemon-reload
inside systemctl restart aincident-hub
ok "a password that only root may read is handed over, too"

# A socket that systemd holds: whoever connects while the node is begun anew, or upgraded, waits and is answered.
inside systemctl stop aincident-node
inside systemctl enable -q --now aincident-node.socket || die "no socket: $(inside journalctl --no-pager -n 5 -u aincident-node.socket)"
inside systemctl start aincident-node || die "no start on systemd's socket: $(inside journalctl --no-pager -n 5 -u aincident-node)"
inside journalctl --no-pager -u aincident-node | grep >/dev/null 'the socket that systemd holds' || die "it listens by itself"
inside rm -f /var/tmp/enough
# shellcheck disable=SC2016
inside sh -c 'asked=0; while [ ! -e /var/tmp/enough ]; do asked=$((asked + 1))
    curl -sSf -m 60 -o /dev/null --cacert '"$authority"' https://127.0.0.1:7710/healthz || echo refused; done; echo "asked $asked"' >"$work/asked.log" 2>&1 &
asking=$!
for how in restart reinstall restart; do
    pid=$(pid_of aincident-node)
    case $how in
    restart) inside systemctl restart aincident-node ;;
    reinstall) install --reinstall /var/tmp/latest-node.deb || die "install on a socket: $(cat "$work/apt.log")" ;;
    esac
    until_true 30 "the node on its socket" another aincident-node "$pid"
done
inside touch /var/tmp/enough
wait "$asking"
[ "$(wc -l <"$work/asked.log")" = 1 ] || die "not everybody was answered: $(sort "$work/asked.log" | uniq -c)"
inside systemctl disable -q --now aincident-node.socket
inside systemctl restart aincident-node
until_true 30 "the incident without the socket" holds "$id"
ok "with a socket of systemd's, two restarts and an upgrade refuse nobody: $(cat "$work/asked.log") times, one after the other"

for one in $both; do
    file=/etc/aincident/${one#aincident-}.toml
    inside systemctl is-enabled -q "$one-backup.timer" || die "$one-backup.timer is not enabled"
    inside systemctl is-active -q "$one-backup.timer" || die "$one-backup.timer does not run"
    inside systemctl start "$one-backup.service" || die "a backup without a folder fails"
    inside journalctl --no-pager -u "$one-backup" | grep >/dev/null 'nothing was backed up' || die "nothing says that there is no backup"
    inside sh -c "printf '[backup]\nfolder = \"/var/backups/$one\"\n' >'${file%.toml}.d/40-backup.toml'"
    inside "$one" check-config >/dev/null || die "$file with a backup folder is wrong"
    inside systemctl start "$one-backup.service" || die "$(inside journalctl --no-pager -u "$one-backup")"
    made=$(inside find "/var/backups/$one" -name "$one-*.backup" -user "$one" -perm 600 -size +10k)
    [ -n "$made" ] || die "no backup in /var/backups/$one: $(inside ls -l "/var/backups/$one")"
    inside systemd-analyze security --threshold=15 --no-pager "$one-backup" >/dev/null || die "$one-backup is too open"
done
inside aincident-node doctor | grep >/dev/null 'the last one is /var/backups' || die "the doctor does not know the backup"
ok "the timers run; with a folder configured, both are backed up into it"

power_off
boot
for one in $both; do until_true 60 "$one after a reboot" runs "$one"; done
until_true 30 "the incident after a reboot" holds "$id"
ok "after a reboot both serve, and the session of before is still good"

second=$(node POST /api/v1/incidents '{"description":"a forklift, just before the machine died"}' | field id)
pull_the_plug
boot
for one in $both; do until_true 60 "$one after a dead machine" runs "$one"; done
until_true 30 "what was acknowledged before" holds "$second"
until_true 60 "headquarters to have that too" in_step
inside aincident-hub audit verify >/dev/null || die "headquarters' chains are broken"
ok "a machine that dies loses nothing that was acknowledged"

for one in $both; do
    begun=$(inside systemctl show -p ExecMainStartTimestampMonotonic --value "$one")
    serves=$(inside systemctl show -p ActiveEnterTimestampMonotonic --value "$one")
    memory=$(inside sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$(pid_of "$one")/status")
    say "figures: $one serves $(((serves - begun) / 1000)) ms after its start, and holds $memory at rest"
done
inside apt-get remove -y -qq aincident-node >"$work/apt.log" 2>&1 || die "remove: $(cat "$work/apt.log")"
inside test -s /var/lib/aincident-node/ledger.sqlite || die "remove took the data along"
if install --allow-downgrades /var/tmp/newer-node.deb; then die "an older version was installed over the data of a newer one"; fi
grep >/dev/null 'is older than the installed' "$work/apt.log" || { cat "$work/apt.log" >&2; die "the refusal says nothing"; }
install /var/tmp/latest-node.deb || die "install again: $(cat "$work/apt.log")"
until_true 30 "the incident after remove and install" holds "$id"
ok "removed and installed again, the data is there; an older version is refused then, too"

purge() { inside apt-get purge -y -qq $both >"$work/apt.log" 2>&1 || die "purge: $(cat "$work/apt.log")"; }
purge
latest() { inside sh -c "ls /var/backups/$1/$1-*.backup" | tail -n 1; }
for one in $both; do
    [ -n "$(latest "$one")" ] || die "purge took the backups of $one along"
    # Whoever gets the account's number next has no right to them.
    strange=$(inside find "/var/backups/$one" ! -user root)
    [ -z "$strange" ] || die "backups belong to an account that is gone: $strange"
    inside mv "/var/backups/$one" "/var/tmp/backups-of-$one"
done
# dpkg's own notes and apt's logs are the system's.
left=$(inside find / -xdev \( -path /proc -o -path /sys -o -path /var/tmp -o -path /var/log -o -path /var/lib/dpkg -o -path /var/cache/apt \) -prune -o -iname '*aincident*' -print)
[ -z "$left" ] || die "purge left: $left"
for one in $both; do
    inside getent passwd "$one" && die "purge left the account $one"
    inside getent group "$one" && die "purge left the group $one"
done
ok "purge leaves nothing but backups: no file, no account"

# The worst day: everything is gone but the backups.
for one in $both; do inside mv "/var/tmp/backups-of-$one" "/var/backups/$one"; done
install /var/tmp/latest-hub.deb /var/tmp/latest-node.deb || { cat "$work/apt.log" >&2; die "install after a purge"; }
for one in $both; do
    inside systemctl stop "$one"
    # A purge left them to root, and the accounts that were made anew may have other numbers.
    strange=$(inside find "/var/backups/$one" ! -user "$one")
    [ -z "$strange" ] || die "backups are not the account's again: $strange"
    inside "$one" restore --replace --from "$(latest "$one")" >"$work/restore.log" 2>&1 || die "restore: $(cat "$work/restore.log")"
    inside systemctl start "$one" || die "$one does not start after it was restored"
done
until_true 60 "somebody to log in to what was restored" log_in
until_true 30 "the incident after everything was restored" holds "$id"
third=$(node POST /api/v1/incidents '{"description":"a forklift, after everything was restored"}' | field id)
[ -n "$third" ] || die "the restored node takes nothing"
until_true 60 "headquarters to have what the restored node recorded" in_step
until_true 60 "headquarters to show it" hub_holds "$third"
inside aincident-hub audit verify >/dev/null || die "the chains of the restored headquarters are broken"
ok "after a purge, both are installed again and restored from the nightly backups, and go on"
purge

power_off
for deb in "$hub_deb" "$node_deb"; do
    say "figures: $(basename "$deb") has $(stat -c %s "$deb") bytes, installed $(dpkg-deb -f "$deb" Installed-Size) KiB"
done
say "$passed passed, 0 failed"
