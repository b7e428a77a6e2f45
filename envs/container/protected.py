"""What a verdict rests on in a container: the programs, libraries and settings that run the checks."""

from fnmatch import fnmatchcase

PROTECTED = {
    **dict.fromkeys(("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/libexec"), "interpreter, shell and programs"),
    **dict.fromkeys(
        ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/lib", "/lib32", "/lib64", "/libx32"),
        "loader, libraries, Python's own modules, glibc-hwcaps, gconv, locales",
    ),
    **dict.fromkeys(
        ("/usr/share/perl", "/usr/share/perl5", "/usr/share/python3", "/usr/share/git-core"), "parts of programs"
    ),
    "/usr/pyvenv.cfg": "tells an interpreter in /usr/bin where its modules are",
    "/etc/python3*": "sitecustomize.py of the distribution",
    "/etc/alternatives": "what names in /usr/bin stand for",
    "/etc/ld.so.preload": "a library that goes into every program",
    "/etc/ld.so.cache": "which library a program gets",
    "/etc/ld.so.conf": "which library a program gets",
    "/etc/ld.so.conf.d": "which library a program gets",
    "/etc/nsswitch.conf": "names a library that goes into whatever looks up a user",
    "/etc/ssl/openssl.cnf": "names libraries that go into whatever uses a hash of OpenSSL",
}
"""Paths, with what lies below them, that nobody who is graded may have changed; and why. `*` ends a name only.

`/usr/local` is not here: a task may ask for programs there, and what grades calls none of them.
"""

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs that grade are looked for: folders that are protected."""


def protected(path: str) -> bool:
    """Whether an absolute path, without `.` and `..`, is protected."""
    parts = path.split("/")
    return any(
        len(parts) >= len(names) and all(map(fnmatchcase, parts, names))
        for names in (pattern.split("/") for pattern in PROTECTED)
    )


def above_protected(path: str) -> bool:
    """Whether something protected lies below an absolute path."""
    return any(pattern.startswith(f"{path.rstrip('/')}/") for pattern in PROTECTED)
