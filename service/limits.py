"""Limits of connections, bodies, inputs and memory that no setting changes.

Limits that operators change are in `service.settings`; those of the code that runs without the service, in
`models.preprocess` and `service.visualization`. docs/reference.py makes the page of all limits from their docstrings.
"""

# Connection

MAX_REQUEST_LINE_BYTES = 8 * 2**10
"""Maximum method and path, with the query; longer ones get 414."""

MAX_HEADERS_BYTES = 64 * 2**10
"""Maximum of all header lines, or of a chunked body's framing and trailers; more get 431."""

MAX_HEADERS = 100
"""Maximum number of headers; more get 431."""

MIN_BODY_BYTES_PER_S = 16 * 2**10
"""Minimum average rate of a body after HEADLIGHT_READ_TIMEOUT_MS; slower ones get 408."""

LINGERING_CLOSE_S = 1.0
"""Time after a rejection in which the client's data is read and discarded: closing a connection with unread bytes
resets it, and the client may never see the response."""

GRACEFUL_SHUTDOWN_TIMEOUT_S = 30
"""Default time that requests have to finish at shutdown (`--timeout-graceful-shutdown`)."""

# Body

MAX_FULL_SIZE_BODIES = 8
"""Memory of all bodies, in bodies of HEADLIGHT_MAX_BODY_BYTES; parsed, each can take several times its size."""

MAX_SMALL_BODY_BYTES = 64 * 2**10
"""Maximum size of a small body. Small bodies have a budget of their own, so that large ones do not delay them."""

SMALL_BODY_DIVISOR = 4
"""Memory of all small bodies: that of all bodies divided by this."""

MAX_GZIP_MEMBERS = 1_000
"""Maximum members of a gzip body."""

DISCARD_TIMEOUT_S = 0.5
"""Time in which an oversized body is read and discarded. Most clients read the response only after sending the whole
body; if the connection closes earlier, they see only that."""

DISCARD_FACTOR = 4
"""Maximum size, in bodies of HEADLIGHT_MAX_BODY_BYTES, of an oversized body that is read and discarded."""

MAX_JSON_DEPTH = 100
"""Maximum nesting of lists and objects in a body."""

MAX_JSON_CONTAINERS = 65_536
"""Maximum lists and objects in a body, unless HEADLIGHT_MAX_CLIENT_BATCH_SIZE allows for more inputs."""

MAX_JSON_CONTAINERS_PER_INPUT = 8
"""Maximum lists and objects per input, for a larger HEADLIGHT_MAX_CLIENT_BATCH_SIZE."""

MAX_JSON_VALUES = 2**20
"""Maximum values in all lists and objects of a body: as token ids, four times the queue's capacity. More would block
the event loop."""

# Inputs

MAX_TOKEN_IDS = 131_072
"""Maximum token ids of one text: more than any model's limit, and cheap to check."""

MAX_TOKENIZED_CHARACTERS = 100_000
"""Maximum characters per request to tokenize without truncation: the response has up to 70 times as many bytes."""

MAX_IMAGE_PIXELS = 100_000_000
"""Maximum of HEADLIGHT_MAX_IMAGE_PIXELS. From 179 million on the decoders have a limit of their own, and one image
would take gigabytes."""

# Queue and memory

MAX_SPARSE_ENTRIES = 2_048
"""Maximum entries of a sparse vector; of one with more, the largest are kept. Trained encoders make some hundreds."""

SPARSE_WORKSPACE_BYTES = 512 * 2**20
"""Maximum of a sparse encoder's logits, of all batches in flight: tokens times vocabulary, which bounds its batches. A
text that runs alone may take more."""

SMALL_RESERVE_DIVISOR = 4
"""Reserve for small requests: HEADLIGHT_MAX_QUEUE_TOKENS divided by this, in addition to them."""

MAX_RETRY_AFTER_S = 60
"""Maximum `Retry-After`: until then the load will have changed."""

MAX_OUTSTANDING_ATTENTION_RESPONSES = 8
"""Attention memory reserved for requests in flight, in responses of HEADLIGHT_MAX_ATTENTION_BYTES."""

ATTENTION_WORKSPACE_FACTOR = 8
"""Memory that computing the attention of one input may take, in multiples of HEADLIGHT_MAX_ATTENTION_BYTES: responses
are often much smaller than the weights they are computed from."""

ATTENTION_WORKSPACE_BYTES = 256 * 2**20
"""Maximum attention weights of all batches in flight, over all layers and heads. An input that runs alone may take
`Settings.attention_workspace_bytes`."""

WATCHDOG_FACTOR = 100
"""A batch hangs after this many times the longest warm-up run."""

WATCHDOG_MIN_S = 60.0
"""Minimum time after which a batch hangs."""
