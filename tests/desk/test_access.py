"""Access: who is let in, what a forged form gets, and what is refused at the start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from desk.access.passwords import add_user, is_right, read_users
from desk.access.rules import rules_from
from desk.main import main
from sheetbreak.errors import DataError
from tests.support.programs.desk_rig import DeskRig, alert, score

OpenDesk = Callable[..., DeskRig]
TOKEN = "0123456789abcdef-token"
ACKNOWLEDGE = {"action": "acknowledge", "machine": "pm1", "alert_id": "pm1-1", "by": "Aino", "next": "/alarms"}


def warned(rig: DeskRig) -> DeskRig:
    return rig.take(score(0), score(1, ratio=1.5), alert(1))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "mill.example"])
def test_another_address_than_loopback_is_refused_without_a_way_to_know_who_comes(host: str) -> None:
    with pytest.raises(DataError, match="SHEETBREAK_DESK_TOKEN"):
        rules_from(host, users=None, proxy_header=None, public_url=None, environment={})
    with pytest.raises(DataError, match="SHEETBREAK_DESK_TOKEN"):
        main(["-", "--host", host])


def test_where_a_stack_publishes_it_the_stacks_own_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHEETBREAK_PUBLISHED_ON", "10.0.0.5")
    with pytest.raises(DataError, match=r"BIND_ADDRESS 10\.0\.0\.5 is reached by others.* set DESK_TOKEN in \.env"):
        main(["-", "--host", "0.0.0.0"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_loopback_is_open(host: str) -> None:
    assert rules_from(host, users=None, proxy_header=None, public_url=None, environment={}).mode == "open"


@pytest.mark.parametrize(
    ("environment", "options", "says"),
    [
        ({"SHEETBREAK_DESK_TOKEN": "short"}, {}, "at least 16"),
        ({"SHEETBREAK_DESK_TOKEN_FILE": "/nowhere/at/all"}, {}, "cannot be read"),
        ({"SHEETBREAK_DESK_TOKEN": TOKEN}, {"proxy_header": "X-User"}, "two ways in"),
        ({}, {"public_url": "ftp://desk"}, "expected http"),
        ({}, {"public_url": "https://desk/some/path"}, "without a path"),
        ({}, {"users": Path("/nowhere/users")}, "--add-user"),
    ],
)
def test_rules_that_cannot_hold_are_refused(environment: dict[str, str], options: dict, says: str) -> None:
    given = {"users": None, "proxy_header": None, "public_url": None} | options
    with pytest.raises(DataError, match=says):
        rules_from("127.0.0.1", environment=environment, **given)


def test_a_wrong_token_is_401_and_the_right_one_lets_in(open_desk: OpenDesk) -> None:
    rig = warned(open_desk(host="0.0.0.0", environment={"SHEETBREAK_DESK_TOKEN": TOKEN}))
    client = rig.client()
    for path in ("/", "/alarms", "/events?page=/", "/machine?name=pm1"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert "pm1</a>" not in answer.text
    assert client.post("/login", {"secret": "wrong-token-of-this-length"}).status_code == 401
    assert client.get("/", Authorization="Bearer wrong").status_code == 401
    assert client.post("/actions", ACKNOWLEDGE).status_code == 401
    assert client.get("/", Authorization=f"Bearer {TOKEN}").status_code == 200
    rig.client()
    entered = rig.client()
    answer = entered.post("/login", {"secret": TOKEN, "next": "/alarms"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarms")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert entered.get("/alarms").status_code == 200
    assert rig.sent() == []


def test_after_many_wrong_tokens_even_the_right_one_waits(open_desk: OpenDesk) -> None:
    rig = open_desk(environment={"SHEETBREAK_DESK_TOKEN": TOKEN})
    client = rig.client()
    answers = [client.post("/login", {"secret": f"wrong {n}"}).status_code for n in range(25)]
    assert answers == [401] * 20 + [429] * 5
    assert client.post("/login", {"secret": TOKEN}).status_code == 429


def test_a_session_outlives_the_desk_where_the_token_stays(open_desk: OpenDesk) -> None:
    client = open_desk("one", environment={"SHEETBREAK_DESK_TOKEN": TOKEN}).client()
    client.post("/login", {"secret": TOKEN})
    again, other = (open_desk(name, environment={"SHEETBREAK_DESK_TOKEN": token}).client()
                    for name, token in (("two", TOKEN), ("three", TOKEN + "x")))  # fmt: skip
    again.cookies, other.cookies = client.cookies, client.cookies
    assert (again.get("/").status_code, other.get("/").status_code) == (200, 401)


def test_users_log_in_with_passwords_and_act_under_their_own_name(open_desk: OpenDesk, tmp_path: Path) -> None:
    users = tmp_path / "users"
    add_user(users, "Åke", "correct horse")
    add_user(users, "Aino", "battery staple")
    add_user(users, "Åke", "changed since then")
    assert "correct horse" not in users.read_text()
    assert (users.stat().st_mode & 0o077) == 0
    rig = warned(open_desk(host="0.0.0.0", users=users))
    client = rig.client()
    assert client.post("/login", {"name": "Åke", "secret": "correct horse"}).status_code == 401
    assert client.post("/login", {"name": "nobody", "secret": "changed since then"}).status_code == 401
    assert client.post("/login", {"name": "Åke", "secret": "changed since then"}).status_code == 303
    answer = client.post("/actions", ACKNOWLEDGE | {"csrf": client.csrf(), "by": "somebody else"})
    assert answer.status_code == 303
    assert [one.by for one in rig.sent()] == ["Åke"]


def test_a_stored_password_is_salted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        add_user(tmp_path / "users", name, "the same password")
    stored = read_users(tmp_path / "users")
    assert stored["a"] != stored["b"]
    assert is_right(stored["a"], "the same password")
    assert not is_right(stored["a"], "another password")
    assert not is_right(None, "the same password")


@pytest.mark.parametrize(("name", "password"), [("a:b", "long enough"), ("", "long enough"), ("a", "short"),
                                                ("a\nb", "long enough")])  # fmt: skip
def test_a_name_or_password_that_will_not_do_is_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(DataError, match="expected"):
        add_user(tmp_path / "users", name, password)
    assert not (tmp_path / "users").exists()


def test_a_proxy_says_who_it_is_and_nobody_else_does(open_desk: OpenDesk) -> None:
    rig = warned(open_desk(host="0.0.0.0", proxy_header="X-Forwarded-User"))
    client = rig.client()
    assert client.get("/").status_code == 401
    assert client.get("/", X_Forwarded_User="Aino").status_code == 200


@pytest.mark.parametrize(
    "forged",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_form_from_elsewhere_is_403_and_does_nothing(rig: DeskRig, forged: dict[str, str]) -> None:
    client = warned(rig).client()
    answer = client.post("/actions", ACKNOWLEDGE | {"csrf": client.csrf()}, **forged)
    assert answer.status_code == 403
    assert rig.sent() == []


def test_a_form_without_its_sessions_token_is_403(rig: DeskRig) -> None:
    client, other = warned(rig).client(), rig.client()
    tokens = ["", "0" * 64, other.csrf(), "æ"]
    assert [client.post("/actions", ACKNOWLEDGE | {"csrf": token}).status_code for token in tokens] == [403] * 4
    assert client.post("/actions", ACKNOWLEDGE, Origin="", Sec_Fetch_Site="").status_code == 403
    assert rig.sent() == []


def test_an_open_desk_answers_by_its_own_names_alone(rig: DeskRig) -> None:
    """A page elsewhere could point a name of its own at this computer (DNS rebinding)."""
    assert warned(rig).client("evil.example:8080").get("/").status_code == 421
    assert rig.client("localhost:8080").get("/").status_code == 200


def test_an_action_is_sent_and_told_and_the_name_is_remembered(rig: DeskRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    client = warned(rig).client()
    answer = client.post("/actions", ACKNOWLEDGE | {"csrf": client.csrf()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarms?sent=acknowledge")
    assert "Sent: acknowledge" in client.get(answer.headers["location"]).text
    assert [(one.action, one.machine, one.alert_id, one.by) for one in rig.sent()] == [
        ("acknowledge", "pm1", "pm1-1", "Aino")
    ]
    assert "event=action machine='pm1' action=acknowledge by='Aino'" in caplog.text
    nameless = {name: text for name, text in ACKNOWLEDGE.items() if name != "by"}
    assert client.post("/actions", nameless | {"csrf": client.csrf()}).status_code == 303
    assert [one.by for one in rig.sent()] == ["Aino", "Aino"]


def test_a_first_acknowledgement_without_a_name_asks_for_one(rig: DeskRig) -> None:
    client = warned(rig).client()
    nameless = {name: text for name, text in ACKNOWLEDGE.items() if name != "by"}
    answer = client.post("/actions", nameless | {"csrf": client.csrf()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarm?id=pm1-1&ask=1")
    assert "Who are you?" in client.get(answer.headers["location"]).text
    assert rig.sent() == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"action": "shelve", "for": "ever"}, "no duration"),
        ({"action": "mask"}, "sensor"),
        ({"action": "verdict", "verdict": "maybe"}, "maybe"),
        ({"action": "explode"}, "no action"),
        ({"action": "cause", "cause": "x" * 5000}, "characters"),
        ({"machine": "pm9"}, "no row"),
        ({"by": ""}, "who are you"),
        ({"by": "\x1b[31m"}, "control"),
    ],
)
def test_a_form_that_cannot_be_done_says_why(rig: DeskRig, fields: dict[str, str], says: str) -> None:
    client = warned(rig).client()
    form = {"action": "acknowledge", "machine": "pm1", "by": "Aino", "csrf": client.csrf()} | fields
    answer = client.post("/actions", form)
    assert answer.status_code == 400
    assert says in answer.text
    assert rig.sent() == []


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example", "/nowhere", "javascript:alert(1)"])
def test_nobody_is_sent_elsewhere(rig: DeskRig, target: str) -> None:
    client = warned(rig).client()
    answer = client.post("/actions", ACKNOWLEDGE | {"csrf": client.csrf(), "next": target})
    assert answer.headers["location"] == "/?sent=acknowledge"


def test_every_answer_carries_the_policy(rig: DeskRig) -> None:
    client = warned(rig).client()
    answers = [client.get(path) for path in ("/", "/nowhere", "/static/desk.js", "/static/../web.py", "/healthz")]
    answers.append(client.post("/actions", {}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
