"""A real S3 server: one-node Ceph with an object gateway."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import SUSPENDED, VersioningConfig

from tests.servers.processes import Daemons, free_port, programs, wait_until

_TOOLS = ("ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw", "radosgw-admin")


@dataclass(frozen=True)
class S3Server:
    """A running server and the keys of its one user."""

    endpoint: str
    access_key: str
    secret_key: str

    def client(self) -> Minio:
        """A client of the server."""
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region="us-east-1",
        )

    def bucket(self, versioning: str = "unversioned") -> str:
        """A fresh bucket: `unversioned`, `versioned` or `suspended`."""
        client, name = self.client(), f"b{secrets.token_hex(6)}"
        client.make_bucket(name)
        if versioning in {"versioned", "suspended"}:
            client.set_bucket_versioning(name, VersioningConfig(ENABLED))
        if versioning == "suspended":
            client.set_bucket_versioning(name, VersioningConfig(SUSPENDED))
        return name


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start the server in a temporary folder and stop all of it at the end."""
    tools = programs(*_TOOLS)
    folder = Path(tempfile.mkdtemp(prefix="likeness-s3-"))
    server = S3Server(f"127.0.0.1:{free_port()}", "testkey", secrets.token_hex(12))
    try:
        with Daemons() as daemons:
            _start(tools, folder, server, daemons)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(tools: dict[str, str], folder: Path, server: S3Server, daemons: Daemons) -> None:
    for part in ("mon", "osd", "rgw", "run", "log"):
        (folder / part).mkdir()
    identity = str(uuid.uuid4())
    monitor, port = free_port(), server.endpoint.rpartition(":")[2]
    configuration = folder / "ceph.conf"
    configuration.write_text(_configuration(folder, identity, monitor, port))
    keyring = str(folder / "keyring")

    def run(name: str, *arguments: str, check: bool = True, seconds: int = 90) -> str:
        done = subprocess.run(
            [tools[name], *arguments],
            check=check,
            timeout=seconds,
            env={**os.environ, "CEPH_CONF": str(configuration)},
            capture_output=True,
            text=True,
        )
        return done.stdout

    conf = ("-c", str(configuration))
    rights = (
        ("mon.", ("--create-keyring",), ("mon", "allow *")),
        ("client.admin", (), ("mon", "allow *"), ("osd", "allow *"), ("mgr", "allow *")),
        ("client.rgw.a", (), ("mon", "allow rw"), ("osd", "allow rwx")),
        ("osd.0", (), ("mon", "allow profile osd"), ("osd", "allow *")),
    )
    for name, extra, *capabilities in rights:
        caps = [word for service, right in capabilities for word in ("--cap", service, right)]
        run("ceph-authtool", *extra, keyring, "--gen-key", "-n", name, *caps)
    address = f"[v2:127.0.0.1:{monitor}]"
    monmap = str(folder / "monmap")
    run("monmaptool", "--create", "--fsid", identity, "--addv", "a", address, monmap)
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring, *conf)
    daemons.start(tools["ceph-mon"], "-f", "-i", "a", *conf)
    run("ceph", *conf, "auth", "import", "-i", keyring)
    device = str(uuid.uuid4())
    run("ceph", *conf, "osd", "new", device)
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", device, *conf)
    daemons.start(tools["ceph-osd"], "-f", "-i", "0", *conf)
    place = ("root=default", f"host={platform.node().partition('.')[0] or 'localhost'}")
    run("ceph", *conf, "osd", "crush", "add", "osd.0", "1.0", *place, check=False)
    daemons.start(tools["radosgw"], "-f", *conf, "-n", "client.rgw.a")
    wait_until(lambda: _listens(int(port)), seconds=120, what="the S3 gateway")
    run("radosgw-admin", *conf, "user", "create", "--uid=tests", "--display-name=tests",
        f"--access-key={server.access_key}", f"--secret-key={server.secret_key}")  # fmt: skip


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _configuration(folder: Path, identity: str, monitor: int, port: str) -> str:
    codes = next(Path("/usr/lib").glob("*/ceph/erasure-code"), Path("/usr/lib/ceph/erasure-code"))
    return f"""
[global]
fsid = {identity}
mon host = [v2:127.0.0.1:{monitor}]
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
osd objectstore = bluestore
bluestore block size = 4294967296
osd pool default pg autoscale mode = off
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/log/$name.log
keyring = {folder}/keyring
auth allow insecure global id reclaim = false
erasure code dir = {codes}
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw enable usage log = false
rgw crypt require ssl = false
rgw dynamic resharding = false
"""
