"""Requests come through the gate that may: by name, method, token, session, origin and the page's text."""

from __future__ import annotations

import pytest

from sparkopt.dashboard.gate import Gate
from sparkopt.dashboard.host_names import HostNames
from sparkopt.dashboard.sessions import Sessions

TOKEN = "the-token"


class Guarded:
    """A gate, and what has come through it."""

    def __init__(self, host="127.0.0.1", more=(), tls=False):
        self.came = []
        self.sessions = Sessions()
        self.sessions.accept(TOKEN)
        self.sessions.name_for(8080)
        names = HostNames(host, more)
        self._gate = Gate(self._application, names, self.sessions, names.is_local and not more, tls)

    def _application(self, environ, start_response):
        self.came.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"in"]

    def ask(self, path="/", method="GET", body=b"", **more):
        """Status, headers and body of an answer."""
        import io

        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_HOST": "127.0.0.1:8080",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            **more,
        }
        said = []
        parts = self._gate(environ, lambda status, headers: said.append((status, headers)))
        ((status, headers),) = said
        return int(status.split()[0]), {name.lower(): value for name, value in headers}, b"".join(parts)

    def session(self, path=None):
        """The cookie of a session that was opened with the key."""
        _, headers, _ = self.ask(path or f"/?key={self.sessions.key}")
        return headers["set-cookie"].partition(";")[0]

    def post(self, path="/search/act", cookie=None, guard=None, **more):
        cookie = self.session() if cookie is None else cookie
        if guard is None:
            session = self.sessions.of(cookie)
            guard = self.sessions.guard_of(session) if session else ""
        more = {"HTTP_ORIGIN": "http://127.0.0.1:8080", **more}
        return self.ask(path, "POST", HTTP_COOKIE=cookie, HTTP_X_SPARKOPT_GUARD=guard, **more)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:99", "[::1]:8080", "127.0.0.2"])
def test_names_of_this_machine_come_through(host):
    guarded = Guarded()
    assert guarded.ask(HTTP_HOST=host)[0] == 200
    assert guarded.came


@pytest.mark.parametrize("host", ["evil.example:8080", "", "127.0.0.1.evil.example", "192.0.2.1:8080", "::"])
def test_other_names_do_not(host):
    guarded = Guarded()
    assert guarded.ask(HTTP_HOST=host)[0] == 421
    assert guarded.post(HTTP_HOST=host, HTTP_ORIGIN=f"http://{host}")[0] == 421
    assert not guarded.came


def test_a_name_that_is_allowed_comes_through_and_takes_the_token():
    guarded = Guarded(more=["dash.example"])
    assert guarded.ask(HTTP_HOST="dash.example")[0] == 401
    assert guarded.ask(HTTP_HOST="Dash.example.", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")[0] == 200
    assert guarded.ask()[0] == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", ""])
def test_other_methods_do_not_come_through(method):
    guarded = Guarded()
    cookie = guarded.session()
    status, headers, _ = guarded.ask("/api/studies/0", method, HTTP_COOKIE=cookie)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert not guarded.came


@pytest.mark.parametrize(
    "path", ["/api/studies", "/api/studies/0/rename", "/", "/search/act/", "/search/state"]
)
def test_a_post_comes_through_to_the_page_of_ours_alone(path):
    guarded = Guarded()
    assert guarded.post(path)[0] == 405
    assert not guarded.came


def test_head_has_no_body():
    assert Guarded().ask(method="HEAD")[::2] == (200, b"")


@pytest.mark.parametrize(
    "credentials", [{}, {"HTTP_AUTHORIZATION": "Bearer wrong"}, {"HTTP_COOKIE": "sparkopt-8080=x"}]
)
def test_off_loopback_it_takes_the_token_to_read(credentials):
    guarded = Guarded("192.0.2.1")
    status, headers, page = guarded.ask(**credentials)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert b'action="/login"' in page
    assert guarded.ask("/api/studies", **credentials)[0] == 401
    assert not guarded.came
    assert guarded.ask("/search/page.css")[0] == 200  # how the page that asks looks


def test_the_token_and_the_key_are_good():
    guarded = Guarded("192.0.2.1")
    assert guarded.ask(HTTP_AUTHORIZATION=f"bearer {TOKEN}")[0] == 200
    assert guarded.ask(HTTP_COOKIE=guarded.session())[0] == 200
    assert guarded.ask("/?key=wrong")[0] == 401
    # A key in any other address would be one that is kept in logs and histories.
    assert guarded.ask(f"/api/studies?key={guarded.sessions.key}")[0] == 401


def test_a_link_opens_a_session_and_leaves_the_address():
    status, headers, _ = (guarded := Guarded(tls=True)).ask(f"/?key={guarded.sessions.key}")
    assert (status, headers["location"]) == (303, "/")
    name, *attributes = headers["set-cookie"].split("; ")
    assert name.startswith("sparkopt-8080=")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
    assert guarded.sessions.key not in headers["set-cookie"]


def test_a_form_takes_the_token():
    guarded = Guarded("192.0.2.1")
    origin = {"HTTP_ORIGIN": "https://127.0.0.1:8080"}
    status, headers, _ = guarded.ask("/login", "POST", f"token={TOKEN}".encode(), **origin)
    assert status == 303
    assert guarded.ask(HTTP_COOKIE=headers["set-cookie"].partition(";")[0])[0] == 200
    status, _, page = guarded.ask("/login", "POST", b"token=%3Cb%3E", **origin)
    assert (status, b"That token is wrong." in page, b"<b>" in page) == (401, True, False)
    assert guarded.ask("/login", "POST", f"token={TOKEN}".encode())[0] == 403
    assert guarded.ask("/login", "POST", b"token=" + b"x" * 5000, **origin)[0] == 401


def test_an_action_comes_through():
    guarded = Guarded()
    assert guarded.post()[0] == 200
    assert guarded.post(HTTP_ORIGIN=None, HTTP_SEC_FETCH_SITE="same-origin")[0] == 200
    assert len(guarded.came) == 2


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"cookie": ""}, 401),
        ({"cookie": "sparkopt-8080=made-up"}, 401),
        ({"guard": ""}, 403),
        ({"guard": "0" * 64}, 403),
        ({"HTTP_ORIGIN": "http://evil.example"}, 403),
        ({"HTTP_ORIGIN": "http://127.0.0.1:9999"}, 403),
        ({"HTTP_ORIGIN": "null"}, 403),
        ({"HTTP_ORIGIN": None}, 403),
        ({"HTTP_ORIGIN": None, "HTTP_SEC_FETCH_SITE": "cross-site"}, 403),
    ],
)
def test_an_action_of_somebody_elses_page_does_not(changed, status):
    guarded = Guarded()
    assert guarded.post(**changed)[0] == status
    assert not guarded.came


def test_the_text_of_another_session_is_not_good():
    guarded = Guarded()
    other = guarded.sessions.guard_of(guarded.sessions.of(guarded.session()))
    assert guarded.post(guard=other)[0] == 403


def test_the_oldest_sessions_are_forgotten():
    sessions = Sessions()
    sessions.name_for(1)
    first, *_, last = (f"sparkopt-1={sessions.open()}" for _ in range(1001))
    assert sessions.of(first) is None
    assert sessions.of(last) is not None


def test_answers_say_what_browsers_may_do_with_them():
    _, headers, _ = Guarded().ask()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"
    for word in ("default-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert word in headers["content-security-policy"]
    assert "'unsafe" not in headers["content-security-policy"]
    assert Guarded().ask("/static/bundle.js")[1]["cache-control"] == "private, max-age=3600"
    assert Guarded().ask(HTTP_HOST="evil.example")[1]["x-content-type-options"] == "nosniff"
