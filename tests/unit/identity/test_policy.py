"""What Glance's default rules and an operator's file let whom do."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from skerry.config import PolicySection
from skerry.core.caller import Caller
from skerry.core.errors import ConfigError, Forbidden, NotFound
from skerry.core.image import Image, Visibility
from skerry.identity.noauth import EVERYBODY
from skerry.identity.policies import DEFAULTS
from skerry.identity.policy import Policy

READER = Caller("rita", "lab", frozenset({"reader"}))
MEMBER = Caller("ann", "lab", frozenset({"member", "reader"}))
OTHER = Caller("bob", "shop", frozenset({"member", "reader"}))
ADMIN = Caller("root", "ops", frozenset({"admin", "member", "reader"}), is_admin=True)

Write = Callable[[str], Path]


@pytest.fixture
def policy() -> Policy:
    return Policy(PolicySection())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    path = tmp_path / "policy.yaml"
    writes = 0

    def write(text: str) -> Path:
        nonlocal writes
        writes += 1
        path.write_text(text)
        os.utime(path, (writes, writes))  # two writes within one tick of the file system's clock differ
        return path

    return write


def with_file(path: Path) -> Policy:
    return Policy(PolicySection(file=str(path)))


def test_readers_read_and_do_nothing_else(policy: Policy, image: Image) -> None:
    policy.check("get_images", READER)
    policy.check("get_image", READER, image)
    for rule in (
        "download_image",
        "modify_image",
        "delete_image",
        "upload_image",
        "add_member",
        "deactivate",
    ):
        with pytest.raises(Forbidden, match=f"You are not authorized to complete {rule} action"):
            policy.check(rule, READER, image)


def test_members_do_with_images_of_their_project_what_they_like(policy: Policy, image: Image) -> None:
    for rule in ("get_image", "download_image", "modify_image", "delete_image", "upload_image", "reactivate"):
        policy.check(rule, MEMBER, image)
    policy.check_visibility(MEMBER, image, Visibility.COMMUNITY)


def test_only_administrators_make_an_image_public(policy: Policy, image: Image) -> None:
    policy.check_visibility(ADMIN, image, Visibility.PUBLIC)
    with pytest.raises(Forbidden, match="publicize_image"):
        policy.check_visibility(MEMBER, image, Visibility.PUBLIC)
    with pytest.raises(Forbidden, match="publicize_image"):
        policy.check_new(MEMBER, replace(image, visibility=Visibility.PUBLIC))


def test_an_image_is_created_for_ones_own_project_alone(policy: Policy, image: Image) -> None:
    policy.check_new(MEMBER, image)
    policy.check_new(ADMIN, image)
    with pytest.raises(Forbidden, match="not permitted to create images owned by 'lab'"):
        policy.check_new(OTHER, image)
    with pytest.raises(Forbidden, match="complete add_image action"):
        policy.check_new(READER, image)


@pytest.mark.parametrize("rule", ["get_image", "download_image", "delete_image", "get_members", "add_member"])
def test_an_image_that_one_may_not_see_is_not_found_whatever_one_wants_to_do_with_it(
    policy: Policy, image: Image, rule: str
) -> None:
    with pytest.raises(NotFound, match="No image found with ID 4b9a"):
        policy.check(rule, OTHER, image)


def test_an_image_that_one_may_see_and_not_change_is_forbidden(policy: Policy, image: Image) -> None:
    with pytest.raises(Forbidden):
        policy.check("delete_image", OTHER, replace(image, visibility=Visibility.PUBLIC))


def test_a_project_that_an_image_is_shared_with_uses_it_and_answers_for_itself(
    policy: Policy, image: Image
) -> None:
    for rule in ("get_image", "download_image", "get_members", "modify_member"):
        policy.check(rule, OTHER, image, member=True)
    for rule in ("modify_image", "add_member", "delete_member"):
        with pytest.raises(Forbidden):
            policy.check(rule, OTHER, image, member=True)
    with pytest.raises(Forbidden):
        policy.check("modify_member", MEMBER, image)


@pytest.mark.parametrize("rule", sorted(DEFAULTS))
def test_without_identity_everybody_may_do_everything(policy: Policy, image: Image, rule: str) -> None:
    policy.check(rule, EVERYBODY, replace(image, visibility=Visibility.PRIVATE))
    policy.check(rule, EVERYBODY)


@pytest.mark.parametrize("scope", [{"system_scope": "all"}, {"domain_id": "d1"}])
def test_a_token_that_is_not_for_a_project_may_do_nothing_with_images(
    policy: Policy, image: Image, scope: dict[str, str]
) -> None:
    wide = replace(ADMIN, project_id=None, **scope)  # type: ignore[arg-type]
    assert policy.is_admin(wide)
    assert not policy.allows("get_images", wide)
    assert not policy.allows("delete_image", wide, image)


def test_a_project_called_none_does_not_own_what_nobody_owns(policy: Policy, image: Image) -> None:
    orphan = replace(image, owner=None)
    assert not policy.allows("delete_image", Caller("x", "None", frozenset({"member"})), orphan)
    assert not policy.allows("delete_image", Caller("x", None, frozenset({"member"})), orphan)
    assert not policy.allows("modify_member", Caller("x", None, frozenset({"member"})), image)


def test_a_custom_property_does_not_stand_in_for_an_attribute(policy: Policy, image: Image) -> None:
    tricky = replace(image, properties={"project_id": "shop", "member_id": "shop", "id": "x"})
    assert not policy.allows("delete_image", OTHER, tricky)
    assert not policy.allows("modify_member", OTHER, tricky)
    assert not policy.allows("delete_image", OTHER, replace(tricky, owner=None))


def test_decisions_are_the_same_when_they_are_remembered(policy: Policy, image: Image) -> None:
    images = [replace(image, visibility=v, owner=o) for v in Visibility for o in ("lab", "shop", None)]
    questions = [
        (rule, caller, about, member)
        for rule in DEFAULTS
        for caller in (READER, MEMBER, OTHER, ADMIN)
        for about in (None, *images)
        for member in (False, True)
    ]
    first = [policy.allows(rule, caller, about, member=member) for rule, caller, about, member in questions]
    again = [policy.allows(rule, caller, about, member=member) for rule, caller, about, member in questions]
    fresh = [
        Policy(PolicySection()).allows(rule, caller, about, member=member)
        for rule, caller, about, member in questions[::97]
    ]
    assert again == first
    assert fresh == first[::97]


def test_an_operators_rules_go_over_the_defaults_and_may_ask_for_any_attribute(
    write: Write, image: Image
) -> None:
    policy = with_file(
        write('"download_image": "role:auditor or project_id:%(os_distro)s"\n"delete_image": "!"\n')
    )
    auditor = replace(OTHER, roles=frozenset({"auditor", "reader"}))
    public = replace(image, visibility=Visibility.PUBLIC)
    policy.check("download_image", auditor, public)
    assert not policy.allows("download_image", OTHER, public)
    assert policy.allows("download_image", OTHER, replace(public, properties={"os_distro": "shop"}))
    assert not policy.allows("download_image", OTHER, replace(public, properties={"os_distro": "lab"}))
    assert not policy.allows("delete_image", ADMIN, image)
    assert policy.allows("modify_image", MEMBER, image)


def test_a_rule_may_ask_for_a_property_of_any_name(write: Write, image: Image) -> None:
    policy = with_file(write('"download_image": "project_id:%(hw-for.project)s"\n'))
    for project, allowed in [("shop", True), ("lab", False), ("shop", True)]:
        asked = replace(image, properties={"hw-for.project": project})
        assert policy.allows("download_image", OTHER, asked) is allowed


def test_who_is_an_administrator_is_the_operators_to_say(write: Write) -> None:
    policy = with_file(write('"context_is_admin": "role:boss"\n'))
    assert policy.is_admin(Caller("b", "x", frozenset({"boss"})))
    assert not policy.is_admin(ADMIN)


def test_a_policy_file_written_for_glance_can_be_used_as_it_is(write: Write, image: Image) -> None:
    policy = with_file(
        write(
            '# comment\n"get_metadef_object": "rule:metadef_default"\n"metadef_default": ""\n'
            '"mine": "role:member and project_id:%(owner)s"\n"delete_image": "rule:mine"\n'
            '"modify_image": [["role:member"], ["role:admin"]]\n"tasks_api_access": "@"\n'
        )
    )
    assert policy.allows("delete_image", MEMBER, image)
    assert policy.allows("modify_image", OTHER, image)


def test_an_empty_file_changes_nothing(write: Write, image: Image) -> None:
    assert with_file(write("# nothing\n")).allows("modify_image", MEMBER, image)


def test_a_changed_file_takes_effect_at_once(write: Write, image: Image) -> None:
    policy = with_file(write('"delete_image": "!"\n'))
    assert not policy.allows("delete_image", MEMBER, image)
    write('"delete_image": "@"\n')
    assert policy.allows("delete_image", MEMBER, image)


def test_a_change_that_breaks_the_file_leaves_the_former_rules_in_force(
    write: Write, image: Image, caplog: pytest.LogCaptureFixture
) -> None:
    path = write('"delete_image": "!"\n')
    policy = with_file(path)
    write('"delete_image": "role:\n')
    assert not policy.allows("delete_image", ADMIN, image)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "What was read before stays in force" in caplog.text
    path.unlink()
    assert not policy.allows("delete_image", ADMIN, image)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('"get_image": "role:admin and"', "check of get_image cannot be understood"),
        ('"get_image": "(role:admin"', "check of get_image cannot be understood"),
        ('"get_image": "admin"', "check of get_image cannot be understood"),
        ('"get_image": "! or admin"', "check of get_image cannot be understood"),
        ('"get_image": "role:admin role:reader"', "check of get_image cannot be understood"),
        ('"get_image": [["admin"]]', "check of get_image cannot be understood"),
        ('"get_image": [[7]]', "check of get_image cannot be understood"),
        ('"get_image": 7', "check of get_image is not a text"),
        ('"get_image": true', "check of get_image is not a text"),
        ("7: '@'", "check of 7 is not a text"),
        ('"get_image": "role:admin or \'public:%(visibility)s"', "check of get_image cannot be understood"),
        ('"get_image": "role:admin or not project_id:%(owner)d"', "check of get_image cannot be understood"),
        ('"get_image": "role:admin or role:%(owner)"', "check of get_image cannot be understood"),
        ('"get_image": "rule:nowhere"', "get_image asks for rule:nowhere, which is not there"),
        ('"get_image": "not rule:nowhere"', "get_image asks for rule:nowhere, which is not there"),
        ('"get_image": "role:a or (role:b and not (rule:nowhere))"', "get_image asks for rule:nowhere"),
        ('"a": "rule:b"\n"b": "not rule:a"\n', "lead back to themselves: (a -> b -> a|b -> a -> b)"),
        ('"get_image": "rule:get_image"', "lead back to themselves: get_image -> get_image"),
        ('"get_image": "https://policy.example/check"', "asks a web server"),
        ('- "get_image"', "is not a table of rules"),
        ("just words", "is not a table of rules"),
        ('"get_image": "@', "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error_that_names_it(
    write: Write, text: str, complaint: str
) -> None:
    path = write(text)
    with pytest.raises(ConfigError, match=complaint) as refused:
        with_file(path)
    assert str(path) in str(refused.value)
    assert refused.value.hint


def test_a_file_that_is_not_there_or_not_text_is_one_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        with_file(tmp_path / "policy.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        with_file(tmp_path)
    (tmp_path / "policy.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        with_file(tmp_path / "policy.yaml")


def test_a_rule_that_does_not_exist_is_a_fault_of_the_program_and_lets_nobody_pass(policy: Policy) -> None:
    with pytest.raises(LookupError):
        policy.allows("dowload_image", ADMIN)


def test_a_rule_that_nothing_asks_for_is_reported_with_the_nearest_name(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    with_file(write('"dowload_image": "role:member"\n"mine": "@"\n"get_image": [["rule:mine"]]\n'))
    assert len(caplog.records) == 1
    assert "no rule is called dowload_image; is it download_image?" in caplog.text
