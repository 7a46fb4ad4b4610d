"""The API over HTTP, on tiny models: what it answers, refuses, keeps, and stops."""

import io
import json
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from serving import HOST, TEXT, endless, explained, until

import attnflow
import tiny
from attnflow import Attribution, Comparison


def said(answer, status):
    """The sentence of a refusal."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"kind", "message", "status"}
    assert error["status"] == status
    assert error["message"].endswith(".")
    assert "\n" not in error["message"]
    return error["message"]


def test_models_tell_a_form_what_it_needs(client):
    found = client.get("/api/models").json()
    assert [model["name"] for model in found["models"]] == ["classifier", "writer", "seer"]
    assert "flow" in found["methods"]
    assert set(found["gradient"]) < set(found["capacities"])
    assert found["limits"]["tokens"] == 512
    assert found["kept"] is True


def test_a_result_is_that_of_explain(client, loaded, tmp_path):
    job = explained(client, players="words", capacity="relevance", exclude="special")
    path = tmp_path / "result.json"
    path.write_bytes(client.get(job["result"]["links"]["json"]).content)
    found = Attribution.load(path)
    model, tokenizer = loaded["classifier"]
    expected = attnflow.explain(
        model,
        TEXT,
        tokenizer=tokenizer,
        method="flow",
        capacity="relevance",
        players="words",
        exclude="special",
    )
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.players == expected.players
    assert found.provenance["model"] == "classifier"
    assert found.networks or found.network is not None  # so that the flow can be drawn


def test_several_methods_are_a_comparison(client, tmp_path):
    job = explained(client, method=["flow", "rollout"], capacity=["attention", "norm"])
    path = tmp_path / "result.json"
    path.write_bytes(client.get(job["result"]["links"]["json"]).content)
    assert len(Comparison.load(path)) == 4


def test_generated_tokens(client, tmp_path):
    job = explained(client, model="writer", generate=3, prefix="closed", method="rollout")
    view = client.get(job["result"]["links"]["view"]).json()
    assert len(view["targets"]) == 3


def test_documents_of_a_result(client):
    links = explained(client)["result"]["links"]
    view = client.get(links["view"])
    assert view.json()["format"].startswith("attnflow-view/")
    page = client.get(links["html"])
    assert page.headers["content-disposition"].startswith("attachment")
    assert "<!doctype html>" in page.text[:200].lower()
    assert client.get(links["page"]).status_code == 200
    assert client.get(links["json"]).headers["content-disposition"].startswith("attachment")


def test_figures_of_a_result(client):
    links = explained(client)["result"]["links"]
    for kind in ("tokens", "flow", "bounds"):
        figure = client.get(links["svg"], params={"kind": kind})
        assert figure.headers["content-type"].startswith("image/svg+xml")
        assert ElementTree.fromstring(figure.content).tag.endswith("svg")
        assert "quick" in figure.text
    assert "Unknown kind of figure" in said(client.get(links["svg"], params={"kind": "pie"}), 422)


def post_file(client, content, name="picture.png", **options):
    return client.post(
        "/api/explain/file?wait=60",
        files={"file": (name, content, "image/png")},
        data={"options": json.dumps({"model": "seer", "method": "flow", **options})},
    )


def png(size=(24, 24), colour=(200, 40, 40)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def test_a_picture_is_explained_by_its_patches(client):
    job = post_file(client, png())
    assert job.status_code == 200, job.text
    view = client.get(job.json()["result"]["links"]["view"]).json()
    assert "patch 0,0" in [player["label"] for player in view["players"]]


def test_files_that_are_no_pictures(client):
    assert "no picture" in said(post_file(client, b"<svg onload=alert(1)>"), 422)
    assert "no picture" in said(post_file(client, b""), 422)
    assert "damaged" in said(post_file(client, png((200, 200))[:-40]), 422)
    assert "pixels" in said(post_file(client, png((8000, 5001))), 422)
    said(post_file(client, b"x" * 10_200_000), 413)
    assert "nonsense: extra inputs" in said(post_file(client, png(), nonsense=1), 422)
    assert "file: field required" in said(client.post("/api/explain/file", data={"options": "{}"}), 422)
    said(client.post("/api/explain/file", files={"file": ("a.png", png())}, data={"options": "{"}), 422)
    said(post_file(client, png(), model="classifier"), 422)


def test_progress_as_events(client):
    start = client.post(
        "/api/explain", json={"model": "classifier", "text": TEXT, "method": "shapley", "samples": 2000}
    )
    assert start.status_code == 202
    with client.stream("GET", start.headers["location"] + "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line.startswith("data:")]
    jobs = [json.loads(line.removeprefix("data:")) for line in lines]
    assert jobs[-1]["state"] == "done"
    assert jobs[-1]["result"]["links"]["page"] == f"/r/{jobs[-1]['result']['id']}"
    assert all(job["id"] == start.json()["id"] for job in jobs)
    assert jobs[-1] == client.get(start.headers["location"]).json()


def test_cancel_stops_the_solver(client):
    name = endless(client)
    until(lambda: client.get(f"/api/jobs/{name}").json()["done"] > 0)
    before = threading.active_count()
    client.delete(f"/api/jobs/{name}")
    end = until(lambda: (job := client.get(f"/api/jobs/{name}").json())["state"] == "cancelled" and job)
    assert end["result"] is None
    assert threading.active_count() <= before
    assert explained(client)["state"] == "done"


def test_the_queue_is_bounded(serve):
    with serve(workers=1, limits={"queue": 1}) as client:
        running = endless(client)
        until(lambda: client.get(f"/api/jobs/{running}").json()["state"] == "running")
        waiting = endless(client)
        refused = client.post("/api/explain", json={"model": "classifier", "text": TEXT})
        assert "waiting" in said(refused, 503)
        assert int(refused.headers["retry-after"]) > 0
        assert client.delete(f"/api/jobs/{waiting}").json()["state"] == "cancelled"
        client.delete(f"/api/jobs/{running}")


def test_links_survive_a_restart(serve):
    with serve() as client:
        job = explained(client)
        view = client.get(job["result"]["links"]["view"]).json()
    with serve() as client:
        result = client.get(f"/api/results/{job['result']['id']}")
        assert result.json() == job["result"]
        assert client.get(job["result"]["links"]["page"]).status_code == 200
        assert client.get(job["result"]["links"]["view"]).json() == view


def test_without_a_folder_results_go_with_the_server(serve):
    with serve(results=None) as client:
        job = explained(client)
        assert job["result"]["kept"] is False
        assert client.get(job["result"]["links"]["view"]).status_code == 200
    with serve(results=None) as client:
        said(client.get(job["result"]["links"]["view"]), 404)


def test_deleting_a_result(client):
    links = explained(client)["result"]["links"]
    name = links["page"].removeprefix("/r/")
    assert client.delete(f"/api/results/{name}").status_code == 204
    said(client.get(links["view"]), 404)
    said(client.delete(f"/api/results/{name}"), 404)
    assert client.get(links["page"]).status_code == 404


def test_names_of_results_cannot_leave_the_folder(client, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    for name in ("../secret", "..%2Fsecret", "%2e%2e%2fsecret", "secret", "a" * 22):
        assert client.get(f"/api/results/{name}/json").status_code == 404


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "classifer"}, "did you mean 'classifier'"),
        ({"model": "/etc/passwd"}, "Unknown model '/etc/passwd'"),
        ({"method": "flows"}, "did you mean 'flow'"),
        ({"capacity": ["relevance", "atention"]}, "did you mean 'attention'"),
        ({"residual": 1.5}, "residual: input should be less than 1"),
        ({"text": ""}, "empty"),
        ({"text": None}, "Expected either text or messages"),
        ({"messages": [{"role": "user", "content": "x"}]}, "Expected either text or messages"),
        ({"text": "x" * 30_000}, "30,000 characters"),
        ({"text": "a b " * 300}, "602 tokens, this server explains up to 512"),
        ({"text": "a\ud800b"}, "surrogate"),
        ({"output": "nonsense", "capacity": "relevance"}, "nonsense"),
        ({"output": 1, "capacity": "attention"}, "no effect on 'attention'"),
        ({"target": 99}, "99"),
        ({"steps": 1000, "capacity": "relevance"}, "steps=1000: this server allows at most 64"),
        ({"method": "shapley", "samples": 10**6}, "samples=1000000"),
        ({"generate": 10**4}, "generate=10000"),
        ({"trust_remote_code": True}, "trust_remote_code: extra inputs are not permitted"),
        ({"bounds": "perhaps"}, "bounds: input should be a valid boolean"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(client, change, sentence):
    body = json.dumps({"model": "classifier", "text": TEXT, "method": "flow", **change})
    answer = client.post("/api/explain?wait=60", content=body, headers={"content-type": "application/json"})
    assert sentence in said(answer, 422)


def test_malformed_bodies(client):
    said(client.post("/api/explain", content="{", headers={"content-type": "application/json"}), 422)
    said(client.post("/api/explain", content='{"model": "classifier"}'), 422)
    said(client.put("/api/explain", json={}), 405)
    said(client.get("/api/nonsense"), 404)
    said(client.get("/api/jobs/nonsense"), 404)
    said(client.get("/api/jobs/nonsense/events"), 404)
    said(client.delete("/api/jobs/nonsense"), 404)
    said(client.get("/assets/..%2f__init__.py"), 404)


def test_bodies_are_bounded_whatever_they_claim(client):
    big = b"x" * 10_200_000
    said(client.post("/api/explain", content=big, headers={"content-type": "application/json"}), 413)

    def chunks():
        for _ in range(11):
            yield b"x" * 1_000_000

    said(client.post("/api/explain", content=chunks(), headers={"content-type": "application/json"}), 413)


def test_concurrent_jobs_on_one_model_give_the_answers_of_one(serve, loader):
    texts = [
        "the quick dog",
        "a cat sat on the mat",
        "who jumps over the lazy dog?",
        "the keys are on the table",
    ]

    def scores(client, text):
        job = explained(client, text=text, method="shapley", capacity="relevance")
        return client.get(job["result"]["links"]["json"]).json()["scores"]

    with serve(workers=4) as client:
        alone = [scores(client, text) for text in texts]
        found = [None] * 8

        def run(index):
            found[index] = scores(client, texts[index % 4])

        threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == alone * 2
    assert loader.places == ["classifier"]


def test_the_model_is_left_as_found_by_a_cancelled_job(client, loaded):
    model, tokenizer = loaded["classifier"]
    before = attnflow.explain(model, TEXT, tokenizer=tokenizer, method="flow").scores
    body = {"model": "classifier", "text": TEXT, "capacity": "relevance", "steps": 64, "baseline": "mask"}
    name = client.post("/api/explain", json=body).json()["id"]
    until(lambda: client.get(f"/api/jobs/{name}").json()["stage"] != "waiting for a worker")
    client.delete(f"/api/jobs/{name}")
    until(lambda: client.get(f"/api/jobs/{name}").json()["state"] in ("cancelled", "done"))
    after = attnflow.explain(model, TEXT, tokenizer=tokenizer, method="flow").scores
    np.testing.assert_array_equal(before, after)


def test_openapi_documents_every_route(client):
    document = client.get("/api/openapi.json").json()
    operations = [op for item in document["paths"].values() for op in item.values()]
    assert all(op["summary"] and op["description"] for op in operations)
    page = client.get("/docs")
    assert page.status_code == 200
    for path in document["paths"]:
        assert path in page.text
    assert "http://" not in page.text.replace(HOST, "")
    assert "<script" not in page.text


def test_chat(serve, loader):
    model, _ = loader.loaded["writer"]
    tokenizer = tiny.byte_bpe()
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + ' ' }}{% endfor %}"
    loader.loaded = {**loader.loaded, "writer": (model, tokenizer)}
    with serve() as client:
        messages = [{"role": "user", "content": "the quick dog"}]
        job = explained(client, model="writer", text=None, messages=messages, players="turns")
        assert job["state"] == "done"
