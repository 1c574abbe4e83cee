"""What files hold that only have the name of a mesh or a cloud: told by their first bytes."""

STARTS = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: fetch it with git lfs pull",
    b"\x1f\x8b": "packed by gzip: unpack it",
    b"BZh": "packed by bzip2: unpack it",
    b"\xfd7zXZ": "packed by xz: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"PK\3\4": "a zip archive: unpack it",
    b"<!doctype html": "a web page, as of a download that failed",
    b"<html": "a web page, as of a download that failed",
}
HEAD = 64  # bytes to look at
PACKED_THEMSELVES = (".npz",)


def check_content(head: bytes, suffix: str) -> None:
    """Raise ValueError, with what to do, for what is no shape of any format. head: the first `HEAD` bytes of a file."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, what in STARTS.items():
        if start.startswith(mark.lower()) and suffix not in PACKED_THEMSELVES:
            raise ValueError(what)
