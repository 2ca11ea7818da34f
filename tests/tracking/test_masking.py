"""Masking: what of an address is shown, and that nothing of its secrets is."""

from __future__ import annotations

import pytest

from sparkopt.tracking.masking import mask, shown_cause
from sparkopt.tracking.reach import unusable


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://u:pw12@host:5000", "http://u:***@host:5000"),
        ("http://u:pw12@host:5000/path?x=1", "http://u:***@host:5000/path?x=1"),
        ("https://token123@host", "https://***@host"),
        ("http://:pw12@host", "http://:***@host"),
        ("http://u:p@ss@host", "http://u:***@host"),
        ("http://u:1234@host/x", "http://u:***@host/x"),
        ("http://u:p%40ss@host", "http://u:***@host"),
        ("postgresql+psycopg2://u:p/w#x@[::1]:5432/db", "postgresql+psycopg2://u:***@[::1]:5432/db"),
        ("postgresql://h/db?user=u&password=pw12", "postgresql://h/db?user=u&password=***"),
        ("mysql://u:pw12@h/db?ssl_key=/k&sslpassword=pw34", "mysql://u:***@h/db?ssl_key=/k&sslpassword=***"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Dpw12", "mssql+pyodbc:///?odbc_connect=***"),
        ("http://host/?token=abcd&x=1", "http://host/?token=***&x=1"),
        ("http://host/?X-Amz-Signature=abcd", "http://host/?X-Amz-Signature=***"),
        ("wasbs://c@a.blob.core.windows.net/x?sig=abcd", "wasbs://c@a.blob.core.windows.net/x?sig=***"),
        ("ftp://u:pw12@host/artifacts", "ftp://u:***@host/artifacts"),
    ],
)
def test_an_address_without_its_secrets(uri, shown):
    assert mask(uri) == shown
    assert mask(f"before {uri} after") == f"before {shown} after"
    assert mask(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://localhost:5000",
            "http://localhost:5000/a@b",
            "http://[::1]:5000/a@b",
            "https://host/x?a=b&c=d",
        ),
        *(
            "sqlite:////data/mlflow.db",
            "file:///data",
            "s3://bucket/path",
            "databricks://profile",
            "databricks",
        ),
        *("abfss://container@account.dfs.core.windows.net/x", "uc:catalog", "write to someone@example.com"),
        *("loss=0.5, tokens are 3", "see http://host:80/ and ask a@b.c", "", "./mlruns"),
    ],
)
def test_what_is_not_secret_stays(text):
    assert mask(text) == text


def test_a_password_without_its_address():
    uri = "http://u:S3cret%20PW@host:5000"
    assert mask("nonnumeric port: 'S3cret%20PW@host:5000'", uri) == "nonnumeric port: '***@host:5000'"
    assert mask("password 'S3cret PW' is wrong", uri) == "password '***' is wrong"
    assert mask("Authorization: Basic dTpTM2NyZXQ=", uri) == "Authorization: Basic ***"


def test_the_cause_is_kept_where_it_says_nothing():
    error = ConnectionError("cable cut")
    assert shown_cause(error, "http://u:pw12@host") is error
    hidden = shown_cause(ValueError("at http://u:pw12@host"), "http://u:pw12@host")
    assert "ValueError: at http://u:***@host" in str(hidden)
    assert "pw12" not in str(unusable("http://u:pw12@host", ValueError("pw12")))
