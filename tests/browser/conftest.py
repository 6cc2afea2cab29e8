"""A real browser, and an application that uses the official SDK."""

import sys
import pathlib

import onelogin
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from application import Application  # noqa: E402
from chromium import Chromium  # noqa: E402


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    chromium = Chromium(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.stop()


@pytest.fixture
def mfa(server):
    configuration = onelogin.Configuration(host=server.url)
    configuration.access_token = server.api.token
    return onelogin.MultiFactorAuthenticationApi(onelogin.ApiClient(configuration))


@pytest.fixture
def application(mfa):
    application = Application(mfa)
    yield application
    application.stop()
