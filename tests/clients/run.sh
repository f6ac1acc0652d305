#!/bin/sh
# Mail, webhooks, TLS and encrypted backups under programs that nobody here wrote: an SMTP server (aiosmtpd), a verifier of Standard
# Webhooks, a scanner of TLS (sslyze), and age where it is installed. The first three are installed into target/clients, nowhere else. Which programs are looked at: BIN, the release build where it is not set.
set -eu
cd "$(dirname "$0")/../.."
bin=$(cd "${BIN:-target/release}" && pwd)
venv=target/clients
if [ ! -x "$venv/bin/sslyze" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
fi
exec "$venv/bin/python" -W ignore tests/clients/check.py "$bin"
