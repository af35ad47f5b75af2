"""One open connection to a vendor: authenticated, limited, patient, and careful with what it repeats.

Belongs here: everything that is true of every request: timeouts, retries, the rate limit, the size cap, redaction,
and the rule that credentials never leave the connection's hosts. Does not: what is asked (`vendors/`).
"""

import asyncio
import json
import logging
import re
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import tenacity

from morton_pipeline.book import PRIVATE, Connection, make_folder
from morton_pipeline.clock import wall
from morton_pipeline.errors import BadInput
from morton_pipeline.extract import errors
from morton_pipeline.extract.auth import Credentials, ReadsAnswers, TokenStore
from morton_pipeline.extract.pages import Call, dig
from morton_pipeline.extract.vendor import Rate, Vendor

SIZE_CAP = 64 * 1024 * 1024
"""Bytes of one answer; a page larger than this is a mistake or an attack."""

SAID = 400
"""Characters of a vendor's own words we pass on, cut after redaction: half a secret is still a secret."""

ON_THE_WAY = 1.02
"""How much longer our window is than the vendor's, which counts a request when it arrives, not when it is sent."""

LONGEST_WAIT = 120.0
"""Seconds we are willing to wait when asked to; beyond that the next scheduled run is the better try."""


class Http:
    """Sends calls for one connection and returns parsed answers."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        connection: Connection,
        vendor: Vendor,
        tokens: TokenStore | None,
        acquire: Callable[[], Any] | None,
    ) -> None:
        self._client, self._connection, self._vendor, self._acquire = client, connection, vendor, acquire
        self._secrets = connection.secret_values()
        self._tokens = tokens
        self._learned: set[str] = set()
        self._auths: dict[str, httpx.Auth] = {}
        self._attempts = int(connection.settings.get("attempts", 4))
        self._backoff = float(connection.settings.get("backoff_seconds", 1))
        self.request_counts: Counter[str] = Counter()
        """How often each tenant's vendor was asked, repetitions included."""
        self.clock_skew_seconds: float | None = None
        """How far the vendor's clock is ahead of ours. The smallest answer counts: one may come from a cache, and a
        wrong clock is wrong in all of them."""
        client.event_hooks = {"response": [self._compare_clocks]}

    async def _compare_clocks(self, response: httpx.Response) -> None:
        said = errors.http_date(response.headers.get("date"))
        if said is not None:
            skew = _skew(said, response.headers.get("age"))
            if self.clock_skew_seconds is None or abs(skew) < abs(self.clock_skew_seconds):
                self.clock_skew_seconds = skew

    async def send(self, call: Call, tenant_id: str = "") -> tuple[Any, Mapping[str, str]]:
        """Send a call, trying transient failures again; return the parsed body and the headers.

        Raises the errors of `extract.errors`, each saying which connection, what happened and what to do.
        """
        if not self._vendor.only_reads(call):
            raise errors.WouldWrite(
                f"{self._connection.id}: {call.method} {call.path} could do more than read, and was not sent. "
                f"morton_pipeline/vendors/{self._vendor.name}.py does not say that it only reads (`read_by_post`)."
            )
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(_is_worth_waiting),
            reraise=True,
        )
        return await retrying(self._once, call, tenant_id)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = getattr(failure, "retry_after", None)
        if asked is not None:
            return float(asked)
        if not self._backoff:
            return 0.0
        return float(tenacity.wait_random_exponential(multiplier=self._backoff, max=60)(state))

    async def _once(self, call: Call, tenant_id: str) -> tuple[Any, Mapping[str, str]]:
        params = {word: tenant_id if value == "{tenant}" else value for word, value in call.params.items()}
        request = self._client.build_request(
            call.method, self._url(call), params=params or None, json=call.json, headers=dict(call.headers)
        )
        if call.wait_seconds:
            await asyncio.sleep(call.wait_seconds)
        if self._acquire is not None:
            await self._acquire()
        self.request_counts[tenant_id] += 1
        where = f"{self._connection.id}: {call.method} {request.url.path}"
        try:
            response = await self._client.send(request, auth=self._auth(tenant_id), stream=True)
            try:
                content = await self._read(response, where)
            finally:
                await response.aclose()
        except httpx.TimeoutException:
            raise errors.Unreachable(
                f"{where} gave no answer in time. If this lasts, check the vendor's status page."
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as failure:
            said = self.redact(str(failure)) or type(failure).__name__
            hint = _hint(failure, failure.request.url.host, takes_ca_file="ca_file" in self._vendor.optional_settings)
            raise errors.Unreachable(f"{where}: the connection failed ({said}).{hint}") from None
        except errors.ExtractError as failure:
            raise self._named(failure, where) from None
        status = _status(response, content)
        if status >= 400 and status not in call.accepts:
            raise self._failure(response, content, where)
        if response.status_code == 202 and 202 not in call.accepts:
            raise errors.UnexpectedAnswer(
                f"{where} answered 202: the vendor prepares the answer in the background, where Morton does not fetch "
                "it. Nothing is known until the next scheduled run asks again; if this lasts, the server is overloaded."
            )
        if response.status_code not in (200, 201, *call.accepts):
            raise errors.UnexpectedAnswer(
                f"{where} answered {response.status_code}, which carries no data of this API. "
                "A proxy or a login page may stand in between; check the address of the connection."
            )
        # A failure that is an answer too says nothing in its body: it may be a proxy's page.
        body, auth = None if status >= 500 else _parse(content, where), self._auth(tenant_id)
        if isinstance(auth, ReadsAnswers):
            try:
                auth.read_answer(body)
            except errors.ExtractError as failure:
                raise self._named(failure, where) from None
        return body, response.headers

    def _named(self, failure: errors.ExtractError, where: str) -> errors.ExtractError:
        text = self.redact(str(failure))[:SAID]
        if isinstance(failure, errors.SignedOut):
            text = f"{text.rstrip('.')}. {self._vendor.mend(self._connection)}"
        named = type(failure)(text if text.startswith(self._connection.id) else f"{where}: {text}")
        if isinstance(failure, errors.Transient) and isinstance(named, errors.Transient):
            named.retry_after = failure.retry_after
        return named

    def _url(self, call: Call) -> httpx.URL:
        """Resolve a path below the base URL; `{realm_id}` is a setting of the connection.

        What comes out must be on the host the call is for, however the link was written: credentials go with it.
        """
        home, text = self._connection.base_url, call.path
        if call.host:
            home = str(self._connection.settings.get(call.host) or self._vendor.hosts[call.host])
        if "://" not in text:
            for word, value in self._connection.settings.items():
                text = text.replace(f"{{{word}}}", str(value))
            text = home + text
        base = httpx.URL(home)
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            raise errors.ForeignLink(f"{self._connection.id}: the next page's address cannot be read.") from None
        if (url.scheme, url.host, url.port, url.userinfo) != (base.scheme, base.host, base.port, base.userinfo):
            raise errors.ForeignLink(
                f"{self._connection.id}: the next page points to {url.scheme}://{url.host}, not to {base.host}; "
                "it was not followed."
            )
        return url

    def _auth(self, tenant_id: str) -> httpx.Auth:
        if tenant_id not in self._auths:
            listed = () if isinstance(self._connection.tenants, str) else self._connection.tenants
            self._auths[tenant_id] = self._vendor.auth(
                Credentials(
                    connection_id=self._connection.id,
                    secrets=self._secrets,
                    base_url=self._connection.base_url,
                    auth_url=self._connection.auth_url,
                    tenant_id=tenant_id,
                    admin=next((tenant.admin for tenant in listed if tenant.id == tenant_id), ""),
                    settings=self._connection.settings,
                    tokens=self._tokens,
                    learned=self._learned,
                )
            )
        return self._auths[tenant_id]

    async def _read(self, response: httpx.Response, where: str) -> bytes:
        """Read a body up to the cap, and insist on all of it."""
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > SIZE_CAP:
                raise errors.UnexpectedAnswer(
                    f"{where} answered with more than {SIZE_CAP // 2**20} MiB; it was not read further."
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _failure(self, response: httpx.Response, content: bytes, where: str) -> errors.ExtractError:
        status, said = _status(response, content), self.redact(_said(content))[:SAID]
        text = f"{where} answered {status}{f': {said}' if said else ''}."
        if status == 401:
            return errors.CredentialsRefused(f"{text} Check {' and '.join(self._connection.secrets.values())}.")
        if status == 403:
            return errors.PermissionMissing(
                f"{text} The credentials work but lack a permission to read this; "
                f"see «Permissions» in docs/vendors/{self._vendor.name}.md."
            )
        if status == 404:
            return errors.NotFound(text)
        if status == 429:
            failure: errors.Transient = errors.RateLimited(f"{text} The next scheduled run continues.")
        elif status >= 500 or status == 408:
            failure = errors.ServerFailed(f"{text} If this lasts, check the vendor's status page.")
        else:
            return errors.RequestRefused(text)
        failure.retry_after = errors.retry_after(response.headers.get("retry-after"), wall())
        return failure

    def redact(self, text: str) -> str:
        """Blank out every secret and token this connection has used."""
        return redact(text, {*self._secrets.values(), *self._learned})


def _status(response: httpx.Response, content: bytes) -> int:
    """Return how a request was answered; Google says with a 403 what others say with a 429."""
    is_over = response.status_code == 403 and re.search(rb'"(rateLimit|userRateLimit|quota)Exceeded"', content)
    return 429 if is_over else response.status_code


def _skew(said: datetime, age: str | None) -> float:
    """How far a vendor's clock is ahead of ours; an answer out of a cache says how old it is."""
    return (said - wall()).total_seconds() + (int(age) if age and age.strip().isdecimal() else 0)


def _hint(failure: BaseException, host: str, *, takes_ca_file: bool) -> str:
    """Say what to look at, where the failure's own causes tell a wrong name and a wrong certificate apart."""
    causes: list[BaseException] = []
    cause: BaseException | None = failure
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(c, socket.gaierror) for c in causes):
        return f" No address is known for {host}: check the host in connections.yaml, and this machine's DNS."
    if any(isinstance(c, ssl.SSLCertVerificationError) for c in causes):
        if takes_ca_file:
            return (
                f" The certificate {host} shows is not trusted here. If it is the server's own, save it, or that of "
                "the authority that signed it, as a PEM file and name the file in `ca_file:` of the connection; the "
                "host in connections.yaml must be one the certificate names."
            )
        return (
            f" The certificate {host} shows is not trusted here: check the host in connections.yaml, this machine's "
            "clock, and whether a proxy that opens traffic needs its certificate installed."
        )
    return ""


def _is_worth_waiting(failure: BaseException) -> bool:
    if not isinstance(failure, errors.Transient):
        return False
    return failure.retry_after is None or failure.retry_after <= LONGEST_WAIT


def redact(text: str, secrets: set[str]) -> str:
    """Replace secrets in a text, and anything that looks like a credential in a header or a query."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "•••")
    return re.sub(r"(?i)\b(bearer|basic|apitoken)\s+[\w.~+/=-]{8,}", r"\1 •••", text)


def _parse(content: bytes, where: str) -> Any:
    """Parse JSON with exact decimals; anything else is not an answer of this API."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        start = content[:40].decode("utf-8", "replace").strip()
        kind = "a web page" if start.lower().startswith(("<!doctype", "<html")) else "no complete JSON"
        raise errors.UnexpectedAnswer(
            f"{where} answered with {kind} instead of data. "
            "A proxy, a login page or a maintenance notice may stand in between."
        ) from None


def _refuse_constant(name: str) -> None:
    """NaN is not JSON, and a number that is none would later read as an empty one."""
    raise ValueError(name)


def _said(content: bytes) -> str:
    """Find the vendor's own words in an error body."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    for path in ("error.message", "error_description", "errorMessage", "message", "detail", "error"):
        found = dig(body, path)
        if isinstance(found, str):
            return found.rstrip(".")
    several = body if isinstance(body, list) else dig(body, "errors")
    if isinstance(several, list):
        found = (dig(e, "message") or dig(e, "detail") or dig(e, "$message") for e in several)
        return "; ".join(str(said).rstrip(".") for said in found if said)
    faults = dig(body, "Fault.Error")
    if isinstance(faults, list):
        return "; ".join(f"{dig(e, 'Message')} ({dig(e, 'code')})" for e in faults)
    return ""


class _Redacting(logging.Filter):
    """Keeps everything of an address but its host, and secrets, out of the HTTP library's own log lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _ADDRESS.sub(r"\1\2/…", redact(record.getMessage(), set())), ()
        return True


_ADDRESS = re.compile(r"(https?://)(?:[^/\s\"'?#]*@)?([^/\s\"'?#]*)[^\s\"']*")
"""A path can be a secret as well as a query can: a webhook's address is."""

LOGGERS = ("httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")))
"""Each by its own name: a filter is not asked about what the loggers below it say."""


def redact_logs() -> None:
    """Have the HTTP library log no address and no credential. Whoever opens a client calls this first."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(f, _Redacting) for f in logger.filters):
            logger.addFilter(_Redacting())


@asynccontextmanager
async def open_http(
    connection: Connection,
    vendor: Vendor,
    *,
    tokens: TokenStore | None = None,
    rate_dir: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Http]:
    """Open a connection. `rate_dir` holds the rate limit's memory, shared by every process of the book."""
    redact_logs()
    timeout = float(connection.settings.get("timeout_seconds", 60))
    with _Limiting(connection, vendor.rate, rate_dir) as acquire:
        async with httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 15)),
            headers={"Accept": "application/json", "User-Agent": "morton-pipeline"},
            limits=httpx.Limits(max_connections=20),
            follow_redirects=False,
            verify=_trusted(connection),
            transport=transport,
        ) as client:
            yield Http(client, connection, vendor, tokens, acquire)


def _trusted(connection: Connection) -> ssl.SSLContext | bool:
    """Whose certificates are believed: the usual authorities', or only what the connection's `ca_file` holds.

    There is no way to believe any: a server nobody vouches for could be anybody's, and the secrets go to it.
    """
    name = connection.settings.get("ca_file")
    if not name:
        return True
    path = Path(str(name)).expanduser()
    try:
        context = ssl.create_default_context(cafile=path)
    except OSError as problem:
        said = "holds no certificate in PEM" if isinstance(problem, ssl.SSLError) else "cannot be read"
        raise BadInput(
            f"Connection {connection.id}: the ca_file {path} {said}. Save the server's certificate, or that of the "
            "authority that signed it, as a PEM file (-----BEGIN CERTIFICATE-----) and write its whole path."
        ) from None
    # What the operator named is believed itself, whoever signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class _Limiting:
    """Waits before a request would exceed the limit; the sliding window is shared through a file."""

    def __init__(self, connection: Connection, declared: Rate | None, rate_dir: Path | None) -> None:
        own = connection.settings.get("requests_per_minute")
        self._rate = Rate(int(own), 60) if own else declared
        self._file = None if rate_dir is None else rate_dir / f"{connection.id}.sqlite"
        self._limiter: Any = None

    def __enter__(self) -> "Callable[[], Any] | None":
        if self._rate is None:
            return None
        from pyrate_limiter import InMemoryBucket, Limiter, SQLiteBucket
        from pyrate_limiter import Rate as WindowRate

        rates = [WindowRate(self._rate.requests, int(self._rate.seconds * 1000 * ON_THE_WAY))]
        if self._file is None:
            self._limiter = Limiter(InMemoryBucket(rates))
        else:
            make_folder(self._file.parent, PRIVATE)
            bucket = SQLiteBucket.init_from_file(rates, db_path=str(self._file), use_file_lock=True)
            self._limiter = Limiter(bucket)
        return lambda: self._limiter.try_acquire_async("request")

    def __exit__(self, *_: object) -> None:
        if self._limiter is not None:
            self._limiter.close()


async def gather_limited(limit: int, jobs: "list[Callable[[], Any]]") -> list[Any]:
    """Run jobs concurrently, at most `limit` at once, and return their results in order."""
    gate = asyncio.Semaphore(limit)

    async def run(job: "Callable[[], Any]") -> Any:
        async with gate:
            return await job()

    return await asyncio.gather(*(run(job) for job in jobs))
