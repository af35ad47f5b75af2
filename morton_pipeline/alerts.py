"""Tell somebody when the unattended work fails: a webhook, an e-mail, both, or nobody.

Belongs here: sending one message. Does not: deciding what is worth one (`defs/alerts.py`).
`alerts:` in connections.yaml names environment variables, because a webhook's address is itself a secret:

    alerts:
      webhook: MORTON_ALERT_WEBHOOK
      email: {to: MORTON_ALERT_TO, smtp_url: MORTON_SMTP_URL}
"""

import os
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput, MortonError
from morton_pipeline.extract.http import redact_logs

TIMEOUT_SECONDS = 15
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class AlertNotSent(MortonError):
    """A failure happened and telling about it failed too."""


def notify(book: Book, title: str, text: str) -> list[str]:
    """Send the message wherever `alerts:` says; return the ways it went, none when nothing is configured.

    Every way is tried before the failed ones are raised as one `AlertNotSent`.
    """
    ways = {"webhook": _post, "email": _mail}
    if unknown := set(book.alerts) - set(ways):
        raise BadInput(f"connections.yaml, alerts: unknown word {min(unknown)!r}. Allowed here: email, webhook.")
    sent, failures = [], []
    for way, send in ways.items():
        if way not in book.alerts:
            continue
        try:
            send(book.alerts[way], f"Morton · {book.root.name}: {title}", text)
            sent.append(way)
        except AlertNotSent as failure:
            failures.append(str(failure))
    if failures:
        raise AlertNotSent(" ".join(failures))
    return sent


def _post(variable: Any, title: str, text: str) -> None:
    """Post JSON with a `text`, which Slack, Mattermost, Google Chat and Teams' workflows all show."""
    url = _value("webhook", variable)
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise AlertNotSent(f"alerts.webhook: the address in {variable} must begin with https://.")
    redact_logs()
    try:
        answer = httpx.post(url, json={"title": title, "text": f"{title}\n{text}"}, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as failure:
        why = type(failure).__name__
        raise AlertNotSent(f"alerts.webhook: the address in {variable} gave no answer ({why}).") from None
    if answer.is_error or answer.is_redirect:
        raise AlertNotSent(f"alerts.webhook: the address in {variable} answered {answer.status_code}; check it.")


def _mail(settings: Any, title: str, text: str) -> None:
    """Send by `smtp://user:password@host:587?from=…`; encrypted, `smtps://` from the start, except to this machine."""
    if not isinstance(settings, Mapping) or set(settings) != {"to", "smtp_url"}:
        raise BadInput("connections.yaml, alerts.email: `to:` and `smtp_url:` each name an environment variable.")
    to, url = _value("email.to", settings["to"]), urlsplit(_value("email.smtp_url", settings["smtp_url"]))
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise AlertNotSent(f"alerts.email: {settings['smtp_url']} must look like smtp://user:password@host:587.")
    message = EmailMessage()
    message["Subject"], message["To"] = title, to
    message["From"] = parse_qs(url.query).get("from", [unquote(url.username or "") or to])[0]
    message.set_content(text)
    try:
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                url.hostname, url.port or 465, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(url.hostname, url.port or 587, timeout=TIMEOUT_SECONDS)
        with server:
            if url.scheme == "smtp" and url.hostname not in LOOPBACK:
                server.starttls(context=ssl.create_default_context())
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
    except (smtplib.SMTPException, OSError) as failure:
        why, variable = type(failure).__name__, settings["smtp_url"]
        raise AlertNotSent(f"alerts.email: the mail server in {variable} did not take the message ({why}).") from None


def _value(word: str, variable: Any) -> str:
    value = os.environ.get(str(variable))
    if not value:
        raise AlertNotSent(f"alerts.{word} names the environment variable {variable}, which is not set.")
    return value
