"""What run.sh says: one hub and one node over TLS, looked at from outside. Ends with 0 when everything was as it should be."""

import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import pty
import queue
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from sslyze import ScanCommand, Scanner, ServerNetworkConfiguration, ServerScanRequest
from sslyze import ServerNetworkLocation
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

BIN = pathlib.Path(sys.argv[1])
PASSWORD = "correct horse battery staple"
DEADLINE_S = 60


def run(program, *words, given=None):
    """A command of a program; its standard output."""
    ended = subprocess.run([BIN / program, *words], input=given, capture_output=True, text=True)
    assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
    return ended.stdout.strip()


class Served:
    """A site that serves, until it is ended."""

    def __init__(self, program, folder, *words):
        self.log = open(f"{folder}.log", "w")
        command = [BIN / program, "serve", "--data-dir", folder, "--listen", "127.0.0.1:0", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"(https?)://127\.0\.0\.1:(\d+)", line)
        assert found, (line, pathlib.Path(f"{folder}.log").read_text())
        self.scheme, self.port = found.group(1), int(found.group(2))

    def end(self):
        self.process.terminate()
        assert self.process.wait(DEADLINE_S) == 0
        self.log.close()


class Api:
    """Somebody who is logged in."""

    def __init__(self, site, username):
        self.site, self.token = site, None
        _, answer = self.ask("POST", "/api/v1/login", {"username": username, "password": PASSWORD}, (200,))
        self.token = answer["token"]

    def ask(self, method, path, body=None, expected=(200, 201, 202)):
        """One request; the status and what was answered."""
        trusting = ssl._create_unverified_context()
        line = http.client.HTTPSConnection("127.0.0.1", self.site.port, context=trusting, timeout=DEADLINE_S)
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        line.request(method, path, None if body is None else json.dumps(body), headers)
        answer = line.getresponse()
        text = answer.read()
        assert answer.status in expected, (method, path, answer.status, text)
        return answer.status, json.loads(text) if text else None


def authority(folder):
    """A certificate authority of our own, and how it makes a certificate for 127.0.0.1 with its key."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca, ca_key = folder / "ca.pem", folder / "ca.key"

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=post and hooks", "-out", ca, "-keyout", ca_key)
    names = folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")

    def certificate(name):
        leaf, leaf_key, asked = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        openssl("req", *key, "-subj", "/CN=127.0.0.1", "-out", asked, "-keyout", leaf_key)
        signed = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", names]
        openssl("x509", "-req", "-in", asked, *signed, "-out", leaf)
        return leaf, leaf_key

    return ca, certificate


def serving_tls(paths):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    return context


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Letters:
    """Takes mail."""

    def __init__(self):
        self.came = queue.Queue()

    async def handle_DATA(self, server, session, envelope):
        self.came.put((session.ssl is not None, envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


def receiver(paths):
    """Takes webhooks, over TLS."""
    came = queue.Queue()

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            came.put((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.socket = serving_tls(paths).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, came


def mail_and_webhooks(hub, port, letters, came):
    """Rules of both kinds are told of an incident, as the standard says."""
    ada, manager = Api(hub, "ada"), Api(hub, "manager")
    _, mail = ada.ask("POST", "/api/v1/notifications", {"name": "mail", "addresses": ["boss@example.com"]})
    url = f"https://127.0.0.1:{port}/hook"
    _, hook = ada.ask("POST", "/api/v1/notifications", {"name": "hook", "channel": "webhook", "url": url})
    ada.ask("POST", f"/api/v1/notifications/{mail['id']}/test", {})
    ada.ask("POST", f"/api/v1/notifications/{hook['id']}/test", {})
    manager.ask("POST", "/api/v1/incidents", {"description": "a window broke", "severity": 4})
    verifier = Webhook(hook["secret"])
    kinds = []
    for _ in range(2):
        headers, body = came.get(timeout=DEADLINE_S)
        headers = {name.lower(): value for name, value in headers.items()}
        kinds.append(verifier.verify(body, headers)["type"])
        for wrong in (body + b" ", body.replace(b"{", b"[", 1)):
            try:
                verifier.verify(wrong, headers)
            except WebhookVerificationError:
                continue
            raise AssertionError("an altered webhook was believed")
    assert sorted(kinds) == ["incident.reported", "test"], kinds
    for _ in range(2):
        encrypted, sender, to, content = letters.came.get(timeout=DEADLINE_S)
        assert encrypted, "mail went over a line that was not encrypted"
        assert sender == "incidents@example.com" and to == ["boss@example.com"], (sender, to)
        assert b"Subject: " in content and b"Message-ID: " in content and b"Date: " in content, content
    print("mail: STARTTLS and a password, 2 letters; webhooks: 2, verified, and altered ones refused")


def tls(name, site):
    """TLS 1.2 and 1.3 with suites that keep their secrets, and nothing else."""
    commands = {
        ScanCommand.SSL_2_0_CIPHER_SUITES, ScanCommand.SSL_3_0_CIPHER_SUITES, ScanCommand.TLS_1_0_CIPHER_SUITES,
        ScanCommand.TLS_1_1_CIPHER_SUITES, ScanCommand.TLS_1_2_CIPHER_SUITES, ScanCommand.TLS_1_3_CIPHER_SUITES,
        ScanCommand.HEARTBLEED, ScanCommand.ROBOT, ScanCommand.OPENSSL_CCS_INJECTION, ScanCommand.TLS_COMPRESSION,
        ScanCommand.SESSION_RENEGOTIATION, ScanCommand.TLS_FALLBACK_SCSV, ScanCommand.CERTIFICATE_INFO,
    }
    location = ServerNetworkLocation(hostname="localhost", ip_address="127.0.0.1", port=site.port)
    scanner = Scanner()
    config = ServerNetworkConfiguration(tls_server_name_indication="localhost")
    scanner.queue_scans([ServerScanRequest(location, network_configuration=config, scan_commands=commands)])
    (scanned,) = scanner.get_results()
    found = scanned.scan_result
    assert found, scanned.connectivity_error_trace
    suites = {}
    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"):
        attempt = getattr(found, f"{version}_cipher_suites")
        assert attempt.result, (version, attempt.error_trace)
        suites[version] = [suite.cipher_suite.name for suite in attempt.result.accepted_cipher_suites]
    assert not any(suites[old] for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")), suites
    assert suites["tls_1_2"] and suites["tls_1_3"], suites
    weak = [suite for suite in suites["tls_1_2"] if "_ECDHE_" not in suite or not re.search("GCM|CHACHA20", suite)]
    assert not weak, weak
    assert not found.heartbleed.result.is_vulnerable_to_heartbleed
    assert "VULNERABLE" not in found.robot.result.robot_result.name.replace("NOT_VULNERABLE", "")
    assert not found.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection
    assert not found.tls_compression.result.supports_compression
    assert not found.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos
    (deployment,) = found.certificate_info.result.certificate_deployments
    leaf = deployment.received_certificate_chain[0]
    days = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
    assert deployment.leaf_certificate_subject_matches_hostname if hasattr(
        deployment, "leaf_certificate_subject_matches_hostname") else True
    assert days <= 398, days
    print(f"tls of the {name}: 1.2 ({len(suites['tls_1_2'])} suites, ECDHE with AEAD) and 1.3 ({len(suites['tls_1_3'])}), nothing older; a certificate for {days} days")


def age(*words):
    """age, which asks for the passphrase at a terminal and nowhere else."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("age", ["age", *map(str, words)])
    said = b""
    while b"assphrase" not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, PASSWORD.encode() + b"\n")
    try:
        while more := os.read(terminal, 1024):
            said += more
    except OSError:
        # The terminal is gone with its program.
        pass
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said


def backups(folder):
    """An encrypted file, and one of a folder of backups, opened by age and read by another tar."""
    if not shutil.which("age"):
        print("backups: skipped, there is no age (apt install age)")
        return
    secret, nightly = folder / "backup-passphrase", folder / "nightly"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    nightly.mkdir()
    at = ["--data-dir", folder / "hub", "--passphrase-file", secret]
    run("aincident-hub", "backup", *at, "--to", folder / "hub.backup")
    run("aincident-hub", "backup", *at, "--scheduled", "--folder", nightly)
    (shared,) = nightly.glob("aincident-hub-*.backup")
    for found, words in ((folder / "hub.backup", []), (shared, ["-i", nightly / "key.age"])):
        opened = folder / "opened.tar"
        age("-d", *words, "-o", opened, found)
        with tarfile.open(opened) as tar:
            assert {"ledger.sqlite", "manifest.json"} <= set(tar.getnames()), tar.getnames()
            manifest = json.load(tar.extractfile("manifest.json"))
            ledger = tar.extractfile("ledger.sqlite").read()
        assert manifest["program"] == "aincident-hub" and ledger.startswith(b"SQLite format 3\0")
        assert hashlib.sha256(ledger).hexdigest() == manifest["members"][0]["sha256"]
        opened.unlink()
    print("backups: age opens an encrypted file with its passphrase, and one of a folder with its key.age")


def main():
    with tempfile.TemporaryDirectory(prefix="aincident-clients-") as folder:
        folder = pathlib.Path(folder)
        ca, certificate = authority(folder)
        hooks, came = receiver(certificate("hooks"))
        letters = Letters()
        allowed = lambda server, session, envelope, mechanism, data: AuthResult(
            success=mechanism in ("PLAIN", "LOGIN") and data.password == b"secret of the post")
        post = Controller(
            letters, hostname="127.0.0.1", port=free_port(), tls_context=serving_tls(certificate("mail")), require_starttls=True,
            auth_required=True, authenticator=allowed)
        post.start()
        (folder / "smtp-password").write_text("secret of the post")
        port = hooks.server_address[1]
        (folder / "hub.toml").write_text(
            f"public_url = 'https://incidents.example.com'\n[mail]\nhost = '127.0.0.1'\nport = {post.port}\n"
            f"from = 'Incidents <incidents@example.com>'\nusername = 'incidents'\npassword_file = '{folder}/smtp-password'\n"
            f"ca = '{ca}'\n[webhooks]\nallow = ['https://127.0.0.1:{port}']\nca = '{ca}'\n")
        (folder / "smtp-password").chmod(0o600)
        at = ["--data-dir", folder / "hub"]
        run("aincident-hub", "store", "add", *at, "--code", "042", "--name", "Downtown", "--timezone", "UTC")
        for username, role, store in (("ada", "admin", None), ("manager", "manager", "042")):
            words = ["--store", store] if store else []
            words = [*at, "--username", username, "--role", role, *words, "--password-stdin"]
            run("aincident-hub", "user", "add", *words, given=PASSWORD)
        hub = Served("aincident-hub", folder / "hub", "--tls-always", "--config", folder / "hub.toml")
        node = Served("aincident-node", folder / "node", "--tls-always")
        try:
            assert (hub.scheme, node.scheme) == ("https", "https")
            mail_and_webhooks(hub, port, letters, came)
            tls("hub", hub)
            tls("node", node)
            backups(folder)
        finally:
            node.end()
            hub.end()
            post.stop()
            hooks.shutdown()


main()
