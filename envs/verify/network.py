"""The marks that a failed download leaves in what programs print."""

import re

_MARKS = re.compile(
    r"could not resolve|temporary failure (?:in name resolution|resolving)|name or service not known|getaddrinfo|"
    r"network is unreachable|failed to establish a new connection|no route to host|dial tcp|couldn't connect to server|"
    r"could not connect to|unable to connect to|unable to locate package|no matching distribution found|"
    r"failed to (?:fetch|download)|error sending request for url|nodename nor servname|\bENOTFOUND\b|\bEAI_AGAIN\b|"
    r"connection (?:error|timed out)|unable to look ?up|(?:uvx?|curl -LsSf .*): command not found|"
    r"\.local/bin/env: no such file",
    re.IGNORECASE,
)


def failed_download(output: str) -> str:
    """The line that shows that something could not be fetched; empty where none does."""
    for line in output.splitlines():
        if _MARKS.search(line):
            return " ".join(line.split())[:200]
    return ""
