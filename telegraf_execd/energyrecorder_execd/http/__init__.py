"""HTTP to BMCs for every reader that speaks it: TLS policies, log-in sessions, bounded JSON answers."""

from energyrecorder_execd.http.client import Answer, BmcHttp
from energyrecorder_execd.http.errors import HttpStatusError
from energyrecorder_execd.http.transport import HttpClients

__all__ = ["Answer", "BmcHttp", "HttpClients", "HttpStatusError"]
