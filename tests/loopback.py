"""Servers on 127.0.0.1 that speak TLS, with a certificate authority of their own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from emulators.server import Emulator

NAMES = ("localhost", "clips.example.test")
"""What the server's certificate is good for, beside 127.0.0.1."""


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and a server that it vouches for."""

    bundle: Path
    """What a client must trust."""
    context: ssl.SSLContext
    """For the server."""


def authority(folder: Path) -> Authority:
    """Write the certificates to *folder*."""
    root_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback authority")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback server")])
    root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        _certificate(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(root_id, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    addresses = [x509.DNSName(name) for name in NAMES]
    server = (
        _certificate(server_name, root_name, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([*addresses, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    bundle, chain = folder / "authority.pem", folder / "server.pem"
    bundle.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(
        server.public_bytes(serialization.Encoding.PEM)
        + server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Authority(bundle, context)


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def over_tls(emulator: Emulator, trusted: Authority) -> Emulator:
    """The same emulator behind TLS. Call it before it is started."""
    emulator.tls = trusted.context
    return emulator


def port(emulator: Emulator) -> int:
    """Where it listens."""
    return int(emulator.origin.rsplit(":", 1)[1])
