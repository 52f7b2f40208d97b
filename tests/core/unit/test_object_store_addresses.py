from pathlib import Path

import pytest

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.core.objects.addresses import (
    object_store_at,
    parse_root,
)
from videomoments_dagster.core.objects.google_cloud import GoogleCloudStore
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.sources.locations import GoogleAddress


@pytest.mark.parametrize(
    ("root", "address"),
    [
        ("/srv/objects", Path("/srv/objects")),
        ("/srv/a/../objects/", Path("/srv/objects")),
        ("objects", Path.cwd() / "objects"),
        ("~/objects", Path.home() / "objects"),
        ("file:///srv/objects", Path("/srv/objects")),
        ("file:///srv/my%20%23objects", Path("/srv/my #objects")),
        ("file://localhost/srv", Path("/srv")),
        ("gs://my-bucket", GoogleAddress("my-bucket", "")),
        ("gs://my-bucket/", GoogleAddress("my-bucket", "")),
        ("gs://my-bucket/a/b/", GoogleAddress("my-bucket", "a/b")),
        ("GS://my.bucket_1/a", GoogleAddress("my.bucket_1", "a")),
    ],
)
def test_roots_are_folders_or_buckets(root: str, address: object) -> None:
    assert parse_root(root) == address


@pytest.mark.parametrize(
    "root",
    [
        "",
        "  ",
        "s3://bucket",
        "https://storage.googleapis.com/bucket",
        "gs://",
        "gs:///prefix",
        "gs://My Bucket/x",
        "gs://bucket/../x",
        "gs://bucket//x",
        "file://server/share",
        "file:///srv/../etc",
        "file://[",
        "file:///srv%00",
        "/srv\0",
    ],
)
def test_any_other_root_is_refused_and_named_with_the_forms_that_work(root: str) -> None:
    with pytest.raises(SettingsRejected) as refused:
        parse_root(root)
    assert root in refused.value.reason
    assert "object storage root" in refused.value.reason
    assert "gs://bucket/prefix" in refused.value.remedy


def test_the_root_decides_which_store_is_used_and_no_client_is_made_for_it(tmp_path: Path) -> None:
    def no_client() -> object:
        raise AssertionError

    assert isinstance(object_store_at(str(tmp_path), gcs_client=no_client), LocalFolderStore)
    store = object_store_at("gs://my-bucket/a", gcs_client=no_client)
    assert isinstance(store, GoogleCloudStore)
    assert store.root_url == "gs://my-bucket/a"
    assert store.url_of("x/y.mp4") == "gs://my-bucket/a/x/y.mp4"
