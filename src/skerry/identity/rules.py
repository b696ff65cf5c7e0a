"""The rules in force: Glance's defaults with an operator's policy.yaml over them, checked before use."""

import difflib
import graphlib
import logging
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg
from oslo_policy import _checks, policy

from skerry.core.errors import ConfigError
from skerry.identity.policies import DEFAULTS, UNSCOPED

# oslo.policy looks for check plug-ins, and its own two ("http:", "https:") import `requests`: 5 MB that are
# never used, since such checks are refused below. Saying that there are none avoids the search.
_checks.extension_checks = {}
# What its parser has to say about a broken check is said by our ConfigError, without a traceback.
logging.getLogger("oslo_policy._parser").setLevel(logging.CRITICAL + 1)

_log = logging.getLogger(__name__)
_ATTRIBUTE = re.compile(r"%\(([^)]*)\)")
_RULE = re.compile(r"\brule:([^\s()]+)")
_HINT = 'Write for example: "download_image": "role:member and project_id:%(owner)s"'


@dataclass(frozen=True, slots=True)
class Rules:
    """One state of the rules.

    `attributes` are those of an image that checks refer to, as `%(name)s`.
    """

    enforcer: policy.Enforcer
    attributes: frozenset[str]


def load(text: str, source: str) -> Rules:
    """The default rules with those of the operator's file `text` over them.

    The file may be one that was written for Glance. Raises ConfigError for what oslo.policy itself would take
    for "nobody", take for the opposite, or fail on when it is asked.
    """
    checks = {**DEFAULTS, **_read(text, source)}
    parsed = policy.Rules.from_dict(checks)
    enforcer = policy.Enforcer(cfg.ConfigOpts(), rules=parsed, default_rule="default", use_conf=False)
    for name, check in DEFAULTS.items():
        scopes = None if name in UNSCOPED else ["project"]
        enforcer.register_default(policy.RuleDefault(name, check, scope_types=scopes))
    references = {name: set(_RULE.findall(str(check))) for name, check in parsed.items()}
    _refuse_dangling(references, source)
    _report_unused(references, source)
    for name, check in checks.items():
        if not _works(parsed[name], str(check), enforcer):
            raise ConfigError(f"{source}: the check of {name} cannot be understood: {check!r}.", hint=_HINT)
    return Rules(enforcer, frozenset(_ATTRIBUTE.findall(str(list(checks.values())))))


def _read(text: str, source: str) -> dict[str, Any]:
    try:
        document = policy.parse_file_contents(text)
    except ValueError as error:
        raise ConfigError(f"{source}: is not YAML: {error}.", hint=_HINT) from None
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: is not a table of rules.", hint=_HINT)
    # Rules for metadata definitions, which are not served here, may refer to others that are unknown here.
    checks = {name: check for name, check in document.items() if "metadef" not in str(name)}
    for name, check in checks.items():
        if not isinstance(name, str) or not isinstance(check, str | list):
            raise ConfigError(f"{source}: the check of {name} is not a text.", hint=_HINT)
        if re.search(r"\bhttps?:", str(check)):
            raise ConfigError(
                f"{source}: the check of {name} asks a web server.",
                hint="A site decides by what it has, also when it is cut off: use roles and attributes.",
            )
    return checks


def _refuse_dangling(references: Mapping[str, set[str]], source: str) -> None:
    """Refuse references to nothing, which oslo.policy takes for False: "not rule:typo" would let all pass."""
    for name, others in references.items():
        for other in sorted(others - references.keys()):
            raise ConfigError(
                f"{source}: the check of {name} asks for rule:{other}, which is not there.", hint=_HINT
            )
    try:
        graphlib.TopologicalSorter(references).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ConfigError(f"{source}: rules lead back to themselves: {circle}.", hint=_HINT) from None


def _report_unused(references: Mapping[str, set[str]], source: str) -> None:
    for name in references.keys() - DEFAULTS.keys() - set().union(*references.values()):
        close = difflib.get_close_matches(name, DEFAULTS, n=1)
        _log.warning("%s: no rule is called %s%s", source, name, f"; is it {close[0]}?" if close else "")


def _works(check: Any, text: str, enforcer: policy.Enforcer) -> bool:
    """Whether a check is what was written, and can be carried out whatever it is asked about."""
    # What cannot be parsed becomes "!" (nobody), and so shows where none was written.
    if str(check).count("!") > text.count("!"):
        return False
    # "and" and "or" stop early, so each part is tried by itself.
    parts = [check.rule] if isinstance(check, _checks.NotCheck) else getattr(check, "rules", [])
    if not all(_works(part, text, enforcer) for part in parts):
        return False
    try:
        check(defaultdict(str), {"roles": []}, enforcer)
    except Exception:  # whatever it is, it would come again with a request
        return False
    return True
