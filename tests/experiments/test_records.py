import json

import pytest
from experiments.records import SettingsError, collect


def measured(seen):
    def measure(key):
        seen.append(key)
        return {"value": len(key)}

    return measure


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    def breaks(key):
        if key == "ccc":
            raise KeyboardInterrupt
        return {"value": len(key)}

    with pytest.raises(KeyboardInterrupt):
        collect("s", "m", {"seed": 1}, ["a", "bb", "ccc"], breaks, folder=tmp_path)
    seen: list[str] = []
    found = collect("s", "m", {"seed": 1}, ["ccc", "a", "bb"], measured(seen), folder=tmp_path)
    assert seen == ["ccc"]
    assert found == [{"key": key, "value": len(key)} for key in ("ccc", "a", "bb")]


def test_a_line_that_was_cut_off_is_measured_again(tmp_path):
    collect("s", "m", {}, ["a", "bb"], measured([]), folder=tmp_path)
    path = tmp_path / "s" / "m.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    seen: list[str] = []
    assert [
        record["value"] for record in collect("s", "m", {}, ["a", "bb"], measured(seen), folder=tmp_path)
    ] == [1, 2]
    assert seen == ["bb"]
    assert [json.loads(line).get("key") for line in path.read_text().splitlines()] == [None, "a", "bb"]


def test_records_of_other_settings_are_refused_and_can_be_forgotten(tmp_path):
    collect("s", "m", {"seed": 1}, ["a"], measured([]), folder=tmp_path)
    with pytest.raises(SettingsError, match="seed"):
        collect("s", "m", {"seed": 2}, ["a"], measured([]), folder=tmp_path)
    seen: list[str] = []
    collect("s", "m", {"seed": 2}, ["a"], measured(seen), fresh=True, folder=tmp_path)
    assert seen == ["a"]


def test_keys_must_be_unique(tmp_path):
    with pytest.raises(ValueError, match="unique"):
        collect("s", "m", {}, ["a", "a"], measured([]), folder=tmp_path)
