"""A server with a certificate of its own: believed by its file, by no other, and never without one."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from morton_pipeline.errors import BadInput
from morton_pipeline.extract import errors, http
from morton_pipeline.extract.pages import Call
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect

VEEAM = VENDORS["veeam_spc"]


def certificate(folder: Path, *, host: str = "localhost", name: str = "server") -> Path:
    """Make a certificate signed by nobody but itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key").write_bytes(private)
    return path


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


class _Quiet(HTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that does not trust us hangs up, and that is what is tested."""


@contextmanager
def serving(pem: Path) -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    with _Quiet(("127.0.0.1", 0), _Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()
        thread.join(5)


def ask(connect: Connect, url: str, **settings: Any) -> Any:
    connection = connect("veeam_spc", base_url=url, settings={"attempts": 1, **settings})

    async def run() -> Any:
        async with http.open_http(connection, VEEAM) as opened:
            body, _ = await opened.send(Call("/api/v3/about"))
            return body

    return asyncio.run(run())


def test_a_certificate_of_its_own_is_believed_by_its_file(connect: Connect, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    with serving(pem) as url:
        assert ask(connect, url, ca_file=str(pem)) == {}


def test_without_its_file_it_is_not_believed_and_the_error_says_what_to_do(connect: Connect, tmp_path: Path) -> None:
    with serving(certificate(tmp_path)) as url, pytest.raises(errors.Unreachable) as caught:
        ask(connect, url)
    assert "save it" in str(caught.value)
    assert "`ca_file:`" in str(caught.value)


def test_another_file_does_not_vouch_for_it(connect: Connect, tmp_path: Path) -> None:
    other = certificate(tmp_path, name="other")
    with serving(certificate(tmp_path)) as url, pytest.raises(errors.Unreachable, match="not trusted"):
        ask(connect, url, ca_file=str(other))


def test_its_own_file_does_not_let_it_speak_for_another_host(connect: Connect, tmp_path: Path) -> None:
    pem = certificate(tmp_path, host="vspc.example")
    with serving(pem) as url, pytest.raises(errors.Unreachable, match="one the certificate names"):
        ask(connect, url, ca_file=str(pem))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("not a certificate", "holds no certificate in PEM")]
)
def test_a_file_that_is_none_is_named_before_anything_is_sent(
    connect: Connect, tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(BadInput) as caught:
        ask(connect, "https://localhost:1", ca_file=str(path))
    assert f"Connection veeam_spc: the ca_file {path} {said}" in str(caught.value)
    assert "-----BEGIN CERTIFICATE-----" in str(caught.value)


def test_a_tilde_is_our_home(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(certificate(tmp_path)) as url:
        assert ask(connect, url, ca_file="~/server.pem") == {}
