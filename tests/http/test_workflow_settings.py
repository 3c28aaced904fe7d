"""Workflows in settings: what could not be triggered, or would show a secret, is refused when it is saved."""

from typing import Any, Final

import pytest

from .client import REPO, Client, EnvironmentClient, Service, fine, refused

GITHUB: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}
HTTP: Final = {"kind": "http", "url": "https://deploy.example/hook"}


def said_of(production: EnvironmentClient, workflow: dict[str, Any]) -> dict[str, Any]:
    """What is wrong with it; the same of a deploy and of a build workflow."""
    of_environment = production.client.put(production.path, {"deploy_workflow": workflow})
    of_project = production.client.put(production.project_path, {"repo": REPO, "build_workflow": workflow})
    said: dict[str, Any] = refused(of_environment, 400, "invalid_request")["details"]["deploy_workflow"]
    assert refused(of_project, 400, "invalid_request")["details"]["build_workflow"] == said
    return said


@pytest.mark.parametrize(
    "workflow",
    [
        GITHUB | {"workflow": "12345"},
        GITHUB | {"parameters": {"color": "blue", "sha": "${commit}", "to": "${environment}-${kind}", "cost": "$5"}},
        GITHUB | {"parameters": {f"p{number}": "x" for number in range(22)}},
        GITHUB | {"parameters": {"token": "", "api_key": "${release_version}"}},
        GITHUB | {"prefix": "_ci-2_"},
        HTTP,
        {"kind": "http", "url": "http://127.0.0.1:8080/hook?x=1"},
        {"kind": "http", "url": "http://localhost/hook"},
        {"kind": "http", "url": "http://[::1]/hook"},
        {"kind": "http", "url": "https://93.184.216.34/hook"},
        {"kind": "http", "url": "https://[2606:4700::1111]:8443/hook"},
        {"kind": "http", "url": "https://deploy.example/?monkey=1&id=019ab1f0-0000-7000-8000-000000000000"},
        {"kind": "http", "url": "https://deploy.example/hook?a-rather-long-flag-without-a-number&token="},
        {"kind": "http", "url": "https://slack.com/services"},
        GITHUB | {"workflow": "deploy to shop..yml"},
        GITHUB | {"ref": "release/1.4-ünder_way"},
        GITHUB | {"parameters": {"author": "x", "assigning": "x", "designing": "x", "keyboard": "x", "signed": "yes"}},
        GITHUB | {"parameters": {"color": "basic blue", "said": "forbearer of news", "monkey": "x"}},
        GITHUB | {"parameters": {"tokens_max": "5", "oauth_enabled": "true", "token_ttl_s": "-1.5", "secret": "off"}},
        GITHUB | {"parameters": {"args": "--max-tokens=5 --skip-auth --fast=1 --token=${commit} --oauth=false"}},
        GITHUB | {"parameters": {"path": "Acme/Shop-Service-Frontend2/Production-EU1", "id": "AcmeShop_" * 5 + "7"}},
        GITHUB
        | {"parameters": {"image": "ghcr.io/acme/oauth-token:v2", "said": "auth: log in anew, tokens: all of them"}},
        GITHUB
        | {"parameters": {"npm": "npm_config_registry_of_the_shop", "sha": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"}},
    ],
)
def test_what_can_be_triggered_is_saved(production: EnvironmentClient, workflow: dict[str, Any]) -> None:
    """And shown as it was given."""
    answer = production.client.put(production.path, {"deploy_workflow": workflow})

    assert fine(answer)["deploy_workflow"] == workflow


@pytest.mark.parametrize("kind", ["buildkite", "jenkins", "GitHub"])
def test_another_kind_is_told_of_those_there_are(production: EnvironmentClient, kind: str) -> None:
    """Whoever comes from another CI reads at once what is possible."""
    said = said_of(production, {"kind": kind, "organization": "acme", "pipeline": "deploy"})

    assert said == {"kind": ["Must be one of: github, http."]}


@pytest.mark.parametrize(
    "url",
    ["http://deploy.example/hook", "https://me:hunter2@deploy.example/", "https://me@deploy.example/", "https://",
     "ftp://deploy.example", "https://deploy.example/a b", "https://deploy.example:x/", "", "https://x/" + "y" * 2000,
     "http://localhost.example/", "http://10.0.0.1/", "//deploy.example", "https://[::1/"],
)  # fmt: skip
def test_an_address_that_is_never_called(production: EnvironmentClient, url: str) -> None:
    """Plain http leaves this machine in the clear, and a password in an address ends up in logs."""
    said = said_of(production, {"kind": "http", "url": url})

    assert set(said) == {"url"}
    assert "hunter2" not in str(said)


@pytest.mark.parametrize(
    "ending",
    ["?token=x", "?a=1&api-key=x", "?key=x", "?x_key=x", "?sig=x", "?X-Amz-Signature=x", "?password=x", "?%74oken=x",
     "?code=3f9d0c1b2a4e5f60718293a4b5c6d7e8", "?c=ghp_" + "a1B2" * 9, "/ghp_" + "a1B2" * 9, "?auth=x",
     "#access_token=x", "?c=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1"],
)  # fmt: skip
@pytest.mark.parametrize("origin", ["https://deploy.example", "http://localhost"])
def test_an_address_with_a_secret(production: EnvironmentClient, origin: str, ending: str) -> None:
    """Whoever may read sees settings; the refusal does not repeat it."""
    said = said_of(production, {"kind": "http", "url": f"{origin}/hook{ending}"})

    assert set(said) == {"url"}
    assert "secret" in said["url"][0]
    assert ending not in str(said)


@pytest.mark.parametrize(
    "url",
    ["https://hooks.slack.com/services/T0/B0/x", "https://HOOKS.slack.com/workflows/T0/x",
     "https://discord.com/api/webhooks/1/x", "https://discordapp.com/api/v10/webhooks/1/x",
     "https://acme.webhook.office.com/webhookb2/x", "https://api.telegram.org/bot1:x/sendMessage"],
)  # fmt: skip
def test_an_address_that_is_a_secret(production: EnvironmentClient, url: str) -> None:
    """Whoever knows it may post there."""
    assert "secret" in said_of(production, {"kind": "http", "url": url})["url"][0]


PRIVATE: Final = (
    *("10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "[fd00::1]"),
    *("10.1", "0x7f.1", "2130706433", "10.0.0.1."),
)
NEVER: Final = ("169.254.169.254", "[fe80::1]", "0.0.0.0", "[::]", "0", "192.0.0.192", "168.63.129.16", "224.0.0.1")


@pytest.mark.parametrize("host", [*PRIVATE, *NEVER])
def test_a_private_address(production: EnvironmentClient, host: str) -> None:
    """It would never be called: that is said at once, and what would allow it."""
    said = said_of(production, {"kind": "http", "url": f"https://{host}/hook"})

    assert "RELEASE_LEDGER_ALLOW_PRIVATE_ADDRESSES" in said["url"][0]


@pytest.mark.parametrize("host", [*PRIVATE, *NEVER])
def test_a_private_address_that_is_allowed(upgraded_url: str, host: str) -> None:
    """By the setting; the metadata of clouds never are."""
    service = Service(upgraded_url, allow_private_addresses=True)
    try:
        production = service.environment()
        workflow = {"kind": "http", "url": f"https://{host}/hook"}
        answer = production.client.put(production.path, {"deploy_workflow": workflow})

        assert answer.status_code == (400 if host in NEVER else 200)
    finally:
        service.close()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("workflow", each) for each in ("..", ".", "...", "a/b.yml", ".github/workflows/deploy.yml", "../../x")),
        *(("workflow", each) for each in ("a\\b", " ", "\t", "deploy.yml ", "a\nb.yml", "\x01", "a\u200bb.yml")),
        *(("ref", each) for each in (" ", "a b", "main\n", "\x01", "ma\x7fin", "\u00a0", "a\u2028b", "main\u200b")),
    ],
)
def test_what_no_workflow_or_branch_is_called(production: EnvironmentClient, key: str, value: str) -> None:
    """Dots and slashes lead to another place of GitHub's API; it would refuse the rest at every deployment."""
    assert set(said_of(production, GITHUB | {key: value})) == {key}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in ("api-key", "access-key", "ACCESS_KEY", "accessKey", "db_pwd", "auth", "oauth2")),
        *((name, "x") for name in ("Authorization", "signing_key", "http-auth", "passphrase", "private.key")),
        ("color", "Bearer x1"),
        ("color", "Authorization: bearer x1"),
        ("color", "Basic bWU6aHVudGVyMg=="),
        ("npm_token", "x"),
        ("PASSWORD", "x"),
        ("apiKey", "x"),
        ("color", "ghp_" + "a1B2" * 9),
        ("color", "-----BEGIN RSA PRIVATE KEY-----"),
        ("database", "postgres://me:hunter2@db/x"),
        ("color", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1"),
        ("color", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("token", "1234567"),
        ("db_password", "1234"),
        *(("args", f"--{given}") for given in ("password=hunter2", "fast --api-key=hunter2", "token hunter2 --fast")),
        *(("args", f"DB_{given} X=1") for given in ("PASSWORD=hunter2", "PASSWORD='hunter2'", "PASSWORD=1234")),
        *(("args", given) for given in ("password: hunter2", '{"password":"hunter2"}', "password:hunter2")),
        *(("args", given) for given in ("Authorization: token abc", "https://x/?token=abc123", "--token=${commit}x")),
        *(("args", given) for given in ("fast=true,oauth=abc123", "https://hooks.slack.com/services/T0/B0/abc")),
        *(("color", given) for given in ("npm_" + "a1b2" * 9, "ASIAIOSFODNN7EXAMPLE", "dckr_pat_abcdefghij-klmnop")),
        *(
            ("color", given)
            for given in ("sk-ant-api03-abc", "pypi-AgEIcHlwaS5vcmcCJDU", "AIzaSyA-" + "1234567890" * 4)
        ),
    ],
)
def test_a_parameter_that_looks_like_a_secret(production: EnvironmentClient, name: str, value: str) -> None:
    """The refusal names the parameter and says why; it does not repeat the value."""
    said = said_of(production, GITHUB | {"parameters": {"fine": "x", name: value}})

    assert set(said["parameters"]) == {name}
    assert "logs of a run show parameters" in said["parameters"][name][0]
    assert value == "x" or value not in str(said)


def test_a_placeholder_that_stands_for_nothing(production: EnvironmentClient) -> None:
    """The refusal names those that there are."""
    said = said_of(production, GITHUB | {"parameters": {"color": "${colour}"}})

    assert said["parameters"]["color"] == [
        "${colour} stands for nothing. There are ${commit}, ${environment}, ${kind}, ${release_candidate_version},"
        " ${release_version}."
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parameters", {f"p{number}": "x" for number in range(23)}),
        ("parameters", {"é": "x"}),
        ("prefix", ""),
        ("prefix", "1_"),
        ("prefix", "a b"),
        ("prefix", "a\n"),
        ("prefix", "x" * 51),
    ],
)
def test_what_github_would_refuse(production: EnvironmentClient, key: str, value: object) -> None:
    """More inputs than GitHub takes, and names that inputs cannot have."""
    assert set(said_of(production, GITHUB | {key: value})) == {key}


@pytest.mark.parametrize(
    ("workflow", "unknown"),
    [
        (GITHUB | {"paramters": {"color": "blue"}}, "paramters"),
        (GITHUB | {"url": "https://deploy.example/hook"}, "url"),
        (HTTP | {"ref": "main"}, "ref"),
        (GITHUB | {"": "x"}, ""),
    ],
)
def test_a_key_that_the_kind_does_not_have(
    production: EnvironmentClient, workflow: dict[str, Any], unknown: str
) -> None:
    """It would be ignored at every deployment: the refusal names it and those that there are."""
    own = "url" if workflow["kind"] == "http" else "workflow, ref"

    said = said_of(production, workflow)

    assert said == {unknown: [f"Unknown key: of this kind there are kind, parameters, prefix, {own}."]}


def test_unknown_keys_beside_a_workflow_are_ignored(production: EnvironmentClient) -> None:
    """As in every body."""
    assert fine(production.client.put(production.path, {"deploy_workflow": GITHUB, "paramters": {}}))


def test_a_signed_request_needs_the_secret(upgraded_url: str) -> None:
    """Without it nothing could be signed: the refusal names the variable."""
    service = Service(upgraded_url, http_secret=None)
    try:
        production = service.environment()

        assert "RELEASE_LEDGER_HTTP_SECRET" in said_of(production, HTTP)["url"][0]
        fine(production.client.put(production.path, {"deploy_workflow": GITHUB}))
    finally:
        service.close()


def test_where_a_candidate_goes_after_its_build(admin: Client) -> None:
    """`deploy_after_build` is set, shown, and replaced like every setting; the environment need not be there yet."""
    path = "/api/releases/web"

    given = fine(admin.put(path, {"repo": REPO, "deploy_after_build": "staging"}))
    shown = fine(admin.get(path))
    replaced = fine(admin.put(path, {"repo": REPO, "deploy_after_build": None}))

    assert (given["deploy_after_build"], shown["deploy_after_build"]) == ("staging", "staging")
    assert replaced["deploy_after_build"] is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 101, 7, ["staging"]])
def test_deploy_after_build_must_be_a_name(admin: Client, name: object) -> None:
    """A name that no environment can have is refused."""
    answer = admin.put("/api/releases/web", {"repo": REPO, "deploy_after_build": name})

    assert set(refused(answer, 400, "invalid_request")["details"]) == {"deploy_after_build"}
