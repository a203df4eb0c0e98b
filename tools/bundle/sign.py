"""Signs a bundle: adds the Ed25519 signature of ``SHA256SUMS`` next to that file. Needs no network.

The key is a PEM file, as created by ``openssl genpkey -algorithm ed25519``. Its public half must be in the bundle's
``release.keys``.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tools.bundle import archive


class KeyRefused(Exception):
    """A key that can't sign this bundle. The text says why."""


def listed(text: str) -> dict[str, str]:
    """The keys in ``release.keys``, with their names."""
    lines = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {key: name for name, key in lines}


def public(key: Ed25519PrivateKey) -> str:
    """The public half, in the format of ``release.keys``."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def load(pem: bytes) -> Ed25519PrivateKey:
    """Reads the key from a PEM file, and prompts for its passphrase if it has one. Raises KeyRefused."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        key = load_pem_private_key(pem, getpass.getpass("Passphrase of the key: ").encode())
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused("the key is no Ed25519 key")
    return key


def sign(bundle: Path, key: Ed25519PrivateKey) -> str:
    """Signs the file in place. Returns the name of the key. Raises KeyRefused."""
    with tempfile.TemporaryDirectory() as place:
        folder, at = archive.unpack(bundle, Path(place))
        name = listed((folder / "release.keys").read_text("utf-8")).get(public(key))
        if name is None:
            raise KeyRefused(f"release.keys does not list this key: {public(key)}")
        if archive.sums(folder) != (folder / archive.SUMS).read_text("utf-8"):
            raise KeyRefused(f"{bundle.name} is not what its {archive.SUMS} say")
        (folder / archive.SIGNATURE).write_bytes(key.sign((folder / archive.SUMS).read_bytes()))
        archive.pack(folder, bundle, at)
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./dev sign", description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, help="the file (default: the one in dist)")
    parser.add_argument("--key", type=Path, required=True, help="PEM file of the private key")
    given = parser.parse_args(arguments)
    bundles = [given.bundle] if given.bundle else sorted(Path("dist").glob("manifest-auth-*.tar"))
    try:
        if len(bundles) != 1:
            raise KeyRefused(f"{len(bundles)} bundles in dist: name one")
        print(f"{bundles[0]}: signed with {sign(bundles[0], load(given.key.read_bytes()))}")
    except (KeyRefused, OSError, ValueError) as refused:
        print(f"dev sign: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
