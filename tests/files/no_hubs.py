"""What comes from an address that is no hub's: name -> body, content type."""

PAGES = {
    "a page": (b"<!DOCTYPE html><title>log in</title>", "text/html"),
    "nothing": (b"", "application/json"),
    "half": (b'{"sha": "', "application/json"),
    "a list": (b"[1, 2]", "application/json"),
    "a number": (b"7", "application/json"),
    "bytes": (b"\xff\xfe\x00", "application/json"),
    "another object": (b'{"error": null}', "application/json"),
}
