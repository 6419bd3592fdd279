"""Store addresses, checks of a store, and its messages."""

import datetime
import re
import socket
import sqlite3
import ssl
import threading
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dstbench.errors import UserError
from dstbench.tracking.store import Store, open_store, probe, reason
from dstbench.tracking.store_uri import database_of, resolve


def test_resolve_default_is_the_variable_or_a_file_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve(None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert resolve(None) == "http://host:5000"
    assert resolve("off") == "off"


def test_resolve_makes_sqlite_paths_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    absolute = resolve("sqlite:///a b/x.db?timeout=3")
    assert absolute == f"sqlite:///{tmp_path}/a b/x.db?timeout=3"
    monkeypatch.chdir("/")
    assert resolve(absolute) == absolute


@pytest.mark.parametrize("code", [200, 401, 404])
def test_probe_accepts_any_answer_of_a_server(code):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        line = probe(f"http://me:secret@127.0.0.1:{server.server_port}")
    assert "answers" in line and "secret" not in line


@pytest.fixture
def private_certificate(tmp_path):
    """A file with the key and the certificate of a server that no authority has signed."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    text = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(pem)
    (tmp_path / "server.pem").write_bytes(text)
    return tmp_path / "server.pem"


def test_probe_leaves_a_private_certificate_to_mlflow(private_certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(private_certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with suppress(OSError), server.accept()[0] as connection:  # the client gives up
                context.wrap_socket(connection, server_side=True)

        threading.Thread(target=answer, daemon=True).start()
        line = probe(f"https://127.0.0.1:{server.getsockname()[1]}")
    assert "answers, with a certificate that MLflow checks" in line


def test_probe_refuses_a_server_that_does_not_answer():
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9 cannot be used: .*refused"):
        probe("http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be used"):
        open_store("http://127.0.0.1:9")


def test_probe_reads_sqlite_files(tmp_path, monkeypatch):
    monkeypatch.setattr("dstbench.tracking.store._CHECK_S", 0.1)
    path = tmp_path / "mlflow.db"
    assert "does not exist yet" in probe(f"sqlite:///{path}")
    assert not path.exists()
    path.touch()
    assert probe(f"sqlite:///{path}") == f"sqlite:///{path}"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="database is locked"):
            probe(f"sqlite:///{path}")
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(UserError, match="not a database"):
        probe(f"sqlite:///{path}")


@pytest.mark.parametrize("off", ["off", "OFF", "Off"])
def test_probe_accepts_off_in_any_case(off):
    assert resolve(off) == "off"
    assert probe(off) == "tracking is off"


@pytest.mark.parametrize("uri", ["databricks", "databricks://me", "postgresql+psycopg://h/db"])
def test_probe_does_not_check_stores_that_only_mlflow_can_open(uri):
    assert probe(uri) == f"{uri} (not checked)"


@pytest.mark.parametrize(
    "uri",
    ["ftp://me:secret@host/", "mlruns", "/tmp/mlruns", "file:///a", "http", "sqlite://"],
)
def test_probe_refuses_an_address_of_no_store(uri):
    with pytest.raises(UserError, match=r"is not a store.*sqlite:///FILE\.db.*http://") as error:
        probe(uri)
    assert "secret" not in error.value.message


ODD = "what? #1 100%25 %"


@pytest.mark.slow  # MLflow creates a store
@pytest.mark.parametrize("given", [None, "sqlite:///mlflow.db"])
def test_open_store_in_a_folder_with_address_signs_in_its_name(tmp_path, monkeypatch, given):
    (tmp_path / ODD).mkdir()
    monkeypatch.chdir(tmp_path / ODD)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = resolve(given)
    assert database_of(uri) == tmp_path / ODD / "mlflow.db" and resolve(uri) == uri
    assert "does not exist yet" in probe(uri)
    store = open_store(uri)
    run_id = store.client.create_run(store.experiment_id).info.run_id
    (tmp_path / "notes").write_text("kept")
    store.client.log_artifact(run_id, str(tmp_path / "notes"))
    assert [file.path for file in store.client.list_artifacts(run_id)] == ["notes"]
    assert probe(uri) == store.shown == uri
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [ODD]
    names = {path.name for path in (tmp_path / ODD).iterdir()}
    assert names == {"mlflow.db", "mlflow.db.lock", "mlartifacts"}


def test_place_of_is_a_page_or_an_id_without_password():
    server = Store(None, "https://me:secret@host:5000/", "7")
    assert server.place_of("abc") == "https://***@host:5000/#/experiments/7/runs/abc"
    assert Store(None, "sqlite:////a/b.db", "7").place_of("abc") == "run abc in sqlite:////a/b.db"


def test_reason_is_one_line_without_passwords():
    assert reason(ValueError("at http://a:b@c/\nand more")) == "ValueError: at http://***@c/"
    assert reason(UserError("plain")) == "plain"
    assert reason(ValueError()) == "ValueError: "


@pytest.mark.parametrize("module", ["psycopg2", "psycopg", "pymysql"])
def test_reason_says_how_to_install_a_missing_driver(module):
    error = ModuleNotFoundError(f"No module named '{module}'", name=module)
    assert re.fullmatch(rf"the driver {module} is missing: pip install '?{module}.*", reason(error))


@pytest.mark.slow  # MLflow creates a store
@pytest.mark.parametrize("name", ["my own", "/Users/me@lab.org/sparse"])
def test_experiment_has_the_name_that_the_environment_gives(tmp_path, monkeypatch, name):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert store.client.get_experiment(store.experiment_id).name == name
    assert open_store(store.uri).experiment_id == store.experiment_id
