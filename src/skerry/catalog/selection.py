"""A Query and a Scope as SQL. Source of the rules: Glance's listing (db/sqlalchemy) and its API reference."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, tuple_

from skerry.catalog.schema import images, members, properties, tags
from skerry.core.image import Image, Member, Visibility
from skerry.core.query import Query, Scope

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
}
_OPEN = (Visibility.PUBLIC, Visibility.COMMUNITY)


def may_see(scope: Scope, image: Image, sharing: Sequence[Member]) -> bool:
    """Whether an image can be in a list of `scope` at all, whatever is asked for."""
    if scope.is_admin or image.visibility in _OPEN:
        return True
    if scope.project_id is None:
        return False
    if image.owner == scope.project_id:
        return True
    shared = image.visibility is Visibility.SHARED
    return shared and any(member.project_id == scope.project_id for member in sharing)


def page(query: Query, scope: Scope, marker: Image | None) -> Select[tuple[str, int]]:
    """Ids and revisions of the images of a page, in order, and of one image more if there is one."""
    order = _order(query.sort)
    statement = select(images.c.id, images.c.revision).where(*_conditions(query, scope))
    if marker is not None:
        statement = statement.where(_after(order, marker))
    keys = (_key(name).asc() if ascending else _key(name).desc() for name, ascending in order)
    return statement.order_by(*keys).limit(query.limit + 1 if query.limit else 0)


def _conditions(query: Query, scope: Scope) -> Iterable[ColumnElement[bool]]:
    yield from _seen(query, scope)
    for name, values in query.equal.items():
        column = images.c[name]
        wanted = [int(value) for value in values] if column.type.python_type is int else values
        yield column.in_(wanted) if len(wanted) != 1 else column == wanted[0]
    for name, comparison, moment in query.times:
        yield _COMPARE[comparison](images.c[name], moment.timestamp())
    if query.size_min is not None:
        yield images.c.size >= query.size_min
    if query.size_max is not None:
        yield images.c.size <= query.size_max
    if query.hidden is not None:
        yield images.c.os_hidden == query.hidden
    if query.protected is not None:
        yield images.c.protected == query.protected
    # Counting the matches keeps the statement flat, however many tags or properties are asked for.
    if query.tags:
        named = select(tags.c.image_id).where(tags.c.tag.in_(sorted(query.tags)))
        yield images.c.id.in_(named.group_by(tags.c.image_id).having(func.count() == len(query.tags)))
    if query.properties:
        pairs = tuple_(properties.c.name, properties.c.value).in_(list(query.properties.items()))
        named = select(properties.c.image_id).where(pairs)
        yield images.c.id.in_(
            named.group_by(properties.c.image_id).having(func.count() == len(query.properties))
        )


def _seen(query: Query, scope: Scope) -> Iterable[ColumnElement[bool]]:
    own = images.c.owner == scope.project_id if scope.project_id is not None else false()
    if not scope.is_admin:
        yield or_(images.c.visibility.in_(_OPEN), own, _shared(query, scope))
    if query.visibility is not None:
        yield images.c.visibility == query.visibility
    elif not query.every_visibility:
        yield or_(own, images.c.visibility != Visibility.COMMUNITY)


def _shared(query: Query, scope: Scope) -> ColumnElement[bool]:
    if scope.project_id is None:
        return false()
    sharing = select(members.c.image_id).where(members.c.project_id == scope.project_id)
    if query.member_status is not None:
        sharing = sharing.where(members.c.status == query.member_status)
    return and_(images.c.visibility == Visibility.SHARED, images.c.id.in_(sharing))


def _order(sort: Iterable[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """The sort keys, each once, and those that make the order total."""
    keys: dict[str, bool] = {}
    for name, ascending in (*sort, ("created_at", False), ("id", False)):
        keys.setdefault(name, ascending)
    return list(keys.items())


def _key(name: str) -> ColumnElement[Any]:
    """What a column sorts by: what is not set sorts before everything else, in each database."""
    column = images.c[name]
    if not column.nullable:
        return column
    return func.coalesce(column, _nothing(column.type.python_type))


def _nothing(kind: type) -> Any:
    return 0 if kind is int else ""


def _after(order: Sequence[tuple[str, bool]], marker: Image) -> ColumnElement[bool]:
    """(a > A) or (a = A and b > B) or ..., each in its direction."""
    places = [(_key(name), _place(marker, name), ascending) for name, ascending in order]
    later = or_(
        *(
            and_(
                *(key == place for key, place, _ in places[:position]),
                key > place if ascending else key < place,
            )
            for position, (key, place, ascending) in enumerate(places)
        )
    )
    key, place, ascending = places[0]
    return and_(key >= place if ascending else key <= place, later)  # the first lets an index find the place


def _place(marker: Image, name: str) -> Any:
    value = getattr(marker, name)
    if isinstance(value, datetime):
        return int(value.timestamp())
    return _nothing(images.c[name].type.python_type) if value is None else value
