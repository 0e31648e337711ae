"""The command against an exchange that asks for a client's certificate."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from certificates import Pki, certify
from smartex_client import InvalidInput
from smartex_client.cli.app import app, hoisted
from smartex_client.connection import Tls
from smartex_client.profile import resolve
from typer.testing import CliRunner, Result


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Those of a client; the server's are beside them."""
    pki = Pki(tmp_path)
    own = certify("alice", pki.authority)
    (tmp_path / "alice.pem").write_bytes(own.pem)
    (tmp_path / "alice.key").write_bytes(own.key_pem)
    return {
        "ca": pki.files["tls_client_ca_file"],
        "cert": tmp_path / "alice.pem",
        "key": tmp_path / "alice.key",
    }


@pytest.fixture
async def guarded(exchange: Any, tmp_path: Path, files: dict[str, Path]) -> AsyncIterator[str]:
    """The address of an exchange that answers only who shows a certificate of its authority."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return exchange.service(details)

    pair = ((tmp_path / "server.key").read_bytes(), (tmp_path / "server.pem").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], files["ca"].read_bytes(), require_client_auth=True)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


async def listed(url: str, *words: str, within: str = "20") -> Result:
    line = ["--json", "--url", url, "--token", "secret", "instrument", "list", "--timeout", within, *words]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, hoisted(line)))


async def test_a_certificate_comes_from_options_environment_or_profile(
    guarded: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    assert json.loads((await listed(guarded, *options)).stdout)[0]["symbol"] == "ACME"

    refused = await listed(guarded, "--ca", str(files["ca"]), within="0.5")
    assert (refused.exit_code, refused.stdout) == (6, "")

    profile = tmp_path / "guarded.toml"
    profile.write_text("".join(f'{name}_file = "{file.name}"\n' for name, file in files.items()))
    assert (await listed(guarded, "--as", str(profile))).exit_code == 0

    for name, file in files.items():
        monkeypatch.setenv(f"SMARTEX_{name.upper()}_FILE", str(file))
    assert (await listed(guarded)).exit_code == 0


def test_each_file_comes_from_the_nearest_place_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('ca_file = "ca"\ncert_file = "cert"\nkey_file = "key"\n')
    own, here = str(tmp_path / "own.toml"), Path("here")
    assert resolve(environment={}).tls is None
    assert resolve(profile=own, environment={}).tls == Tls(*(tmp_path / n for n in ("ca", "cert", "key")))
    found = resolve(profile=own, tls=Tls(ca_file=here), environment={"SMARTEX_KEY_FILE": "there"}).tls
    assert found == Tls(here, tmp_path / "cert", Path("there"))


@pytest.mark.parametrize("half", [Tls(certificate_file=Path("c")), Tls(key_file=Path("k"))])
def test_half_a_certificate_is_told(half: Tls) -> None:
    with pytest.raises(InvalidInput, match="--cert and --key"):
        resolve(tls=half, environment={})


async def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = await listed("127.0.0.1:1", "--ca", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert "No such file" in json.loads(done.stderr)["message"]
