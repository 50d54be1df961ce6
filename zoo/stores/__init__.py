"""A directory as a hub.

In: files of a student. Out: blobs by their sha256, commits and refs with git's own ids (`store`),
or plain folders that git and people read (`folders`). Uses `records`.
"""
