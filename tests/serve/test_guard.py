"""Who may ask: hosts, origins, other sites; and what the pages may load."""

import pytest

REQUEST = {"model": "classifier", "text": "the dog", "method": "flow"}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8765", "127.0.0.1:8765", "[::1]:8765", "192.168.1.7", "LOCALHOST"]
)
def test_own_names_and_addresses_are_answered(client, host):
    assert client.get("/api/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8765", "", "[::1", "a@b"]
)
def test_foreign_names_are_refused(client, host):
    answer = client.get("/api/models", headers={"host": host})
    assert answer.status_code == 421
    assert "--allow-host" in answer.json()["error"]["message"]


def test_a_name_that_the_operator_allowed(serve):
    with serve(hosts=("Lab.example",)) as client:
        assert client.get("/api/models", headers={"host": "lab.example:80"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://evil.example:80"]
)
def test_requests_from_other_origins_are_refused(client, origin):
    for method, path in (("POST", "/api/explain"), ("GET", "/api/models"), ("DELETE", "/api/jobs/x")):
        answer = client.request(method, path, headers={"origin": origin}, json=REQUEST)
        assert answer.status_code == 403, (method, path)
        assert "access-control-allow-origin" not in answer.headers


def test_own_pages_may_post(client):
    headers = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/api/explain", json=REQUEST, headers=headers).status_code == 202


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_link_but_not_fetch(client, site):
    assert client.get("/", headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"}).status_code == 200
    assert (
        client.get("/api/models", headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}).status_code
        == 403
    )
    answer = client.post(
        "/api/explain", json=REQUEST, headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    )
    assert answer.status_code == 403


def test_every_answer_carries_the_policy(client):
    paths = [
        "/",
        "/docs",
        "/assets/app.js",
        "/assets/app.css",
        "/assets/attnflow.js",
        "/api/models",
        "/nonsense",
    ]
    answers = [client.get(path) for path in paths] + [client.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_assets_are_validated_not_trusted(client):
    first = client.get("/assets/app.js")
    again = client.get("/assets/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert not again.content
