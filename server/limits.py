"""Every bound of the system, with its reason, and assertions between them. Imports nothing."""

KIB = 1024
MIB = 1024 * KIB
SECOND_MS = 1_000
HOUR_MS = 3_600 * SECOND_MS
DAY_MS = 24 * HOUR_MS

# Records (DESIGN.md 2.1)
INTEGER_MAX = 2**53 - 1
"""The largest integer that a phone's JSON holds exactly (RFC 8785)."""
JSON_DEPTH_MAX = 8
"""Deeper nesting has no use in a record and would cost the parser its stack."""
PAYLOAD_BYTES_MAX = 45_000
"""A payload in base64url, its header, signature and outcome must fit one log entry."""
RECORD_BYTES_MAX = 60_400
"""JWS compact: header, payload and signature in base64url."""
ENTRY_BYTES_MAX = 65_535
"""C2SP entry bundles prefix each entry with a u16 length."""
RECORD_LIFE_MS_MAX = DAY_MS
"""Longest time between `made_ms` and `expires_ms`: it bounds the table of nonces."""
RECORD_AHEAD_MS_MAX = 300 * SECOND_MS
"""How far `made_ms` may lie after the block's time: a phone's clock after correction."""
NONCE_KEPT_MS = 7 * DAY_MS
"""A (kid, nonce) is remembered this long, in block time, after its record expired."""

# Attachments (decisions 2, 3)
OPENING_BYTES_MAX = 4 * KIB
"""An opening of a private field; it travels in the pre-prepare's frame."""
OPENINGS_MAX = 16
PHOTOS_MAX = 9
"""Photos of one report or update: what WeChat's picker gives at once."""

# Blocks (consensus.md 2.3)
BLOCK_ITEMS_MAX = 500
BLOCK_BYTES_MAX = MIB
BLOCK_TIMERS_MAX = 200
"""Due timers of one block: the earliest ones; the rest follow in the next block."""
STATE_ROOT_EVERY = 1_000
"""Blocks between two hashes of the whole state (decisions 8)."""
STATE_ROOT_LAG = 500
"""Blocks in which a node hashes the state beside its work: 25 s on a busy estate, where 100,000 rows take some 3 s."""
SNAPSHOT_CHUNK_BYTES = 256 * KIB
"""A chunk of the state ends with the row that brings it to this size: a few to a frame."""
HISTORY_BLOCKS_MAX = 256
"""Blocks of the log that one answer to a joining node holds at most."""
HISTORY_PAGE_BYTES = MIB
"""Bytes of entries after which such an answer ends; the openings of one block more still fit a frame."""
SNAPSHOT_BYTES_PER_S = 8 * MIB
"""What a node gives to one joining peer a second: a state of 25 MB in three, and most of a slow disk stays free."""
SNAPSHOT_CALLS_MAX = 2
"""Questions about snapshots that a node answers to one peer at a time."""
ROLL_HEADS_MAX = 250
"""Heads in one `roll.publish` record: 250 x 170 bytes fit a payload."""
ROLL_PARTS_MAX = 100
"""Records of one roll: 25,000 heads."""
HEAD_AREA_CM2_MAX = 3 * 10**11
"""Area of one head: 30 km2, absurdly large, and yet the total of the largest roll is an integer that an entry can hold.
A total beyond that could not be parsed, and the due tally would block every block."""

assert PAYLOAD_BYTES_MAX * 4 // 3 + 250 <= RECORD_BYTES_MAX
assert RECORD_BYTES_MAX + 300 <= ENTRY_BYTES_MAX
assert BLOCK_BYTES_MAX >= RECORD_BYTES_MAX
assert ROLL_HEADS_MAX * 170 <= PAYLOAD_BYTES_MAX
assert ROLL_PARTS_MAX * ROLL_HEADS_MAX * HEAD_AREA_CM2_MAX < INTEGER_MAX
assert BLOCK_TIMERS_MAX < BLOCK_ITEMS_MAX
assert STATE_ROOT_LAG < STATE_ROOT_EVERY

# Between nodes (consensus.md 2.3, 2.10)
FRAME_BYTES_MAX = 4 * MIB
"""One frame between nodes: a full block, or a cleaned photo."""
PHOTO_BYTES_MAX = FRAME_BYTES_MAX - 64 * KIB
"""A cleaned picture, which goes to the peers in one frame with the word of who uploaded it."""
PEER_CALLS_MAX = 256
"""Calls of one peer that are answered at a time; more are declined, so that a hostile one cannot fill our memory."""
PEER_CALLS_BYTES_MAX = 64 * MIB
"""Bytes of the calls of one peer that are answered at a time: sixteen photos, or thousands of questions."""
PEER_QUEUE_BYTES_MAX = 8 * MIB
"""Unsent bytes to one peer; beyond it frames are dropped, STATUS asks for them again."""
POOL_RECORDS_MAX = 10_000
POOL_BYTES_MAX = 32 * MIB
RECORDS_IN_FLIGHT_PER_DEVICE = 5
"""Records of one key that wait to be ordered: a person taps, a flood does not."""
REQUEST_BYTES_MAX = 13 * MIB
"""HTTP body: a photo of 12 MB in its multipart form."""

assert FRAME_BYTES_MAX > BLOCK_BYTES_MAX + BLOCK_ITEMS_MAX * OPENING_BYTES_MAX
assert FRAME_BYTES_MAX > SNAPSHOT_CHUNK_BYTES + PAYLOAD_BYTES_MAX
