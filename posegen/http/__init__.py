"""One HTTP client for everything: time-outs, retries, pace, errors in words, and safe fetches of any URL."""

from posegen.http.answers import Rules
from posegen.http.call import Call
from posegen.http.client import Client, Download, Through, load_transport
from posegen.http.pace import Pace
from posegen.http.poll import PollDeadlineError, poll

__all__ = [
    "Call", "Client", "Download", "Pace", "PollDeadlineError", "Rules", "Through",
    "load_transport", "poll",
]  # fmt: skip
