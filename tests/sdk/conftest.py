"""The official Python SDK, exactly as PyPI ships it."""

import importlib.metadata

import onelogin
import pytest


def pytest_sessionstart(session):
    assert importlib.metadata.version("onelogin") == "4.0.1"


def connect(server, host=None, api=None):
    """An ApiClient that is set up as the SDK's own manual shows."""
    api = api or server.api
    configuration = onelogin.Configuration(host=host or server.url)
    configuration.access_token = api.token
    return onelogin.ApiClient(configuration)


@pytest.fixture
def mfa(server):
    """The ten operations."""
    return onelogin.MultiFactorAuthenticationApi(connect(server))


@pytest.fixture
def sdk(server):
    """Makes clients: another host, another credential."""
    return lambda **keywords: onelogin.MultiFactorAuthenticationApi(connect(server, **keywords))


@pytest.fixture
def users(server):
    return onelogin.UsersV2Api(connect(server))


@pytest.fixture
def oauth(server):
    """The token calls, which authenticate by HTTP Basic."""
    configuration = onelogin.Configuration(host=server.url, username=server.api.client_id, password=server.api.client_secret)
    return onelogin.OAuth2Api(onelogin.ApiClient(configuration))


def register(factor_id, **fields):
    return onelogin.CreateFactorRegistrationRequest(factor_id=factor_id, display_name="mine", **fields)
