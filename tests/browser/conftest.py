"""A real browser, and an application that uses the official SDK."""

import onelogin
import pytest

from browser.application import Application
from browser.chromium import Chromium


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
