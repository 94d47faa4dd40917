"""An audience's members as they are pulled: each is asked about again, since much may have happened meanwhile."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from api.audience_formats import page_of, writer_of
from api.audience_rules import Wanted, admitted, sent_after
from api.audiences import Desk
from api.bulk_formats import Format
from data_contracts.columns import USER_ID
from sql.audience_pool import Page
from sql.audiences import Member, members_after
from sql.client import Address, Store, connected
from sql.user_events import selected_events

_AT_ONCE = 1_000


@dataclass(frozen=True)
class Pull:
    """Members, and an end that states the counts and the SHA-256 of all of them.

    A pull that broke has no such end; it goes on `after` the place of the last member that came.
    """

    desk: Desk
    wanted: Wanted
    members: str
    after: int
    format: Format

    def body(self, address: Address) -> Iterator[bytes]:
        checksum, told, left_out, after = hashlib.sha256(), 0, 0, self.after
        writer = writer_of(self.format, is_whole=not self.after)
        yield writer.start()
        with connected(address) as store:
            while page := members_after(store, self.members, after=after, most=_AT_ONCE):
                kept = self._kept(store, page)
                data, summed = writer.write(kept)
                checksum.update(summed)
                told, after = told + kept.num_rows, page[-1].place
                left_out += len(page) - kept.num_rows
                yield data
        yield writer.end({"members": told, "left_out": left_out, "sha256": checksum.hexdigest()})

    def _kept(self, store: Store, page: Sequence[Member]) -> pa.RecordBatch:
        desk, ids = self.desk, [one.user_id for one in page]
        serving = desk.serving
        states = store.table("user_state_v1/lookup", snapshot_id=serving.snapshot_id, user_ids=ids)
        cut_off = desk.moment.cut_off_micros
        events = selected_events(store, "user_events_v1/of_users", user_ids=ids, cut_off=cut_off)
        asked = Page(pa.table({USER_ID: ids}), states, events)
        is_in = admitted(serving, desk.moment, self.wanted, asked)
        kept = [one for one, stays in zip(page, is_in.tolist(), strict=True) if stays]
        return page_of(kept, sent_after(desk.moment, self.wanted, asked)[is_in])
