"""No shape of an address shows its password."""

import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.utils.passwords import without_password

SIGNS = string.printable[:94]  # no white space
UNTIL_AND = SIGNS.replace("&", "")
SHAPES = {
    "user info": ("http://me:{}@host:5000/x", SIGNS),
    "user info in a sentence": (
        "cannot reach 'http://me:{}@host/x' (refused)",
        string.printable[:94],
    ),
    "with spaces": ("http://me:{}@host", string.ascii_letters + string.digits + " /:#?"),
    "query": (
        "postgresql://host/db?user=me&password={}&x=1",
        UNTIL_AND,
    ),
    "last of a query": ("mysql://host/db?passwd={}", UNTIL_AND),
    "ODBC": ("mssql+pyodbc:///?DSN=x;UID=me;PWD={}", UNTIL_AND),
    "ODBC in braces": ("mssql:///?PWD={{{}}};Server=h", string.printable[:95].replace("}", "")),
    "token": ("https://host/api?access_token={}", UNTIL_AND),
}


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
def test_without_password_hides_it_in_every_shape(shape, data):
    template, signs = SHAPES[shape]
    # A first letter that no template has: the password cannot be found elsewhere in the text.
    password = "Z" + data.draw(st.text(signs.replace("Z", ""), min_size=3))
    shown = without_password(template.format(password))
    assert "Z" not in shown and "***" in shown
    assert len(password) < 7 or password[1:] not in shown


@given(st.text(string.printable[:95], min_size=1))
def test_without_password_hides_encoded_passwords(password):
    password = "Zz" + password
    odbc = quote_plus(f"DRIVER=x;UID=me;PWD={{{password.replace('}', '')}}};Server=h")
    for text in (
        f"http://me:{quote(password, safe='')}@host",
        f"mssql+pyodbc:///?odbc_connect={odbc}",
    ):
        assert "Zz" not in without_password(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host:5000/a", "https://***@host:5000/a"),
        ("https://me:p@ss@host/a", "https://***@host/a"),
        ("https://me:p/a@host", "https://***@host"),
        ("https://token@host", "https://***@host"),
        ("db://h/d?user=u&password=x&y=1", "db://h/d?user=u&password=***&y=1"),
        ("http://127.0.0.1:5000/#/experiments/1", "http://127.0.0.1:5000/#/experiments/1"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("mail me@host, or see http://host", "mail me@host, or see http://host"),
        ("--set RigL.drop_fraction=0.3", "--set RigL.drop_fraction=0.3"),
    ],
)
def test_without_password_leaves_the_rest(text, shown):
    assert without_password(text) == shown
