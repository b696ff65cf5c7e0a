"""The files of an image that is made of its chunks, beside that of one whose bytes come from first to last.

`<id>` holds bytes that came in order, so its length is how far it is. `<id>.chunks` is a file with holes, of
full size from the start; how far it is `<id>.journal` says, `<id>.scratch` has chunks that wait, `<id>.index`
is the file of the index that all of it goes by.
"""

from skerry.stores.base import Partial, Store

CHUNKS, JOURNAL, SCRATCH, INDEX = "chunks", "journal", "scratch", "index"


def part(store: Store, image_id: str, what: str) -> Partial:
    """One of the files."""
    return store.partial(f"{image_id}.{what}")


def owner(key: str) -> str:
    """The image that a partial file is of."""
    return key.partition(".")[0]


def discard_chunks(store: Store, image_id: str) -> None:
    """Remove the files of an assembly; the journal first, without which the others are nothing."""
    for what in (JOURNAL, CHUNKS, SCRATCH, INDEX):
        part(store, image_id, what).discard()


def discard(store: Store, image_id: str) -> None:
    """Remove all that there is of an image on its way here."""
    discard_chunks(store, image_id)
    store.partial(image_id).discard()
