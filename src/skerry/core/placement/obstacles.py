"""What to tell a person of an image that ought to come and is not begun."""

from skerry.core.placement.plan import Blocked, Hold, Obstacle


def no_room(image_id: str, need: int) -> Blocked:
    """Nothing more can be evicted for it."""
    return Blocked(
        image_id,
        Obstacle.NO_ROOM,
        f"there is no room for {max(need, 0)} bytes; what is pinned, mirrored or in use stays",
        "Raise [cache] size, free space on the disk, unpin images, or place fewer images here.",
    )


def held(image_id: str, hold: Hold) -> Blocked:
    """It needs the room of copies that are not deleted before a person has said so."""
    return Blocked(
        image_id,
        Obstacle.HELD,
        f"it needs the room of copies whose deletion waits for a person: {hold.reason}",
        f"Look at the plan of {hold.site}, and approve {hold.digest}.",
    )


def draining(image_id: str) -> Blocked:
    """Nothing new comes to such a site."""
    return Blocked(image_id, Obstacle.DRAINING, "the site is draining", "Make the site active again.")


def at_home(image_id: str) -> Blocked:
    """A broken copy that has its home here."""
    return Blocked(
        image_id,
        Obstacle.AT_HOME,
        "its bytes are bad, and this site is its home, so that they come from nowhere else",
        "Bring the file back from a backup, or from another site with `skerry pull`.",
    )
