from pathlib import Path

import pytest

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.ffmpeg import input_options, safe_input


def test_every_input_may_only_be_a_file_of_a_known_container():
    options = input_options()
    assert options["protocol_whitelist"] == "file,pipe"
    allowed = set(options["format_whitelist"].split(","))
    assert {"mp4", "matroska", "wav"} <= allowed
    assert not allowed & {"hls", "concat", "svg_pipe", "image2", "dash", "lavfi", "tty", "srt"}


def test_a_probed_file_may_only_be_read_as_what_it_was():
    facts = MediaFacts("matroska,webm", 1.0, 1, None, None)
    assert input_options(facts)["format_whitelist"] == "matroska,webm"
    assert "ignore_editlist" not in input_options(facts)


def test_an_edit_list_that_contradicts_its_data_is_passed_over():
    facts = MediaFacts("mov,mp4", 1.0, 1, None, None, ignore_edit_list=True)
    assert input_options(facts)["ignore_editlist"] == "1"


@pytest.mark.parametrize("name", ["-i.mp4", "a:b.mp4", "100%d.mp4", "http:x.mp4", "a b.mp4"])
def test_no_file_name_is_taken_for_an_option_or_an_address(name):
    assert safe_input(Path(name)) == f"file:{Path.cwd() / name}"
