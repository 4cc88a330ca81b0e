"""The conformance kit, on a real S3 server."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dewy.testing import ArtifactConformance, CatalogConformance
from dewy_registry_s3.plugin import ARTIFACT, REGISTRY
from s3_proxy import Proxy
from s3_store import Bucket
from seaweed import SeaweedFS

PLUGIN = "dewy_registry_s3.plugin"
NOBODY = "endpoint=http://127.0.0.1:1"


class _WithCredentials:
    @pytest.fixture
    def environ(self, seaweed: SeaweedFS) -> Mapping[str, str]:
        return seaweed.environ


class TestS3Catalog(_WithCredentials, CatalogConformance):
    backend = REGISTRY
    plugin = PLUGIN
    artifacts = (ARTIFACT,)
    attaches = True

    @pytest.fixture
    def store(self, bucket: Bucket) -> Bucket:
        return bucket

    @pytest.fixture
    def unreachable(self) -> str:
        return f"s3://us-east-1/releases/myapp?{NOBODY}"


class TestS3Artifact(_WithCredentials, ArtifactConformance):
    backend = ARTIFACT
    plugin = PLUGIN
    interrupts = True
    resumes = True

    @pytest.fixture
    def store(self, bucket: Bucket, proxy: Proxy) -> Bucket:
        assert bucket.proxy is proxy
        return bucket

    @pytest.fixture
    def unreachable(self) -> str:
        return f"s3://us-east-1/releases/myapp/v1.0.0/app?{NOBODY}"
