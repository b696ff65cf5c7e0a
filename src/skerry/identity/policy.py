"""What a caller may do: oslo.policy with Glance's rules, and an operator's file over them."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from skerry.config import PolicySection
from skerry.core import rights
from skerry.core.caller import Caller
from skerry.core.errors import Forbidden, NotFound
from skerry.core.image import Image, Visibility
from skerry.core.site import ReaderScope
from skerry.identity import rules
from skerry.identity.policies import DEFAULTS, SITE_READS
from skerry.identity.watched import Watched

_MOST_DECIDED = 20_000
_FIELDS = {
    each.name: each.name for each in fields(Image) if each.name not in ("properties", "revision", "index")
}
_FIELDS |= {"project_id": "owner", "image_id": "id"}
_IN_EVERY_KEY = frozenset({"project_id", "owner", "visibility", "member_id"})


class Policy:
    """The rules of a site, and decisions by them.

    A decision is pure in the rule, the caller and those attributes of the image that the rules refer to, so
    it is remembered. A change of the operator's file takes effect with the next question. Raises ConfigError
    when the file cannot be used.

    Other sites are not subject to the rules: they read what `site_reads` lets them have, and do nothing else.
    """

    def __init__(self, section: PolicySection, site_reads: ReaderScope = lambda site, image: True) -> None:
        self.site_reads = site_reads
        self._file = (
            Watched(Path(section.file), lambda text: rules.load(text, section.file)) if section.file else None
        )
        self._take(self._file.get() if self._file else rules.load("", "default policy"))

    def _take(self, now: rules.Rules) -> None:
        self._rules = now
        self._decided: dict[Any, bool] = {}
        self._asked = tuple(sorted(now.attributes - _IN_EVERY_KEY))

    def allows(self, rule: str, caller: Caller, image: Image | None = None, *, member: bool = False) -> bool:
        """Whether the policy lets `caller` do `rule`, one of Glance's, with `image`.

        `member`: the image is shared with the caller's project.
        """
        if caller.site is not None:
            return rule in SITE_READS and (image is None or self.site_reads(caller.site, image))
        if self._file is not None and (now := self._file.get()) is not self._rules:
            self._take(now)
        key: Any = (rule, caller)
        if image is not None:
            key = (rule, caller, member, image.owner, image.visibility)
            if self._asked:
                key += tuple(_attribute(image, name) for name in self._asked)
        decision = self._decided.get(key)
        if decision is None:
            if rule not in DEFAULTS:  # oslo.policy would go by the rule "default", which lets everybody pass
                raise LookupError(rule)
            if len(self._decided) >= _MOST_DECIDED:
                self._decided.clear()
            target = _target(caller, image, member)
            decision = bool(self._rules.enforcer.enforce(rule, target, _credentials(caller)))
            self._decided[key] = decision
        return decision

    def check(self, rule: str, caller: Caller, image: Image | None = None, *, member: bool = False) -> None:
        """Raise NotFound when the caller may not know of `image`, else Forbidden when not allowed `rule`."""
        if image is not None and not (
            rights.visible(caller, image, member) and self.allows("get_image", caller, image, member=member)
        ):
            raise NotFound(f"No image found with ID {image.id}", image=image.id)
        if not self.allows(rule, caller, image, member=member):
            raise _forbidden(rule)

    def check_new(self, caller: Caller, image: Image) -> None:
        """Raise Forbidden when the caller may not create `image`, as it is proposed."""
        if not self.allows("add_image", caller, image):
            if image.owner != caller.project_id:
                raise Forbidden(f"You are not permitted to create images owned by '{image.owner}'")
            raise _forbidden("add_image")
        self.check_visibility(caller, image, image.visibility)

    def check_visibility(self, caller: Caller, image: Image, to: Visibility) -> None:
        """Raise Forbidden when the caller may not make `image` visible as `to`."""
        rule = {Visibility.PUBLIC: "publicize_image", Visibility.COMMUNITY: "communitize_image"}.get(to)
        if rule and not self.allows(rule, caller, image):
            raise _forbidden(rule)

    def is_admin(self, caller: Caller) -> bool:
        """Whether the roles of the caller make it an administrator (the rule `context_is_admin`)."""
        return self.allows("context_is_admin", caller)


def _forbidden(rule: str) -> Forbidden:
    return Forbidden(f"You are not authorized to complete {rule} action.")


def _credentials(caller: Caller) -> dict[str, Any]:
    """The caller in oslo.policy's words; it tells the scope of a token by `system_scope` and `domain_id`."""
    return {**asdict(caller), "roles": list(caller.roles), "is_admin_project": True}


def _attribute(image: Image, name: str) -> Any:
    own = _FIELDS.get(name)
    return getattr(image, own) if own else image.properties.get(name)


def _target(caller: Caller, image: Image | None, member: bool) -> Mapping[str, Any]:
    """What a check's `%(name)s` may refer to; without an image, Glance's for a list of one's own.

    What is None is left out, so that the check fails: oslo.policy compares texts, and would match "None".
    """
    if image is None:
        target: dict[str, Any] = {
            "visibility": "private",
            "owner": caller.project_id,
            "project_id": caller.project_id,
        }
    else:
        target = {**image.properties, **{name: _attribute(image, name) for name in _FIELDS}}
        target["member_id"] = caller.project_id if member else None
    return {name: value for name, value in target.items() if value is not None}
